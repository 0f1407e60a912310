"""What is an incident, when it begins, and when it is over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.alerts import Facts, Finding, Pending, Verdict, findings, forgotten, settled
from dccd.config_alerts import Alerts
from dccd.jobs import JobState
from dccd.messages import DatasetEntry, GapEntry, HealthCheck, Incident, StreamEntry
from dccd.symbols import NS

NOW = 1_700_000_000 * NS
BTC = "binance.trades.BTC-USDT"


def facts(**fields: Any) -> Facts:
    return Facts(**{"now": NOW, "checks": [], "streams": [], "jobs": {}, **fields})


def stream(state: str = "live", last: float | None = None, error: str | None = None) -> StreamEntry:
    return StreamEntry(
        dataset=BTC,
        state=state,  # type: ignore[arg-type]  # one of its states
        last_recv_ts=None if last is None else NOW - int(last * NS),
        error=error,
    )


def job(failures: int) -> dict[str, JobState]:
    state = JobState(failures=failures, error="503 Service Unavailable", last_finished=NOW - 5 * NS)
    return {f"backfill.{BTC}": state}


def dataset(ago: float, lasted: float, state: str = "unavailable") -> DatasetEntry:
    end = NOW - int(ago * NS)
    gap = GapEntry(start=end - int(lasted * NS), end=end, reason="disconnected", state=state)  # type: ignore[arg-type]  # one of its states
    return DatasetEntry(dataset=BTC, host="a", rows=1, files=1, bytes=1, first_ts=0, last_ts=1, gaps=[gap])


DAY = 86_400


@pytest.mark.parametrize(
    ("given_facts", "alerts", "wrong"),
    [
        (facts(), Alerts(), []),
        (facts(checks=[HealthCheck(name="bus", ok=True)]), Alerts(), []),
        (facts(checks=[HealthCheck(name="bus", ok=False)]), Alerts(), ["health:bus"]),
        (facts(checks=[HealthCheck(name="space", ok=False)]), Alerts(), ["health:space"]),
        # The streams are told one by one.
        (facts(checks=[HealthCheck(name="streams", ok=False)]), Alerts(), []),
        (facts(streams=[stream("gave_up")]), Alerts(), [f"gave_up:{BTC}"]),
        (facts(streams=[stream("refused")]), Alerts(), [f"gave_up:{BTC}"]),
        (facts(streams=[stream("reconnecting", 5)]), Alerts(stream_silence=60), []),
        (facts(streams=[stream("reconnecting", 61)]), Alerts(stream_silence=60), [f"stale:{BTC}"]),
        (facts(streams=[stream("live", 61)]), Alerts(), []),
        (facts(streams=[stream("live", 61)]), Alerts(silence={"binance.*": 60}), [f"stale:{BTC}"]),
        (facts(streams=[stream("live", 61)]), Alerts(silence={"*.BTC-*": 0, "*": 60}), []),
        (facts(streams=[stream("live", 61)]), Alerts(silence={"kraken.*": 1}, stream_silence=90), []),
        (facts(jobs=job(2)), Alerts(), []),
        (facts(jobs=job(3)), Alerts(), [f"failures:backfill.{BTC}"]),
        (facts(jobs=job(3)), Alerts(failures=0), []),
        (facts(jobs=job(1)), Alerts(failures=1), [f"failures:backfill.{BTC}"]),
        (facts(datasets=[dataset(60, 90)]), Alerts(), [f"hole:{BTC}:{NOW - 150 * NS}"]),
        (facts(datasets=[dataset(60, 90)]), Alerts(hole=0), []),
        (facts(datasets=[dataset(60, 90)]), Alerts(hole="2m"), []),
        (facts(datasets=[dataset(60, 90, "missing")]), Alerts(), []),
        (facts(datasets=[dataset(60, 90, "purged")]), Alerts(), []),
        (facts(datasets=[dataset(3 * DAY, 90)]), Alerts(), []),
    ],
)
def test_what_is_wrong(given_facts: Facts, alerts: Alerts, wrong: list[str]) -> None:
    """Each rule finds what it is about, and nothing else."""
    assert list(findings(given_facts, alerts).wrong) == wrong


def test_a_stream_without_a_record_yet_is_stale_after_its_time_and_unknown_before() -> None:
    """After a restart nobody knows whether it is still stale: it stays what it was until it had its time."""
    key, alerts = f"stale:{BTC}", Alerts(stream_silence=60)
    young = findings(facts(streams=[stream("connecting")], first_seen={BTC: NOW - 59 * NS}), alerts)
    assert (dict(young.wrong), young.unknown) == ({}, {key})
    old = findings(facts(streams=[stream("connecting", error="refused")], first_seen={BTC: NOW - 61 * NS}), alerts)
    assert "no record yet (connecting: refused)" in old.wrong[key].detail


def test_a_hole_that_is_known_stays_wrong_when_it_is_no_longer_new() -> None:
    """It isn't over just because days have passed."""
    entry = dataset(3 * DAY, 90)
    key = f"hole:{BTC}:{entry.gaps[0].start}"
    assert list(findings(facts(datasets=[entry]), Alerts(), [key]).wrong) == [key]


