"""When a job runs: a job, what is remembered of it and the time flow in; what to remember from now on, and whether a
run is to be started, flow out. Pure: the time and the dice (*chance*, from 0 to 1) are arguments.

A job is in one of these states, by its ``last_state`` and ``next_run``: its run goes on; it waits for its time; it has
none, as one that runs by hand.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

from dccd.jobs import JobSpec, JobState
from dccd.runs import ACTIVE, Run
from dccd.symbols import NS

__all__ = [
    "Step",
    "begin",
    "corrected",
    "decide",
    "ended",
    "ordered",
    "postponed",
    "refused",
    "running",
    "unable",
    "upcoming",
]

_MINUTE = 60 * NS
_HOUR = 3600 * NS
_SOON = 30 * NS
"""Until an order is given again that nobody could take."""
_GRACE = 60 * NS
"""What starts no later than this is no missed run: a restart of the daemon may lie between."""
_COUNTED = 1000
"""Missed times of a cron job that are counted at once; it may have been down for years."""
_UNTIED = 0.2
"""How much sooner than its time a failed run is tried again at most, as a share of the wait."""


class Step(msgspec.Struct, frozen=True):
    """What to do: ``start`` a run now or not; ``state`` is what to remember; ``missed`` how many times have passed
    without a run since it was last asked."""

    state: JobState
    start: bool = False
    missed: int = 0


def upcoming(spec: JobSpec, after: int) -> int | None:
    """Return the first time of the trigger behind *after* (ns), or None of one that has no times.

    Of cron, in its time zone, as Debian's: where neither minute nor hour begins with ``*``, a time that the clocks
    skip is due when they have skipped it, and one that comes twice is due the first time. Otherwise it counts hours
    as they pass: what is skipped is not due, what comes twice is due twice.
    """
    if spec.every is not None:
        return after + _ns(spec.every)
    if spec.cron is None:
        return None
    times = CronSim(spec.cron, datetime.fromtimestamp(after // NS, ZoneInfo(spec.timezone)))
    while True:
        # In the second of two equal hours CronSim counts from the first.
        time = int(next(times).astimezone(UTC).timestamp()) * NS
        if time > after:
            return time


def begin(
    spec: JobSpec, state: JobState | None, now: int, *, since: int, chance: float = 0.0, spread: float = 0.0
) -> JobState:
    """Return what to remember of a job that there is from *now* on, given what was remembered of it, if anything.

    What is new runs at once, put off by at most *spread* seconds; so does what runs at the daemon's start, which was at
    *since*. Where the trigger is the same as it was, the time is, too. Times are ns.
    """
    trigger = _trigger(spec)
    soon = now + int(chance * _ns(spec.jitter or spread))
    if state is not None and state.trigger == trigger:
        # The scheduler alone may have been restarted: then it had its run.
        ran = state.last_started is not None and since <= state.last_started <= now
        if spec.trigger_kind == "once" and not ran and not running(state):
            return msgspec.structs.replace(state, next_run=soon)
        return corrected(spec, state, now, chance)
    known = msgspec.structs.replace(state or JobState(), trigger=trigger, owed=False)
    match spec.trigger_kind:
        case "once":
            due: int | None = soon
        case "interval":
            due = soon if known.last_started is None else max(soon, min(now, known.last_started) + _every(spec))
        case "cron":
            due = _following(spec, now, now, chance)
        case _:
            due = None
    return msgspec.structs.replace(known, next_run=due)


def decide(spec: JobSpec, state: JobState, now: int, *, chance: float = 0.0, spread: float = 0.0) -> Step:
    """Return whether *spec*'s run starts *now*, and what to remember then.

    A job whose last run goes on isn't started; its time counts as missed. So does one that comes too late, since the
    daemon was down or the machine asleep. By ``missed`` one run makes up for all, within *spread* seconds, or none.
    """
    due = state.next_run
    if due is None or now < due:
        return Step(state)
    following = _following(spec, due, now, chance)
    timed = following is not None
    if running(state):
        if state.failures:  # what was to be tried again is being tried, by somebody's hand
            return Step(msgspec.structs.replace(state, next_run=following))
        passed = _passed(spec, due, now)
        owed = state.owed or spec.missed == "once"
        waits = msgspec.structs.replace(state, next_run=following, owed=owed, missed=state.missed + passed)
        return Step(waits, missed=passed)
    if timed and now - due > min(_GRACE, _every(spec)):
        passed = _passed(spec, due, now)
        late = msgspec.structs.replace(state, missed=state.missed + passed, next_run=following)
        if spec.missed == "skip":
            return Step(late, missed=passed)
        wait = int(chance * _ns(spec.jitter or spread))
        # What makes up for it is where an interval counts from.
        due = now + wait if wait else _following(spec, now, now, chance)
        return Step(msgspec.structs.replace(late, next_run=due), start=not wait, missed=passed)
    return Step(msgspec.structs.replace(state, next_run=following), start=True)


def ordered(state: JobState, run: Run, now: int) -> JobState:
    """Return what to remember once *run* is the job's."""
    return msgspec.structs.replace(
        state, last_run_id=run.run_id, last_started=now, last_finished=None, last_state=run.state, owed=False
    )


