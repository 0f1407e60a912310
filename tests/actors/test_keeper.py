"""When copies are ordered, and what retention does and tells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from actors.keeper import Keeper
from actors.links import RemoteState, Retention
from actors.mail import StartWhole
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from dccd.config import Config, RetentionConfig, StorageConfig
from dccd.errors import BusUnavailable, RequestError
from dccd.messages import StoragePurged
from dccd.records import Trade
from dccd.store.layout import Layout
from dccd.store.remote.fake import FakeRemote
from dccd.store.remote.sync import sync
from dccd.store.retention import Rule
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
NOON = 1_700_049_600 * NS


class Desk(SimpleNamespace):
    """What a keeper takes of the daemon's shared names; ``orders`` are those for syncs, ``answers`` what the next of
    them get."""

    def __init__(self, root: Path, **intervals: float) -> None:
        super().__init__(
            config=Config(storage=StorageConfig(retention=RetentionConfig(interval=60, free_space=1))),
            host="alpha",
            data_path=root,
            layout=Layout(root),
            clock=FakeClock(wall_ns=NOON + 400 * 86_400 * NS),
            rules={DataType.TRADES: Rule(age=0)},
            floor=0,
            remotes={name: RemoteState(FakeRemote(name), interval) for name, interval in intervals.items()},
            retention=Retention(),
            dirty=set(),
            orders=[],
            answers=[],
            events=[],
            told=anyio.Event(),
            changed=asyncio.Event(),
        )

    async def ask_runner(self, order: StartWhole) -> None:
        assert (order.operation, order.trigger) == ("storage.sync", "job")
        self.orders.append(order.options["remotes"])
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer

    def emit(self, subject: str, event: StoragePurged) -> None:
        assert subject == "dccd.events.storage.purged"
        self.events.append((event.dataset, event.period, event.reason))
        self.told.set()

    def put(self) -> None:
        trade = Trade(ts=NOON, price=1.0, amount=1.0, side="buy", tid="1")
        SegmentWriter(self.layout, "w").write(TRADES, table_from_records(TRADES.data_type, [trade]))


async def test_each_remote_is_copied_to_at_its_interval(tmp_path: Path) -> None:
    """At once, then so long after; one that only is when asked isn't."""
    desk: Any = Desk(tmp_path, often=60, seldom=150, never=0)
    async with open_root(Keeper(desk), clock=desk.clock):
        await desk.clock.advance(1)
        assert desk.orders == [["often", "seldom"]]
        for _ in range(160):
            await desk.clock.advance(1)
        assert desk.orders == [["often", "seldom"], ["often"], ["often"], ["seldom"]]


@pytest.mark.parametrize("answer", [RequestError(409, "busy", "another is under way"), BusUnavailable("away")])
async def test_a_sync_that_is_not_started_is_ordered_again_soon(tmp_path: Path, answer: Exception) -> None:
    """And not an interval later."""
    desk: Any = Desk(tmp_path, backup=3600)
    desk.answers = [answer]
    async with open_root(Keeper(desk), clock=desk.clock):
        await desk.clock.advance(1)
        assert len(desk.orders) == 1
        await desk.clock.advance(30)
        assert len(desk.orders) == 2
        await desk.clock.advance(3000)
        assert len(desk.orders) == 2


async def test_what_a_remote_holds_is_purged_and_told(tmp_path: Path) -> None:
    """And what it doesn't hold is kept, with the reason for whoever asks for the health."""
    desk: Any = Desk(tmp_path, backup=0)
    desk.put()
    async with open_root(keeper := Keeper(desk), clock=desk.clock):
        await keeper._aside.run(keeper._purge)
        assert desk.retention.kept == [
            "binance.trades.BTC-USDT 2023-11-15: remote backup doesn't have it yet: the next sync copies it"
        ]
        sync(desk.layout, desk.remotes["backup"].remote, "alpha", wait=lambda seconds: None)
        await desk.clock.advance(60)
        with anyio.fail_after(10):
            await desk.told.wait()
    assert desk.events == [("binance.trades.BTC-USDT", "2023-11-15", "age")]
    assert desk.dirty == {TRADES.name}
    assert keeper.statistics()["purged"] == 1
    assert desk.layout.periods(TRADES) == []


async def test_other_remotes_and_rules_count_at_once(tmp_path: Path) -> None:
    """A new remote is copied to, one that is gone isn't, and what is due sooner comes sooner."""
    desk: Any = Desk(tmp_path, old=3600)
    desk.config = Config()
    async with open_root(keeper := Keeper(desk), clock=desk.clock):
        await desk.clock.advance(1)
        assert desk.orders == [["old"]]
        desk.remotes = {"new": RemoteState(FakeRemote("new"), 60)}
        change(desk, Config(storage=StorageConfig(retention=RetentionConfig(interval=60, free_space=1))))
        await desk.clock.advance(1)
        assert desk.orders == [["old"], ["new"]]
        desk.put()
        sync(desk.layout, desk.remotes["new"].remote, "alpha", wait=lambda seconds: None)
        await desk.clock.advance(60)
        await desk.told.wait()
        assert desk.orders[2:] == [["new"]]
        assert keeper.statistics()["purged"] == 1


def change(desk: Any, config: Config) -> None:
    """As the configuration's owner does."""
    desk.config = config
    changed, desk.changed = desk.changed, asyncio.Event()
    changed.set()