@pytest.mark.parametrize(
    ("rule", "wrong", "right"),
    [
        ("failures", {"jobs": job(3)}, {"jobs": job(0)}),
        ("stale", {"streams": [stream(last=601)]}, {"streams": [stream(last=1)]}),
        ("gave_up", {"streams": [stream("gave_up", 1)]}, {"streams": [stream("live", 1)]}),
        ("archiver", {"checks": [HealthCheck(name="archiver", ok=False)]}, {}),
        ("space", {"checks": [HealthCheck(name="space", ok=False)]}, {}),
        ("health", {"checks": [HealthCheck(name="clock", ok=False)]}, {}),
        ("hole", {"datasets": [dataset(60, 90)]}, {"datasets": []}),
    ],
)
def test_each_rule_begins_once_and_is_over_once(rule: str, wrong: dict[str, Any], right: dict[str, Any]) -> None:
    """However often it is looked at in between."""
    alerts, open_ones, told, pending = Alerts(stream_silence=600), dict[str, Incident](), list[str](), Pending()
    for second, given_facts in enumerate([*[wrong] * 5, *[right] * 5]):
        verdict = findings(facts(**given_facts), alerts, open_ones)
        changed, pending = settled(open_ones, pending, verdict, NOW + second * NS, 2, "a")
        for one in changed:
            assert one.rule == rule
            told.append(one.state)
            open_ones = {one.key: one} if one.state == "open" else {}
    assert told == ["open", "resolved"]


def finding(key: str, since: int = NOW) -> Finding:
    return Finding(key, "health", key, "it is wrong", since)


def opened(key: str, rule: Any = "health", at: int = NOW) -> Incident:
    return Incident(key=key, host="a", rule=rule, subject=key, state="open", detail="x", since=at, opened=at)


def test_an_incident_begins_once_it_has_held() -> None:
    """What is wrong at two looks, so far apart, is one incident since the first."""
    wrong = Verdict({"k": finding("k")})
    changed, pending = settled({}, Pending(), wrong, NOW, 10, "a")
    assert changed == []
    changed, pending = settled({}, pending, wrong, NOW + 9 * NS, 10, "a")
    assert changed == []
    changed, pending = settled({}, pending, wrong, NOW + 10 * NS, 10, "a")
    assert [(one.key, one.state, one.since, one.opened) for one in changed] == [("k", "open", NOW, NOW + 10 * NS)]
    assert settled({"k": changed[0]}, pending, wrong, NOW + 20 * NS, 10, "a")[0] == []


def test_what_flickers_is_neither_opened_nor_over() -> None:
    """Each turn starts the time anew."""
    wrong, right = Verdict({"k": finding("k")}), Verdict({})
    pending, incidents = Pending(), {"open": opened("open")}
    for second in range(0, 100, 4):
        verdict = wrong if second % 8 else Verdict({"open": finding("open")})
        changed, pending = settled(incidents, pending, verdict, NOW + second * NS, 5, "a")
        assert changed == []
    changed, _ = settled(incidents, Pending({}, {"open": NOW}), right, NOW + 5 * NS, 5, "a")
    assert [(one.state, one.resolved) for one in changed] == [("resolved", NOW + 5 * NS)]


def test_a_clock_that_is_put_back_holds_nothing_up() -> None:
    """What was about to begin, or to be over, waits for no longer than it must hold, and not for the clock."""
    hour = 3600 * NS
    wrong, open_one = Verdict({"k": finding("k")}), opened("o")
    pending = Pending({"k": NOW}, {"o": NOW})
    told: list[str] = []
    for second in (0, 10):
        now = NOW - hour + second * NS
        changed, pending = settled({"o": open_one}, pending, wrong, now, 10, "a")
        told += [one.state for one in changed]
    assert told == ["open", "resolved"]


def test_what_is_not_known_stays_as_it_is() -> None:
    """An open incident of which nothing can be told now isn't over, however long that takes."""
    verdict = Verdict({}, frozenset({"k"}))
    changed, pending = settled({"k": opened("k")}, Pending({}, {"k": 0}), verdict, NOW, 0, "a")
    assert (changed, pending) == ([], Pending())


@given(st.lists(st.sets(st.sampled_from("abc")), max_size=30), st.integers(0, 3))
def test_incidents_of_one_key_take_turns(looks: list[set[str]], settle: int) -> None:
    """Whatever comes: an incident is opened and is over in turns, and at rest what is open is what is wrong."""
    incidents: dict[str, Incident] = {}
    pending, told = Pending(), {key: "resolved" for key in "abc"}
    for second, wrong in enumerate([*looks, *[looks[-1] if looks else set()] * (settle + 1)]):
        verdict = Verdict({key: finding(key) for key in wrong})
        changed, pending = settled(incidents, pending, verdict, NOW + second * NS, settle, "a")
        for one in changed:
            assert told[one.key] != one.state
            told[one.key] = one.state
            if one.state == "open":
                incidents[one.key] = one
            else:
                del incidents[one.key]
    assert set(incidents) == (looks[-1] if looks else set())


@pytest.mark.parametrize(
    ("incident", "days", "gone"),
    [
        (opened("hole:x", "hole"), 6, False),
        (opened("hole:x", "hole"), 8, True),
        (opened("health:bus"), 100, False),
        (Incident(key="k", host="a", rule="stale", subject="k", state="resolved", detail="", since=0, opened=0,
                  resolved=NOW), 6, False),
        (Incident(key="k", host="a", rule="stale", subject="k", state="resolved", detail="", since=0, opened=0,
                  resolved=NOW), 8, True),
    ],
)  # fmt: skip
def test_what_is_over_is_forgotten_after_a_week(incident: Incident, days: int, gone: bool) -> None:
    """So is a hole that nobody can close; what is still wrong isn't."""
    assert forgotten(incident, NOW + days * DAY * NS) is gone
