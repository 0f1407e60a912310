"""A request from the bus to a run record, through the whole daemon."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from actors.daemon import daemon
from dccd import subjects
from dccd.bus.kv import Bucket
from dccd.client import Client
from dccd.config import Config, Job
from dccd.errors import RequestError, RunFailed
from dccd.exchanges.registry import EXCHANGES
from dccd.messages import RunProgress, RunStatus
from dccd.operations import OPERATIONS
from dccd.runs import Run
from dccd.simulator import Simulator
from dccd.simulator.faults import HttpError, HttpSlow
from dccd.store.reader import Store
from dccd.symbols import NS, Dataset
from tests.flows.support import watching, with_jobs

pytestmark = pytest.mark.anyio

MINUTE = 60 * NS


def stretch(sim: Simulator, exchange: str = "binance", symbol: str = "BTC/USDT") -> tuple[int, int]:
    """A start and an end, whole minutes, in the simulated past."""
    start = sim.exchanges[exchange].truth.opened(symbol) // MINUTE * MINUTE + 5 * MINUTE
    return start, start + 50 * MINUTE


async def test_a_backfill_goes_from_request_to_record_events_and_parquet(sim: Simulator, config: Config) -> None:
    """The reply is at once, status and progress are events, the record is in KV, the bars are the exchange's."""
    start, end = stretch(sim)
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
        reply = await client.start_backfill("binance", "BTC/USDT", span="1m", start=start, end=end)
        run_id = reply.run_id
        assert not reply.already_running
        progress = await expect(lambda event: isinstance(event, RunProgress))
        done = (await expect(lambda event: isinstance(event, RunStatus) and event.run.state == "done")).run
        key = subjects.run_key(run_id, "backfill.binance.ohlc.BTC-USDT.1m")
        found = await Bucket(client.bus, subjects.BUCKET_RUNS).get(key)
        listed = await client.runs()
    assert (done.run_id, done.position, done.rows, done.error) == (run_id, end, 50, None)
    assert progress.fraction == 1.0
    assert found is not None
    assert msgspec.json.decode(found[0], type=Run) == done == listed[0]
    rows = Store(Path(config.settings.data_path)).read(Dataset.parse("binance.ohlc.BTC-USDT.1m"))
    true = sim.binance.truth.bars("BTC/USDT", 60, start, end)
    assert rows.select("TS", "open", "high", "low", "close", "trades").rows() == [
        (bar.ts, bar.open, bar.high, bar.low, bar.close, bar.trades) for bar in true
    ]


@pytest.mark.parametrize(("exchange", "symbol"), [("binance", "BTC/USDT"), ("kraken", "BTC/USD")])
async def test_backfilled_trades_are_those_of_the_exchange(
    exchange: str, symbol: str, sim: Simulator, config: Config
) -> None:
    """Over many pages, none is lost and none is there twice."""
    start, end = stretch(sim, exchange, symbol)
    async with daemon(config) as running, Client(running.bus_url) as client:
        run = await client.backfill(exchange, symbol, "trades", start=start, end=end)
    assert run.state == "done", run.error
    rows = Store(Path(config.settings.data_path)).read(Dataset.make(exchange, "trades", symbol))
    true = sim.exchanges[exchange].truth.trades(symbol, start, end)
    assert rows.select("TS", "price", "amount", "side", "tid").rows() == [
        (trade.ts, trade.price, trade.amount, trade.side, trade.tid) for trade in true
    ]
    assert len(true) > 5000


async def test_the_same_question_twice_is_one_run(sim: Simulator, config: Config) -> None:
    """Who asks for what runs already is told of that run."""
    sim.faults.inject(HttpSlow(exchange="binance", path="klines", seconds=30))
    async with daemon(config) as running, Client(running.bus_url) as client:
        start, _ = stretch(sim)
        first = await client.start_backfill("binance", "BTC/USDT", span="1m", start=start)
        second = await client.start_backfill("binance", "BTC/USDT", span="1m", start=start)
        other = await client.start_backfill("binance", "BTC/USDT", span="1m", start=start + MINUTE)
    assert second.already_running
    assert second.run_id == first.run_id != other.run_id


async def test_a_cancelled_backfill_says_so_and_frees_its_place(sim: Simulator, config: Config) -> None:
    """Cancelling answers with the run as it ended; cancelling again is a conflict."""
    sim.faults.inject(HttpSlow(exchange="binance", path="klines", seconds=30))
    async with daemon(config) as running, Client(running.bus_url) as client:
        started = await client.start_backfill("binance", "BTC/USDT", span="1m", start=stretch(sim)[0])
        run = await client.cancel(started.run_id)
        assert run.state == "cancelled"
        with pytest.raises(RequestError) as again:
            await client.cancel(started.run_id)
        with pytest.raises(RequestError) as unknown:
            await client.cancel("0190-nothing")
    assert (again.value.code, again.value.reason) == (409, "not_running")
    assert unknown.value.code == 404


async def test_an_interrupted_backfill_goes_on_at_the_next_start(sim: Simulator, config: Config) -> None:
    """The same run, resumed at its position: in the end every bar is there."""
    start, end = stretch(sim)
    slow = sim.faults.inject(HttpSlow(exchange="binance", path="klines", seconds=30))
    async with daemon(config) as running, Client(running.bus_url) as client:
        started = await client.start_backfill("binance", "BTC/USDT", span="1m", start=start, end=end)
    slow.lift()
    async with daemon(config) as running, Client(running.bus_url) as client:
        async for _ in client.follow(started.run_id):
            pass
        run = await client.run(started.run_id)
    assert (run.state, run.resumed, run.rows) == ("done", 1, 50)


async def test_a_backfill_that_the_exchange_refuses_fails_in_its_words(sim: Simulator, config: Config) -> None:
    """The run's error is what the exchange said."""
    async with daemon(config) as running, Client(running.bus_url) as client:
        with pytest.raises(RunFailed, match="Invalid symbol") as failed:
            await client.backfill("binance", "NOPE/USDT", "ohlc", span="1m", start=stretch(sim)[0])
    assert failed.value.state == "failed"


async def test_a_busy_exchange_is_waited_for(sim: Simulator, config: Config) -> None:
    """429 with Retry-After delays a backfill, and doesn't fail it."""
    start, end = stretch(sim)
    sim.faults.inject(HttpError(exchange="binance", path="klines", status=429, retry_after=0.1, count=2))
    async with daemon(config) as running, Client(running.bus_url) as client:
        run = await client.backfill("binance", "BTC/USDT", "ohlc", span="1m", start=start, end=end)
    assert (run.state, run.rows) == ("done", 50)


async def test_every_operation_answers(sim: Simulator, config: Config) -> None:
    """What the table lists works: each operation without required fields answers with its reply's type."""
    config = with_jobs(config, Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades", trigger_kind="manual"))
    async with daemon(config) as running, Client(running.bus_url) as client:
        names = {op.name for op in await client.operations()}
        assert names == set(OPERATIONS)
        health = await client.health()
        assert health.ok, health
        assert (await client.tree()).root.id == "dccd"
        offered = await client.exchanges()
        assert set(offered) == set(EXCHANGES)
        assert {name for name, entries in offered.items() if any(entry.closed for entry in entries)} == {"bitmex"}
        assert [job.name for job in await client.jobs()] == ["stream.binance.trades.BTC-USDT"]
        assert await client.streams() == []
        assert await client.inventory() == []
        assert await client.runs() == []
        with pytest.raises(RequestError) as nothing:
            await client.read("binance.trades.BTC-USDT")
        assert nothing.value.code == 404
