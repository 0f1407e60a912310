"""What is known of a dataset's time: which of it is there, and of the rest why it isn't.

Claims of files (``Footer.covered``) and notes beside them (``claims``) flow in; a :class:`Coverage` flows out, in which
each point of time between the first and the last that anybody asked for, or has, is in one state:

* ``verified``: all records of it are stored; the exchange sent them in order, or its history gave them;
* ``empty``: the exchange was asked, and has none;
* ``unverified``: rows are there and nobody vouches for them (files of dccd 3.x, ticks of other publishers);
* ``purged``: it was there, and retention removed it;
* ``unavailable``: the exchange serves it no more, or never did;
* ``missing``: all else, with the reason where somebody told one.

Each of these is a union of what files say, and the first of them in this order holds; what is ``doubted`` (claimed, and
told later to miss something: a rare thing) is as if it weren't there. So it doesn't matter in which order files are
written, folded or read, or by how many processes, and a claim goes with the file whose rows it is about. Only claims
make a thing verified; a reason that was lost makes a hole no smaller. Pure. Half-open intervals in ns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from dccd.store.intervals import Gap, Interval, IntervalSet

__all__ = [
    "NEVER_ASKED",
    "Claims",
    "Coverage",
    "CoverageState",
    "Gap",
    "Interval",
    "IntervalSet",
    "Notes",
    "Stretch",
    "bounded",
    "coverage_of",
    "holds",
    "rows_of",
]

CoverageState = Literal["verified", "empty", "unverified", "purged", "unavailable", "missing"]

NEVER_ASKED = "never asked"
"""The reason of a hole of which nobody told: it lies between what was asked for, or a crash came before its reason."""

_SLIVER = 10_000_000_000
"""A nameless hole up to so long (ns) that touches a told one is a part of it: what a stream hadn't claimed yet."""
_MOST = 1000
"""So many intervals of a kind are noted at most."""


class Claims(msgspec.Struct, frozen=True, gc=False):
    """What the files of a dataset say of the rows in them."""

    verified: IntervalSet = IntervalSet()
    unverified: IntervalSet = IntervalSet()


class Notes(msgspec.Struct, frozen=True, gc=False):
    """What is noted beside the files. ``asked``: somebody wanted it; ``missing`` and ``unavailable`` say why.

    ``doubted``: claimed, and then told to miss something; it counts for nothing until it was fetched again.
    """

    asked: tuple[Interval, ...] = ()
    empty: tuple[Interval, ...] = ()
    purged: tuple[Interval, ...] = ()
    unavailable: tuple[Gap, ...] = ()
    missing: tuple[Gap, ...] = ()
    doubted: tuple[Interval, ...] = ()

    def plus(self, other: Notes) -> Notes:
        """Return what either says, as few intervals as that takes, and never more than a file should hold."""
        return Notes(
            asked=tuple(IntervalSet([*self.asked, *other.asked])),
            empty=tuple(IntervalSet([*self.empty, *other.empty])),
            purged=tuple(IntervalSet([*self.purged, *other.purged])),
            unavailable=tuple(bounded(merged_gaps([*self.unavailable, *other.unavailable]))),
            missing=tuple(bounded(merged_gaps([*self.missing, *other.missing]))),
            doubted=tuple(IntervalSet([*self.doubted, *other.doubted])),
        )

    def without_missing(self, done: IntervalSet) -> Notes:
        """Return the notes without reasons for what is in *done*: it is there by now, or known to be gone."""
        left = [Gap(start, end, gap.reason) for gap in self.missing for start, end in done.gaps(gap.start, gap.end)]
        return msgspec.structs.replace(self, missing=tuple(left))


class Stretch(msgspec.Struct, frozen=True):
    """``[start, end)`` ns in one state; ``reason`` of what is missing or unavailable."""

    start: int
    end: int
    state: CoverageState
    reason: str = ""


class Coverage(msgspec.Struct, frozen=True, gc=False):
    """The states of ``[start, end)`` ns; both are 0 where nothing was ever asked for."""

    start: int = 0
    end: int = 0
    verified: IntervalSet = IntervalSet()
    empty: IntervalSet = IntervalSet()
    unverified: IntervalSet = IntervalSet()
    purged: IntervalSet = IntervalSet()
    unavailable: tuple[Gap, ...] = ()
    missing: tuple[Gap, ...] = ()

    @property
    def fraction(self) -> float:
        """How much of the asked time is there or known to be empty, 0 to 1; what retention removed doesn't count."""
        length = self.end - self.start - self.purged.length
        there = self.verified.length + self.empty.length + self.unverified.length
        return there / length if length else 0.0

    @property
    def there(self) -> IntervalSet:
        """What needn't be asked for: it is there, known to be empty, was removed on purpose, or can't be had."""
        gone = IntervalSet.of(self.unavailable)
        return self.verified.union(self.empty, self.unverified, self.purged, gone)

    @property
    def resume(self) -> int | None:
        """Where to go on: at the first hole, else at the end of what is there; None where there is nothing."""
        if self.start == self.end:
            return None
        return self.missing[0].start if self.missing else self.end

    def stretches(self, start: int | None = None, end: int | None = None) -> list[Stretch]:
        """Everything in order, as far as it lies in ``[start, end)`` ns; without gaps or overlaps."""
        low = self.start if start is None else start
        high = self.end if end is None else end
        found = [Stretch(max(s.start, low), min(s.end, high), s.state, s.reason) for s in self._all()]
        return sorted((s for s in found if s.start < s.end), key=lambda s: s.start)

    def _all(self) -> Iterator[Stretch]:
        for a, b in self.verified:
            yield Stretch(a, b, "verified")
        for a, b in self.empty:
            yield Stretch(a, b, "empty")
        for a, b in self.unverified:
            yield Stretch(a, b, "unverified")
        for a, b in self.purged:
            yield Stretch(a, b, "purged")
        for gap in self.unavailable:
            yield Stretch(gap.start, gap.end, "unavailable", gap.reason)
        for gap in self.missing:
            yield Stretch(gap.start, gap.end, "missing", gap.reason)


