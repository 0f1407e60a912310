"""A store, a remote in memory, and short ways to have one copied to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.remote.fake import FakeRemote
from dccd.store.remote.past import Past
from dccd.store.remote.restore import Restored, restore
from dccd.store.remote.sync import SyncResult, sync
from dccd.store.retention import purge

__all__ = ["Copied", "no_wait"]


def no_wait(seconds: float) -> None:
    """Waits for nothing: what a test waits for doesn't come by itself."""


class Copied:
    """A store (as ``bench``), a fake remote, and the host whose folder it is there."""

    host = "alpha"

    def __init__(self, bench: Any, other: Path) -> None:
        self.bench, self.remote = bench, FakeRemote()
        self.layout: Layout = bench.layout
        self.elsewhere = Layout(other)

    def sync(self, **options: Any) -> SyncResult:
        return sync(self.layout, self.remote, self.host, wait=no_wait, **options)

    def restore(self, layout: Layout | None = None, **options: Any) -> Restored:
        return restore(layout or self.elsewhere, self.remote, self.host, wait=no_wait, **options)

    def purge(self, period: str | None = None, **options: Any) -> str | None:
        dataset, day = self.bench.trades, period or self.bench.day
        return purge(self.layout, dataset, day, [self.remote], self.host, wait=no_wait, **options)

    def fold(self, layout: Layout | None = None) -> None:
        fold(layout or self.layout, self.bench.trades, self.bench.day, force=True)

    def put(self, *numbers: int, **options: Any) -> None:
        """Store trades of these numbers as one segment."""
        self.bench.put([self.bench.trade(n) for n in numbers], **options)

    def tids(self, layout: Layout | None = None, *, past: bool = False, **options: Any) -> list[str]:
        """The ids of the trades that a reader sees, with what the remote has when *past*."""
        where = layout or self.layout
        store = Store(where, self.past(where)) if past else Store(where)
        return store.read(self.bench.trades, **options)["tid"].to_list()

    def past(self, layout: Layout | None = None, limit: int = 2**30) -> Past:
        found = Past(layout or self.layout, [self.remote], self.host, limit)
        found._wait = no_wait
        return found

    def data(self) -> list[str]:
        """The keys of the objects that hold rows."""
        return sorted(key for key in self.remote.objects if key.endswith(".parquet"))
