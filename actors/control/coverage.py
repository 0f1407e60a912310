"""``dccd.coverage`` and ``dccd.repair``: requests flow in, orders to the catalogue and replies flow out."""

from __future__ import annotations

from collections import defaultdict

from actors.known import fetched_by, under_way
from actors.links import Links
from actors.mail import GetCoverage, RepairAsked
from dccd import messages as m
from dccd.runs import Run
from dccd.store.coverage import Coverage, Stretch
from dccd.symbols import NS, Dataset, is_under, parse_range

__all__ = ["coverage", "repair", "reply_of"]

_SECONDS = 60.0
_INTERVALS = 1000


async def coverage(links: Links, request: m.CoverageGet) -> m.Coverage:
    """Answer what is there of a dataset's time. Raises IdentityError for a time that is none."""
    dataset = request.resolve()
    found, runs = await links.catalogue.ask(GetCoverage(dataset), timeout=_SECONDS)
    return reply_of(dataset, links.host, found, runs, *parse_range(request.start, request.end))


async def repair(links: Links, request: m.Repair) -> m.Repaired:
    """Have the missing intervals asked for; of those the first thousand are named, the others counted. Raises
    IdentityError."""
    start, end = parse_range(request.start, request.end)
    repairs: list[m.RepairEntry] = []
    waiting = 0
    for name in sorted(name for name in links.entries if is_under(name, request.dataset or "")):
        order = RepairAsked(Dataset.parse(name), start, end, unavailable=request.unavailable, dry_run=request.dry_run)
        done: m.Repaired = await links.catalogue.ask(order, timeout=_SECONDS)
        repairs += done.repairs
        waiting += done.waiting
    return m.Repaired(repairs=repairs[:_INTERVALS], waiting=waiting + max(0, len(repairs) - _INTERVALS))


def reply_of(
    dataset: Dataset, host: str, found: Coverage, runs: list[Run], start: int | None, end: int | None
) -> m.Coverage:
    """The reply that tells *found* between *start* and *end* (ns), so many intervals of it as a message holds. Pure."""
    low = found.start if start is None else start
    high = found.end if end is None else end
    stretches = found.stretches(low, high)
    seconds: defaultdict[str, float] = defaultdict(float)
    for one in stretches:
        seconds[one.state] += (one.end - one.start) / NS
    there = seconds["verified"] + seconds["empty"] + seconds["unverified"]
    total = sum(seconds.values()) - seconds["purged"]
    shown, ranges = stretches[:_INTERVALS], under_way(runs)
    return m.Coverage(
        dataset=dataset.name,
        host=host,
        start=low,
        end=high,
        fraction=there / total if total else 0.0,
        seconds={state: spent for state, spent in seconds.items() if spent},
        intervals=[_entry(one, ranges) for one in shown],
        next=stretches[_INTERVALS].start if len(stretches) > _INTERVALS else None,
    )


def _entry(one: Stretch, ranges: list[tuple[str, int, int]]) -> m.CoverageEntry:
    run_id = fetched_by(ranges, one.start, one.end) if one.state == "missing" else None
    return m.CoverageEntry(start=one.start, end=one.end, state=one.state, reason=one.reason, run_id=run_id)
