"""Events as lines for people: an event flows in, one line of text flows out. Pure; times are UTC."""

from __future__ import annotations

from typing import Any

import msgspec

from dccd import messages as m
from dccd.cli.output import count, duration, interval, size
from dccd.printable import printable
from dccd.runs import Run
from dccd.symbols import NS, format_time

__all__ = ["COLOURS", "event_line", "state_text"]

COLOURS = {"error": "red", "warning": "yellow", "debug": "bright_black"}
"""The colours of levels."""


def event_line(kind: str, event: m.Event | dict[str, Any], *, brief: bool = False) -> str:
    """``2026-01-01T12:00:00.123Z  alpha  run.status  …``; *brief*: of a run that is known, without its name."""
    if isinstance(event, dict):
        at, host = event.get("at"), event.get("host", "")
        rest = {name: value for name, value in event.items() if name not in ("kind", "at", "host")}
        text = msgspec.json.encode(rest).decode()
        when = format_time(at) if isinstance(at, int) and at >= 0 else ""
    else:
        when, host = format_time(event.at), event.host
        text = _text(event, brief)
    # A message may hold lines of its own; what isn't printable could do anything to a terminal.
    text = printable(text)
    return f"{_millis(when)}  {text}" if brief else f"{_millis(when)}  {printable(host)}  {printable(kind):14}  {text}"


def _millis(when: str) -> str:
    """A time with milliseconds always, so that lines stand below each other."""
    head, _, fraction = when.removesuffix("Z").partition(".")
    return f"{head}.{fraction[:3]:0<3}Z" if head else f"{'':24}"


def state_text(run: Run) -> str:
    """What is to be said of a run's state: ``done, 1,440 rows``."""
    parts: list[str] = [run.state]
    if run.rows:
        parts.append(f"{count(run.rows)} rows")
    if run.resumed and run.state in ("queued", "running"):
        parts.append(f"resumed {run.resumed} times")
    if run.state in ("interrupted", "failed", "cancelled") and run.end > run.start:
        parts.append(f"at {run.fraction:.0%}")
    text = ", ".join(parts)
    why = run.error or (run.warning if run.state == "done" else None) or run.summary
    return f"{text}: {why}" if why and run.state not in ("queued", "running") else text


def _text(event: m.Event, brief: bool) -> str:
    match event:
        case m.RunStatus(run=run):
            return state_text(run) if brief else f"{run.job} {state_text(run)}  {run.run_id}"
        case m.RunProgress():
            left = f", {duration(event.left)} left" if event.left is not None else ""
            files = f", {count(event.files)} files" if event.files else ""
            text = f"{event.fraction:.1%}, {count(event.rows)} rows{files}, {event.rate:,.0f} rows/s{left}"
            return text if brief else f"{event.dataset} {text}  {event.run_id}".lstrip()
        case m.RunFile():
            where = f" → {event.dataset}" if event.dataset else ""
            why = f": {event.problem}" if event.problem else ""
            text = f"{event.action} {event.path}{where} ({count(event.rows)} rows, {size(event.bytes)}){why}"
            return text if brief else f"{text}  {event.run_id}"
        case m.RunLog():
            return f"{event.level}: {event.message}" + ("" if brief else f"  {event.run_id}")
        case m.StreamChanged():
            return f"{event.dataset} {event.state}" + (f": {event.reason}" if event.reason else "")
        case m.StreamGap():
            repair = f", repaired by {event.run_id}" if event.run_id else ""
            lasts = duration((event.end - event.start) / NS)
            return f"{event.dataset} {interval(event.start, event.end)} ({lasts}): {event.reason}{repair}"
        case m.StreamSample():
            return f"{event.dataset} frame {count(event.count)} not understood: {event.error}: {event.sample[:80]}"
        case m.StoragePurged():
            return f"{event.dataset} {event.period} ({size(event.bytes)}): {event.reason}"
        case m.ActorChanged():
            again = f", {event.restarts} restarts" if event.restarts else ""
            return f"{event.path} {event.change}{again}" + (f": {event.reason}" if event.reason else "")
        case m.HostChanged():
            return f"{event.id} {event.change}: {event.reason}"
        case m.ReplayChanged(replay=replay):
            why = f": {replay.error}" if replay.error else ""
            return f"{replay.id} {replay.state}, {count(replay.records)} records{why}"
        case m.AlertChanged(incident=incident):
            return f"{incident.rule} {incident.subject} {incident.state}: {incident.detail}"
