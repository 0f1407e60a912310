"""What a request for a replay means of what is stored, and how many there may be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors.control.replays import MAX_DATASETS, ReplayDesk, resolve
from actors.mail import YieldReplay
from actors.playing import ReplayPlan
from actors.runtime.actor import Actor
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.root import open_root
from dccd import messages as m
from dccd.errors import IdentityError, NotStored, RequestError
from dccd.records import Trade
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

A, B, BARS = (
    Dataset.parse(name) for name in ("binance.trades.BTC-USDT", "kraken.trades.BTC-USD", "binance.ohlc.BTC-USDT.1m")
)
T = 1_700_000_000 * NS


def test_names_and_patterns_are_datasets_in_their_order() -> None:
    """Each once, however often it is meant."""
    stored = [BARS, A, B]
    assert resolve([str(B), "binance.>"], stored) == [B, BARS, A]
    assert resolve(["*.trades.*", str(A)], stored) == [A, B]
    assert resolve([">"], stored) == stored


@pytest.mark.parametrize("name", ["okx.>", "binance.funding.*", "binance.trades.ETH-USDT"])
def test_what_is_not_stored_is_said(name: str) -> None:
    """A pattern that means nothing is no replay of nothing."""
    with pytest.raises(NotStored):
        resolve([name], [BARS, A, B])


def test_what_is_no_name_is_refused() -> None:
    """As any dataset's."""
    with pytest.raises(IdentityError):
        resolve(["binance.trade"], [A])


class Puppet(Actor):
    """Answers what it was asked to play."""

    def __init__(self, plan: ReplayPlan) -> None:
        self.plan = plan

    async def on_start(self) -> None:
        await anyio.lowlevel.checkpoint()  # as what begins to read: so that others are asked for meanwhile

    async def on_message(self, message: Any) -> m.ReplayEntry | bool:
        plan = self.plan
        if isinstance(message, YieldReplay):
            return plan.id.startswith("idle")
        return m.ReplayEntry(
            id=plan.id, host="alpha", state="paused", datasets=[d.name for d in plan.datasets], start=plan.start,
            end=plan.end, position=plan.start, speed=plan.speed, created=plan.created,
        )  # fmt: skip


@pytest.mark.anyio
async def test_datasets_of_all_replays_are_bounded(tmp_path: Path) -> None:
    """Those that are over don't count any more, and those that nobody wants make room; too many at once are refused."""
    store = Store(tmp_path)
    for n in range(MAX_DATASETS):
        dataset = Dataset.parse(f"binance.trades.A{n}-USDT")
        table = table_from_records(dataset.data_type, [Trade(T + n, 1.0, 1.0, None, "1", None)])
        SegmentWriter(Layout(tmp_path), "test").write(dataset, table)
    supervisor = DynamicSupervisor(max_children=8)
    links: Any = SimpleNamespace(
        store=store, replays=supervisor, clock=SimpleNamespace(wall_ns=lambda: 1), host="alpha"
    )
    desk = ReplayDesk(links, lambda plan, source: Puppet(plan))
    with anyio.fail_after(20):
        async with open_root(supervisor):
            started = await desk.start(m.ReplayStart(datasets=["binance.>"], id="all", speed="max", flow=True))
            assert len(started.replay.datasets) == MAX_DATASETS
            assert (started.replay.start, started.replay.end) == (T, T + MAX_DATASETS)
            assert started.replay.speed == 0 and started.subject == "dccd.replay.all.>"
            assert started.flow is not None and started.flow.startswith("dccd.flow.")
            with pytest.raises(RequestError) as refused:
                await desk.start(m.ReplayStart(datasets=["binance.trades.A1-USDT"]))
            assert (refused.value.code, refused.value.reason) == (503, "too_many")
            await supervisor.terminate_child("all")
            await desk.start(m.ReplayStart(datasets=["binance.>"], id="idle-1"))
            await desk.start(m.ReplayStart(datasets=["binance.>"], id="idle-2"))
            assert [entry.id for entry in (await desk.list()).replays] == ["idle-2"]
            await supervisor.terminate_child("idle-2")
            refusals = []

            async def start_at_once() -> None:
                try:
                    await desk.start(m.ReplayStart(datasets=["binance.>"]))
                except RequestError as exc:
                    refusals.append(exc.reason)

            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(start_at_once)
            assert refusals == ["too_many"] * 7
            await supervisor.terminate_child((await desk.list()).replays[0].id)
            await desk.start(m.ReplayStart(datasets=["binance.trades.A1-USDT"], id="one"))
            assert [entry.id for entry in (await desk.list()).replays] == ["one"]
            assert (await desk.pause("one")).id == "one"
            with pytest.raises(RequestError, match="no replay all"):
                await desk.stop("all")
