"""Order books made again of their rows: frames of book rows flow in, books flow out. Pure.

A snapshot's rows (``is_snapshot``, all of one ``TS`` and ``seq``) are the whole book, the rows after it each a level's
new amount, 0 where it is gone. So a book is known from a snapshot on, until changes may be missing: from the start of
a missing interval to the first snapshot at or after its end it is unknown, and never given. A book whose best bid is at
or above its best ask is wrong, whatever the reason: it is unknown as well, until the next snapshot.

Times in ns, prices in quote asset, amounts in base asset.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal

import msgspec
import polars as pl

from dccd.errors import BookUnknown
from dccd.records import Level
from dccd.store.coverage import NEVER_ASKED, Coverage
from dccd.store.intervals import Gap
from dccd.store.parquet import MIN_TS
from dccd.symbols import Dataset, format_time

__all__ = [
    "COLUMNS",
    "NO_SNAPSHOT",
    "Book",
    "Breaks",
    "Rebuilder",
    "Shape",
    "breaks_in",
    "frame_of",
    "series",
    "unknown",
]

Shape = Literal["long", "wide"]
"""``long``: a row a level; ``wide``: a row a book, a column for each level's price and amount."""

COLUMNS = ("TS", "side", "price", "amount", "is_snapshot", "seq")
"""What of a book row is needed."""

NO_SNAPSHOT = "no snapshot before it is stored"
CROSSED = "the best bid is at or above the best ask"

_FRAME_ROWS = 65_536


class Book(msgspec.Struct, frozen=True):
    """The book at ``at``, best level first on both sides: ``ts`` and ``seq`` of the last row in it, ``snapshot_ts`` of
    the snapshot that it was made of."""

    at: int
    ts: int
    seq: int | None
    snapshot_ts: int
    bids: list[Level]
    asks: list[Level]

    @property
    def stale(self) -> int:
        """How long before ``at`` the last row came (ns): in a market at rest nothing comes, and the book stays so."""
        return self.at - self.ts


class Breaks:
    """The intervals in which changes may be missing, asked by time."""

    def __init__(self, gaps: Iterable[Gap] = ()) -> None:
        self._gaps = sorted(gap for gap in gaps if gap.start < gap.end)
        self._starts = [gap.start for gap in self._gaps]
        # Of those that begin by a time, the one that ends last: a long one may hold later short ones.
        self._last: list[Gap] = list(accumulate(self._gaps, _later_end))

    def __repr__(self) -> str:
        return f"<Breaks {len(self._gaps)}>"

    def before(self, at: int) -> Gap | None:
        """Of the intervals that begin at or before *at* the one that ends last: a book at *at* needs a snapshot from
        its end on."""
        index = bisect_right(self._starts, at)
        return self._last[index - 1] if index else None

    def after(self, at: int) -> int | None:
        """When the next interval begins that begins after *at*; None when none does."""
        index = bisect_right(self._starts, at)
        return self._starts[index] if index < len(self._starts) else None


def _later_end(one: Gap, other: Gap) -> Gap:
    return other if other.end > one.end else one


def breaks_in(coverage: Coverage) -> list[Gap]:
    """Return the intervals of *coverage* in which changes of a book may be missing.

    What was told to be missing, unavailable or purged always is. A hole of which nobody told is one between times that
    are vouched for, as after a crash; beside rows that nobody vouches for it isn't: all that is known of a file of
    dccd 3.x is its first and last row.
    """
    doubtful = {edge for interval in coverage.unverified for edge in interval}
    edges = {coverage.start, coverage.end} | doubtful
    told = [gap for gap in coverage.missing if gap.reason != NEVER_ASKED or not {gap.start, gap.end} & edges]
    purged = [Gap(start, end, "retention has removed it") for start, end in coverage.purged]
    return [*told, *coverage.unavailable, *purged]


class _Side:
    """One side. Levels are keyed by the price, negated for bids, so that ascending keys are best first."""

    __slots__ = ("amounts", "keys")

    def __init__(self) -> None:
        self.keys: list[float] = []
        self.amounts: dict[float, float] = {}

    def put(self, key: float, amount: float) -> None:
        amounts = self.amounts
        if amount:
            if key not in amounts:
                insort(self.keys, key)
            amounts[key] = amount
        elif amounts.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def clear(self) -> None:
        self.keys, self.amounts = [], {}


