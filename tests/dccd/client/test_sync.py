"""The client without await, against a daemon in another thread's event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import polars as pl
import pytest
from anyio.from_thread import start_blocking_portal

import dccd
from dccd import messages as m
from dccd.bus.connection import Bus
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams
from dccd.client import Client, SyncClient
from dccd.client.fake import FakeDaemon
from dccd.errors import BusError, RequestError
from dccd.records import Trade


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, FakeDaemon]]:
    """A server and a daemon on it, in a thread of their own."""
    server = EmbeddedServer(folder, port=0, on_log=lambda level, text: None)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        bus = portal.call(Bus.open, server.url, "fake daemon")
        with portal.wrap_async_context_manager(bus), portal.wrap_async_context_manager(FakeDaemon(bus)) as daemon:
            yield server.url, daemon


def test_every_method_works_without_await(tmp_path: Path) -> None:
    """The facade gives the same replies as the async client, through one connection."""
    with running(tmp_path / "nats") as (url, daemon), dccd.connect(url) as client:
        assert isinstance(client, SyncClient)
        run = daemon.new_run("binance.ohlc.BTC-USDT.1m")
        done = msgspec.structs.replace(run, state="done", updated=run.updated + 1)
        daemon.script = [m.RunStatus(at=1, host="fake", run=done)]
        assert client.backfill("binance", "BTC/USDT", span="1m").state == "done"
        assert client.runs() == [done]
        assert client.run(run.run_id) == done
        with pytest.raises(RequestError, match="is over"):
            client.cancel(run.run_id)
        daemon.frames["binance.trades.BTC-USDT"] = pl.DataFrame({"TS": [1, 2]})
        assert client.read("binance.trades.BTC-USDT", limit=1).to_dicts() == [{"TS": 1}]
        assert client.start_stream("binance", "BTC/USDT", depth=5).dataset == "binance.trades.BTC-USDT"
        assert client.stop_stream("binance", "BTC/USDT").dataset == "binance.trades.BTC-USDT"
        assert (client.inventory(), client.jobs(), client.streams()) == ([], [], [])
        assert client.run_job("stream.kraken.trades.BTC-USD").run_id is None
        assert client.run_jobs(exchange="kraken") == []
        assert client.exchanges() == {}
        assert client.health().ok
        assert client.tree().host == "fake"
        assert [family.name for family in client.metrics().families][:1] == ["dccd_dataset_rows"]
        assert client.request("health") == client.health()
        assert {op.name for op in client.operations()} >= {"health", "read"}


def test_ticks_are_a_plain_iterator(tmp_path: Path) -> None:
    """Records arrive in a for loop, and leaving it unsubscribes."""
    trade = Trade(ts=1, price=2.0, amount=3.0, side="sell", tid="4")
    with running(tmp_path / "nats") as (url, _), dccd.connect(url) as client:
        with start_blocking_portal() as portal:
            stop = False

            async def publish() -> None:
                # The loop below subscribes when it takes its first step: until then nobody hears.
                async with await Bus.open(url, "publisher") as bus:
                    other = FakeDaemon(bus)
                    while not stop:
                        await other.tick("binance.trades.BTC-USDT", trade)
                        await bus.barrier()

            publishing = portal.start_task_soon(publish)
            seen = []
            for record in client.ticks("binance", "BTC/USDT"):
                seen.append(record)
                if len(seen) == 3:
                    break
            stop = True
            publishing.result(10)
        assert seen == [trade] * 3


def test_outside_of_its_block_it_refuses() -> None:
    """A client that isn't connected names the remedy."""
    with pytest.raises(BusError, match=r"with dccd\.connect"):
        SyncClient(Client("nats://127.0.0.1:1")).health()


def test_events_and_logs_are_iterators(tmp_path: Path) -> None:
    """What happened, going on live, and the log of a run to its end, which is closed when nobody wants more."""
    server = EmbeddedServer(tmp_path, port=0, on_log=lambda level, text: None)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        bus = portal.call(Bus.open, server.url, "fake daemon")
        with (
            portal.wrap_async_context_manager(bus),
            portal.wrap_async_context_manager(FakeDaemon(bus)) as daemon,
            dccd.connect(server.url) as client,
        ):
            portal.call(ensure_streams, bus)
            run = daemon.new_run("kraken.trades.BTC-USD")
            portal.call(daemon.emit, m.RunLog(at=1, host="fake", run_id=run.run_id, level="info", message="one"))
            portal.call(partial(daemon.change, run, state="done"))
            assert [stored.kind for stored in client.events(since="1h")] == ["run.log", "run.status"]
            for stored in client.events(kind="run.status", last=1, follow=True):
                assert isinstance(stored.event, m.RunStatus) and stored.event.run.state == "done"
                break
            told = list(client.logs(run.run_id, follow=True))
            assert [type(event) for event in told] == [m.RunLog, m.RunStatus]
            assert [found.run_id for found in client.runs(5, state=["done"], since="1h")] == [run.run_id]
