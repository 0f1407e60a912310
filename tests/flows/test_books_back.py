"""Order books through the whole daemon and back: what was stored gives the exchange's own book, or says it doesn't."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Config, Job
from dccd.errors import RequestError
from dccd.messages import StreamGap
from dccd.simulator import Simulator
from dccd.simulator.faults import Disconnect
from dccd.store.reader import Store
from dccd.symbols import Dataset
from tests.flows.support import take, watching, with_jobs

pytestmark = pytest.mark.anyio

PAIRS = {"binance": "BTC/USDT", "kraken": "BTC/USD"}


@pytest.mark.parametrize("exchange", PAIRS)
async def test_a_book_read_back_is_the_exchanges(exchange: str, sim: Simulator, config: Config) -> None:
    """One at each change, and a series; through a disconnect, in which it isn't known."""
    pair, depth = PAIRS[exchange], 100
    dataset = Dataset.make(exchange, "orderbook", pair)
    config = with_jobs(
        config, Job(exchange=exchange, pairs=[pair], data_type="orderbook", depth=depth, snapshot_interval="1s")
    )
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
        await take(client.ticks(exchange, pair, "orderbook"), 30)
        sim.faults.inject(Disconnect(exchange=exchange))
        gap = await expect(lambda event: isinstance(event, StreamGap))
        last = (await take(client.ticks(exchange, pair, "orderbook"), 20))[-1].ts
        with anyio.fail_after(30):
            async for _ in client.ticks(exchange, pair, "orderbook"):
                if (await client.read(dataset, start=last, limit=1)).height:
                    break
        frame = await client.read(dataset, end=last + 1)
        times = sorted(set(frame["TS"]))
        known = [ts for ts in times if not gap.start <= ts < gap.end]
        truth = sim.exchanges[exchange].truth
        for ts in known[:: max(1, len(known) // 20)]:
            found = await client.book(dataset, ts, depth=10)
            true = truth.book(pair, ts)
            assert (found.ts, found.at) == (ts, ts)
            assert (found.bids, found.asks) == (true.bids[:10], true.asks[:10])
        with pytest.raises(RequestError, match="isn't known") as caught:
            await client.book(dataset, (gap.start + gap.end) // 2)
        assert caught.value.reason == "book_unknown"
        series = await client.books(dataset, "100ms", times[0], last + 1, depth=5)
    asked = set(range(times[0], last + 1, 100_000_000))
    assert all(any(one.start <= time < one.end for one in series.unknown) for time in asked - set(series.frame["TS"]))
    assert not any(gap.start < time < gap.end for time in series.frame["TS"])
    assert len(set(series.frame["TS"])) > 10
    for time, as_of in sorted(set(series.frame.select("TS", "as_of").rows()))[::5]:
        rows = series.frame.filter(series.frame["TS"] == time)
        true = truth.book(pair, as_of)
        assert rows.filter(rows["side"] == "bid").select("price", "amount").rows() == true.bids[:5]
    # The same out of the files, without a daemon.
    offline = Store(Path(config.settings.data_path)).book(dataset, known[-1], 10)
    assert (offline.bids, offline.ts) == (truth.book(pair, known[-1]).bids[:10], known[-1])