class Rebuilder:
    """Takes rows in order of ``TS``, then ``seq``, and has the book as of the last one."""

    def __init__(self, dataset: Dataset, breaks: Breaks | None = None) -> None:
        self._dataset = dataset
        self._breaks = breaks or Breaks()
        self._bids, self._asks = _Side(), _Side()
        self._snapshot: tuple[int, int | None] | None = None
        self._ts, self._seq = MIN_TS, None
        self._crossed = False

    def __repr__(self) -> str:
        return f"<Rebuilder {self._dataset} bids={len(self._bids.keys)} asks={len(self._asks.keys)} ts={self._ts}>"

    def apply(self, rows: pl.DataFrame) -> None:
        """Take *rows* (:data:`COLUMNS`)."""
        for _ in self.apply_until(rows, ()):
            pass

    def apply_until(self, rows: pl.DataFrame, times: Sequence[int]) -> Iterator[Sequence[int]]:
        """Take *rows*; yield *times* (in order) as those up to them, inclusive, have been taken and others follow: all
        at once between which none comes. When exhausted all are taken."""
        if not rows.height:
            return
        stamps = rows["TS"]
        columns = rows.select(
            bid=pl.col("side") == "bid",
            key=pl.when(pl.col("side") == "bid").then(-pl.col("price")).otherwise(pl.col("price")),
            amount="amount",
        )
        bids, keys, amounts = (columns[name].to_list() for name in columns.columns)
        at = 0
        starts = _runs(rows)
        ends = [*starts[1:], rows.height]
        waiting = _alike(stamps, times)
        stop = next(waiting, None)
        for start, end in zip(starts, ends, strict=True):
            first = rows.row(start, named=True)
            whole = bool(first["is_snapshot"])
            begun = False
            while at < end:
                if stop is not None and stop[0] <= at:
                    yield stop[1]
                    stop = next(waiting, None)
                    continue
                if whole and not begun:
                    self._begin((first["TS"], first["seq"]))
                    begun = True
                until = end if stop is None else min(end, stop[0])
                if self._snapshot is not None:
                    ours, theirs = self._bids.put, self._asks.put
                    for bid, key, amount in zip(bids[at:until], keys[at:until], amounts[at:until], strict=True):
                        (ours if bid else theirs)(key, amount)
                    self._ts, self._seq = stamps[until - 1], rows["seq"][until - 1]
                at = until

    def _begin(self, snapshot: tuple[int, int | None]) -> None:
        """A snapshot comes, or goes on: its rows may lie in two frames, or come twice."""
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._bids.clear()
            self._asks.clear()
            self._crossed = False

    def unknown(self, at: int) -> str | None:
        """Why the book at *at*, up to which all rows have been taken, isn't known; None when it is."""
        gap = self._breaks.before(at)
        if gap is not None and gap.end > (at if self._snapshot is None else self._snapshot[0]):
            return gap.reason or "changes may be missing"
        if self._snapshot is None:
            return NO_SNAPSHOT
        if self._bids.keys and self._asks.keys and -self._bids.keys[0] >= self._asks.keys[0]:
            self._crossed = True
        return CROSSED if self._crossed else None

    def steady(self, at: int) -> int | None:
        """Until when there is nothing else to say of a book than at *at*, if no rows come; None: for ever."""
        ends = [self._breaks.after(at)]
        gap = self._breaks.before(at)
        if self._snapshot is None and gap is not None and gap.end > at:
            ends.append(gap.end)
        return min((end for end in ends if end is not None), default=None)

    def book(self, at: int, depth: int | None = None) -> Book:
        """The book at *at*, the best *depth* levels of it. Raises BookUnknown."""
        reason = self.unknown(at)
        if reason is not None or self._snapshot is None:
            raise unknown(self._dataset, at, reason or NO_SNAPSHOT)
        bids, asks = self._bids, self._asks
        return Book(
            at,
            self._ts,
            self._seq,
            self._snapshot[0],
            [(-key, bids.amounts[key]) for key in bids.keys[:depth]],
            [(key, asks.amounts[key]) for key in asks.keys[:depth]],
        )


def unknown(dataset: Dataset, at: int, reason: str, until: int | None = None) -> BookUnknown:
    """The error that says why the book at *at* isn't known, and *until* when if that was told."""
    upto = "" if until is None else f", up to {format_time(until)}"
    return BookUnknown(
        str(dataset), at, reason, f"the book of {dataset} at {format_time(at)} isn't known: {reason}{upto}", until
    )


