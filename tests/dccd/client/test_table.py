"""The client speaks the whole table of operations: a method for each, typed as the table has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import polars as pl
import pytest

from dccd import messages as m
from dccd.bus.streams import ensure_streams
from dccd.client import Client
from dccd.client.fake import FakeDaemon
from dccd.client.sync import SyncClient
from dccd.operations import OPERATIONS

pytestmark = pytest.mark.anyio

REPLAY = m.ReplayEntry(
    id="r1", host="fake", state="playing", datasets=[], start=0, end=9, position=0, speed=1.0, created=1
)
RUN = "018cc251-f400-7000-8000-000000000001"
BOOK = "kraken.orderbook.BTC-USD"

CALLS: dict[str, Callable[[Client], Any]] = {
    "operations": lambda client: client.operations(),
    "health": lambda client: client.health(),
    "tree": lambda client: client.tree(),
    "hosts": lambda client: client.hosts(),
    "exchanges": lambda client: client.exchanges(),
    "metrics": lambda client: client.metrics(),
    "alerts.list": lambda client: client.alerts(),
    "alerts.test": lambda client: client.test_webhooks(),
    "inventory": lambda client: client.inventory(),
    "coverage": lambda client: client.coverage("binance.trades.BTC-USDT"),
    "repair": lambda client: client.repair(dry_run=True),
    "read": lambda client: client.read(BOOK),
    "book": lambda client: client.book(BOOK),
    "books": lambda client: client.book_parts(BOOK),
    "doctor": lambda client: client.doctor(),
    "follow": lambda client: client.deliver(m.Follow(stream="ticks")),
    "journal": lambda client: client.journal(m.Journal(last=1)),
    "backfill.start": lambda client: client.start_backfill("kraken", "BTC/USD", "trades"),
    "backfill.cancel": lambda client: client.cancel(RUN),
    "runs.list": lambda client: client.runs(),
    "runs.get": lambda client: client.run(RUN),
    "streams.list": lambda client: client.streams(),
    "streams.start": lambda client: client.start_stream("kraken", "BTC/USD"),
    "streams.stop": lambda client: client.stop_stream("kraken", "BTC/USD"),
    "jobs.list": lambda client: client.jobs(),
    "jobs.run": lambda client: client.run_job("backfill.binance.ohlc.BTC-USDT.1m"),
    "jobs.run_all": lambda client: client.run_jobs(),
    "jobs.create": lambda client: client.create_job("kraken", "BTC/USD"),
    "jobs.update": lambda client: client.update_job("stream.kraken.trades.BTC-USD", start="last"),
    "jobs.delete": lambda client: client.delete_job("stream.kraken.trades.BTC-USD"),
    "config.get": lambda client: client.config(),
    "config.put": lambda client: client.put_config({"jobs": []}, "r1"),
    "replay.start": lambda client: client.start_replay(m.ReplayStart(datasets=["kraken.trades.BTC-USD"])),
    "replay.list": lambda client: client.replays(),
    "replay.pause": lambda client: client.change_replay("pause", m.ReplayOf(id="r1")),
    "replay.resume": lambda client: client.change_replay("resume", m.ReplayOf(id="r1")),
    "replay.seek": lambda client: client.change_replay("seek", m.ReplaySeek(id="r1", to=5)),
    "replay.speed": lambda client: client.change_replay("speed", m.ReplaySpeed(id="r1", speed=2.0)),
    "replay.stop": lambda client: client.change_replay("stop", m.ReplayOf(id="r1")),
    "storage.migrate": lambda client: client.migrate(),
    "storage.sync": lambda client: client.storage(m.StorageSync()),
    "storage.verify": lambda client: client.storage(m.StorageVerify()),
    "storage.restore": lambda client: client.storage(m.StorageRestore()),
    "storage.fold": lambda client: client.storage(m.StorageFold()),
    "storage.remotes": lambda client: client.remotes(),
    "storage.retention": lambda client: client.retention(),
}
"""How the client asks for each operation."""

SAME = {"backfill.status": "runs.get"}
"""What another operation answers just as well, and the client asks that one."""


def test_each_operation_has_its_method() -> None:
    """One that is added to the table is added to the client."""
    assert {*CALLS, *SAME} == set(OPERATIONS)
    for operation, same in SAME.items():
        assert OPERATIONS[operation].reply is OPERATIONS[same].reply
        assert OPERATIONS[operation].request.__struct_fields__ == OPERATIONS[same].request.__struct_fields__


@pytest.mark.parametrize("operation", CALLS)
async def test_its_method_asks_for_it(client: Client, daemon: FakeDaemon, operation: str) -> None:
    """With a request that the table's type takes, and a reply of the table's type."""
    daemon.new_run("kraken.trades.BTC-USD")
    daemon.frames[BOOK] = pl.DataFrame({"TS": [1], "as_of": [1], "bid_price_1": [2.0], "unknown": [None]})
    if operation in ("follow", "journal"):
        await ensure_streams(client.bus)
    if operation.startswith("replay."):
        started, listed = m.ReplayStarted(replay=REPLAY, subject="s"), m.Replays(host="fake", replays=[REPLAY])
        replies = {"replay.start": started, "replay.list": listed}
        daemon.replies[operation] = replies.get(operation, REPLAY)
    called = CALLS[operation](client)
    if isinstance(called, AsyncIterator):
        async for _ in called:
            pass
    else:
        assert isinstance(called, Awaitable)
        await called
    (asked, *_) = daemon.asked(operation)
    assert isinstance(asked, OPERATIONS[operation].request)


def test_the_client_without_await_has_the_same() -> None:
    """Each method under the same name, but for what only makes sense with await."""
    only_async = {"aclose", "bus", "deliver", "follow", "request_raw", "start_backfill", "url"}
    public = {name for name in dir(Client) if not name.startswith("_")}
    assert public - only_async <= {name for name in dir(SyncClient) if not name.startswith("_")}
