"""Real payloads and recordings of Binance, against an independent reading of the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, SnapshotWanted, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.binance import Binance
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, Record, Trade
from dccd.symbols import Dataset

MS = 1_000_000
RECV = 1_700_000_000 * 10**9
ACK = b'{"result":null,"id":1}'
OTHERS = {
    "futures_book_ticker_stream.json": "the best levels: a part of the book",
    "futures_trade_stream.json": "single trades: history has aggregate ones, whose ids are others",
    "spot_http_book_ticker_response.json": "the best levels: a part of the book",
    "spot_http_exchange_info_response.json": "symbols: ccxt reads those",
    "spot_http_trades_response.json": "single trades, of which history has no pages without a key",
}
"""What isn't market data that we collect."""

Json = Any  # whatever a payload holds
SPOT = {"nknusdt": "NKN-USDT", "lrcbtc": "LRC-BTC", "blzeth": "BLZ-ETH", "runeeur": "RUNE-EUR"}
FUTURES = {name: f"{name.upper().removesuffix('USDT')}-USDT_PERP" for name in ("sushiusdt", "akrousdt", "keepusdt")}
FUTURES["ctkusdt"] = "CTK-USDT_PERP"
RECORDINGS = {"binance": SPOT, "binance_futures": FUTURES}
PAIRS = [(recording, symbol) for recording, symbols in RECORDINGS.items() for symbol in symbols]


@pytest.fixture
def payloads(captures: Path) -> Path:
    """The folder of Binance's."""
    return captures / "payloads" / "binance"


def stream(name: str, symbol: str, **options: object) -> StreamProtocol:
    made = Binance().stream(Dataset.parse(f"binance.{name}"), StreamOptions(**options), Market(symbol.upper()))  # type: ignore[arg-type]  # as the test says
    assert made.receive(ACK, 0, []) == Subscribed()
    return made


def number(text: str) -> float:
    return float(Decimal(text))


def levels(rows: Json) -> list[tuple[float, float]]:
    return [(number(price), number(amount)) for price, amount in rows]


def trade(data: Json, recv_ts: int) -> Trade:
    side = "sell" if data["m"] else "buy"
    return Trade(data["T"] * MS, number(data["p"]), number(data["q"]), side, str(data["a"]), recv_ts)  # type: ignore[arg-type]  # one of two


def bar(data: Json, recv_ts: int) -> Bar:
    k = data["k"]
    values = [number(k[name]) for name in ("o", "h", "l", "c", "v", "q")]
    return Bar(k["t"] * MS, *values, k["n"], recv_ts, closed=k["x"])


# ---------------------------------------------------------------- payloads


def test_every_file_is_looked_at(payloads: Path) -> None:
    """A new one needs a test."""
    read = {
        "futures_agg_trade_stream.json", "futures_depth_update_stream.json", "futures_kline_stream_closed.json",
        "futures_kline_stream_open.json", "futures_mark_price_stream.json", "spot_http_depth_response.json",
        "spot_http_klines_response.json",
    }  # fmt: skip
    assert {path.name for path in payloads.iterdir()} == read | set(OTHERS)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("futures_agg_trade_stream.json", "trades.BTC-USDT_PERP"),
        ("futures_kline_stream_closed.json", "ohlc.BTC-USDT_PERP.1m"),
        ("futures_mark_price_stream.json", "funding.BTC-USDT_PERP"),
    ],
)
def test_events(payloads: Path, file: str, name: str, wrapped: bool) -> None:
    """One record each, raw or with the name of its stream."""
    frame = (payloads / file).read_bytes()
    data, protocol, out = json.loads(frame), stream(name, "BTCUSDT"), list[Record]()
    protocol.receive(b'{"stream":"%s","data":%s}' % (protocol.topic.encode(), frame) if wrapped else frame, RECV, out)
    if data["e"] == "aggTrade":
        assert out == [trade(data, RECV)]
    elif data["e"] == "kline":
        assert out == [bar(data, RECV)]
    else:
        assert out == [FundingRate(data["E"] * MS, number(data["r"]), number(data["p"]), RECV, data["T"] * MS)]


def test_an_open_bar(payloads: Path) -> None:
    """The one captured is none: its maker has it open below its low; with a low that can be it is a bar."""
    frame = (payloads / "futures_kline_stream_open.json").read_bytes()
    protocol, out = stream("ohlc.BTC-USDT_PERP.1m", "BTCUSDT"), list[Record]()
    with pytest.raises(ParseError, match=r"a bar from 0.0015 to 0.0025 that isn't"):
        protocol.receive(frame, RECV, out)
    mended = frame.replace(b'"l": "0.0015"', b'"l": "0.0010"')
    assert protocol.receive(mended, RECV, out) is None
    assert out == [bar(json.loads(mended), RECV)] and not json.loads(mended)["k"]["x"]


