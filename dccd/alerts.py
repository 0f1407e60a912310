"""What is an incident, when it begins, and when it is over. Pure.

What the daemon knows of its parts at one moment flows in as :class:`Facts`; :func:`findings` makes of it what is wrong,
and :func:`settled` compares that with the incidents so far: an incident is opened once, stays open as long as what it
is about, and is over once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from dccd.config_alerts import AlertRule, Alerts
from dccd.config_units import parse_duration
from dccd.jobs import JobState
from dccd.messages import DatasetEntry, HealthCheck, Incident, StreamEntry
from dccd.symbols import NS, format_time

__all__ = ["Facts", "Finding", "Pending", "Verdict", "findings", "forgotten", "settled"]

_RECENT = 2 * 86_400 * NS
_FORGOTTEN = 7 * 86_400 * NS
_ELSEWHERE = ("streams", "backfills", "jobs")
"""Health checks whose parts are told one by one."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at ``now`` (ns). ``first_seen``: since when each stream is there."""

    now: int
    checks: list[HealthCheck]
    streams: list[StreamEntry]
    jobs: Mapping[str, JobState]
    datasets: Iterable[DatasetEntry] = ()
    first_seen: Mapping[str, int] = {}


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong: ``key`` is the same as long as it is the same thing."""

    key: str
    rule: AlertRule
    subject: str
    detail: str
    since: int


class Verdict(msgspec.Struct, frozen=True):
    """What is wrong, by key; and of what can't be told now, so that it stays as it was."""

    wrong: dict[str, Finding]
    unknown: frozenset[str] = frozenset()


def findings(facts: Facts, alerts: Alerts, known: Iterable[str] = ()) -> Verdict:
    """Return what is wrong by *facts*; *known* are the keys of the incidents that are open."""
    unknown: set[str] = set()
    wrong = [*_checks(facts), *_streams(facts, alerts, unknown), *_jobs(facts, alerts)]
    wrong += _holes(facts, alerts, frozenset(known))
    return Verdict({one.key: one for one in wrong}, frozenset(unknown))


def _checks(facts: Facts) -> Iterator[Finding]:
    for check in facts.checks:
        if not check.ok and check.name not in _ELSEWHERE:
            rule: AlertRule = check.name if check.name in ("archiver", "space") else "health"  # type: ignore[assignment]  # the same names
            yield Finding(f"health:{check.name}", rule, check.name, check.detail, facts.now)


def _streams(facts: Facts, alerts: Alerts, unknown: set[str]) -> Iterator[Finding]:
    for stream in facts.streams:
        name = stream.dataset
        if stream.state in ("gave_up", "refused"):
            what = "set aside" if stream.state == "gave_up" else "refused by the exchange"
            told = f"{what}: {stream.error or 'crashed too often'}"
            yield Finding(f"gave_up:{name}", "gave_up", name, told, facts.now)
        silence = alerts.silence_of(name)
        if not silence:
            continue
        last = stream.last_recv_ts
        since = facts.first_seen.get(name, facts.now) if last is None else last
        if facts.now - since > silence * NS:
            told = "no record yet" if last is None else f"no record since {format_time(last)}"
            error = f": {stream.error}" if stream.error else ""
            yield Finding(f"stale:{name}", "stale", name, f"{told} ({stream.state}{error})", since)
        elif last is None:
            unknown.add(f"stale:{name}")  # as after a restart: it hasn't had the time to show


def _jobs(facts: Facts, alerts: Alerts) -> Iterator[Finding]:
    for name, job in facts.jobs.items():
        if alerts.failures and job.failures >= alerts.failures:
            why = f": {job.error}" if job.error else ""
            told = f"{job.failures} runs in a row have failed{why}"
            yield Finding(f"failures:{name}", "failures", name, told, job.last_finished or facts.now)


def _holes(facts: Facts, alerts: Alerts, known: frozenset[str]) -> Iterator[Finding]:
    least = parse_duration(alerts.hole) * NS
    if not least:
        return
    for entry in facts.datasets:
        for gap in entry.gaps:
            key = f"hole:{entry.dataset}:{gap.start}"
            lost = gap.state == "unavailable" and gap.end - gap.start >= least
            # Older ones are of before there was a stream: what an exchange has never served.
            if lost and (key in known or facts.now - gap.end < _RECENT):
                told = f"{format_time(gap.start)} to {format_time(gap.end)} is missing for good: {gap.reason}"
                yield Finding(key, "hole", entry.dataset, told, gap.start)


class Pending(msgspec.Struct, frozen=True):
    """Of keys that have turned: since when (ns) they are wrong, or right again, without a break."""

    wrong: dict[str, int] = {}
    right: dict[str, int] = {}


def settled(
    incidents: Mapping[str, Incident], pending: Pending, verdict: Verdict, now: int, settle: float, host: str
) -> tuple[list[Incident], Pending]:
    """Return the incidents that begin, or are over, and what hasn't held for *settle* seconds yet.

    *incidents* are those that are open, by key. One about a hole is over when the hole is closed, and after a week is
    left as it is.
    """
    changed: list[Incident] = []
    wrong, right = {}, {}
    for key, finding in verdict.wrong.items():
        open_one = incidents.get(key)
        if open_one is not None:
            continue
        since = min(now, pending.wrong.get(key, now))  # a clock that was put back begins anew
        if now - since < settle * NS:
            wrong[key] = since
            continue
        changed.append(
            Incident(
                key=key,
                host=host,
                rule=finding.rule,
                subject=finding.subject,
                state="open",
                detail=finding.detail,
                since=finding.since if finding.rule in ("stale", "hole") else since,
                opened=now,
            )
        )
    for key, incident in incidents.items():
        if key in verdict.wrong or key in verdict.unknown:
            continue
        since = min(now, pending.right.get(key, now))
        if now - since < settle * NS:
            right[key] = since
        else:
            changed.append(msgspec.structs.replace(incident, state="resolved", resolved=now))
    return changed, Pending(wrong, right)


def forgotten(incident: Incident, now: int) -> bool:
    """Whether an incident has been told long ago, and nothing more is to come of it."""
    last = incident.resolved if incident.resolved is not None else incident.opened if incident.rule == "hole" else now
    return now - last > _FORGOTTEN
