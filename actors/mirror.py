"""Copies on remotes: a run of ``storage.sync``, ``storage.verify`` or ``storage.restore`` flows in; objects, progress
and the outcome flow out. One actor a run; each can be stopped at any moment, and done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from actors.aside import Aside
from actors.control.report import WholeRun
from actors.links import Links
from actors.runtime.actor import Actor, run_together
from dccd.errors import IdentityError, RemoteError, RequestError, StoreError, Uninstalled
from dccd.messages import StorageRestore, StorageSync, StorageVerify
from dccd.runs import Run, RunState
from dccd.store.claims import noted_datasets
from dccd.store.remote.base import Remote, Wait
from dccd.store.remote.restore import restore
from dccd.store.remote.sync import Progress, sync
from dccd.store.remote.verify import manifests, verify
from dccd.symbols import Dataset, is_under, parse_range

__all__ = ["Mirror"]


R = TypeVar("R", StorageSync, StorageVerify, StorageRestore)


class Mirror(Actor):
    """Does one run; ends done, with what couldn't be done as a warning, or failed."""

    def __init__(self, links: Links, run: Run) -> None:
        self.links, self._run = links, run
        self._report = WholeRun(links, run)
        self._aside = Aside()
        self._before = Progress()  # of the remotes that are done
        self._summary: list[str] = []
        self._warnings: list[str] = []
        self._failures: list[str] = []

    def __repr__(self) -> str:
        return f"<Mirror {self._report}>"

    async def run(self) -> None:
        await run_together(self._work, self._report.tell_now_and_then)

    async def on_stop(self) -> None:
        """Wait for the thread, which ends between two pieces of a file; what it has done is kept."""
        if not await self._aside.stop():
            self.context.log.error("still at it", run_id=self._run.run_id)
        await self._report.stopped()

    async def _work(self) -> None:
        works: dict[str, Callable[[], object]] = {
            "storage.sync": self._sync,
            "storage.verify": self._verify,
            "storage.restore": self._restore,
        }
        try:
            await self._aside.run(lambda wait: self._do(works[self._run.operation], wait))
        except (RemoteError, StoreError, Uninstalled, IdentityError, RequestError) as exc:
            await self._finish("failed", str(exc))
        else:
            await self._finish("failed" if self._failures else "done", "; ".join(self._failures) or None)

    def _do(self, work: Callable[[], object], wait: Wait) -> None:
        self._wait = wait
        work()

    # ------------------------------------------------------------ what runs in the thread

    def _sync(self) -> None:
        asked = msgspec.convert(self._run.options, StorageSync)
        for remote in self._remotes(asked.remotes):
            layout = self.links.layout
            datasets = None
            if asked.dataset is not None:
                datasets = _chosen({*layout.datasets(), *noted_datasets(layout)}, asked.dataset)
            state = self.links.remotes[remote.name]
            try:
                done = sync(
                    layout,
                    remote,
                    self.links.host,
                    datasets=datasets,
                    adopt=asked.adopt,
                    tell=self._told,
                    wait=self._wait,
                )
            except (RemoteError, StoreError) as exc:
                # The others may be there.
                state.error = str(exc)
                self._failures.append(str(exc))
                continue
            if asked.dataset is None:
                state.error = "; ".join(done.problems) or None
            self._warnings += done.problems
            removed = f", {done.removed:,} removed" if done.removed else ""
            self._summary.append(f"{remote.name}: {done.files:,} files copied ({done.bytes:,} bytes){removed}")
            self._next()

    def _verify(self) -> None:
        asked = msgspec.convert(self._run.options, StorageVerify)
        for remote in self._remotes(asked.remotes):
            datasets = None
            try:
                if asked.dataset is not None:
                    found = {dataset for dataset, _, _ in manifests(remote, self.links.host, None, self._wait)}
                    datasets = _chosen(found, asked.dataset)
                done = verify(
                    self.links.layout,
                    remote,
                    self.links.host,
                    datasets=datasets,
                    mend=asked.mend,
                    tell=self._told,
                    wait=self._wait,
                )
            except (RemoteError, StoreError) as exc:
                self._failures.append(str(exc))  # the others may be there
                continue
            for one in done.different:
                self._warnings.append(f"{remote.name}: {one.dataset} {one.period}: {one.key}: {one.why}")
            differ = f"{len(done.different):,} differ" if done.different else "all as they should be"
            loose = f", {done.loose:,} that no manifest names" if done.loose else ""
            removed = " (removed)" if done.loose and asked.mend else ""
            self._summary.append(
                f"{remote.name}: {done.files:,} files read ({done.bytes:,} bytes), {differ}{loose}{removed}"
            )
            if done.different:
                mended = "; the next sync copies them anew where they are here" if asked.mend else ""
                self._failures.append(f"{remote.name}: {len(done.different):,} files differ{mended}")
            self._next()

    def _restore(self) -> None:
        asked = msgspec.convert(self._run.options, StorageRestore)
        (remote, *_) = self._remotes(None if asked.remote is None else [asked.remote])
        host = asked.host or self.links.host
        start, end = parse_range(asked.start, asked.end)
        datasets = None
        if asked.dataset is not None:
            datasets = _chosen({dataset for dataset, _, _ in manifests(remote, host, None, self._wait)}, asked.dataset)
        done = restore(
            self.links.layout,
            remote,
            host,
            ours=host == self.links.host,
            datasets=datasets,
            start=start,
            end=end,
            tell=self._told,
            wait=self._wait,
        )
        self.links.dirty.update(dataset.name for dataset in self.links.layout.datasets())
        self._warnings += done.problems
        self._summary.append(
            f"{remote.name}: {done.files:,} files of {done.periods:,} periods restored ({done.bytes:,} bytes)"
        )

    def _remotes(self, names: list[str] | None) -> list[Remote]:
        return [state.remote for name, state in self.links.remotes.items() if names is None or name in names]

    def _told(self, progress: Progress) -> None:
        report, before = self._report, self._before
        report.files = before.files + progress.files
        report.read = before.bytes + progress.bytes
        report.of_read = before.all_bytes + progress.all_bytes

    def _next(self) -> None:
        self._before = Progress(self._report.files, self._report.read, self._report.of_read)

    # ------------------------------------------------------------ what is told

    async def _finish(self, state: RunState, error: str | None = None) -> None:
        summary = "; ".join(self._summary) or None
        await self._report.finish(state, summary=summary, warnings=self._warnings, error=error)


def _chosen(datasets: Iterable[Dataset], prefix: str) -> list[Dataset]:
    """Those called *prefix*, or whose names go on from it. Raises RequestError when there are none."""
    found = [dataset for dataset in datasets if is_under(dataset.name, prefix)]
    if not found:
        raise RequestError(404, "no_dataset", f"there is nothing of {prefix}", "dataset")
    return found
