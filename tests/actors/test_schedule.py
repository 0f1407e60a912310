"""When jobs run: time zones, overlap, what was missed, failures, and clocks that jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.schedule import begin, corrected, decide, ended, ordered, postponed, refused, running, unable, upcoming
from dccd.jobs import JobSpec, JobState
from dccd.runs import Run, RunState
from dccd.symbols import NS, parse_time

NOW = parse_time("2024-07-01T10:30:00Z")
MINUTE, HOUR = 60 * NS, 3600 * NS


def spec(kind: str = "interval", every: float | None = 3600.0, cron: str | None = None, **fields: Any) -> JobSpec:
    return JobSpec(
        name="backfill.binance.trades.BTC-USDT",
        operation="backfill",
        dataset="binance.trades.BTC-USDT",
        trigger_kind=kind,  # type: ignore[arg-type]  # a test
        every=every if kind == "interval" else None,
        cron=cron,
        **fields,
    )


def cron(fields: str, timezone: str = "UTC", **more: Any) -> JobSpec:
    return spec("cron", cron=fields, timezone=timezone, **more)


def a_run(state: RunState = "running", position: int = 0, run_id: str = "r1", error: str | None = None) -> Run:
    return Run(
        run_id=run_id,
        dataset="binance.trades.BTC-USDT",
        state=state,
        host="h",
        created=0,
        updated=0,
        start=0,
        end=100,
        position=position,
        error=error,
    )


def waiting(job: JobSpec, due: int | None, **fields: Any) -> JobState:
    """A job that had a run, and waits for *due*."""
    fresh = begin(job, None, NOW, since=NOW)
    values = {"last_state": "done", "last_started": NOW - HOUR, "last_run_id": "r0", **fields}
    return msgspec.structs.replace(fresh, next_run=due, **values)


# ---------------------------------------------------------------- the times of a trigger


@pytest.mark.parametrize(
    ("job", "after", "due"),
    [
        (spec(every=5400), "2024-07-01T10:30:00Z", "2024-07-01T12:00:00Z"),
        (cron("0 12 * * *"), "2024-07-01T10:30:00Z", "2024-07-01T12:00:00Z"),
        (cron("0 12 * * *"), "2024-07-01T12:00:00Z", "2024-07-02T12:00:00Z"),
        (cron("0 12 * * *", "Europe/Paris"), "2024-07-01T10:30:00Z", "2024-07-02T10:00:00Z"),
        (cron("*/15 * * * *"), "2024-07-01T10:30:00.5Z", "2024-07-01T10:45:00Z"),
        # Paris, 2024-03-31: 02:00 to 03:00 doesn't exist. A fixed time is due right after, and once.
        (cron("30 2 * * *", "Europe/Paris"), "2024-03-30T12:00:00Z", "2024-03-31T01:00:00Z"),
        (cron("30 2 * * *", "Europe/Paris"), "2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"),
        (cron("0,30 2 * * *", "Europe/Paris"), "2024-03-31T01:00:00Z", "2024-04-01T00:00:00Z"),
        # Counted by the hour, what doesn't exist isn't due.
        (cron("30 * * * *", "Europe/Paris"), "2024-03-31T00:30:00Z", "2024-03-31T01:30:00Z"),
        (cron("*/20 2 * * *", "Europe/Paris"), "2024-03-30T12:00:00Z", "2024-04-01T00:00:00Z"),
        # Paris, 2024-10-27: 02:00 to 03:00 comes twice. A fixed time is due the first time, and once.
        (cron("30 2 * * *", "Europe/Paris"), "2024-10-26T12:00:00Z", "2024-10-27T00:30:00Z"),
        (cron("30 2 * * *", "Europe/Paris"), "2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"),
        (cron("30 2 * * *", "Europe/Paris"), "2024-10-27T01:10:00Z", "2024-10-28T01:30:00Z"),
        # Counted by the hour, it is due both times.
        (cron("30 * * * *", "Europe/Paris"), "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"),
        (cron("*/30 2 * * *", "Europe/Paris"), "2024-10-27T00:30:00Z", "2024-10-27T01:00:00Z"),
        # Half an hour, on the other side of the world.
        (cron("15 2 * * *", "Australia/Lord_Howe"), "2024-10-05T00:00:00Z", "2024-10-05T15:30:00Z"),
        (cron("0 0 29 2 *"), "2024-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        (spec("once"), "2024-07-01T10:30:00Z", None),
        (spec("manual"), "2024-07-01T10:30:00Z", None),
    ],
)
def test_the_next_time(job: JobSpec, after: str, due: str | None) -> None:
    """Intervals count from the last time; cron is read in its zone, as Debian's where the clocks change."""
    assert upcoming(job, parse_time(after)) == (None if due is None else parse_time(due))