def test_depth_update(payloads: Path) -> None:
    """After a snapshot that ends where it begins: both sides, at the matching engine's time."""
    frame = (payloads / "futures_depth_update_stream.json").read_bytes()
    data, out = json.loads(frame), list[Record]()
    protocol = stream("orderbook.BTC-USDT_PERP", "BTCUSDT")
    assert isinstance(protocol.tick(0, out), SnapshotWanted)
    protocol.snapshot(b'{"lastUpdateId":%d,"bids":[],"asks":[]}' % data["pu"], 5, out)
    assert protocol.receive(frame, RECV, out) is None
    delta = out[1]
    assert delta == BookDelta(data["T"] * MS, data["u"], levels(data["b"]), levels(data["a"]), RECV)


def test_answers(payloads: Path) -> None:
    """The book of spot, and its bars."""
    body = (payloads / "spot_http_depth_response.json").read_bytes()
    pager = Binance().history(Dataset.parse("binance.orderbook.LTC-BTC"), 0, 1, Market("LTCBTC"))
    data = json.loads(body)
    assert pager.receive(pager.requests(1)[0], body, RECV).records == [
        BookSnapshot(RECV, data["lastUpdateId"], levels(data["bids"]), levels(data["asks"]), RECV)
    ]
    body = (payloads / "spot_http_klines_response.json").read_bytes()
    pager = Binance().history(Dataset.parse("binance.ohlc.ETH-BTC.1w"), 0, RECV, Market("ETHBTC"))
    expected = [Bar(row[0] * MS, *(number(row[n]) for n in (1, 2, 3, 4, 5, 7)), row[8]) for row in json.loads(body)]
    assert pager.receive(pager.requests(1)[0], body, RECV).records == expected


# ---------------------------------------------------------------- recordings


def lines(captures: Path, recording: str) -> Iterator[tuple[int, bytes, Json]]:
    """(receive time, frame, what it holds) of all that came."""
    for line in (captures / "frames" / f"{recording}.tsv").read_text().splitlines():
        seconds, mark, text = line.split("\t", 2)
        if mark == "<":
            yield int(Decimal(seconds) * 10**9), text.encode(), json.loads(text)


@pytest.mark.parametrize(("recording", "symbol"), PAIRS)
def test_trades_and_bars(captures: Path, recording: str, symbol: str) -> None:
    """Each recorded aggTrade and kline of the symbol, and nothing of the other streams' frames."""
    pair = RECORDINGS[recording][symbol]
    trades, bars = stream(f"trades.{pair}", symbol), stream(f"ohlc.{pair}.1m", symbol)
    out: tuple[list[Record], list[Record]] = [], []
    expected: tuple[list[Record], list[Record]] = [], []
    router = Binance().router()
    for recv_ts, frame, content in lines(captures, recording):
        assert router.route(frame) == content["stream"]
        for protocol, found in zip((trades, bars), out, strict=True):
            assert protocol.receive(frame, recv_ts, found) is None
        if content["stream"] == f"{symbol}@aggTrade":
            expected[0].append(trade(content["data"], recv_ts))
        elif content["stream"] == f"{symbol}@kline_1m":
            expected[1].append(bar(content["data"], recv_ts))
    assert out == expected
    assert trades.unresolved() == [], "ids are consecutive"
    if recording == "binance_futures":
        assert len(out[0]) > 4 and len(out[1]) > 4


@pytest.mark.parametrize("late", [0, 5])
@pytest.mark.parametrize("symbol", FUTURES)
def test_books_of_futures(captures: Path, symbol: str, late: int) -> None:
    """From the snapshot on the book equals a plain reading after each frame, both sides, whenever the snapshot came."""
    name = symbol.upper()
    ((asked_at, text),) = [
        (int(Decimal(seconds) * 10**9) + late * 10**9, body)
        for seconds, _, url, body in (
            line.split("\t", 3) for line in (captures / "frames" / "binance_futures.rest.tsv").read_text().splitlines()
        )
        if f"/depth?symbol={name}&" in url
    ]
    snapshot = json.loads(text)
    truth = {side: dict(levels(snapshot[side])) for side in ("bids", "asks")}
    protocol = stream(f"orderbook.{FUTURES[symbol]}", symbol, depth=1000)
    assert isinstance(protocol.tick(0, []), SnapshotWanted)
    view: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    given, compared, done = False, 0, False
    for recv_ts, frame, content in lines(captures, "binance_futures"):
        out: list[Record] = []
        if not given and recv_ts >= asked_at:
            given = True
            assert protocol.snapshot(text.encode(), recv_ts, out) is None
        assert protocol.receive(frame, recv_ts, out) is None
        data = content["data"]
        if content["stream"] == f"{symbol}@depth@100ms" and data["u"] > snapshot["lastUpdateId"]:
            done = True
            for side, key in (("bids", "b"), ("asks", "a")):
                truth[side].update(levels(data[key]))
        for record in out:
            assert isinstance(record, BookSnapshot | BookDelta)
            if isinstance(record, BookSnapshot):
                view = {"bids": {}, "asks": {}}
            view["bids"].update(record.bids)
            view["asks"].update(record.asks)
        if given and done:
            compared += 1
            for side, reverse in (("bids", True), ("asks", False)):
                # Levels that come into view from below the thousandth aren't in the reading's snapshot either.
                expected = sorted(((p, a) for p, a in truth[side].items() if a), reverse=reverse)[:1000]
                assert sorted(((p, a) for p, a in view[side].items() if a), reverse=reverse) == expected
    assert compared > 100