def _alike(stamps: pl.Series, times: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """*times*, those between which no row comes at once, and before which row of *stamps* they are. However many there
    are, it costs no more than there are rows."""
    at = 0
    while at < len(times):
        row = int(stamps.search_sorted(times[at], "right"))
        until = bisect_left(times, stamps[row], at) if row < stamps.len() else len(times)
        yield row, times[at:until]
        at = until


def _runs(rows: pl.DataFrame) -> list[int]:
    """Where in *rows* (not empty) snapshots and stretches of changes begin."""
    snapshot = pl.col("is_snapshot").fill_null(value=False)
    same = (pl.col("TS") == pl.col("TS").shift()) & pl.col("seq").eq_missing(pl.col("seq").shift())
    begins = (snapshot != snapshot.shift()) | (snapshot & ~same)
    return rows.select(begins.fill_null(value=True).arg_true()).to_series().to_list()


def series(
    dataset: Dataset,
    frames: Iterable[pl.DataFrame],
    times: range,
    depth: int | None,
    breaks: Breaks,
    last: int,
    shape: Shape = "long",
) -> Iterator[tuple[pl.DataFrame, list[Gap]]]:
    """Yield the books at *times*, some 65,536 rows at a time, each time with the stretches found unknown meanwhile.

    *frames*: rows from a snapshot before the first time on, where there is one. *last*: of the stored rows, the newest
    ``TS``; after it nothing is known. Unknown books are left out; a stretch reaches from the first such time to the
    next known one.
    """
    if not times:
        yield frame_of([], shape, depth), []
        return
    made = Rebuilder(dataset, breaks)
    sink = _Sink(times, depth, shape)

    def take(alike: Sequence[int]) -> Iterator[tuple[pl.DataFrame, list[Gap]]]:
        """Times between which no rows come: of unknown ones there may be any number, so those are told together."""
        while alike:
            late = alike[0] > last
            reason = "nothing is stored after it" if late else made.unknown(alike[0])
            until = None if late else made.steady(alike[0])
            if not late and alike[-1] > last:
                until = last + 1 if until is None else min(until, last + 1)
            many = len(alike) if until is None else bisect_left(alike, until)
            if reason is not None:
                sink.unknown(alike[:many], reason)
            for time in () if reason is not None else alike[:many]:
                sink.add(made.book(time, depth))
                if sink.full:
                    yield sink.flush()
            if sink.full:
                yield sink.flush()
            alike = alike[many:]

    nth = 0
    for rows in frames:
        if not rows.height:
            continue
        # A time is over when a later row comes: rows of one time may lie in two frames.
        until = bisect_left(times, rows["TS"][-1])
        for alike in made.apply_until(rows, times[nth:until]):
            yield from take(alike)
        nth = max(nth, until)
    yield from take(times[nth:])
    yield sink.flush(over=True)


class _Sink:
    """Collects books as columns and unknown times as stretches."""

    def __init__(self, times: range, depth: int | None, shape: Shape) -> None:
        self._every, self._end = times.step, times.stop
        self._depth, self._shape = depth, shape
        self._books: list[Book] = []
        self._rows = 0
        self._told: list[Gap] = []
        self._open: Gap | None = None

    @property
    def full(self) -> bool:
        return self._rows >= _FRAME_ROWS or len(self._told) >= 1000

    def add(self, book: Book) -> None:
        self._books.append(book)
        self._rows += 1 if self._shape == "wide" else len(book.bids) + len(book.asks) + 1
        self._close()

    def unknown(self, times: Sequence[int], reason: str) -> None:
        start = times[0]
        if self._open is not None and (reason != self._open.reason or self._open.end != start):
            self._close()
        if self._open is not None:
            start = self._open.start
        self._open = Gap(start, min(times[-1] + self._every, self._end), reason)

    def _close(self) -> None:
        if self._open is not None:
            self._told.append(self._open)
            self._open = None

    def flush(self, over: bool = False) -> tuple[pl.DataFrame, list[Gap]]:
        books, told = self._books, self._told
        self._books, self._rows, self._told = [], 0, []
        if over and self._open is not None:
            told.append(self._open)
        return frame_of(books, self._shape, self._depth), told


def frame_of(books: Sequence[Book], shape: Shape = "long", depth: int | None = None) -> pl.DataFrame:
    """Return *books* as rows: ``TS`` (the time asked for), ``as_of`` (of the last row in the book), and

    * long: ``side`` (``bid``, ``ask``), ``level`` (1 is the best), ``price``, ``amount``;
    * wide: ``bid_price_1``, ``bid_amount_1``, ``ask_price_1``, ``ask_amount_1``, ``bid_price_2`` … up to *depth*, null
      where there is no such level.
    """
    if shape == "long":
        return _long(books)
    columns: dict[str, pl.Series] = {
        "TS": pl.Series([book.at for book in books], dtype=pl.Int64),
        "as_of": pl.Series([book.ts for book in books], dtype=pl.Int64),
    }
    for level in range(depth or 0):
        for side in ("bid", "ask"):
            found = [(levels := getattr(book, f"{side}s")) and levels[level : level + 1] for book in books]
            for field, name in enumerate(("price", "amount")):
                values = [levels[0][field] if levels else None for levels in found]
                columns[f"{side}_{name}_{level + 1}"] = pl.Series(values, dtype=pl.Float64)
    return pl.DataFrame(columns)


def _long(books: Sequence[Book]) -> pl.DataFrame:
    times: list[int] = []
    stamps: list[int] = []
    sides: list[str] = []
    places: list[int] = []
    prices: list[float] = []
    amounts: list[float] = []
    for book in books:
        for side, levels in (("bid", book.bids), ("ask", book.asks)):
            size = len(levels)
            times += [book.at] * size
            stamps += [book.ts] * size
            sides += [side] * size
            places += range(1, size + 1)
            prices += [price for price, _ in levels]
            amounts += [amount for _, amount in levels]
    return pl.DataFrame(
        {
            "TS": pl.Series(times, dtype=pl.Int64),
            "as_of": pl.Series(stamps, dtype=pl.Int64),
            "side": pl.Series(sides, dtype=pl.String),
            "level": pl.Series(places, dtype=pl.Int32),
            "price": pl.Series(prices, dtype=pl.Float64),
            "amount": pl.Series(amounts, dtype=pl.Float64),
        }
    )
