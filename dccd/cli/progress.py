"""How a run is shown while it goes on: its events flow in; a progress bar, log lines or JSON lines flow out."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from dccd import messages as m
from dccd.cli.app import note
from dccd.cli.output import count, duration, interval, json_line, size, when
from dccd.printable import printable

if TYPE_CHECKING:
    from dccd.client import RunEvent
    from dccd.runs import Run

__all__ = ["BarDisplay", "Display", "JsonDisplay", "LineDisplay", "display", "watch"]

_LINE_SECONDS = 5.0


class Display(Protocol):
    """Shows the events of one run; used as a context manager."""

    def __enter__(self) -> Display: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, event: RunEvent) -> None:
        """Take an event."""
        ...


def display(subject: str, *, json: bool) -> Display:
    """The display that fits: JSON when asked for, a bar in a terminal, lines elsewhere. *subject*: what is run."""
    if json:
        return JsonDisplay()
    return BarDisplay(subject) if sys.stderr.isatty() else LineDisplay(subject)


async def watch(
    subject: str,
    events: AsyncGenerator[RunEvent, None],
    *,
    json: bool,
    files: Callable[[m.RunFile], object] | None = None,
) -> Run:
    """Show a run's *events* to their end and return the run as it ended; *files* takes what it tells of each file."""
    run: Run | None = None
    with display(subject, json=json) as shown:
        async with aclosing(events) as coming:
            async for event in coming:
                shown.show(event)
                if isinstance(event, m.RunStatus):
                    run = event.run
                elif isinstance(event, m.RunFile) and files is not None:
                    files(event)
    assert run is not None  # the first event is the run's state
    return run


def _at(event: m.RunProgress | Run) -> str:
    """How far: a backfill by time, a run of the whole store by bytes."""
    return when(event.position) if event.dataset else f"{size(event.position)} of {size(event.end)}"


def _done(event: m.RunProgress, unit: str) -> str:
    """How much: rows, of a backfill also when there are none; files of a run of the whole store that counts no rows."""
    if not event.rows:
        return "0 rows" if event.dataset else f"{count(event.files)} files"
    space = " " if unit[0].isalpha() else ""
    return f"{count(event.rows)} rows, {event.rate:,.0f}{space}{unit}"


class JsonDisplay:
    """Each event as a line of JSON on stdout; the last is the run's final state."""

    def __enter__(self) -> JsonDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: RunEvent) -> None:
        json_line(event)


class LineDisplay:
    """Lines on stderr: progress every few seconds, warnings and changes of state at once."""

    def __init__(self, subject: str, every: float = _LINE_SECONDS) -> None:
        self._subject, self._every = subject, every
        self._due = 0.0
        self._state = ""

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: RunEvent) -> None:
        if isinstance(event, m.RunLog):
            # The error that ends a run is in its last state.
            if event.level == "warning":
                self._say(f"{event.level}: {event.message}")
        elif isinstance(event, m.RunFile):
            pass  # told in a table at the end
        elif isinstance(event, m.RunStatus):
            if event.run.state != self._state:
                self._state = event.run.state
                self._say(self._state)
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            left = "" if event.left is None else f", {duration(event.left)} left"
            self._say(f"{event.fraction:.1%}, {_at(event)}, {_done(event, 'rows/s')}{left}")

    def _say(self, text: str) -> None:
        note(f"{self._subject}: {text}")


class BarDisplay:
    """A bar on stderr by time (or bytes) covered, with rows, rate and time left."""

    def __init__(self, subject: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[at]}"),
            TextColumn("{task.fields[rows]}"),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            expand=True,
        )
        self._task = self._progress.add_task(subject, total=1.0, at="", rows="", left="")

    def __enter__(self) -> BarDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: RunEvent) -> None:
        progress = self._progress
        if isinstance(event, m.RunLog):
            if event.level == "warning":
                text = printable(f"{event.level}: {event.message}")
                progress.console.print(text, markup=False, highlight=False)
        elif isinstance(event, m.RunFile):
            pass  # told in a table at the end
        elif isinstance(event, m.RunStatus):
            run = event.run
            waits = run.state in ("queued", "interrupted")
            progress.update(
                self._task,
                completed=min(run.fraction, 1.0),
                at=interval(run.start, run.end) if waits and run.dataset else _at(run),
                rows=f"{count(run.rows)} rows",
                left=run.state,
            )
        else:
            left = "" if event.left is None else f"{duration(event.left)} left"
            progress.update(
                self._task,
                completed=min(event.fraction, 1.0),
                at=_at(event),
                rows=_done(event, "/s"),
                left=left,
            )
