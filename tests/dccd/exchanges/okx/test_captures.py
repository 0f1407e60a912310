"""Real payloads and a recorded session of OKX, against an independent reading of the same bytes."""

from __future__ import annotations

import json
from decimal import Decimal
from math import isclose
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from dccd.exchanges.base import Market, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.okx import Okx
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, Record, Trade
from dccd.symbols import Dataset

MS = 1_000_000
LATER = 2 * 10**18
OTHERS = {
    "http_get_instruments_spot.json": "instruments: ccxt reads those",
    "http_get_instruments_swap.json": "instruments: ccxt reads those",
}
"""What isn't market data that we collect."""

Json = Any  # whatever a payload holds


@pytest.fixture
def payloads(captures: Path) -> Path:
    """The folder of OKX's."""
    return captures / "payloads" / "okx"


def stream(name: str, market: Market) -> StreamProtocol:
    return Okx().stream(Dataset.parse(name), StreamOptions(), market)


def page(
    folder: Path, file: str, name: str, market: Market, start: int = 1_500_000_000 * 10**9
) -> tuple[list[Record], Json]:
    """The records of a body (in the range of whatever is asked for first), and its data."""
    body = (folder / file).read_bytes()
    pager = Okx().history(Dataset.parse(name), start, start + 10**14, market)
    (request,) = pager.requests(1)
    return pager.receive(request, body, LATER).records, json.loads(body)["data"]


def test_every_file_is_looked_at(payloads: Path) -> None:
    """A new one needs a test."""
    read = {
        "http_get_candlesticks.json", "http_get_candlesticks_full.json", "http_get_funding_rate_history.json",
        "http_get_order_book.json", "http_get_trades.json", "ws_books_snapshot.json", "ws_books_update.json",
        "ws_candle.json", "ws_funding_rate.json", "ws_trades.json",
    }  # fmt: skip
    assert {path.name for path in payloads.iterdir()} == read | set(OTHERS)


@pytest.mark.parametrize(
    ("file", "name", "volume"),
    [
        ("http_get_candlesticks.json", "okx.ohlc.BTC-USDT.1m", 5),
        ("http_get_candlesticks_full.json", "okx.ohlc.BTC-USDT_PERP.1m", 6),
    ],
)
def test_candlesticks(payloads: Path, file: str, name: str, volume: int) -> None:
    """Each row a bar; OKX writes newest first, the first file's maker oldest first."""
    body = json.loads((payloads / file).read_bytes())
    rows = sorted(body["data"], key=lambda row: int(row[0]))
    text = json.dumps({**body, "data": rows[::-1]}).encode()
    pager = Okx().history(Dataset.parse(name), int(rows[0][0]) * MS, int(rows[-1][0]) * MS + 1, Market("X"))
    (request,) = pager.requests(1)
    assert pager.receive(request, text, LATER).records == [expected_bar(row, volume, None) for row in rows]


def test_funding_rates(payloads: Path) -> None:
    """The realized ones."""
    market = Market("BTC-USDT-SWAP", 0.01)
    start = 1_704_000_000 * 10**9
    found, data = page(payloads, "http_get_funding_rate_history.json", "okx.funding.BTC-USDT_PERP", market, start)
    assert found == [
        FundingRate(int(row["fundingTime"]) * MS, float(row["realizedRate"]), None, None, int(row["fundingTime"]) * MS)
        for row in reversed(data)
    ]


def test_order_book(payloads: Path) -> None:
    """Both sides."""
    found, (data,) = page(payloads, "http_get_order_book.json", "okx.orderbook.BTC-USDT", Market("BTC-USDT"))
    bids, asks = ([(float(row[0]), float(row[1])) for row in data[side]] for side in ("bids", "asks"))
    assert found == [BookSnapshot(int(data["ts"]) * MS, LATER, bids, asks, LATER)]


