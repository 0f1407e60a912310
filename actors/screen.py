"""The live terminal status: what runs, drawn. A :class:`View` flows in, text for the terminal flows out.

:func:`render` is pure; :class:`Screen` is the actor that looks at the daemon and draws a few times a second, or, where
the output is no terminal, writes a log line now and then instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from actors.runtime.actor import Actor
from dccd.messages import RunProgress, StreamEntry
from dccd.printable import printable
from dccd.runs import ACTIVE, Run
from dccd.symbols import NS, format_time

__all__ = ["Screen", "View", "render"]

_DRAW_SECONDS = 0.25
_LOG_SECONDS = 10.0
_RUNS = 8


@dataclass(frozen=True)
class View:
    """What the screen shows. Times in ns; ``pending`` messages not on disk yet; ``hints`` are commands to try."""

    title: str
    now: int
    uptime: float
    bus_url: str
    bus_connected: bool
    data_path: str
    streams: Sequence[StreamEntry]
    runs: Sequence[tuple[Run, RunProgress | None]]
    restarts: int
    pending: int
    stored_rows: int
    stored_bytes: int
    hints: Sequence[str]


def duration(seconds: float) -> str:
    """``3s``, ``2m 05s``, ``1h 02m``."""
    total = int(max(seconds, 0))
    if total < 60:
        return f"{total}s"
    if total < 3600:
        return f"{total // 60}m {total % 60:02d}s"
    return f"{total // 3600}h {total % 3600 // 60:02d}m"


def size(count: float) -> str:
    """``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def price(value: float | None) -> str:
    """A price with as many digits as say something."""
    return "" if value is None else f"{value:,.2f}" if value >= 100 else f"{value:.6g}"


def render(view: View, width: int = 80, height: int | None = None) -> RenderableType:
    """Draw *view* for a terminal *width* columns wide, in less than *height* lines if that is possible."""
    room = fit(view, height)
    bus = Text(view.bus_url, style="green" if view.bus_connected else "red")
    if not view.bus_connected:
        bus.append(" (away: ticks are kept and published when it is back)")
    head = Text.assemble((view.title, "bold"), f"  up {duration(view.uptime)}  bus ", bus)
    stored = Text(f"data in {view.data_path}", overflow="ellipsis", no_wrap=True)
    facts = Text(
        f"{view.stored_rows:,} rows, {size(view.stored_bytes)} on disk · {view.pending:,} messages on their way there"
        f" · {view.restarts} restarts"
    )
    problems = _problems(view)
    sections: list[list[RenderableType]] = [
        [head, stored, facts],
        [
            _streams(view.streams[: room.streams], view.now, width),
            *_more(len(view.streams) - room.streams),
            *(Text(text, style="red", no_wrap=True, overflow="ellipsis") for text in problems[: room.problems]),
            *_more(len(problems) - room.problems),
        ],
    ]
    if view.runs:
        sections.append([_runs(view.runs[: room.runs], width), *_more(len(view.runs) - room.runs)])
    if room.hints:
        hints = [Text(f"  {hint}", no_wrap=True, overflow="ellipsis") for hint in view.hints[: room.hints]]
        sections.append([Text("Try, in another terminal:", style="dim"), *hints])
    sections.append([Text("Ctrl-C stops all in order.", style="dim")])
    parts: list[RenderableType] = []
    for section in sections:
        parts += [Text(), *section] if parts and room.blanks else section
    return Group(*parts)


@dataclass(frozen=True)
class Room:
    """How much of each is shown, and how many blank lines are between (1 or 0)."""

    streams: int
    problems: int
    runs: int
    hints: int
    blanks: int = 1


def fit(view: View, height: int | None) -> Room:
    """Return what of *view* goes into a terminal of *height* lines: what a person misses least goes first."""
    streams, problems, runs = len(view.streams), len(_problems(view)), len(view.runs)
    active = sum(run.state in ACTIVE for run, _ in view.runs)

    def lines(room: Room) -> int:
        cut = (room.streams < streams) + (room.problems < problems) + (room.runs < runs)
        tables = 1 + room.streams + room.problems + (1 + room.runs if runs else 0)
        return 3 + tables + cut + (1 + room.hints if room.hints else 0) + 1 + 4 * room.blanks

    room = Room(streams, problems, min(runs, _RUNS), len(view.hints))
    least = Room(min(streams, 5), min(problems, 2), 1, 0, blanks=0)
    for field, enough in (
        ("blanks", 0), ("runs", max(active, 1)), ("problems", least.problems), ("hints", min(len(view.hints), 2)),
        ("streams", min(streams, 8)), ("runs", least.runs), ("hints", least.hints), ("streams", least.streams),
    ):  # fmt: skip
        while height is not None and lines(room) >= height and getattr(room, field) > enough:
            room = replace(room, **{field: getattr(room, field) - 1})
    return room


