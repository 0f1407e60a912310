"""What a run of the whole store tells of itself: how far it is flows in, events and the run's record flow out."""

from __future__ import annotations

from typing import Literal

import msgspec
import structlog

from actors.control.keeping import RecordKeeper
from actors.control.runbook import RunBook
from actors.links import Links
from actors.mail import RunEnded
from dccd import subjects
from dccd.messages import RunProgress
from dccd.runs import Run, RunState

__all__ = ["WholeRun", "few"]


class WholeRun:
    """The run as whoever does it sees it: ``read`` of ``of_read`` bytes are behind, ``files`` and ``rows`` done."""

    def __init__(self, links: Links, run: Run) -> None:
        self.links, self.run = links, run
        self.files = self.rows = self.read = self.of_read = 0
        self._book = RunBook(links)
        self._begun = links.clock.now()
        self._log = structlog.get_logger("dccd.runs").bind(run_id=run.run_id)
        self._over = False
        self._keeper = RecordKeeper(links, run, lambda: self._current("running"))

    def __repr__(self) -> str:
        return f"<WholeRun {self.run.operation}: {self.read} of {self.of_read} bytes>"

    async def tell_now_and_then(self) -> None:
        """Say how far it is each second, as an event and on record; ends only when it is cancelled."""
        await self._keeper.keep(self.tell_progress)

    def tell_progress(self) -> None:
        """An event that says how far it is."""
        links, spent = self.links, max(self.links.clock.now() - self._begun, 1e-3)
        event = RunProgress(
            at=links.clock.wall_ns(),
            host=links.host,
            run_id=self.run.run_id,
            dataset="",
            position=self.read,
            start=0,
            end=self.of_read,
            fraction=min(self.read / self.of_read, 1.0) if self.of_read else 1.0,
            rows=self.rows,
            rate=self.rows / spent,
            files=self.files,
            left=(self.of_read - self.read) / self.read * spent if 0 < self.read <= self.of_read else None,
        )
        links.progress[self.run.run_id] = event
        links.emit(subjects.run_event(self.run.run_id, "progress"), event)

    def log(self, level: Literal["warning", "error"], message: str) -> None:
        """A line in the daemon's log and in the run's."""
        getattr(self._log, level)(message)
        self._book.say(self.run.run_id, level, message)

    async def finish(self, state: RunState, *, summary: str | None, warnings: list[str], error: str | None) -> None:
        """Say how it ended; the runner writes it down and makes room for the next run."""
        self.tell_progress()
        for warning in warnings:
            self.log("warning", warning)
        if error is not None:
            self.log("error", error)
        run = msgspec.structs.replace(self._current(state), summary=summary, warning=few(warnings), error=error)
        self._over = True
        await self.links.tell_runner(RunEnded(run))

    async def stopped(self) -> None:
        """Say that it was stopped, unless it is over: asked for again, it goes on."""
        if not self._over:
            await self._book.save(self._current("interrupted"))

    def _current(self, state: RunState) -> Run:
        return msgspec.structs.replace(
            self.links.active.get(self.run.run_id, self.run),
            state=state,
            rows=self.rows,
            start=0,
            end=self.of_read,
            position=min(self.read, self.of_read),
            updated=self.links.clock.wall_ns(),
        )


def few(lines: list[str], most: int = 20) -> str | None:
    """They go into a record of bounded size; the run's events have all of them."""
    more = [f"and {len(lines) - most:,} more"] if len(lines) > most else []
    return "; ".join([*lines[:most], *more]) or None