@given(
    st.sampled_from(["30 2 * * *", "0 3 * * 0", "15 */6 * * *", "*/20 2 * * *", "5,35 1,2,3 * * *", "0 2 31 3 *"]),
    st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]),
    st.integers(parse_time("2023-01-01"), parse_time("2030-01-01")),
)
def test_times_go_forward_and_are_what_the_fields_say(fields: str, zone: str, after: int) -> None:
    """Whatever clocks do: a next time is later, nothing lies between, and minute and hour fit where they exist."""
    job = cron(fields, zone)
    due = upcoming(job, after)
    assert due is not None and due > after
    assert upcoming(job, due - NS) == due
    assert upcoming(job, (after + due) // 2) == due
    local = datetime.fromtimestamp(due // NS, UTC).astimezone(ZoneInfo(zone))
    before = (local.astimezone(UTC) - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
    jumped = (local.replace(tzinfo=None) - before.replace(tzinfo=None)) > timedelta(minutes=1)
    minute, hour = fields.split()[:2]
    assert jumped or (fits(minute, local.minute) and fits(hour, local.hour))


def fits(field: str, value: int) -> bool:
    return any(value % int(one[2:]) == 0 if one.startswith("*/") else value == int(one) for one in field.split(","))


# ---------------------------------------------------------------- the first time


@pytest.mark.parametrize(
    ("job", "due"),
    [
        (spec("once"), NOW + 5 * NS),
        (spec(every=3600), NOW + 5 * NS),
        (spec(every=3600, jitter=60.0), NOW + 30 * NS),
        (cron("0 11 * * *"), parse_time("2024-07-01T11:00:00Z")),
        (cron("0 11 * * *", jitter=60.0), parse_time("2024-07-01T11:00:30Z")),
        (spec("manual"), None),
    ],
)
def test_the_first_time(job: JobSpec, due: int | None) -> None:
    """What is new runs at once, spread by the dice so that many don't come together; cron only by `jitter`."""
    assert begin(job, None, NOW, since=NOW, chance=0.5, spread=10).next_run == due


def test_a_known_job_keeps_its_time() -> None:
    """A restart neither brings the next run forward nor puts it off."""
    for job in (spec(every=7200), cron("0 12 * * *")):
        state = waiting(job, NOW + HOUR, failures=2)
        assert begin(job, state, NOW, since=NOW) == state


@pytest.mark.parametrize(
    ("before", "after", "due"),
    [
        (spec(every=86_400), spec(every=7200), NOW + HOUR),
        (spec(every=86_400), spec(every=60), NOW),
        (spec(every=3600), cron("0 11 * * *"), parse_time("2024-07-01T11:00:00Z")),
        (cron("0 11 * * *"), cron("0 11 * * *", "America/New_York"), parse_time("2024-07-01T15:00:00Z")),
        (spec("once"), spec("once", start="origin"), NOW),
        (spec(every=3600), spec("manual"), None),
    ],
)
def test_a_changed_trigger_has_new_times(before: JobSpec, after: JobSpec, due: int | None) -> None:
    """An interval counts from the last run, cron from now, and no run is owed for the trigger that was."""
    state = waiting(before, NOW + 20 * HOUR, owed=True)
    made = begin(after, state, NOW, since=NOW - HOUR)
    assert (made.next_run, made.owed, made.last_run_id) == (due, False, "r0")


@pytest.mark.parametrize(("since", "due"), [(NOW - 2 * HOUR, None), (NOW - MINUTE, NOW)])
def test_once_is_once_a_start_of_the_daemon(since: int, due: int | None) -> None:
    """Not again when only the scheduler is restarted: its last run, an hour ago, was before or after the start."""
    job = spec("once")
    assert begin(job, waiting(job, None), NOW, since=since).next_run == due


def test_a_run_that_goes_on_after_a_restart_is_the_one_of_once() -> None:
    """A killed daemon's run is resumed; it isn't asked for beside that."""
    job = spec("once")
    assert begin(job, waiting(job, None, last_state="running"), NOW, since=NOW).next_run is None


# ---------------------------------------------------------------- its time has come


@pytest.mark.parametrize(
    ("job", "due", "start", "next_run"),
    [
        (spec(), NOW + 1, False, NOW + 1),
        (spec(), NOW, True, NOW + HOUR),
        (spec(), NOW - 2 * NS, True, NOW - 2 * NS + HOUR),
        (spec(every=1), NOW - NS // 2, True, NOW + NS // 2),
        (cron("*/30 * * * *"), NOW, True, NOW + HOUR // 2),
        (cron("*/30 * * * *", jitter=60.0), NOW + 30 * NS, False, NOW + 30 * NS),
        (spec("once"), NOW - 2 * HOUR, True, None),
    ],
)
def test_a_run_starts_at_its_time(job: JobSpec, due: int, start: bool, next_run: int | None) -> None:
    """Not before; a moment's delay doesn't move the times that follow."""
    step = decide(job, waiting(job, due), NOW, chance=0.5)
    assert (step.start, step.state.next_run, step.missed) == (start, next_run, 0)


@pytest.mark.parametrize("missed", ["once", "skip"])
def test_no_run_beside_itself(missed: Any) -> None:
    """A job whose last run goes on is not started; its time is missed, and one run owed if the policy says so."""
    job = spec(every=60, missed=missed)
    state = waiting(job, NOW, last_state="running")
    step = decide(job, state, NOW)
    assert (step.start, step.missed, step.state.missed, step.state.owed) == (False, 1, 1, missed == "once")
    again = decide(job, step.state, NOW + MINUTE).state
    assert (again.missed, again.next_run) == (2, NOW + 2 * MINUTE)
    over = ended(job, again, a_run("done"), NOW + 90 * NS)
    assert not over.owed
    assert decide(job, over, NOW + 90 * NS).start == (missed == "once")


@pytest.mark.parametrize(
    ("job", "missed"),
    [(spec(), 8), (cron("*/20 * * * *"), 22), (cron("* * * * *"), 421), (cron("0 12 * * *"), 1)],
)
def test_one_run_makes_up_for_all_that_were_missed(job: JobSpec, missed: int) -> None:
    """After hours asleep or down there is one run, within the spread, and the next is at its time."""
    state = waiting(job, NOW - 7 * HOUR)
    step = decide(job, state, NOW, chance=0.5, spread=10)
    assert (step.start, step.missed, step.state.missed) == (False, missed, missed)
    assert step.state.next_run == NOW + 5 * NS
    later = decide(job, step.state, NOW + 5 * NS, chance=0.5, spread=10)
    assert (later.start, later.missed) == (True, 0)
    assert later.state.next_run == upcoming(job, NOW + 5 * NS)
    alone = decide(job, state, NOW)  # nothing to be spread from: at once
    assert alone.start and alone.state.next_run == upcoming(job, NOW)


@pytest.mark.parametrize(
    ("job", "due"), [(spec(), NOW - HOUR // 2), (cron("0 * * * *"), parse_time("2024-07-01T10:00:00Z"))]
)
def test_what_was_missed_may_be_left_out(job: JobSpec, due: int) -> None:
    """With `skip` nothing makes up for it: the next run is at the trigger's next time."""
    job = msgspec.structs.replace(job, missed="skip")
    step = decide(job, waiting(job, due), NOW)
    assert (step.start, step.missed, step.state.next_run) == (False, 1, NOW + HOUR // 2)


def test_a_short_restart_is_no_miss() -> None:
    """What was due seconds ago, while the daemon started, runs by either policy and isn't counted."""
    for job in (spec(missed="skip"), cron("* * * * *", missed="skip")):
        step = decide(job, waiting(job, NOW - 20 * NS), NOW)
        assert (step.start, step.missed) == (True, 0)


# ---------------------------------------------------------------- failures


def test_failures_are_tried_again_ever_more_seldom() -> None:
    """After 1, 2, 4 … minutes up to an hour, told in the state; a success begins anew."""
    job = cron("0 0 1 1 *")
    state, now, waits = waiting(job, upcoming(job, NOW)), NOW, []
    for attempt in range(1, 10):
        state = ended(job, ordered(state, a_run(run_id=f"r{attempt}"), now), a_run("failed", error="down"), now)
        assert (state.failures, state.error, state.last_state) == (attempt, "down", "failed")
        assert state.next_run is not None
        waits.append((state.next_run - now) // MINUTE)
        now = state.next_run
        step = decide(job, state, now)
        assert step.start and step.missed == 0
        state = step.state
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    state = ended(job, ordered(state, a_run(), now), a_run("done"), now)
    assert (state.failures, state.error, state.next_run) == (0, None, upcoming(job, NOW))


@pytest.mark.parametrize(
    ("job", "due", "wait"),
    [
        (spec(every=20), NOW + 15 * NS, 15 * NS),
        (spec(every=300), NOW + 300 * NS, 300 * NS),
        (cron("31 * * * *"), NOW + 40 * NS, 40 * NS),
        (spec("once"), None, HOUR),
        (spec("manual"), None, None),
    ],
)
def test_a_failure_puts_off_no_regular_run(job: JobSpec, due: int | None, wait: int | None) -> None:
    """The wait is at most the interval; what is due earlier anyway comes then; what runs by hand isn't tried again."""
    state = ended(job, waiting(job, due, failures=7), a_run("failed"), NOW)
    assert state.next_run == (None if wait is None else NOW + wait)


@given(st.integers(1, 100), st.floats(0, 0.999), st.floats(1, 1e6))
def test_tries_are_spread_and_bounded(failures: int, chance: float, every: float) -> None:
    """However many have failed, the next try is within the hour and the interval, and less than a fifth sooner."""
    job = spec(every=every)
    state = ended(job, waiting(job, NOW + int(every * NS), failures=failures - 1), a_run("failed"), NOW, chance)
    full = min(3600.0, every, 60.0 * 2 ** min(failures - 1, 30)) * NS
    assert state.next_run is not None
    assert 0.79 * full <= state.next_run - NOW <= full


def test_what_a_failed_run_has_stored_is_not_fetched_again() -> None:
    """Half-way or not is remembered until a run is done."""
    job = spec()
    half = ended(job, waiting(job, NOW), a_run("failed", position=50), NOW)
    assert half.goes_on
    assert ended(job, half, a_run("failed", position=0), NOW).goes_on
    assert not ended(job, half, a_run("done", position=100), NOW).goes_on
    assert not ended(job, waiting(job, NOW), a_run("failed", position=0), NOW).goes_on


def test_a_cancelled_run_is_neither_failure_nor_success() -> None:
    """Nothing is tried again at once, nothing is owed any more, and failures before it still count."""
    job = spec()
    state = ended(job, waiting(job, NOW + HOUR, owed=True, failures=2), a_run("cancelled"), NOW)
    assert (state.last_state, state.failures, state.owed, state.next_run) == ("cancelled", 2, False, NOW + HOUR)


def test_a_run_by_hand_takes_the_place_of_a_try() -> None:
    """A try that comes due while it goes on is neither missed nor owed."""
    job = spec()
    step = decide(job, waiting(job, NOW, failures=3, last_state="running"), NOW)
    assert (step.start, step.missed, step.state.owed, step.state.next_run) == (False, 0, False, NOW + HOUR)


def test_a_refusal_stands_until_the_next_time() -> None:
    """It counts as a failure, with its reason, and isn't tried again before; that there is nothing to do is none."""
    job = spec()
    after = decide(job, waiting(job, NOW, failures=1), NOW).state
    state = refused(after, "no such thing", NOW)
    assert (state.failures, state.error, state.last_state, state.next_run) == (2, "no such thing", "failed", NOW + HOUR)
    idle = refused(after, None, NOW)
    assert (idle.failures, idle.error, idle.last_state, idle.next_run) == (0, None, "done", NOW + HOUR)


def test_a_fault_of_ours_is_tried_again() -> None:
    """A file that could not be read may be there in a minute: that is a failure as any other."""
    job = spec()
    state = unable(job, decide(job, waiting(job, NOW), NOW).state, "no such file", NOW)
    assert (state.failures, state.error, state.last_state, state.next_run) == (
        1,
        "no such file",
        "failed",
        NOW + MINUTE,
    )
    assert unable(spec("manual"), waiting(spec("manual"), None), "no such file", NOW).next_run is None


@pytest.mark.parametrize(("job", "due"), [(spec(), NOW + 30 * NS), (spec(every=5), NOW + 5 * NS), (spec("once"), None)])
def test_an_order_that_nobody_takes_is_given_again_soon(job: JobSpec, due: int | None) -> None:
    """A daily job doesn't lose its day to a bus that is away for a moment, and that is no failure."""
    state = postponed(decide(job, waiting(job, NOW), NOW).state, NOW)
    assert (state.next_run, state.failures) == (due or NOW + 30 * NS, 0)


# ---------------------------------------------------------------- clocks that jump


@pytest.mark.parametrize(
    ("job", "due", "instead"),
    [
        (spec(), NOW + 1000 * HOUR, NOW + HOUR),
        (spec(), NOW + HOUR // 2, NOW + HOUR // 2),
        (cron("0 12 * * *"), parse_time("2030-01-01T12:00:00Z"), parse_time("2024-07-01T12:00:00Z")),
        # Put back by half an hour after its run: tomorrow's time stays, and nothing runs twice.
        (cron("0 11 * * *"), parse_time("2024-07-02T11:00:00Z"), parse_time("2024-07-02T11:00:00Z")),
        (spec("once"), NOW + 1000 * HOUR, NOW),
        (spec("manual"), None, None),
    ],
)
def test_a_time_that_a_wrong_clock_made_is_corrected(job: JobSpec, due: int | None, instead: int | None) -> None:
    """Nobody waits for years since the clock was years ahead; what can be is left as it is."""
    state = waiting(job, due)
    assert corrected(job, state, NOW).next_run == instead
    if job.trigger_kind != "once":
        assert begin(job, state, NOW, since=NOW).next_run == instead


def test_a_clock_that_jumps_ahead_is_a_miss() -> None:
    """As if the machine had been asleep: one run, not one for each time that was jumped over."""
    job = spec(every=60)
    step = decide(job, waiting(job, NOW), NOW + 100 * HOUR)
    assert (step.start, step.missed, step.state.next_run) == (True, 6001, NOW + 100 * HOUR + MINUTE)


@given(
    st.sampled_from(
        [spec(every=60), spec(every=60, missed="skip"), cron("*/7 * * * *"), cron("*/7 * * * *", jitter=90.0)]
    ),
    st.lists(st.tuples(st.integers(1, 4000), st.sampled_from(["done", "failed", "cancelled", ""])), max_size=60),
    st.floats(0, 0.999),
)
def test_there_is_never_more_than_one_run(job: JobSpec, story: list[tuple[int, Any]], chance: float) -> None:
    """Whatever happens when: no run starts beside another, the next time is ahead, and what waits isn't years away."""
    state, now = begin(job, None, NOW, since=NOW, chance=chance, spread=5), NOW
    for seconds, end in story:
        now += seconds * NS
        if running(state) and end:
            state = ended(job, state, a_run(end), now, chance)
        went_on = running(state)
        step = decide(job, state, now, chance=chance, spread=5)
        assert not (step.start and went_on)
        state = ordered(step.state, a_run(), now) if step.start else step.state
        assert state.next_run is not None and now < state.next_run <= now + 600 * NS
