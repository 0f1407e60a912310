"""Recorded sessions, served by a local server to the real collector: what the frames hold arrives.

The recordings under ``tests/frames`` are of our own simulator; those under ``../shared/captures`` are of the real
exchanges, and are used when they are there. Either is read here a second time, by nothing of dccd.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import BusConfig, Config, ExchangeConfig, Settings, StorageConfig
from dccd.records import BookSnapshot
from dccd.simulator import SimConfig, Simulator
from dccd.store.reader import Store
from dccd.symbols import Dataset
from tests.flows.support import take

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent.parent
OWN = ROOT / "tests" / "frames" / "recordings"
REAL = ROOT.parent / "shared" / "captures" / "frames"
CASES = [
    pytest.param("binance", OWN / "binance.tsv", "BTC/USDT", id="own-binance-BTC"),
    pytest.param("kraken", OWN / "kraken.tsv", "BTC/USD", id="own-kraken-BTC"),
    *(
        pytest.param("binance", REAL / "binance.tsv", symbol, id=f"real-binance-{symbol[:3]}")
        for symbol in ("NKN/USDT", "LRC/BTC", "BLZ/ETH", "RUNE/EUR")
        if (REAL / "binance.tsv").exists()
    ),
    *(
        pytest.param("binance", REAL / "binance_futures.tsv", symbol, id=f"real-binance-{symbol[:4]}-perp")
        for symbol in ("SUSHI/USDT:perp", "AKRO/USDT:perp", "KEEP/USDT:perp", "CTK/USDT:perp")
        if (REAL / "binance_futures.tsv").exists()
    ),
]


def frames(path: Path) -> Iterator[dict[str, Any]]:
    """What the exchange sent, numbers as they were written."""
    for line in path.read_text().splitlines():
        _, mark, text = line.split("\t", 2)
        if mark == "<":
            yield json.loads(text, parse_float=Decimal)


Trades = list[tuple[str, float, float, str]]
Book = tuple[dict[float, float], dict[float, float]]


def reading(exchange: str, path: Path, symbol: str) -> tuple[Trades, Book | None]:
    """The trades (id, price, amount, taker side) and the last book that a plain reading of *path* gives."""
    if exchange == "kraken":
        return _kraken(path, symbol)
    return _binance(path, symbol.partition(":")[0].replace("/", ""))


def _binance(path: Path, market: str) -> tuple[Trades, Book | None]:
    trades: Trades = []
    updates = []
    for frame in frames(path):
        data = frame.get("data", {})
        if data.get("s") != market:
            continue
        if data.get("e") == "aggTrade":
            trades.append((str(data["a"]), float(data["p"]), float(data["q"]), "sell" if data["m"] else "buy"))
        elif data.get("e") == "depthUpdate":
            updates.append(data)
    book: Book | None = None
    for line in path.with_suffix(".rest.tsv").read_text().splitlines():
        _, _, url, body = line.split("\t", 3)
        if "/depth?" in url and f"symbol={market}&" in url:
            snapshot = json.loads(body)
            book = _sides(snapshot["bids"]), _sides(snapshot["asks"])
            for update in updates:
                if update["u"] > snapshot["lastUpdateId"]:
                    for side, levels in zip(book, (update["b"], update["a"]), strict=True):
                        _apply(side, levels)
            for side, best in zip(book, (max, min), strict=True):
                for price in sorted(side, reverse=best is max)[1000:]:  # deeper than is asked for
                    del side[price]
    return trades, book


def _kraken(path: Path, symbol: str) -> tuple[Trades, Book | None]:
    trades: Trades = []
    book: Book | None = None
    for frame in frames(path):
        for data in frame.get("data", []):
            if data.get("symbol") != symbol:
                continue
            if frame["channel"] == "trade":
                trades.append((str(data["trade_id"]), float(data["price"]), float(data["qty"]), data["side"]))
            elif frame["channel"] == "book":
                sides = [[(level["price"], level["qty"]) for level in data[side]] for side in ("bids", "asks")]
                if frame["type"] == "snapshot":
                    book = _sides(sides[0]), _sides(sides[1])
                assert book is not None
                for side, levels, best in zip(book, sides, (max, min), strict=True):
                    _apply(side, levels)
                    for price in sorted(side, reverse=best is max)[10:]:  # it was subscribed with a depth of 10
                        del side[price]
    return trades, book


def _sides(levels: Any) -> dict[float, float]:
    return {float(price): float(amount) for price, amount in levels}


def _apply(side: dict[float, float], levels: Any) -> None:
    for price, amount in levels:
        if float(amount):
            side[float(price)] = float(amount)
        else:
            side.pop(float(price), None)


def stored_book(rows: list[tuple[int, str, float, float, bool]]) -> Book:
    """The book after the last row, as a reader of the Parquet makes it."""
    book: Book = ({}, {})
    snapshot = None
    for seq, side, price, amount, is_snapshot in rows:
        if is_snapshot and seq != snapshot:
            snapshot, book = seq, ({}, {})
        _apply(book[side == "ask"], [(price, amount)])
    return book


@pytest.mark.parametrize(("exchange", "path", "symbol"), CASES)
async def test_a_recording_arrives_whole(exchange: str, path: Path, symbol: str, tmp_path: Path) -> None:
    """As many trades on the bus and in Parquet as the frames hold, equal in all; the book is equal on both sides."""
    trades, book = reading(exchange, path, symbol)
    depth = 10 if exchange == "kraken" else 1000
    simulated = SimConfig(exchanges=(exchange,), replay=path, replay_speed=0)
    async with Simulator(simulated) as sim:
        config = Config(
            settings=Settings(data_path=str(tmp_path / "data")),
            bus=BusConfig(port=0),
            exchanges={exchange: ExchangeConfig(**sim.urls()[exchange], rate_limit=False)},  # type: ignore[arg-type]
            storage=StorageConfig(flush_interval=0.1),
        )
        async with daemon(config) as running, Client(running.bus_url) as client:
            on_bus = []
            if trades:
                ticks = client.ticks(exchange, symbol)
                async with ticks:  # it listens before the first frame is sent
                    await client.start_stream(exchange, symbol, "trades")
                    on_bus = await take(ticks, len(trades))
            if book is not None:
                levels = client.ticks(exchange, symbol, "orderbook")
                async with levels:
                    await client.start_stream(exchange, symbol, "orderbook", depth=depth)
                    live: Book = ({}, {})
                    with anyio.fail_after(30):
                        async for record in levels:
                            live = ({}, {}) if isinstance(record, BookSnapshot) else live
                            _apply(live[0], record.bids)
                            _apply(live[1], record.asks)
                            if live == book:
                                break
    store = Store(tmp_path / "data")
    assert [(trade.tid, trade.price, trade.amount, trade.side) for trade in on_bus] == trades
    if trades:
        frame = store.read(Dataset.make(exchange, "trades", symbol))
        assert frame.select("tid", "price", "amount", "side").rows() == trades
    if book is not None:
        frame = store.read(Dataset.make(exchange, "orderbook", symbol))
        rows = frame.select("seq", "side", "price", "amount", "is_snapshot").rows()
        assert stored_book(rows) == book


PAYLOADS = ROOT.parent / "shared" / "captures" / "payloads" / "kraken"


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the captured payloads are not beside the repository")
async def test_real_kraken_payloads_arrive(tmp_path: Path) -> None:
    """Single messages of Kraken, as a recording: both trades and the bar in progress arrive as they were.

    Its book messages are left to the parser's tests: their makers have shortened them, so that no checksum holds.
    """
    names = ("ws_trade_update", "ws_ohlc_update")
    trade, ohlc = (json.loads((PAYLOADS / f"{name}.json").read_text()) for name in names)
    recording = tmp_path / "kraken.tsv"
    recording.write_text("".join(f"1700000000.0\t<\t{json.dumps(one)}\n" for one in (trade, ohlc)))
    async with Simulator(SimConfig(exchanges=("kraken",), replay=recording, replay_speed=0)) as sim:
        config = Config(
            settings=Settings(data_path=str(tmp_path / "data")),
            bus=BusConfig(port=0),
            exchanges={"kraken": ExchangeConfig(**sim.urls()["kraken"], rate_limit=False)},  # type: ignore[arg-type]
        )
        async with daemon(config) as running, Client(running.bus_url) as client:
            trades, bars = client.ticks("kraken", "BTC/USD"), client.ticks("kraken", "BTC/USD", "ohlc", "1m")
            async with trades, bars:
                await client.start_stream("kraken", "BTC/USD", "trades")
                await client.start_stream("kraken", "BTC/USD", "ohlc", "1m")
                got = await take(trades, 2)
                (bar,) = await take(bars, 1)
    sent = [(str(t["trade_id"]), t["price"], t["qty"], t["side"]) for t in trade["data"]]
    assert [(t.tid, t.price, t.amount, t.side) for t in got] == sent
    stored = Store(tmp_path / "data").read(Dataset.parse("kraken.trades.BTC-USD"))
    assert stored.select("tid", "price", "amount", "side").rows() == sent
    expected = ohlc["data"][0]
    assert (bar.open, bar.high, bar.low, bar.close) == tuple(expected[n] for n in ("open", "high", "low", "close"))
    assert (bar.volume, bar.trades) == (expected["volume"], expected["trades"])
