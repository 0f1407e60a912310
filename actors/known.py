"""What is known of a dataset as its entry tells it, and which of its holes to ask for. Pure.

Statistics, coverage and the runs under way flow in; entries for ``dccd_datasets`` and orders for repairs flow out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import msgspec

from dccd.errors import RequestError
from dccd.messages import DatasetEntry, GapEntry
from dccd.runs import Run
from dccd.store.catalogue import DatasetStats
from dccd.store.coverage import NEVER_ASKED, Coverage, Gap, IntervalSet, bounded
from dccd.symbols import NS, Dataset, DataType

__all__ = [
    "CANCELLED",
    "REMOVED",
    "asked_for",
    "asked_range",
    "check_book",
    "entry_of",
    "fetched_by",
    "gaps_of",
    "left_by",
    "listed",
    "of_history",
    "repaired_by",
    "to_repair",
    "under_way",
]

CANCELLED = "its backfill was cancelled"
"""The reason of what a cancelled backfill leaves: somebody wanted it so, and it isn't asked for by itself."""

REMOVED = "files that held it were removed or changed"
"""The reason of what somebody took away by hand: it isn't asked for by itself either."""

_FAILED = "its backfill failed"

_KEEP = 100
_AT_ONCE = 8


def entry_of(entry: DatasetEntry, stats: DatasetStats, coverage: Coverage, runs: Iterable[Run]) -> DatasetEntry:
    """Return *entry* with these statistics, this coverage, and *runs* of the dataset under way."""
    repaired = [gap for gap in entry.gaps if gap.state == "repaired"][-_KEEP:]
    gaps = gaps_of(coverage, runs)
    missing = sum(gap.end - gap.start for gap in coverage.missing)
    return msgspec.structs.replace(
        entry,
        rows=stats.rows,
        files=stats.files,
        bytes=stats.bytes,
        first_ts=stats.first_ts,
        last_ts=stats.last_ts,
        start=coverage.start if coverage.end else None,
        end=coverage.end or None,
        coverage=round(coverage.fraction, 6) if coverage.end else None,
        missing=missing / NS,
        gaps=[*repaired, *gaps],
        gaps_total=len(gaps),
    )


def listed(entry: DatasetEntry, coverage: Coverage | None, runs: Iterable[Run]) -> DatasetEntry:
    """Return *entry* as a list of many shows it: with the newest holes that aren't repaired, by *coverage* where it is
    known."""
    if coverage is None:
        gaps = [gap for gap in entry.gaps if gap.state != "repaired"]
        return msgspec.structs.replace(entry, gaps=gaps[-_KEEP:], gaps_total=len(gaps))
    total = len(coverage.purged) + len(coverage.unavailable) + len(coverage.missing)
    if not total:
        return msgspec.structs.replace(entry, gaps=[], gaps_total=0)
    newest = msgspec.structs.replace(
        coverage,
        purged=IntervalSet(list(coverage.purged)[-_KEEP:]),
        unavailable=coverage.unavailable[-_KEEP:],
        missing=coverage.missing[-_KEEP:],
    )
    return msgspec.structs.replace(entry, gaps=gaps_of(newest, runs)[-_KEEP:], gaps_total=total)


def gaps_of(coverage: Coverage, runs: Iterable[Run]) -> list[GapEntry]:
    """Return every hole of *coverage* in order, and which of the active *runs* fetches it."""
    ranges = under_way(runs)
    found = [GapEntry(start=a, end=b, reason="retention removed it", state="purged") for a, b in coverage.purged]
    found += [
        GapEntry(start=gap.start, end=gap.end, reason=gap.reason, state="unavailable") for gap in coverage.unavailable
    ]
    for gap in bounded(coverage.missing):
        run_id = fetched_by(ranges, gap.start, gap.end)
        state = "missing" if run_id is None else "repairing"
        found.append(
            GapEntry(start=gap.start, end=gap.end, reason=gap.reason, state=state, run_id=run_id)  # type: ignore[arg-type]  # one of two
        )
    return sorted(found, key=lambda gap: gap.start)


