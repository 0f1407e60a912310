"""What is given out of a maintained book: its state and changes flow in, snapshots and deltas flow out.

As the stream's options say: deltas with a snapshot from time to time, or the snapshots only. A snapshot is due by our
clock, but tells the exchange's time: that of the last update, and where nothing has changed for a while, a time up to
which that is certain.

Whoever sorts the records by ``ts``, then ``seq``, then as they came, has them in the order in which they hold: a time
never goes back. An update that the exchange dates before what was given out already has the time of that.
"""

from __future__ import annotations

from dccd.exchanges.base import StreamOptions
from dccd.exchanges.book import Book
from dccd.records import BookDelta, BookSnapshot, Level, Record
from dccd.symbols import NS

__all__ = ["BookOutput"]

_MARGIN = 5 * NS
"""How much earlier than now a book at rest is known to have been so: exchanges gather changes for up to a second before
they send them (ns)."""


class BookOutput:
    """The records of one book. Times in ns."""

    __slots__ = ("_book", "_deltas", "_due", "_given", "_interval", "_recv_ts", "_seq", "_upto", "last_ts", "live")

    def __init__(self, book: Book, options: StreamOptions) -> None:
        self._book = book
        self._deltas = options.book == "deltas"
        self._interval = int(options.snapshot_interval * NS)
        self._due = 0
        self._seq = self._recv_ts = 0
        self._upto = -1  # the latest time given out
        self._given: tuple[int, int] | None = None  # time and number of the last snapshot
        self.last_ts: int | None = None
        """Exchange time of the last update, or of what was given out before it where that is later."""
        self.live = False
        """Whether the book is whole: between a snapshot and a break."""

    def __repr__(self) -> str:
        return f"<BookOutput seq={self._seq} live={self.live}>"

    def start(self, ts: int, seq: int, recv_ts: int, out: list[Record]) -> None:
        """The book has just been filled: it is given out whole."""
        self.live = True
        if seq <= self._seq:
            ts = max(ts, self._upto + 1)  # by its number it would come before what it replaces
        self._snapshot(self._moved(ts, seq, recv_ts), recv_ts, out)

    def settle(self, recv_ts: int, out: list[Record]) -> None:
        """What comes next is of a later moment than the last update: a snapshot that is due is given out before it.

        Where one moment's changes come one by one (``change`` with *more*), the book is whole only between moments.
        """
        if recv_ts >= self._due:
            self._again(0, recv_ts, out)

    def change(
        self,
        ts: int,
        seq: int,
        recv_ts: int,
        changes: tuple[list[Level], list[Level]],
        out: list[Record],
        more: bool = False,
    ) -> None:
        """The book has just been updated, and its view has changed so (or not at all). *more*: no snapshot now."""
        ts = self._moved(ts, seq, recv_ts)
        bids, asks = changes
        if self._deltas and (bids or asks):
            out.append(BookDelta(ts, seq, bids, asks, recv_ts))
        if recv_ts >= self._due and not more:
            self._snapshot(ts, recv_ts, out)

    def tick(self, now: int, out: list[Record]) -> None:
        """Time has gone by: a snapshot may be due though nothing has changed."""
        if now >= self._due:
            self._again(now - self._recv_ts - _MARGIN, now, out)

    def stop(self) -> None:
        """The book is broken: nothing is given out until it starts again."""
        self.live = False

    def _moved(self, ts: int, seq: int, recv_ts: int) -> int:
        """The book is now that of *ts*, or of a later time if such was given out already: return that."""
        if ts < self._upto or (ts == self._upto and seq < self._seq):
            ts = self._upto if seq >= self._seq else self._upto + 1  # numbers have begun anew
        self.last_ts = self._upto = ts
        self._seq, self._recv_ts = seq, recv_ts
        return ts

    def _again(self, rest: int, now: int, out: list[Record]) -> None:
        """Give out the book, which is certain to have been at rest for *rest* ns, if that is more than is known."""
        if self.live and self.last_ts is not None:
            ts = max(self._upto, self.last_ts + rest)
            if (ts, self._seq) != self._given:
                self._snapshot(ts, now, out)

    def _snapshot(self, ts: int, recv_ts: int, out: list[Record]) -> None:
        self._due = recv_ts + self._interval
        self._upto, self._given = ts, (ts, self._seq)
        bids, asks = self._book.view()
        out.append(BookSnapshot(ts, self._seq, bids, asks, recv_ts))