class _Timed(Protocol):
    """A file of rows by the times (ns) of its first and last one, None where it has none."""

    @property
    def first_ts(self) -> int | None: ...

    @property
    def last_ts(self) -> int | None: ...


def holds(verified: IntervalSet, first_ts: int | None, after: int | None, rows: IntervalSet) -> IntervalSet:
    """Return what of a file's claims holds: of the time up to *after*, the newest row before its *first_ts*, only while
    *rows* (:func:`rows_of` all files) have that one. None: it relies on no other file.

    Between the two nothing was stored, whatever became of the other files.
    """
    if after is None or after in rows or first_ts is None:
        return verified
    return verified.subtract(-(2**63), min(after + 1, first_ts))


def rows_of(files: Iterable[_Timed]) -> IntervalSet:
    """Return the times from the first to the last row of each of *files*, as :func:`holds` asks for them."""
    return IntervalSet((f.first_ts, f.last_ts + 1) for f in files if f.first_ts is not None and f.last_ts is not None)


def coverage_of(claims: Claims, notes: Notes) -> Coverage:
    """Return the states of all time that *claims* and *notes* are about."""
    doubted = IntervalSet(notes.doubted)
    verified = claims.verified.minus(doubted)
    empty = IntervalSet(notes.empty).minus(verified.union(doubted))
    there = verified.union(empty)
    unverified = claims.unverified.minus(there.union(doubted))
    there = there.union(unverified)
    purged = IntervalSet(notes.purged).minus(there)
    there = there.union(purged)
    gone = IntervalSet.of(notes.unavailable)
    told = IntervalSet.of(notes.missing)
    hull = there.union(gone, told, doubted, IntervalSet(notes.asked)).bounds
    if hull is None:
        return Coverage()
    unavailable = _labelled(gone.minus(there), notes.unavailable, "")
    there = there.union(gone)
    missing = _labelled(IntervalSet(there.gaps(*hull)), notes.missing, NEVER_ASKED)
    return Coverage(*hull, verified, empty, unverified, purged, tuple(unavailable), tuple(_joined(missing)))


def merged_gaps(gaps: Iterable[Gap]) -> list[Gap]:
    """Return *gaps* in order, without overlaps: those of one reason that touch are one, of others the earlier told
    one holds."""
    found: list[Gap] = []
    taken = IntervalSet()
    for gap in gaps:
        found += [Gap(start, end, gap.reason) for start, end in taken.gaps(gap.start, gap.end)]
        taken = taken.add(gap.start, gap.end)
    return _touching(sorted(found))


def bounded(gaps: Sequence[Gap], most: int = _MOST) -> list[Gap]:
    """Return *gaps*, in order, as at most so many: the nearest become one, what lies between included.

    A book that is resynchronised some times a day has holes that nobody can repair, for years. A claim holds against
    what is included so; what no claim holds would be missing in any case.
    """
    kept = list(gaps)
    if len(kept) <= most:
        return kept
    between = sorted(range(1, len(kept)), key=lambda i: kept[i].start - kept[i - 1].end)
    joined = set(between[: len(kept) - most])
    found: list[Gap] = []
    for index, gap in enumerate(kept):
        if index in joined:
            last = found[-1]
            reason = last.reason if last.reason == gap.reason else "several"
            found[-1] = Gap(last.start, max(last.end, gap.end), reason)
        else:
            found.append(gap)
    return found


def _labelled(holes: IntervalSet, told: Iterable[Gap], nameless: str) -> list[Gap]:
    """Cut *holes* by what was *told* of them; what nobody told of is *nameless*."""
    found: list[Gap] = []
    left = holes
    for gap in told:
        for start, end in left.within(gap.start, gap.end):
            found.append(Gap(start, end, gap.reason))
            left = left.subtract(start, end)
    found += [Gap(start, end, nameless) for start, end in left]
    return _touching(sorted(found))


def _touching(gaps: Iterable[Gap]) -> list[Gap]:
    found: list[Gap] = []
    for gap in gaps:
        if found and found[-1].end >= gap.start and found[-1].reason == gap.reason:
            found[-1] = Gap(found[-1].start, max(found[-1].end, gap.end), gap.reason)
        else:
            found.append(gap)
    return found


def _joined(gaps: Iterable[Gap]) -> list[Gap]:
    """Make nameless slivers parts of the told holes that they touch: one hole is asked for once."""
    found: list[Gap] = []
    for gap in gaps:
        last = found[-1] if found else None
        if last is not None and last.end == gap.start:
            if _is_sliver(gap) and last.reason != NEVER_ASKED:
                found[-1] = Gap(last.start, gap.end, last.reason)
                continue
            if _is_sliver(last) and gap.reason != NEVER_ASKED:
                found[-1] = Gap(last.start, gap.end, gap.reason)
                continue
        found.append(gap)
    return found


def _is_sliver(gap: Gap) -> bool:
    return gap.reason == NEVER_ASKED and gap.end - gap.start <= _SLIVER
