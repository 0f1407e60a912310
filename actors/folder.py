"""A fold that was asked for: a run of ``storage.fold`` flows in; bases with every row, progress and the outcome flow
out. One actor a run; stopped at any moment, it keeps what it has done.
"""

from __future__ import annotations

import anyio.from_thread
import msgspec

from actors.aside import Aside
from actors.control.report import WholeRun
from actors.links import Links
from actors.runtime.actor import Actor, run_together
from dccd.errors import StoreError
from dccd.messages import StorageFold
from dccd.runs import Run
from dccd.store.fold import FoldResult
from dccd.store.folding import Folded, fold_all
from dccd.store.remote.base import Wait
from dccd.symbols import is_under

__all__ = ["Folder"]


class Folder(Actor):
    """Does one run; ends done, or failed where something could not be folded: the rest is, all the same."""

    def __init__(self, links: Links, run: Run) -> None:
        self.links = links
        self._prefix = msgspec.convert(run.options, StorageFold).dataset or ""
        self._report = WholeRun(links, run)
        self._aside = Aside()

    def __repr__(self) -> str:
        return f"<Folder {self._report}>"

    async def run(self) -> None:
        await run_together(self._work, self._report.tell_now_and_then)

    async def on_stop(self) -> None:
        """Wait for the thread, which ends between two steps of a file."""
        if not await self._aside.stop():
            self.context.log.error("still at it", run_id=self._report.run.run_id)
        await self._report.stopped()

    async def _work(self) -> None:
        try:
            done = await self._aside.run(self._fold)
        except StoreError as exc:
            await self._report.finish("failed", summary=None, warnings=[], error=str(exc))
            return
        told = f"{done.periods:,} periods folded ({done.rows:,} rows, {done.bytes:,} bytes)"
        error = f"{len(done.problems):,} periods could not be folded: {done.problems[0]}" if done.problems else None
        await self._report.finish(
            "failed" if done.problems else "done",
            summary=told if done.periods else None,
            warnings=list(done.problems),
            error=error,
        )

    def _fold(self, wait: Wait) -> Folded:
        datasets = [one for one in self.links.layout.datasets() if is_under(one.name, self._prefix)]
        return fold_all(self.links.layout, datasets, tell=self._told, folded=self._folded_aside, wait=wait)

    def _told(self, done: Folded) -> None:
        report = self._report
        report.files, report.rows, report.read, report.of_read = done.periods, done.rows, done.read, done.of_read

    def _folded_aside(self, result: FoldResult, seconds: float) -> None:
        anyio.from_thread.run_sync(self._folded, result, seconds)

    def _folded(self, result: FoldResult, seconds: float) -> None:
        self.links.tally.folded(result.rows, result.bytes, seconds)
        self.links.stored(result.dataset)
