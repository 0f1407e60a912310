"""What a catalogue takes of the daemon's shared names, without a daemon."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pyarrow as pa

from actors.mail import StartBackfill
from dccd.config import Config
from dccd.errors import BusUnavailable
from dccd.messages import DatasetEntry, GapEntry
from dccd.records import Trade
from dccd.runs import Run
from dccd.store.claims import NoteBook
from dccd.store.coverage import IntervalSet
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import Dataset

DATASET = Dataset.parse("binance.trades.BTC-USDT")


def a_run(start: int, end: int, run_id: str = "r1", reason: str | None = "lost", state: str = "running") -> Run:
    """A run that was ordered to repair ``[start, end)``."""
    return Run(
        run_id=run_id,
        dataset=DATASET.name,
        state=state,  # type: ignore[arg-type]  # a test
        trigger="gap",
        reason=reason,
        host="h",
        created=0,
        updated=0,
        asked=(str(start), str(end)),
        start=start,
        end=end,
        position=end,
    )


def trades(count: int, start: int = 0) -> pa.Table:
    """Trades a nanosecond apart, as a writer takes them."""
    made = [Trade(start + n, 1.0, 1.0, "buy", str(start + n), None) for n in range(count)]
    return table_from_records(DATASET.data_type, made)


class Counted:
    """Calls *look*, and counts."""

    def __init__(self, look: Any) -> None:
        self.look, self.calls = look, 0

    def __call__(self, dataset: Dataset) -> Any:
        self.calls += 1
        return self.look(dataset)


class Desk(SimpleNamespace):
    """What a catalogue takes of the daemon's shared names, over a store in *root*. ``refuse``: how the runner
    answers."""

    def __init__(self, root: Path, refuse: Exception | None = None) -> None:
        super().__init__(
            host="alpha", data_path=root, entries={}, dirty=set(), board={}, active={}, datasets=self,
            layout=Layout(root), store=Store(root), notes=NoteBook(Layout(root), "alpha"), emit=lambda *_: None,
            unreadable={}, config=Config(),
        )  # fmt: skip
        self.refuse = refuse
        self.orders: list[StartBackfill] = []
        self.kept: list[DatasetEntry] = []
        self.away: anyio.Event | None = None
        self.waiting = anyio.Event()

    async def find(self, prefix: str) -> list[Any]:
        return []

    async def put(self, key: str, value: bytes) -> None:
        away, self.away = self.away, None
        if away is not None:
            self.waiting.set()
            await away.wait()
            raise BusUnavailable("away")
        self.kept.append(msgspec.json.decode(value, type=DatasetEntry))

    async def ask_runner(self, order: Any) -> Any:
        if self.refuse is not None:
            raise self.refuse
        self.orders.append(order)
        run = a_run(order.start, order.end, f"r{len(self.orders)}", order.reason)
        self.active[run.run_id] = msgspec.structs.replace(run, dataset=order.dataset.name)
        return SimpleNamespace(run_id=run.run_id)

    def store_trades(self, start: int, end: int) -> None:
        """One trade at *start*, with the claim of all up to *end* (ns)."""
        SegmentWriter(self.store.layout, "test").write(DATASET, trades(1, start), covered=IntervalSet([(start, end)]))
        self.dirty.add(DATASET.name)

    def states(self) -> list[str]:
        return [g.state for g in self.gaps()]

    def gaps(self) -> list[GapEntry]:
        return list(self.entries[DATASET.name].gaps)
