"""A trade from the socket to Parquet and out on the bus, through the whole daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Config, Job
from dccd.messages import RunStatus, StreamGap
from dccd.records import Bar, BookDelta, Trade
from dccd.simulator import Simulator
from dccd.simulator.faults import Disconnect
from dccd.store.reader import Store
from dccd.symbols import NS, Dataset
from tests.flows.support import take, watching, with_jobs

pytestmark = pytest.mark.anyio

PAIRS = {"binance": "BTC/USDT", "kraken": "BTC/USD"}

Row = tuple[int, float, float, str | None, str | None]


def row(trade: Trade) -> Row:
    return trade.ts, trade.price, trade.amount, trade.side, trade.tid


def truth(sim: Simulator, exchange: str, first: int, last: int) -> list[Row]:
    return [row(trade) for trade in sim.exchanges[exchange].truth.numbered(PAIRS[exchange], first, last)]


def stored(config: Config, dataset: Dataset) -> list[Row]:
    """The trades on disk, by id."""
    frame = Store(Path(config.settings.data_path)).read(dataset)
    return sorted(frame.select("TS", "price", "amount", "side", "tid").rows(), key=lambda found: int(found[4]))


@pytest.mark.parametrize("exchange", PAIRS)
async def test_each_trade_arrives_on_the_bus_and_in_parquet_as_it_was(
    exchange: str, sim: Simulator, config: Config
) -> None:
    """Same ids, prices, sizes and times, none missing between the first and the last, none twice."""
    pair = PAIRS[exchange]
    config = with_jobs(config, Job(exchange=exchange, pairs=[pair], data_type="trades"))
    async with daemon(config) as running, Client(running.bus_url) as client:
        on_bus: list[Trade] = await take(client.ticks(exchange, pair), 80)
    ids = [int(trade.tid or 0) for trade in on_bus]
    expected = truth(sim, exchange, ids[0], ids[-1])
    assert [row(trade) for trade in on_bus] == expected
    assert all(trade.recv_ts is not None for trade in on_bus)
    # Stopped in order: all that was on the bus is on disk.
    on_disk = stored(config, Dataset.make(exchange, "trades", pair))
    assert [found for found in on_disk if ids[0] <= int(found[4] or 0) <= ids[-1]] == expected


@pytest.mark.parametrize("exchange", PAIRS)
async def test_what_a_disconnect_lost_is_reported_and_repaired(exchange: str, sim: Simulator, config: Config) -> None:
    """A backfill of just that interval closes the hole: the whole stretch is there, each trade once."""
    pair = PAIRS[exchange]
    dataset = Dataset.make(exchange, "trades", pair)
    config = with_jobs(config, Job(exchange=exchange, pairs=[pair], data_type="trades"))
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
        await take(client.ticks(exchange, pair), 20)
        sim.faults.inject(Disconnect(exchange=exchange))
        gap = await expect(lambda event: isinstance(event, StreamGap))
        done = await expect(lambda event: isinstance(event, RunStatus) and event.run.state == "done")
        await take(client.ticks(exchange, pair), 20)
        (entry,) = await client.inventory(dataset.name)
    assert gap.dataset == dataset.name
    assert (done.run.trigger, done.run.start, done.run.end) == ("gap", gap.start, gap.end)
    assert entry.gaps == []
    on_disk = stored(config, dataset)
    assert on_disk == truth(sim, exchange, int(on_disk[0][4] or 0), int(on_disk[-1][4] or 0))


def rebuilt(rows: list[tuple[int, str, float, float, bool]]) -> dict[str, dict[float, float]]:
    """The book after the last of *rows* (seq, side, price, amount, is_snapshot), as a reader would make it."""
    book: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}
    snapshot_seq = None
    for seq, side, price, amount, is_snapshot in rows:
        if is_snapshot and seq != snapshot_seq:
            snapshot_seq, book = seq, {"bid": {}, "ask": {}}
        if amount:
            book[side][price] = amount
        else:
            book[side].pop(price, None)
    return book


async def test_a_book_on_disk_is_the_exchanges(sim: Simulator, config: Config) -> None:
    """Snapshot and deltas, read back and applied, give the simulated exchange's own book, both sides."""
    config = with_jobs(config, Job(exchange="binance", pairs=["BTC/USDT"], data_type="orderbook", depth=1000))
    async with daemon(config) as running, Client(running.bus_url) as client:
        records = await take(client.ticks("binance", "BTC/USDT", "orderbook"), 20)
    assert isinstance(records[-1], BookDelta)
    frame = Store(Path(config.settings.data_path)).read(Dataset.parse("binance.orderbook.BTC-USDT"))
    assert frame["is_snapshot"][0]
    rows = frame.select("seq", "side", "price", "amount", "is_snapshot").rows()
    ours = rebuilt(rows)
    theirs = sim.binance.truth.book("BTC/USDT", int(frame["TS"][-1]))
    assert theirs.seq == rows[-1][0]
    assert sorted(ours["bid"].items(), reverse=True)[:100] == theirs.bids[:100]
    assert sorted(ours["ask"].items())[:100] == theirs.asks[:100]


async def test_bars_are_told_open_and_stored_closed(sim: Simulator, config: Config) -> None:
    """Subscribers see a bar grow; only bars that can't change any more are on disk, equal to the exchange's."""
    config = with_jobs(config, Job(exchange="binance", pairs=["BTC/USDT"], data_type="ohlc", span="1s"))
    async with daemon(config) as running, Client(running.bus_url) as client:
        bars: list[Bar] = await take(client.ticks("binance", "BTC/USDT", "ohlc", "1s"), 12)
    closed = [bar for bar in bars if bar.closed]
    assert 0 < len(closed) < len(bars)
    expected = {bar.ts: bar for bar in sim.binance.truth.bars("BTC/USDT", 1, closed[0].ts, closed[-1].ts + NS)}
    for bar in closed:
        true = expected[bar.ts]
        assert (bar.open, bar.high, bar.low, bar.close) == (true.open, true.high, true.low, true.close)
        assert (bar.volume, bar.trades) == (pytest.approx(true.volume), true.trades)
    on_disk = Store(Path(config.settings.data_path)).read(Dataset.parse("binance.ohlc.BTC-USDT.1s"))
    assert {bar.ts for bar in closed} <= set(on_disk["TS"])
