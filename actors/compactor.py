"""Folds segments into the base. What the store says is due flows in, rewritten files flow out."""

from __future__ import annotations

import time
from typing import Any

import anyio

from actors.links import Links
from actors.runtime.actor import Actor, run_together
from dccd.config import parse_duration
from dccd.errors import StoreError, StoreLocked
from dccd.store.fold import fold
from dccd.symbols import Dataset

__all__ = ["Compactor"]

_STOP_SECONDS = 5.0


class Compactor(Actor):
    """Looks at an interval at each period that has segments; what is due is the store's own decision."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._folds = self._failures = 0

    def __repr__(self) -> str:
        return f"<Compactor {self._folds} folds, {self._failures} failures>"

    def statistics(self) -> dict[str, Any]:
        return {"folds": self._folds, "failures": self._failures}

    async def run(self) -> None:
        await run_together(self._work, self.serve)

    async def on_stop(self) -> None:
        """Make the bases that there are none of yet: who reads plain Parquet next finds what was backfilled.

        The backfills have stopped before. No base is rewritten here, so this is the work of a moment.
        """
        with anyio.move_on_after(_STOP_SECONDS):
            for dataset, period in await anyio.to_thread.run_sync(self._with_segments):
                if not self.links.layout.base_path(dataset, period).exists():
                    await self._fold(dataset, period)

    async def _work(self) -> None:
        while True:
            # As it is configured now, each time.
            await self.context.clock.sleep(parse_duration(self.links.config.storage.fold_interval))
            for dataset, period in await anyio.to_thread.run_sync(self._with_segments):
                await self._fold(dataset, period)

    def _with_segments(self) -> list[tuple[Dataset, str]]:
        layout = self.links.layout
        return [(dataset, period) for dataset in layout.datasets() for period in layout.segment_periods(dataset)]

    async def _fold(self, dataset: Dataset, period: str) -> None:
        tally, begun = self.links.tally, time.perf_counter()
        try:
            result = await anyio.to_thread.run_sync(fold, self.links.layout, dataset, period)
        except StoreLocked:
            return  # another process folds it
        except StoreError as exc:
            # Nothing is lost: the segments stay. Told each time, since it needs a person.
            self._failures += 1
            tally.fold_failures += 1
            self.context.log.error("not folded", dataset=dataset.name, period=period, error=str(exc))
            return
        if result is not None:
            self._folds += 1
            tally.folded(result.rows, result.bytes, time.perf_counter() - begun)
            self.links.stored(dataset)