def test_trades(payloads: Path) -> None:
    """As the last page of a range, which ends with the newest trade."""
    body = (payloads / "http_get_trades.json").read_bytes()
    rows = json.loads(body)["data"]
    start, end = int(rows[-1]["ts"]) * MS, int(rows[0]["ts"]) * MS + 1
    pager = Okx().history(Dataset.parse("okx.trades.BTC-USDT"), start, end, Market("BTC-USDT"))
    found: list[Record] = []
    while not pager.done:
        for request in pager.requests(1):
            # Nothing is older.
            found += pager.receive(
                request, b'{"code":"0","data":[]}' if pager_looks_back(request.params) else body, LATER
            ).records
    assert found == [expected_trade(row, None) for row in reversed(rows)]


def pager_looks_back(params: dict[str, str | int]) -> bool:
    """Whether trades older than those of the payload are asked for."""
    if params["type"] == 2:
        return int(params["after"]) < 1_747_087_161_666
    return int(params["after"]) <= 734_864_332


def expected_bar(row: Json, volume: int, recv_ts: int | None) -> Bar:
    opened, high, low, close, base, quote = (float(Decimal(row[n])) for n in (1, 2, 3, 4, volume, 7))
    return Bar(int(row[0]) * MS, opened, high, low, close, base, quote, None, recv_ts)


def expected_trade(row: Json, recv_ts: int | None, market: Market | None = None) -> Trade:
    price, size = Decimal(row["px"]), Decimal(row["sz"])
    if market is not None:
        size *= Decimal(str(market.contract))
    amount = float(size) / float(price) if market is not None and market.inverse else float(size)
    return Trade(int(row["ts"]) * MS, float(price), amount, row["side"], row["tradeId"], recv_ts)


def test_live_trade(payloads: Path) -> None:
    """Three matches summed up, which `trades` sends."""
    body = (payloads / "ws_trades.json").read_bytes()
    out: list[Record] = []
    assert stream("okx.trades.BTC-USD", Market("BTC-USD")).receive(body, 5, out) == Subscribed()
    assert out == [expected_trade(json.loads(body)["data"][0], 5)]


def test_live_bar(payloads: Path) -> None:
    """A complete bar. Its channel is that of Hong Kong's days, which isn't subscribed to."""
    body = (payloads / "ws_candle.json").read_bytes().replace(b"candle1D", b"candle1Dutc")
    (row,) = json.loads(body)["data"]
    out: list[Record] = []
    assert stream("okx.ohlc.BTC-USDT.1d", Market("BTC-USDT")).receive(body, 5, out) == Subscribed()
    assert out == [expected_bar(row, 5, 5)]


def test_live_funding(payloads: Path) -> None:
    """The rate for the next payment."""
    body = (payloads / "ws_funding_rate.json").read_bytes()
    (row,) = json.loads(body)["data"]
    out: list[Record] = []
    assert stream("okx.funding.BTC-USDT_PERP", Market("BTC-USDT-SWAP", 0.01)).receive(body, 5, out) == Subscribed()
    assert out == [FundingRate(int(row["ts"]) * MS, float(row["fundingRate"]), None, 5, int(row["fundingTime"]) * MS)]


def test_live_book(payloads: Path) -> None:
    """A snapshot and an update that changes nothing; the shortened book's checksum is that of another one."""
    bodies = [(payloads / f"ws_books_{kind}.json").read_bytes() for kind in ("snapshot", "update")]
    made = stream("okx.orderbook.BTC-USDT", Market("BTC-USDT"))
    out: list[Record] = []
    for body in bodies:
        assert not isinstance(made.receive(body.replace(b"-855196043", b"0"), 5, out), Refused)
    (data,) = json.loads(bodies[0])["data"]
    bids, asks = ([(float(row[0]), float(row[1])) for row in data[side]] for side in ("bids", "asks"))
    assert out == [BookSnapshot(int(data["ts"]) * MS, data["seqId"], bids, asks, 5)]
    assert repr(made).endswith("confirmed=True>")
    assert "checksum" in str(stream("okx.orderbook.BTC-USDT", Market("BTC-USDT")).receive(bodies[0], 5, []))


# ---------------------------------------------------------------- a recorded session

RECORDED = {
    "BTC-USDT": ("BTC-USDT", Market("BTC-USDT")),
    "BTC-USD-220527": ("BTC-USD_QUARTER", Market("BTC-USD-220527", 100.0, inverse=True)),
    "UNI-USD-SWAP": ("UNI-USD_PERP", Market("UNI-USD-SWAP", 10.0, inverse=True)),
}