def postponed(state: JobState, now: int) -> JobState:
    """Return what to remember when nobody could take the order: that is no failure, and it is soon given again."""
    due = now + _SOON
    return msgspec.structs.replace(state, next_run=due if state.next_run is None else min(due, state.next_run))


def refused(state: JobState, error: str | None, now: int) -> JobState:
    """Return what to remember when the run was refused, or (*error* None) there is nothing to do.

    A refusal stands until the next time of the trigger: what the exchange can't do it can't in a minute either.
    """
    fields = {"last_started": now, "last_finished": now, "owed": False, "error": error}
    if error is None:
        return msgspec.structs.replace(state, last_state="done", failures=0, goes_on=False, **fields)
    return msgspec.structs.replace(state, last_state="failed", failures=state.failures + 1, **fields)


def unable(spec: JobSpec, state: JobState, error: str, now: int, chance: float = 0.0) -> JobState:
    """Return what to remember when no run could be made, for a fault of ours: it is tried again as a failed run is."""
    state = refused(state, error, now)
    return msgspec.structs.replace(state, next_run=_again(spec, state, state.failures, now, chance))


def ended(spec: JobSpec, state: JobState, run: Run, now: int, chance: float = 0.0) -> JobState:
    """Return what to remember when the job's *run* is over.

    A failed one is tried again after a minute, then two, four and so on, up to an hour or the trigger's next time,
    whichever is sooner; with up to a fifth less, so that many that failed together don't come together again. A run
    that is owed starts when this one is done.
    """
    finished, due = run.finished or now, state.next_run
    if state.owed and run.state == "done":
        due = now
    state = msgspec.structs.replace(state, last_finished=finished, last_state=run.state, error=run.error, owed=False)
    if run.state == "failed":
        failures = state.failures + 1
        due = _again(spec, state, failures, now, chance)
        # What the failed run has stored needn't be fetched a second time.
        part = run.position > run.start
        return msgspec.structs.replace(state, failures=failures, next_run=due, goes_on=part or state.goes_on)
    if run.state == "cancelled":
        return state
    return msgspec.structs.replace(state, failures=0, error=None, goes_on=False, next_run=due)


def corrected(spec: JobSpec, state: JobState, now: int, chance: float = 0.0) -> JobState:
    """Return *state* with a ``next_run`` that can be: after a clock that was ahead is put right, it may lie years away.

    A clock that goes back by less than a trigger's step makes nothing run twice.
    """
    due = state.next_run
    if due is None:
        return state
    match spec.trigger_kind:
        case "interval":
            latest = now + max(_every(spec), _SOON)
            instead = now + _every(spec)
        case "cron":
            first = upcoming(spec, now)
            second = None if first is None else upcoming(spec, first)
            if first is None or second is None:
                return state
            latest = second + _ns(spec.jitter)
            instead = first + int(chance * _ns(spec.jitter))
        case _:
            latest = now + _HOUR + _ns(spec.jitter)
            instead = now
    return state if due <= latest else msgspec.structs.replace(state, next_run=instead)


def running(state: JobState) -> bool:
    """Whether the job's last run isn't over, as far as is known."""
    return state.last_state in ACTIVE


# ---------------------------------------------------------------- details


def _ns(seconds: float) -> int:
    return int(seconds * NS)


def _every(spec: JobSpec) -> int:
    return _HOUR if spec.every is None else _ns(spec.every)


def _trigger(spec: JobSpec) -> str:
    """What a job's times follow from; another one makes them anew. A ``once`` job that begins elsewhere is another."""
    match spec.trigger_kind:
        case "interval":
            return f"every {spec.every:g}"
        case "cron":
            return f"cron {spec.cron} {spec.timezone}"
        case "once":
            return f"once {spec.start}"
    return spec.trigger_kind


def _following(spec: JobSpec, due: int, now: int, chance: float) -> int | None:
    """The time after *due* that isn't past *now*: of an interval on the grid that *due* is on."""
    if spec.every is not None:
        step = _ns(spec.every)
        return due + ((now - due) // step + 1) * step
    time = upcoming(spec, now)
    return None if time is None else time + int(chance * _ns(spec.jitter))


def _passed(spec: JobSpec, due: int, now: int) -> int:
    """How many times of the trigger have come from *due* to *now*, both included."""
    if spec.every is not None:
        return (now - due) // _ns(spec.every) + 1
    count, time = 1, upcoming(spec, due)
    while time is not None and time <= now and count < _COUNTED:
        count, time = count + 1, upcoming(spec, time)
    return count


def _again(spec: JobSpec, state: JobState, failures: int, now: int, chance: float) -> int | None:
    """When a job is due that has just failed, so many times in a row."""
    if spec.trigger_kind == "manual":
        return state.next_run
    longest = min(_HOUR, _every(spec))
    again = now + int(min(longest, _MINUTE << min(failures - 1, 10)) * (1 - _UNTIED * chance))
    return again if state.next_run is None else min(again, state.next_run)
