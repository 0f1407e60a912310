"""Several datasets' records as one sequence in time order: lists in order flow in, blocks and steps flow out. Pure.

Of records of one time those of the earlier dataset come first, each dataset's in its own order: so there is one order,
and whoever merges the same lists gets the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from operator import attrgetter

from dccd.records import Record

__all__ = ["Block", "Part", "blocks", "runs"]

Part = tuple[int, list[Record]]
"""The number of a dataset, and records of it in order."""

_ts: Callable[[Record], int] = attrgetter("ts")


def blocks(tracks: Sequence[Iterator[list[Record]]]) -> Iterator[list[Part]]:
    """Yield what *tracks* yield, by time: all records of a block are earlier than those of the next one.

    A track's lists, and each list, are in order of time. A list of each is held, and more only of those that end in the
    middle of one time.
    """
    held: list[list[Record]] = [[] for _ in tracks]
    more = [True] * len(tracks)

    def pull(number: int) -> None:
        found = next(tracks[number], None)
        if found is None:
            more[number] = False
        elif held[number]:
            held[number] = held[number] + found
        else:
            held[number] = found

    while True:
        for number in range(len(tracks)):
            while more[number] and not held[number]:
                pull(number)
        # Up to the first time of which more may come, exclusively, what is held is all there is.
        until = min((records[-1].ts for number, records in enumerate(held) if more[number]), default=None)
        block: list[Part] = []
        for number, records in enumerate(held):
            cut = len(records) if until is None else bisect_left(records, until, key=_ts)
            if cut:
                block.append((number, records[:cut]))
                held[number] = records[cut:]
        if block:
            yield block
        elif until is None:
            return
        else:
            for number, records in enumerate(held):
                if more[number] and records[-1].ts == until:
                    pull(number)


class Block:
    """What is left of a block, to be taken a step at a time."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._records: dict[int, list[Record]] = {number: records for number, records in parts if records}
        self._at = dict.fromkeys(self._records, 0)
        self._heads = [(records[0].ts, number) for number, records in self._records.items()]
        heapify(self._heads)

    def __repr__(self) -> str:
        return f"<Block {sum(len(r) - self._at[n] for n, r in self._records.items())} records left>"

    @property
    def first_ts(self) -> int | None:
        """The time (ns) of the next record; None where there is none."""
        return self._heads[0][0] if self._heads else None

    def take(self, quantum: int = 0, limit: int = 2**31, *, together: bool = False) -> list[Part]:
        """Return the next step: records of one *quantum* of time (ns; 0: however long), as they lie between its
        multiples.

        Up to *limit* of one dataset, which follow each other in the order of all; *together*: all there are, of each
        dataset. Empty when nothing is left.
        """
        if not self._heads:
            return []
        first, number = self._heads[0]
        bound = (first // quantum + 1) * quantum if quantum else None
        if together:
            return self._take_all(bound)
        records, at = self._records[number], self._at[number]
        stop = min(len(records), at + limit)
        if bound is not None:
            stop = bisect_left(records, bound, at, stop, key=_ts)
        if len(self._heads) > 1:
            # The next smallest head of a heap is one of the root's two children.
            other_ts, other = min(self._heads[1:3])
            bisect = bisect_right if number < other else bisect_left
            stop = bisect(records, other_ts, at, stop, key=_ts)
        self._at[number] = stop
        if stop < len(records):
            heapreplace(self._heads, (records[stop].ts, number))
        else:
            heappop(self._heads)
        return [(number, records[at:stop] if at or stop < len(records) else records)]

    def put_back(self, step: Iterable[Part]) -> None:
        """Undo the last ``take``, which returned *step*: to be taken otherwise."""
        for number, records in step:
            self._at[number] -= len(records)
        self._heads = [(r[self._at[n]].ts, n) for n, r in self._records.items() if self._at[n] < len(r)]
        heapify(self._heads)

    def _take_all(self, bound: int | None) -> list[Part]:
        step: list[Part] = []
        heads: list[tuple[int, int]] = []
        for number in sorted(number for _, number in self._heads):
            records, at = self._records[number], self._at[number]
            stop = len(records) if bound is None else bisect_left(records, bound, at, key=_ts)
            if stop > at:
                step.append((number, records[at:stop]))
                self._at[number] = stop
            if stop < len(records):
                heappush(heads, (records[stop].ts, number))
        self._heads = heads
        return step


def runs(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield *parts* in the order of all, as many at a time as follow each other of one dataset."""
    block = Block(parts)
    while step := block.take():
        yield from step
