"""Bars that aren't stored, made of what is: which source, which of its time is whole, and the bars themselves.

A dataset and what was asked for flow in, a source and frames of bars flow out. A bar of which a part may be missing
is left out, and the interval told: a wrong high passes for a right one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from dccd.errors import BadRead, IdentityError, NotStored
from dccd.store.bars import bars, ceiling, columns, complete, makes
from dccd.store.coverage import NEVER_ASKED, Coverage, Gap, Stretch, bounded
from dccd.store.intervals import Interval, IntervalSet
from dccd.symbols import NS, Dataset, DataType, parse_span, span_label

if TYPE_CHECKING:
    from dccd.store.reader import Store

__all__ = ["Derivation", "holes", "source_of"]

_TOLD = 100
"""So many intervals without bars are told at most; the nearest are told as one."""
_LONG = 86_400 * NS
_PRESENT = ("verified", "empty", "unverified")


def source_of(store: Store, dataset: Dataset, source: str = "auto") -> Dataset:
    """Return the dataset to read *dataset* from: itself, or another to make its bars of.

    *source*: ``stored``; ``trades``; the span of smaller bars (``1m``); ``auto``: what is stored if there is any row of
    it, else the longest stored bars of which it can be made, else trades. Raises NotStored, BadRead.
    """
    if source in ("stored", "auto"):
        if store.last_ts(dataset) is not None:
            return dataset
        if source == "stored" or dataset.data_type is not DataType.OHLC:
            raise NotStored(dataset.name, f"nothing is stored of {dataset}; dccd.inventory lists what is")
    elif dataset.data_type is not DataType.OHLC:
        raise BadRead("source", f"only bars can be made of other data, {dataset.data_type} can't")
    trades = Dataset(dataset.exchange, DataType.TRADES, dataset.symbol)
    if source == "auto":
        smaller = [found for found in store.layout.bars_beside(dataset) if makes(found, dataset)]
        for found in (*reversed(smaller), trades):
            if store.last_ts(found) is not None:
                return found
        raise NotStored(
            dataset.name,
            f"nothing is stored of {dataset}, nor trades or smaller bars to make it of; dccd.inventory lists what is",
        )
    named = trades if source == "trades" else _smaller(dataset, source)
    if store.last_ts(named) is None:
        raise NotStored(named.name, f"nothing is stored of {named}, which {dataset} was to be made of")
    return named


def _smaller(dataset: Dataset, source: str) -> Dataset:
    try:
        found = msgspec.structs.replace(dataset, span=parse_span(source))
    except IdentityError:
        raise BadRead("source", f"{source[:40]!r} is no source: auto, stored, trades, or a span, as 1m") from None
    if not makes(found, dataset):
        label = span_label(dataset.span or 0)
        raise BadRead("source", f"bars of {label} can't be made of bars of {source}: each of these must lie in one")
    return found


class Derivation:
    """The bars of *dataset* with ``TS`` in ``[start, end)`` ns, made of *source*.

    ``incomplete``: the intervals, from bar to bar, in which the source isn't known to be whole, so that there are no
    bars.
    """

    def __init__(self, store: Store, dataset: Dataset, source: Dataset, start: int | None, end: int | None) -> None:
        assert dataset.span is not None
        self._store, self.dataset, self.source = store, dataset, source
        self._span = dataset.span * NS
        self._unit = source.span * NS if source.span else 1
        coverage = store.readable(source)
        floor = coverage.start - self._span + 1  # from here on, the first start of a bar is that of the first rows' bar
        first = floor if start is None else max(start, floor)
        last = coverage.end if end is None else min(end, coverage.end)
        self.start = ceiling(dataset, first)
        self.end = max(ceiling(dataset, last), self.start)
        self._holes = holes(coverage, source, self.start, self.end, self._span)
        out = IntervalSet(
            (max(ceiling(dataset, a - self._span + self._unit), self.start), ceiling(dataset, b))
            for a, b in self._holes
        )
        told = bounded([Gap(a, b, "") for a, b in out], _TOLD)
        self.incomplete: list[Interval] = [(gap.start, gap.end) for gap in told]
        # What of the source lies there is read and makes nothing. A long one is passed over; short ones aren't worth
        # opening a file twice.
        self._skipped = IntervalSet((a, b) for a, b in out if b - a >= _LONG)

    def __repr__(self) -> str:
        return f"<Derivation {self.dataset} of {self.source}, {len(self.incomplete)} intervals left out>"

    def frames(self, start: int | None = None, end: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield the bars, or those of them that start in ``[start, end)``, in order. Raises CorruptFile."""
        lo = self.start if start is None else max(ceiling(self.dataset, start), self.start)
        hi = self.end if end is None else min(ceiling(self.dataset, end), self.end)
        kind = self.source.data_type
        for first, end in self._skipped.gaps(lo, hi) if lo < hi else ():
            rows = self._store.frames(self.source, first, end, columns(kind))
            for frame in bars(self.dataset, kind, rows):
                whole = complete(frame, self._span, self._unit, self._holes)
                if whole.height:
                    yield whole

    def newest(self, limit: int) -> pl.DataFrame | None:
        """The last *limit* bars: made backwards, as far as it takes. None where there is none."""
        found: list[pl.DataFrame] = []
        left, reach, end = limit, limit, self.end
        while left > 0 and end > self.start:
            start = max(self.start, end - reach * self._span)
            frames = list(self.frames(start, end))
            if frames:
                found.append(pl.concat(frames).tail(left))
                left -= found[-1].height
            end, reach = start, reach * 2
        return pl.concat(found[::-1]) if found else None


def holes(coverage: Coverage, source: Dataset, start: int, end: int, span: int) -> list[Interval]:
    """Return where in ``[start, end)`` rows of *source* may be missing, as far as bars of *span* ns are concerned.

    Of stretches of which nobody vouches and nobody told a hole, what lies between counts when it is longer than a
    bar: each file of another program is such a stretch, and the market may have been quiet at its edge. Between bars
    there is time without a row; it is no hole. Pure.
    """
    if start >= end:
        return []
    stretches = coverage.stretches()
    found: list[Interval] = [(start - span, coverage.start), (coverage.end, end + span)]
    for index, one in enumerate(stretches):
        beside = stretches[max(index - 1, 0) : index + 2]
        if one.state not in _PRESENT and not _is_seam(one, beside, span):
            found.append((one.start, one.end))
    within = IntervalSet(found).within(start, end)
    return [(a, b) for a, b in within if source.span is None or ceiling(source, a) < b]


def _is_seam(one: Stretch, beside: list[Stretch], span: int) -> bool:
    nameless = one.state == "missing" and one.reason == NEVER_ASKED
    return nameless and one.end - one.start <= span and any(other.state == "unverified" for other in beside)
