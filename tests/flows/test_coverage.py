"""Whatever happens, what isn't claimed to be there is told to be missing, and what is claimed is there.

The daemon runs in a process of its own, on a small disk of its own where the system lets us mount one, while at random
its connections are cut or muted, frames are left out, pages of history are refused, its disk is filled, it is killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process

from dccd.client import Client
from dccd.errors import BusError
from dccd.simulator import SimConfig, Simulator
from dccd.simulator.faults import Disconnect, Drop, HttpError, HttpMalformed, Malformed, Silence
from dccd.store.coverage import Coverage
from dccd.store.reader import Store
from dccd.symbols import NS, Dataset
from tests.flows.support import running, small_disk
from tests.ports import free_port

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = Dataset.parse("binance.ohlc.BTC-USDT.1s")
PAIR = "BTC/USDT"
DISK = 320 << 20
KINDS = ("cut", "mute", "drop", "garble", "page", "kill")


def write_config(folder: Path, data: Path, port: int, sim: Simulator) -> Path:
    """A daemon that streams trades and bars, flushes and folds often, and keeps little on its bus."""
    path = folder / "config.yml"
    path.write_text(
        f"""
settings: {{data_path: {data}, host: alpha}}
bus: {{port: {port}, ticks_max_bytes: 64MiB}}
exchanges: {{binance: {{rest_url: "{sim.binance.rest_url}", ws_url: "{sim.binance.ws_url}", rate_limit: false}}}}
storage: {{flush_interval: 200ms, fold_interval: 1s}}
jobs:
  - {{exchange: binance, pairs: [BTC/USDT], data_type: trades}}
  - {{exchange: binance, pairs: [BTC/USDT], data_type: ohlc, span: 1s}}
