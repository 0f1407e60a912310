"""A migration: files of older releases → the store. One actor a run of ``storage.migrate``.

What :class:`~dccd.store.old.migrate.Migration` does, or would do, flows out file by file as events; the run history of
dccd 3.x flows into ``dccd_runs``. A crash or a stop at any point is gone on from by the next run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import anyio
import msgspec

from actors.control.keeping import RecordKeeper
from actors.control.runbook import RunBook
from actors.links import Links
from actors.mail import RunEnded
from actors.runtime.actor import Actor, run_together
from dccd import subjects
from dccd.errors import IdentityError, OldFileProblem, StoreError
from dccd.messages import RunFile, RunProgress, StorageMigrate
from dccd.old_runs import OldRuns, read_old_runs
from dccd.runs import Run, RunState
from dccd.store.old.migrate import FileReport, Migration, Options
from dccd.symbols import Dataset

__all__ = ["Migrator"]

_TELL_SECONDS = 1.0


class Migrator(Actor):
    """Goes through the ``data_path`` once; ends done, with what was refused as a warning, or failed."""

    def __init__(self, links: Links, run: Run) -> None:
        self.links, self._run = links, run
        self._asked = msgspec.convert(run.options, StorageMigrate)
        self._book = RunBook(links)
        self._rows = run.rows
        self._position = self._total = 0
        self._told_at = self._begun = 0.0
        self._count = Counter[str]()
        self._over = False
        self._keeper = RecordKeeper(links, run, lambda: self._current("running"))

    def __repr__(self) -> str:
        return f"<Migrator {dict(self._count)}, {self._rows} rows>"

    async def run(self) -> None:
        await run_together(self._work, self._keeper.keep)

    async def _work(self) -> None:
        self._told_at = self._begun = self.context.clock.now()
        asked = self._asked
        options = Options(symbols=asked.symbols, datasets=asked.datasets, remove_originals=asked.remove_originals)
        migration = Migration(self.links.layout, options)
        try:
            self._total = await anyio.to_thread.run_sync(migration.total)
            reports = migration.plan() if asked.dry_run else migration.perform()
            # Between two files it can be stopped; one that is begun is finished.
            while (report := await anyio.to_thread.run_sync(_next, reports)) is not None:
                self._reported(report)
            await self._history()
        except (StoreError, IdentityError) as exc:
            await self._finish("failed", str(exc))
            return
        await self._finish("done")

    async def on_stop(self) -> None:
        """Say that it was stopped: asked for again, it goes on."""
        if not self._over:
            await self._book.save(self._current("interrupted"))

    def _reported(self, report: FileReport) -> None:
        self._count[report.action] += 1
        self._position += report.bytes
        self._rows += report.new
        if report.dataset is not None and not self._asked.dry_run and report.action in ("migrate", "finish"):
            self.links.stored(Dataset.parse(report.dataset))
        self._file(report)
        now = self.context.clock.now()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._tell_progress()

    async def _history(self) -> None:
        """Take over the runs of dccd 3.x, those that aren't here yet."""
        if (self.links.data_path / ".dccd" / "coverage.db").is_file():
            known = "not taken over: it doesn't say what is missing in between. Stored rows count as unverified"
            self._file(FileReport(path=".dccd/coverage.db", action="ignore", problem=known))
        path = self.links.data_path / ".dccd" / "runs.db"
        if not path.is_file():
            return
        shown = ".dccd/runs.db"
        try:
            found = await anyio.to_thread.run_sync(read_old_runs, path, self.links.host)
        except OldFileProblem as exc:
            self._count["refuse"] += 1
            self._file(FileReport(path=shown, action="refuse", problem=str(exc).removeprefix(f"{path}: ")))
            return
        new = [run for run in found.runs if not await self.links.runs.find(run.run_id)]
        if not self._asked.dry_run:
            for run in new:
                await self.links.runs.put(subjects.run_key(run.run_id, run.job), msgspec.json.encode(run))
        self._count["migrate" if new else "keep"] += 1
        self._file(_history_report(shown, found, len(new)))

    def _file(self, report: FileReport) -> None:
        event = RunFile(
            at=self.context.clock.wall_ns(),
            host=self.links.host,
            run_id=self._run.run_id,
            **{**msgspec.structs.asdict(report), "to": list(report.to), "changes": list(report.changes)},
        )
        self.links.emit(subjects.run_event(self._run.run_id, "file"), event)

    def _tell_progress(self) -> None:
        spent = max(self.context.clock.now() - self._begun, 1e-3)
        done = self._position
        event = RunProgress(
            at=self.context.clock.wall_ns(),
            host=self.links.host,
            run_id=self._run.run_id,
            dataset="",
            position=done,
            start=0,
            end=self._total,
            fraction=min(done / self._total, 1.0) if self._total else 1.0,
            rows=self._rows,
            rate=(self._rows - self._run.rows) / spent,
            left=(self._total - done) / done * spent if 0 < done <= self._total else None,
        )
        self.links.progress[self._run.run_id] = event
        self.links.emit(subjects.run_event(self._run.run_id, "progress"), event)

    async def _finish(self, state: RunState, error: str | None = None) -> None:
        self._tell_progress()
        if error is not None:
            self._book.say(self._run.run_id, "error", error)
        run = msgspec.structs.replace(self._current(state), summary=self._summary(), error=error)
        if refused := self._count["refuse"]:
            run = msgspec.structs.replace(run, warning=f"{refused} refused: the events of this run say why")
        self._over = True
        # The runner writes the last state and makes room for the next run.
        await self.links.tell_runner(RunEnded(run))

    def _current(self, state: RunState) -> Run:
        return msgspec.structs.replace(
            self.links.active.get(self._run.run_id, self._run),
            state=state,
            rows=self._rows,
            start=0,
            end=self._total,
            position=min(self._position, self._total),
            updated=self.context.clock.wall_ns(),
        )

    def _summary(self) -> str:
        count, would = self._count, "to be " if self._asked.dry_run else ""
        told = [
            f"{number:,} {text}"
            for number, text in (
                (count["migrate"], f"files {would}migrated ({self._rows:,} rows)"),
                (count["finish"], f"files {would}finished that a crash had left"),
                (count["keep"], "read as they are"),
                (count["refuse"], "refused"),
            )
            if number
        ]
        return ", ".join(told) or "nothing to migrate"


def _next(reports: Iterator[FileReport]) -> FileReport | None:
    return next(reports, None)


def _history_report(path: str, found: OldRuns, new: int) -> FileReport:
    total = len(found.runs) + len(found.problems)
    return FileReport(
        path=path,
        action="migrate" if new else "keep",
        rows=total,
        new=new,
        same=len(found.runs) - new,
        left=len(found.problems),
        changes=("runs of dccd 3 are in `dccd runs`",) if new else (),
        problem="; ".join(found.problems[:5]) or None,
    )
