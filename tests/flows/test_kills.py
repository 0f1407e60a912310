"""The daemon is killed at random moments while an exchange sends numbered trades."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import anyio
import msgspec
import pytest

from dccd import subjects
from dccd.bus.direct import get_batch
from dccd.client import Client
from dccd.messages import StreamGap
from dccd.records import Trade
from dccd.simulator import SimConfig, Simulator
from dccd.symbols import Dataset
from tests.flows.support import client_of, running, write_config
from tests.ports import free_port

pytestmark = pytest.mark.anyio

DATASET = Dataset.parse("binance.trades.BTC-USDT")
COLLECTING = """\
storage: {flush_interval: 200ms, fold_interval: 1s}
jobs: [{exchange: binance, pairs: [BTC/USDT], data_type: trades}]
"""


async def in_stream(client: Client) -> dict[int, Trade]:
    """Every trade that the bus has acknowledged, by id."""
    decoder = msgspec.json.Decoder(list[Trade])
    found: dict[int, Trade] = {}
    seq = 1
    while True:
        batch = await get_batch(client.bus, subjects.STREAM_TICKS, seq, 1000, subjects.ticks(DATASET))
        for message in batch.messages:
            found.update((int(trade.tid or 0), trade) for trade in decoder.decode(message.data))
        if not batch.messages or not batch.pending:
            return found
        seq = batch.messages[-1].seq + 1


async def gaps(client: Client) -> list[StreamGap]:
    """Every hole that was ever reported."""
    found: list[StreamGap] = []
    seq = 1
    while True:
        batch = await get_batch(client.bus, subjects.STREAM_EVENTS, seq, 1000, subjects.stream_event(DATASET, "gap"))
        found += [msgspec.json.decode(message.data, type=StreamGap) for message in batch.messages]
        if not batch.messages or not batch.pending:
            return found
        seq = batch.messages[-1].seq + 1


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
async def test_a_daemon_that_is_killed_at_random_loses_nothing(kills: int, tmp_path: Path) -> None:
    """After the last restart every acknowledged trade reads back once, and what was missed is reported and repaired."""
    chance = random.Random(kills)
    port = free_port()
    async with Simulator(SimConfig(exchanges=("binance",), seed=5, rate=100, history=0.01)) as sim:
        config, log = write_config(tmp_path, port, sim, COLLECTING), tmp_path / "daemon.log"
        url = f"nats://127.0.0.1:{port}"
        for _ in range(kills):
            async with running(config, log) as daemon:
                async with client_of(url) as client:
                    async for _ in client.ticks("binance", "BTC/USDT"):
                        break
                # The moment is what is random: from its first ticks on, or while it repairs, flushes, folds.
                await anyio.sleep(chance.uniform(0.0, 1.5))
                os.kill(daemon.pid, signal.SIGKILL)
                await daemon.wait()
        async with running(config, log) as daemon, client_of(url) as client:
            with anyio.fail_after(120):
                async for _ in client.ticks("binance", "BTC/USDT"):
                    (entry,) = await client.inventory(DATASET.name) or [None]
                    if entry is not None and entry.live and not entry.gaps:
                        break
            acknowledged = await in_stream(client)
            reported = await gaps(client)
            last = max(acknowledged)
            # Its own ticks come from the bus; on disk they are a flush later.
            with anyio.fail_after(60):
                async for _ in client.ticks("binance", "BTC/USDT"):
                    frame = await client.read(DATASET, columns=["tid"])
                    if last <= max(int(tid) for tid in frame["tid"]):
                        break
            rows = await client.read(DATASET)
            os.kill(daemon.pid, signal.SIGTERM)
            await daemon.wait()
        assert daemon.returncode == 0, log.read_text()[-4000:]
        ids = sorted(int(tid) for tid in rows["tid"])
        assert ids == list(range(ids[0], ids[-1] + 1)), "not whole, or not once"
        assert set(acknowledged) <= set(ids)
        true = {int(trade.tid or 0): trade for trade in sim.binance.truth.numbered("BTC/USDT", ids[0], ids[-1])}
        got = {int(row[4]): row for row in rows.select("TS", "price", "amount", "side", "tid").rows()}
        assert all(got[id][:4] == (t.ts, t.price, t.amount, t.side) for id, t in true.items())
        first = min(acknowledged)
        missed = [trade for id, trade in true.items() if first <= id <= last and id not in acknowledged]
        assert missed, "the kills have cost nothing: this test has tested nothing"
        assert all(any(gap.start <= trade.ts < gap.end for gap in reported) for trade in missed)
