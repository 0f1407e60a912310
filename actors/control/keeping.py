"""How far a run under way is, on record: what it says of itself flows in, at most a write a second flows out."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from actors.control.runbook import RunBook
from actors.links import Links
from dccd.errors import BusError
from dccd.runs import Run

__all__ = ["RecordKeeper"]

_SECONDS = 1.0


class RecordKeeper:
    """Writes *current* on record when it has changed; all between two writes goes into the second.

    An older position on record only means that some of it is fetched again after a crash.
    """

    def __init__(self, links: Links, run: Run, current: Callable[[], Run]) -> None:
        self.links, self._current = links, current
        self._book = RunBook(links)
        self._kept = _without_time(run)
        self._log = structlog.get_logger("dccd.runs").bind(run_id=run.run_id)
        self.writes = 0

    def __repr__(self) -> str:
        return f"<RecordKeeper {self._kept.run_id} {self.writes} writes>"

    async def keep(self, tell: Callable[[], object] = lambda: None) -> None:
        """Look each second, after *tell*; ends only when it is cancelled."""
        while True:
            await self.links.clock.sleep(_SECONDS)
            tell()
            run = self._current()
            if (content := _without_time(run)) == self._kept:
                continue
            try:
                noted = await self._book.note(run)
            except BusError as exc:
                self._log.warning("position not on record", error=str(exc))
                continue
            if not noted:
                self.links.lost_run(run.run_id)
                continue
            self._kept = content
            self.writes += 1


def _without_time(run: Run) -> Run:
    return msgspec.structs.replace(run, updated=0)