class Reading:
    """A book and its trades, read from the recorded frames without the code under test."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.trades: list[Trade] = []
        self.checked = 0

    def best(self, side: int) -> list[tuple[str, str]]:
        return sorted(self.sides[side].items(), key=lambda level: Decimal(level[0]) * (1 if side else -1))

    def book(self, message: Json) -> None:
        for data in message["data"]:
            for side, name in zip(self.sides, ("bids", "asks"), strict=True):
                if message["action"] == "snapshot":
                    side.clear()
                for price, size, *_ in data[name]:
                    if size == "0":
                        side.pop(price, None)
                    else:
                        side[price] = size
            turns = [level for pair in zip(self.best(0)[:25], self.best(1)[:25], strict=True) for level in pair]
            value = crc32(":".join(text for level in turns for text in level).encode())
            assert value == data["checksum"] & 0xFFFFFFFF
            self.checked += 1

    def levels(self, side: int) -> list[tuple[float, float]]:
        found = []
        for price, size in self.best(side):
            per = self.market.contract / float(price) if self.market.inverse else 1.0
            found.append((float(price), float(size) * per))
        return found


def same(view: dict[float, float], levels: list[tuple[float, float]]) -> None:
    """The levels of a side, their amounts to the last digit but one: contracts were divided in another order."""
    assert sorted(view) == sorted(price for price, _ in levels)
    assert all(isclose(view[price], amount, rel_tol=1e-15) for price, amount in levels)


def test_recorded_session(captures: Path) -> None:
    """Every book equals the reading after every update, every checksum is verified, every trade is there, routed."""
    router = Okx().router()
    streams = {}
    for inst, (symbol, market) in RECORDED.items():
        streams[f"books:{inst}"] = stream(f"okx.orderbook.{symbol}", market)
        streams[f"trades-all:{inst}"] = stream(f"okx.trades.{symbol}", market)
    readings = {inst: Reading(market) for inst, (_, market) in RECORDED.items()}
    outs: dict[str, list[Record]] = {topic: [] for topic in streams}
    views: dict[str, tuple[dict[float, float], dict[float, float]]] = {topic: ({}, {}) for topic in streams}
    answers = tickers = 0
    for line in (captures / "frames" / "okx.tsv").read_text().splitlines():
        time, direction, text = line.split("\t")
        if direction == ">":
            continue
        recv_ts, message = int(Decimal(time) * 10**9), json.loads(text)
        topic = router.route(text.encode())
        if "event" in message:
            assert topic is None
            answers += 1
            continue
        channel, inst = message["arg"]["channel"], message["arg"]["instId"]
        assert topic == f"{'trades-all' if channel == 'trades' else channel}:{inst}"
        if channel == "tickers":
            tickers += 1
            continue
        begin, out = len(outs[topic]), outs[topic]
        signal = streams[topic].receive(text.encode(), recv_ts, out)
        assert signal in (None, Subscribed()), "no break, no wrong checksum"
        reading = readings[inst]
        if channel == "trades":
            spot = None if inst == "BTC-USDT" else reading.market
            reading.trades += [expected_trade(row, recv_ts, spot) for row in message["data"]]
            continue
        reading.book(message)
        for record in out[begin:]:
            assert isinstance(record, BookSnapshot | BookDelta)
            assert record.ts == int(message["data"][-1]["ts"]) * MS
            for side, levels in zip(views[topic], (record.bids, record.asks), strict=True):
                if isinstance(record, BookSnapshot):
                    side.clear()
                side.update(levels)
                for price in [price for price, amount in side.items() if not amount]:
                    del side[price]
        for n in (0, 1):
            same(views[topic][n], reading.levels(n))
    assert (answers, tickers) == (18, 28)
    assert sum(reading.checked for reading in readings.values()) == 290
    assert sum(len(reading.trades) for reading in readings.values()) == 74
    for inst, reading in readings.items():
        assert outs[f"trades-all:{inst}"] == reading.trades
        assert streams[f"trades-all:{inst}"].unresolved() == []