def to_repair(coverage: Coverage, runs: Iterable[Run]) -> tuple[list[Gap], int]:
    """Return the missing intervals to ask for now, the newest first, and how many more wait.

    What an active run fetches is left to it; what nobody ever asked for, and what somebody
    cancelled or removed, is left alone.
    """
    busy = [asked_range(run) for run in runs]
    wanted: list[Gap] = []
    for gap in coverage.missing:
        if gap.reason in (NEVER_ASKED, CANCELLED, REMOVED):
            continue
        left = IntervalSet([(gap.start, gap.end)]).minus(IntervalSet(busy))
        wanted += [Gap(a, b, gap.reason) for a, b in left]
    wanted.sort(reverse=True)
    room = max(0, _AT_ONCE - len(busy))
    return wanted[:room], max(0, len(wanted) - room)


def asked_for(coverage: Coverage, start: int | None, end: int | None, unavailable: bool) -> list[Gap]:
    """Return what a request to repair ``[start, end)`` ns (all for None) is about; *unavailable*: that too."""
    low = coverage.start if start is None else start
    high = coverage.end if end is None else end
    gaps = [*coverage.missing, *(coverage.unavailable if unavailable else ())]
    cut = [Gap(max(gap.start, low), min(gap.end, high), gap.reason) for gap in gaps]
    return sorted(gap for gap in cut if gap.start < gap.end)


def left_by(run: Run, coverage: Coverage) -> list[Gap]:
    """Return what a *run* that failed or was cancelled leaves missing, with the reason; nothing where it had nothing.

    So a request for what doesn't exist leaves no hole behind.
    """
    if not run.rows and run.position <= run.start:
        return []
    why = CANCELLED if run.state == "cancelled" else f"{_FAILED}: {run.error or 'unknown'}"
    missing = IntervalSet.of(gap for gap in coverage.missing if gap.reason == NEVER_ASKED)
    return [Gap(start, end, why) for start, end in missing.within(run.position, run.end)]


def of_history(reason: str) -> bool:
    """Whether a hole of this *reason* is one in what a backfill was to fetch, not in what a stream told."""
    return any(known in reason for known in (_FAILED, CANCELLED, NEVER_ASKED))


def check_book(dataset: Dataset, streams: Container[str]) -> None:
    """Raise RequestError when *dataset* is an order book that one of *streams* tells: none over REST belongs in it.

    It has another depth, and a place among the stream's changes that nobody can tell for certain: whoever applies the
    changes that follow has a wrong book until the stream's next snapshot.
    """
    if dataset.data_type is DataType.ORDERBOOK and dataset.name in streams:
        told = (
            f"a stream of {dataset} runs here: a book over REST, of another depth and out of turn, would spoil what "
            "its changes add up to; the stream stores the whole book each snapshot_interval, and dccd read has it; "
            "stop it to take one over REST"
        )
        raise RequestError(422, "stream_runs", told, "data_type")


def repaired_by(run: Run, coverage: Coverage) -> list[GapEntry]:
    """Return what is there of the hole that *run* was to repair."""
    there = coverage.verified.union(coverage.empty).within(*asked_range(run))
    return [GapEntry(start=a, end=b, reason=run.reason or "", state="repaired", run_id=run.run_id) for a, b in there]


def under_way(runs: Iterable[Run]) -> list[tuple[str, int, int]]:
    """Return the id of each of *runs*, and what it was asked for (ns)."""
    return [(run.run_id, *asked_range(run)) for run in runs]


def fetched_by(ranges: Iterable[tuple[str, int, int]], start: int, end: int) -> str | None:
    """Return the first of the runs that are :func:`under_way` which fetches some of ``[start, end)`` ns."""
    return next((run_id for run_id, low, high in ranges if low < end and start < high), None)


def asked_range(run: Run) -> tuple[int, int]:
    """What *run* was asked for (ns); its own start may be later, where the exchange serves no more."""
    text = run.asked[0]
    return (min(int(text), run.start) if text.isdecimal() else run.start), run.end
