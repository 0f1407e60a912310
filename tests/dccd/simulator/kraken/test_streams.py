"""Kraken's WebSocket v2, without sockets: acknowledgements, channels, and checksums verified from the wire's digits."""

from __future__ import annotations

import json
import zlib
from itertools import pairwise
from typing import Any

import pytest

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.kraken import Kraken
from dccd.simulator.venue import Session
from dccd.symbols import NS, parse_time

START = 1_714_564_800 * NS + 123_456_789


@pytest.fixture
def venue() -> Kraken:
    """20 trades a second."""
    return Kraken(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)


def opened(venue: Kraken) -> Session:
    session = venue.open("/v2", START)
    assert session is not None
    return session


def sent(session: Session, now: int = START, **request: Any) -> list[Any]:
    """What is answered to a request; decimals as text, as checksums want them."""
    return [json.loads(frame, parse_float=str) for frame in session.receive(json.dumps(request), now)]


def subscribed(session: Session, **params: Any) -> list[Any]:
    ack, *rest = sent(session, method="subscribe", params=params, req_id=7)
    assert ack["success"] is True and ack["req_id"] == 7 and ack["method"] == "subscribe"
    return [ack["result"], *rest]


def due(session: Session, now: int) -> list[Any]:
    return [json.loads(frame, parse_float=str) for stream in session.streams.values() for frame in stream.due(now)]


def test_trades_come_once_each(venue: Kraken) -> None:
    """Every trade after the subscription; those of one order in one frame."""
    session = opened(venue)
    assert subscribed(session, channel="trade", symbol=["BTC/USD"]) == [
        {"channel": "trade", "symbol": "BTC/USD", "snapshot": False}
    ]
    frames = due(session, START + 3 * NS) + due(session, START + 10 * NS)
    got = [one for frame in frames for one in frame["data"]]
    truth = venue.listings["BTC/USD"].market.trades(START + 1, START + 10 * NS + 1, 1000, 1)
    assert [
        (one["trade_id"], parse_time(one["timestamp"]), float(one["price"]), float(one["qty"]), one["side"])
        for one in got
    ] == [(int(one.tid or 0), one.ts, one.price, one.amount, one.side) for one in truth]
    assert all(len({one["timestamp"] for one in frame["data"]}) == 1 for frame in frames)
    assert any(len(frame["data"]) > 1 for frame in frames)


def test_the_trade_snapshot_precedes_the_updates(venue: Kraken) -> None:
    """The last 50 if asked for, and the next frame goes on where it ends."""
    session = opened(venue)
    _, snapshot = subscribed(session, channel="trade", symbol=["BTC/USD"], snapshot=True)
    assert snapshot["type"] == "snapshot" and len(snapshot["data"]) == 50
    after = due(session, START + 2 * NS)[0]["data"][0]
    assert after["trade_id"] == snapshot["data"][-1]["trade_id"] + 1


def check(frame: Any, book: dict[str, dict[str, str]], depth: int) -> None:
    """Apply a book frame as Kraken's guide says, and verify its checksum from the digits."""
    (data,) = frame["data"]
    if frame["type"] == "snapshot":
        book["bids"], book["asks"] = {}, {}
    for side in ("bids", "asks"):
        for level in data[side]:
            if float(level["qty"]) == 0:
                book[side].pop(level["price"], None)
            else:
                book[side][level["price"]] = level["qty"]
        best = sorted(book[side], key=float, reverse=side == "bids")[:depth]
        book[side] = {price: book[side][price] for price in best}
    digits = "".join(
        text.replace(".", "").lstrip("0")
        for side in ("asks", "bids")
        for level in list(book[side].items())[:10]
        for text in level
    )
    assert zlib.crc32(digits.encode()) == data["checksum"]


@pytest.mark.parametrize("depth", [10, 25, 100, 1000])
def test_book_checksums_hold_and_the_book_is_the_truth(venue: Kraken, depth: int) -> None:
    """Levels that fall out of the depth are cut by the client, and those that come back are told again."""
    session = opened(venue)
    result, snapshot = subscribed(session, channel="book", symbol=["BTC/USD"], depth=depth)
    assert result == {"channel": "book", "symbol": "BTC/USD", "snapshot": True, "depth": depth}
    book: dict[str, dict[str, str]] = {}
    check(snapshot, book, depth)
    frames = due(session, START + 10 * NS)
    assert 90 < len(frames) <= 100
    for frame in frames:
        check(frame, book, depth)
    truth = venue.listings["BTC/USD"].book.snapshot(START + 10 * NS, depth)
    assert [(float(price), float(qty)) for price, qty in book["bids"].items()] == truth.bids
    assert [(float(price), float(qty)) for price, qty in book["asks"].items()] == truth.asks
    told = [level for frame in frames for side in ("bids", "asks") for level in frame["data"][0][side]]
    assert any(float(level["qty"]) == 0 for level in told)


def test_candles(venue: Kraken) -> None:
    """A snapshot whose last candle is open, then each candle's last state before the next one's first."""
    session = opened(venue)
    result, snapshot = subscribed(session, channel="ohlc", symbol=["BTC/USD"], interval=5)
    assert result["interval"] == 5
    assert len(snapshot["data"]) == 720 and snapshot["data"][-1]["interval_begin"] == "2024-05-01T12:00:00.000000000Z"
    frames = [frame for second in range(0, 1000, 7) for frame in due(session, START + second * NS)]
    last: dict[str, Any] = {}
    for frame in frames:
        (candle,) = frame["data"]
        last[candle["interval_begin"]] = candle
    assert [parse_time(begin) for begin in last] == [1_714_564_800 * NS + n * 300 * NS for n in range(4)]
    market = venue.listings["BTC/USD"].market
    for begin, candle in list(last.items())[:-1]:
        (bar,) = market.bars(300, parse_time(begin), parse_time(begin) + 1)
        assert [float(candle[name]) for name in ("open", "high", "low", "close", "volume")] == [
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
        ]
        assert candle["trades"] == bar.trades


def test_instruments_and_tickers(venue: Kraken) -> None:
    """The lists say the precision that books and trades have."""
    session = opened(venue)
    _, lists = subscribed(session, channel="instrument")
    pairs = {pair["symbol"]: pair for pair in lists["data"]["pairs"]}
    assert (pairs["BTC/USD"]["price_precision"], pairs["BTC/USD"]["qty_precision"]) == (1, 8)
    _, first = subscribed(session, channel="ticker", symbol=["BTC/USD"])
    (second,) = due(session, START + 2 * NS)
    assert (first["type"], second["type"]) == ("snapshot", "update")
    assert float(second["data"][0]["bid"]) < float(second["data"][0]["ask"])


def test_numbered_trades_for_benchmarks() -> None:
    """With a total, that many trades from the start on, several a frame, ids without gaps."""
    venue = Kraken(SimConfig(seed=3, rate=20, history=3, total=1234), FaultPlan(lambda: START), START)
    session = opened(venue)
    subscribed(session, channel="trade", symbol=["BTC/USD"])
    (stream,) = session.streams.values()
    frames = [json.loads(frame) for _ in range(4) for frame in stream.take(500)]
    ids = [one["trade_id"] for frame in frames for one in frame["data"]]
    assert len(ids) == 1234 and all(b == a + 1 for a, b in pairwise(ids))
    assert stream.take(500) == [] and stream.due(START + 60 * NS) == []