"""
    )
    return path


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, DISK) as disk:
        yield disk


def look(data: Path, dataset: Dataset) -> tuple[Coverage, set[int]]:
    """What the files claim, and then which times or ids are in them: rows only become more meanwhile."""
    store = Store(data)
    coverage = store.coverage(dataset)
    column = "tid" if dataset == TRADES else "TS"
    return coverage, {int(value) for value in store.read(dataset, columns=[column])[column]}


def check(data: Path, sim: Simulator) -> None:
    """What is claimed is stored, what isn't stored is told to be missing: of all time between the first and the last
    claim."""
    coverage, ids = look(data, TRADES)
    missing = [(gap.start, gap.end) for gap in (*coverage.missing, *coverage.unavailable)]
    for trade in sim.binance.truth.trades(PAIR, coverage.start, coverage.end):
        if int(trade.tid or 0) in ids:
            continue
        assert trade.ts not in coverage.verified and trade.ts not in coverage.empty, f"claimed, and not there: {trade}"
        assert any(start <= trade.ts < end for start, end in missing), f"neither there nor told to be missing: {trade}"
    coverage, times = look(data, BARS)
    missing = [(gap.start, gap.end) for gap in (*coverage.missing, *coverage.unavailable)]
    for bar in sim.binance.truth.bars(PAIR, 1, coverage.start, coverage.end):
        if bar.ts < coverage.start or bar.ts in times:
            continue
        assert bar.ts not in coverage.verified and bar.ts not in coverage.empty, f"claimed, and not there: {bar}"
        assert any(start <= bar.ts < end for start, end in missing), f"neither there nor told to be missing: {bar}"


def check_truth(data: Path, sim: Simulator) -> None:
    """All between the first and the last claim is stored, once, as it was."""
    store = Store(data)
    coverage = store.coverage(TRADES)
    assert coverage.missing == () == coverage.unavailable
    rows = store.read(TRADES, coverage.start, coverage.end).select("tid", "TS", "price", "amount", "side").rows()
    got = sorted((int(tid), *rest) for tid, *rest in rows)
    truth = sim.binance.truth.trades(PAIR, coverage.start, coverage.end)
    assert got == [(int(t.tid or 0), t.ts, t.price, t.amount, t.side) for t in truth]
    coverage = store.coverage(BARS)
    assert coverage.missing == () == coverage.unavailable
    first = coverage.start + -coverage.start % NS
    bars = store.read(BARS, first, coverage.end)
    assert bars["TS"].is_unique().all()
    expected = [bar for bar in sim.binance.truth.bars(PAIR, 1, first, coverage.end) if bar.ts >= first]
    columns = ("TS", "open", "high", "low", "close", "volume")
    assert bars.select(columns).rows() == [
        (bar.ts, bar.open, bar.high, bar.low, bar.close, pytest.approx(bar.volume)) for bar in expected
    ]


class Trouble:
    """What can go wrong, one at a time; ``done`` counts it by kind."""

    def __init__(self, sim: Simulator, data: Path, seed: int, kinds: tuple[str, ...], disk: Path | None) -> None:
        self.sim, self.data, self.kinds, self.disk = sim, data, kinds, disk
        self.chance = random.Random(seed)
        self.done: dict[str, int] = {}
        self._bag: list[str] = []  # each kind once, then each once more

    async def strike(self, daemon: Process) -> bool:
        """Let something go wrong; return whether the daemon lives on."""
        chance, faults = self.chance, self.sim.faults
        if not self._bag:
            self._bag = chance.sample(self.kinds, len(self.kinds))
        kind = self._bag.pop()
        self.done[kind] = self.done.get(kind, 0) + 1
        match kind:
            case "cut":
                faults.inject(Disconnect(clean=chance.random() < 0.5))
            case "mute":
                faults.inject(Silence(seconds=chance.uniform(0.5, 2.0), connections="open"))
                await anyio.sleep(0.5)
                faults.inject(Disconnect())
            case "drop":
                faults.inject(Drop(count=chance.randint(1, 5)))
            case "garble":
                faults.inject(
                    Malformed(how=chance.choice(["truncated", "garbage", "types"]), count=chance.randint(1, 3))
                )
            case "page":
                fault = HttpMalformed if chance.random() < 0.5 else HttpError
                faults.inject(fault(count=chance.randint(1, 4)))
                faults.inject(Disconnect())  # so that there is something to fetch
            case "kill":
                os.kill(daemon.pid, signal.SIGKILL)
                await daemon.wait()
                return False
            case "full":
                assert self.disk is not None
                await self._fill(self.disk)
        await anyio.sleep(chance.uniform(0.1, 1.5))
        return True

    async def _fill(self, disk: Path) -> None:
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        await anyio.sleep(self.chance.uniform(0.5, 3.0))
        filler.unlink()


@contextlib.asynccontextmanager
async def connected(config: Path, log: Path, url: str) -> AsyncIterator[tuple[Process, Client]]:
    """A daemon and a client of it, once its first ticks have come."""
    async with running(config, log) as daemon, contextlib.AsyncExitStack() as stack:
        with anyio.fail_after(60):
            client = None
            while client is None:  # it gives up after some seconds, and a busy machine takes longer to start a daemon
                with contextlib.suppress(BusError):
                    client = await stack.enter_async_context(Client(url, timeout=20))
            async with client.ticks("binance", PAIR) as ticks:
                await anext(aiter(ticks))
        yield daemon, client


async def settle(client: Client) -> None:
    """Have all that is missing fetched, and wait until nothing is."""
    with anyio.fail_after(180):
        async with client.ticks("binance", PAIR) as ticks, contextlib.aclosing(ticks.batches()) as batches:
            async for _ in batches:  # what was missed at the time of one may be there at that of the next
                with contextlib.suppress(BusError, TimeoutError):
                    entries = await client.inventory("binance")
                    holes = [gap for entry in entries for gap in entry.gaps]
                    if len(entries) == 2 and all(entry.live for entry in entries) and not holes:
                        return
                    await client.repair("binance", unavailable=True)


async def trouble_and_truth(
    faults: int, folder: Path, kinds: tuple[str, ...] = KINDS, disk: Path | None = None
) -> dict[str, int]:
    """So many faults, a check after each, and the whole truth in the end; return what went wrong how often."""
    data = (folder if disk is None else disk) / "data"
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    async with Simulator(SimConfig(exchanges=("binance",), seed=faults, rate=60, history=0.05)) as sim:
        config, log = write_config(folder, data, port, sim), folder / "daemon.log"
        trouble = Trouble(sim, data, faults, kinds, disk)
        while sum(trouble.done.values()) < faults:
            async with connected(config, log, url) as (daemon, _):
                lives = True
                while lives and sum(trouble.done.values()) < faults:
                    lives = await trouble.strike(daemon)
                    await anyio.to_thread.run_sync(check, data, sim)
                if lives:
                    daemon.kill()
                    await daemon.wait()
        sim.faults.lift()
        async with connected(config, log, url) as (daemon, client):
            await settle(client)
            os.kill(daemon.pid, signal.SIGTERM)
            await daemon.wait()
        assert daemon.returncode == 0, log.read_text()[-4000:]
        check(data, sim)
        check_truth(data, sim)
    return trouble.done


@pytest.mark.parametrize(
    ("faults", "kinds"), [(3, ("cut", "page", "kill")), pytest.param(70, KINDS, marks=pytest.mark.slow)]
)
async def test_what_is_claimed_is_there_and_the_rest_is_told(
    faults: int, kinds: tuple[str, ...], tmp_path: Path
) -> None:
    """Through cuts, mutes, lost and garbled frames, failed pages and kills; after a repair nothing is missing."""
    done = await trouble_and_truth(faults, tmp_path, kinds)
    assert set(done) == set(kinds)


@pytest.mark.slow
async def test_so_it_is_on_a_disk_that_fills_up(small: Path, tmp_path: Path) -> None:
    """The same, and now and then there is no room: nothing that the bus holds is lost, the rest is told."""
    done = await trouble_and_truth(30, tmp_path, (*KINDS, "full"), small)
    assert set(done) == {*KINDS, "full"}