def _problems(view: View) -> list[str]:
    """What went wrong, a line each: beside the tables, whose columns a long sentence would push out."""
    found = [f"{entry.dataset}: {entry.error}" for entry in view.streams if entry.error]
    found += [f"{run.job}: {run.error}" for run, _ in view.runs[:_RUNS] if run.error]
    return [printable(text) for text in found]


def _more(count: int) -> list[RenderableType]:
    return [Text(f"  and {count} more", style="dim")] if count > 0 else []


_STYLES = {"live": "green", "gave_up": "red bold", "refused": "red", "reconnecting": "yellow", "connecting": "yellow"}


def _streams(streams: Sequence[StreamEntry], now: int, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=False)
    table.add_column("stream", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("rate/s", "records", "last price"):
        table.add_column(name, justify="right", no_wrap=True)
    wide = width >= 100
    if wide:
        for name in ("last", "gaps", "restarts"):
            table.add_column(name, justify="right", no_wrap=True)
    for entry in streams:
        row: list[RenderableType] = [
            entry.dataset,
            Text(entry.state, style=_STYLES.get(entry.state, "")),
            f"{entry.rate:,.1f}",
            f"{entry.records:,}",
            price(entry.last_price),
        ]
        if wide:
            age = "" if entry.last_recv_ts is None else f"{duration((now - entry.last_recv_ts) / NS)} ago"
            row += [age, str(entry.gaps), str(entry.restarts)]
        table.add_row(*row)
    return table


def _runs(runs: Sequence[tuple[Run, RunProgress | None]], width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=False)
    table.add_column("backfill", no_wrap=True)
    table.add_column("", width=max(12, min(30, width - 66)))
    for name in ("rows", "rows/s", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for run, progress in runs:
        over = run.state in ("done", "failed", "cancelled")
        fraction = run.fraction if progress is None or over else progress.fraction
        rows = max(run.rows, 0 if progress is None else progress.rows)
        rate = "" if progress is None or over else f"{progress.rate:,.0f}"
        left = run.state if over or progress is None else "" if progress.left is None else duration(progress.left)
        bar = ProgressBar(total=1.0, completed=min(max(fraction, 0.0), 1.0))
        table.add_row(run.subject + (" (gap)" if run.trigger == "gap" else ""), bar, f"{rows:,}", rate, left)
    return table


class Screen(Actor):
    """Draws what *look* returns until it is stopped. Not a terminal: a log line at an interval."""

    def __init__(self, look: Callable[[], View], console: Console) -> None:
        self.look, self.console = look, console

    async def run(self) -> None:
        clock = self.context.clock
        if not self.console.is_terminal:
            while True:
                await clock.sleep(_LOG_SECONDS)
                self._log(self.look())
        with Live(console=self.console, screen=False, auto_refresh=False, transient=False) as live:
            while True:
                live.update(render(self.look(), self.console.width, self.console.height), refresh=True)
                await clock.sleep(_DRAW_SECONDS)

    def _log(self, view: View) -> None:
        log = self.context.log
        log.info(
            "status",
            uptime=duration(view.uptime),
            rows=view.stored_rows,
            bytes=view.stored_bytes,
            pending=view.pending,
            restarts=view.restarts,
        )
        for entry in view.streams:
            log.info(
                "stream",
                dataset=entry.dataset,
                state=entry.state,
                rate=round(entry.rate, 1),
                records=entry.records,
                price=entry.last_price,
                last=None if entry.last_ts is None else format_time(entry.last_ts),
            )
        for run, progress in view.runs:
            fraction = run.fraction if progress is None else progress.fraction
            log.info("run", job=run.job, state=run.state, covered=f"{fraction:.0%}", rows=run.rows)
