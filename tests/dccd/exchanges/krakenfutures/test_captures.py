"""Real payloads of Kraken Futures, one a file, against an independent reading of the same bytes."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dccd.exchanges.base import Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, Level, OpenInterest, Record, Side, Trade
from dccd.symbols import NS, Dataset

INVERSE = Market("PI_XBTUSD", inverse=True)
READ = {
    "http_futures_candles_trade.json",
    "http_futures_historical_funding_rates.json",
    "http_futures_orderbook.json",
    "ws_futures_book_delta.json",
    "ws_futures_book_snapshot.json",
    "ws_futures_book_snapshot_with_zero_qty.json",
    "ws_futures_ticker.json",
    "ws_futures_trade.json",
    "ws_futures_trade_snapshot.json",
}
ELSE = {"http_futures_instruments.json": "what is listed: ccxt reads it"}


def payload(captures: Path, name: str) -> bytes:
    return (captures / "payloads" / "kraken" / name).read_bytes()


def exact(captures: Path, name: str) -> Any:
    return json.loads(payload(captures, name), parse_float=Decimal)


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * NS + moment.microsecond * 1000


def stream(kind: str, market: Market = INVERSE) -> StreamProtocol:
    return KrakenFutures().stream(Dataset.parse(f"krakenfutures.{kind}.BTC-USD_PERP"), StreamOptions(), market)


def base(qty: Any, price: Any) -> float:
    """Contracts of a dollar each as base asset."""
    return float(qty) / float(price)


def levels(rows: list[Any]) -> list[Level]:
    return [(float(row["price"]), base(row["qty"], row["price"])) for row in rows if row["qty"]]


def test_every_file_is_named(captures: Path) -> None:
    """None is left out in silence."""
    files = {path.name for path in (captures / "payloads" / "kraken").glob("*futures*")}
    assert files == READ | set(ELSE)


def test_a_trade(captures: Path) -> None:
    """Id, price, size, time and side."""
    out: list[Record] = []
    assert stream("trades").receive(payload(captures, "ws_futures_trade.json"), 1, out) == Subscribed()
    row = exact(captures, "ws_futures_trade.json")
    side: Side = row["side"]
    assert out == [Trade(row["time"] * 10**6, float(row["price"]), base(row["qty"], row["price"]), side, row["uid"], 1)]


def test_a_snapshot_of_trades(captures: Path) -> None:
    """Not given out; the next trade's number must be one more than its newest."""
    protocol, out = stream("trades"), list[Record]()
    assert protocol.receive(payload(captures, "ws_futures_trade_snapshot.json"), 1, out) == Subscribed()
    found = exact(captures, "ws_futures_trade_snapshot.json")["trades"]
    newest = max(row["seq"] for row in found)
    assert not out and newest == found[0]["seq"]
    trade = exact(captures, "ws_futures_trade.json")
    for seq, holes in ((newest + 1, 0), (newest + 3, 1)):
        protocol.receive(json.dumps(trade | {"seq": seq, "price": 34969.5}).encode(), 2, out)
        assert len(protocol.unresolved()) == holes
    assert len(out) == 2


@pytest.mark.parametrize("name", ["ws_futures_book_snapshot.json", "ws_futures_book_snapshot_with_zero_qty.json"])
def test_a_snapshot_of_the_book(captures: Path, name: str) -> None:
    """Both sides; a level of no size is none."""
    protocol, out = stream("orderbook"), list[Record]()
    assert protocol.receive(payload(captures, name), 1, out) == Subscribed()
    found = exact(captures, name)
    bids, asks = levels(found["bids"]), levels(found["asks"])
    assert bids and asks and (bids, asks) == (sorted(bids, reverse=True), sorted(asks))
    assert out == [BookSnapshot(found["timestamp"] * 10**6, found["seq"], bids, asks, 1)]


