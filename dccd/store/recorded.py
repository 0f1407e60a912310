"""What is stored of several datasets, as records in time order: datasets and a range flow in, blocks of records flow
out, some thousand rows of each dataset at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from dccd.errors import BookUnknown
from dccd.records import BookSnapshot, Record
from dccd.store.interleave import Part, blocks
from dccd.store.intervals import IntervalSet
from dccd.store.reader import Store
from dccd.store.unpack import Unpacker
from dccd.symbols import Dataset, DataType

__all__ = ["Absence", "Recorded", "absences", "bounds_of"]

_ROWS = 4096
_UNTOLD = "nothing is known of it"


class Absence(msgspec.Struct, frozen=True):
    """Of ``[start, end)`` ns of a dataset nothing is certain to be there, and why."""

    dataset: str
    start: int
    end: int
    state: str
    reason: str


class Recorded:
    """The records of *datasets* with times in ``[start, end)`` ns, once: for one thread at a time, to be closed.

    *books*: before the first record of order books comes the book as it stood at *start*, if it is known: a snapshot
    with the time of its last change.
    """

    def __init__(self, store: Store, datasets: Sequence[Dataset], start: int, end: int, *, books: bool = True) -> None:
        self._tracks = [_records(store, dataset, start, end, books) for dataset in datasets]
        self._blocks = blocks(self._tracks)

    def next(self) -> list[Part] | None:
        """Return the next block, None after the last one. Raises CorruptFile, StoreError."""
        return next(self._blocks, None)

    def close(self) -> None:
        """Close the files."""
        self._blocks.close()  # type: ignore[attr-defined]  # it is a generator
        for track in self._tracks:
            track.close()  # type: ignore[attr-defined]  # it is a generator


def bounds_of(store: Store, datasets: Sequence[Dataset]) -> tuple[int, int]:
    """Return the time of the first record of all *datasets*, and the time after the last one; twice 0 where there are
    none. Raises CorruptFile."""
    found = [store.bounds(dataset) for dataset in datasets]
    first = min((low for low, _ in found if low is not None), default=0)
    last = max((high for _, high in found if high is not None), default=first - 1)
    return first, last + 1


def absences(
    store: Store, datasets: Sequence[Dataset], start: int, end: int, most: int
) -> tuple[list[Absence], int, IntervalSet]:
    """Return what may be missing of *datasets* in ``[start, end)`` ns: the first *most* intervals, how many more there
    are, and in which time nothing of any dataset is known to be there. Raises CorruptFile.
    """
    told: list[Absence] = []
    there = IntervalSet()
    for dataset in datasets:
        coverage = store.readable(dataset)
        there = there.union(coverage.verified, coverage.empty, coverage.unverified)
        known = IntervalSet([(coverage.start, coverage.end)])
        told += [Absence(dataset.name, a, b, "missing", _UNTOLD) for a, b in known.gaps(start, end)]
        told += [
            Absence(dataset.name, one.start, one.end, one.state, one.reason)
            for one in coverage.stretches(start, end)
            if one.state in ("missing", "unavailable", "purged")
        ]
    told.sort(key=lambda one: (one.start, one.dataset))
    return told[:most], len(told[most:]), IntervalSet(there.gaps(start, end))


def _records(store: Store, dataset: Dataset, start: int, end: int, books: bool) -> Iterator[list[Record]]:
    if books and dataset.data_type is DataType.ORDERBOOK:
        with suppress(BookUnknown):
            book = store.book(dataset, start - 1)
            yield [BookSnapshot(book.ts, book.seq or 0, book.bids, book.asks)]
    unpacker = Unpacker(dataset.data_type)
    for frame in store.frames(dataset, start, end):
        for part in frame.iter_slices(_ROWS):
            if records := unpacker.feed(part):
                yield records
    if records := unpacker.end():
        yield records