def test_a_change_of_the_book(captures: Path) -> None:
    """The level goes, when it was there and the number is the next one."""
    protocol, out = stream("orderbook"), list[Record]()
    change, whole = (exact(captures, f"ws_futures_book_{name}.json") for name in ("delta", "snapshot"))
    asks = [*whole["asks"], {"price": change["price"], "qty": 5}]
    start = whole | {"seq": change["seq"] - 1, "asks": asks}
    protocol.receive(json.dumps(start, default=float).encode(), 1, out)
    assert protocol.receive(payload(captures, "ws_futures_book_delta.json"), 2, out) is None
    assert (change["side"], change["qty"]) == ("sell", 0)
    assert out[1:] == [BookDelta(change["timestamp"] * 10**6, change["seq"], [], [(float(change["price"]), 0.0)], 2)]


def test_a_ticker(captures: Path) -> None:
    """Funding rate, its end, mark price; open interest and its value."""
    raw, row = payload(captures, "ws_futures_ticker.json"), exact(captures, "ws_futures_ticker.json")
    ts, mark, funding = row["time"] * 10**6, float(row["markPrice"]), list[Record]()
    stream("funding").receive(raw, 1, funding)
    rate, due = float(row["relative_funding_rate"]), row["next_funding_rate_time"] * 10**6
    assert funding == [FundingRate(ts, rate, mark, 1, due)]
    # The other rate is money: for a contract of a dollar, in bitcoin.
    assert float(row["funding_rate"]) * float(row["index"]) == pytest.approx(rate, rel=5e-3)
    interest: list[Record] = []
    stream("open_interest").receive(raw, 1, interest)
    value = float(row["openInterest"])
    assert interest == [OpenInterest(ts, value / mark, value, 1)]


def test_past_bars(captures: Path) -> None:
    """All of a page."""
    rows = exact(captures, "http_futures_candles_trade.json")["candles"]
    start, end = rows[0]["time"] * 10**6, (rows[-1]["time"] + 3_600_000) * 10**6
    pager = KrakenFutures().history(
        Dataset.parse("krakenfutures.ohlc.BTC-USD_PERP.1h"), start, end, Market("PF_XBTUSD")
    )
    page = pager.receive(pager.requests(1)[0], payload(captures, "http_futures_candles_trade.json"), end + 10**12)
    prices = [[float(row[name]) for name in ("open", "high", "low", "close", "volume")] for row in rows]
    assert page.records == [
        Bar(row["time"] * 10**6, o, h, low, c, v) for row, (o, h, low, c, v) in zip(rows, prices, strict=True)
    ]
    assert (page.start, page.end, pager.done, len(rows)) == (start, end, True, 3)


def test_past_rates(captures: Path) -> None:
    """All of them, oldest first."""
    rows = exact(captures, "http_futures_historical_funding_rates.json")["rates"]
    start, end = min(ns(row["timestamp"]) for row in rows), max(ns(row["timestamp"]) for row in rows) + 1
    pager = KrakenFutures().history(Dataset.parse("krakenfutures.funding.BTC-USD_PERP"), start, end, INVERSE)
    body = payload(captures, "http_futures_historical_funding_rates.json")
    page = pager.receive(pager.requests(1)[0], body, end + 10**12)
    expected = [FundingRate(ns(row["timestamp"]), float(row["relativeFundingRate"])) for row in reversed(rows)]
    assert page.records == expected and (page.start, page.end) == (start, end)


def test_the_present_book(captures: Path) -> None:
    """Both sides, at Kraken's time."""
    found = exact(captures, "http_futures_orderbook.json")
    pager = KrakenFutures().history(Dataset.parse("krakenfutures.orderbook.BTC-USD_PERP"), 0, 1, Market("PF_XBTUSD"))
    page = pager.receive(pager.requests(1)[0], payload(captures, "http_futures_orderbook.json"), 7)
    bids, asks = ([(float(p), float(q)) for p, q in found["orderBook"][side]] for side in ("bids", "asks"))
    assert page.records == [BookSnapshot(ns(found["serverTime"]), 7, bids, asks, 7)]
    assert len(bids) == len(asks) == 3
