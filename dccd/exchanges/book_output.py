"""What is given out of a maintained book: its state and changes flow in, snapshots and deltas flow out.

As the stream's options say: deltas with a snapshot from time to time, or the snapshots only. A snapshot is due by our
clock, but tells the exchange's time: that of the last update, plus what has gone by since we had it.
"""

from __future__ import annotations

from dccd.exchanges.base import StreamOptions
from dccd.exchanges.book import Book
from dccd.records import BookDelta, BookSnapshot, Level, Record
from dccd.symbols import NS

__all__ = ["BookOutput"]


class BookOutput:
    """The records of one book. Times in ns."""

    __slots__ = ("_book", "_deltas", "_due", "_interval", "_recv_ts", "_seq", "last_ts", "live")

    def __init__(self, book: Book, options: StreamOptions) -> None:
        self._book = book
        self._deltas = options.book == "deltas"
        self._interval = int(options.snapshot_interval * NS)
        self._due = 0
        self._seq = self._recv_ts = 0
        self.last_ts: int | None = None
        """Exchange time of the last record's state."""
        self.live = False
        """Whether the book is whole: between a snapshot and a break."""

    def __repr__(self) -> str:
        return f"<BookOutput seq={self._seq} live={self.live}>"

    def start(self, ts: int, seq: int, recv_ts: int, out: list[Record]) -> None:
        """The book has just been filled: it is given out whole."""
        self.live = True
        self._moved(ts, seq, recv_ts)
        self._snapshot(ts, recv_ts, out)

    def settle(self, recv_ts: int, out: list[Record]) -> None:
        """What comes next is of a later moment than the last update: a snapshot that is due is given out before it.

        Where one moment's changes come one by one (``change`` with *more*), the book is whole only between moments.
        """
        if self.live and self.last_ts is not None and recv_ts >= self._due:
            self._snapshot(self.last_ts, recv_ts, out)

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
        self._moved(ts, seq, recv_ts)
        bids, asks = changes
        if self._deltas and (bids or asks):
            out.append(BookDelta(ts, seq, bids, asks, recv_ts))
        if recv_ts >= self._due and not more:
            self._snapshot(ts, recv_ts, out)

    def tick(self, now: int, out: list[Record]) -> None:
        """Time has gone by: a snapshot may be due though nothing has changed."""
        if self.live and self.last_ts is not None and now >= self._due:
            self._snapshot(self.last_ts + max(0, now - self._recv_ts), now, out)

    def stop(self) -> None:
        """The book is broken: nothing is given out until it starts again."""
        self.live = False

    def _moved(self, ts: int, seq: int, recv_ts: int) -> None:
        self.last_ts, self._seq, self._recv_ts = ts, seq, recv_ts

    def _snapshot(self, ts: int, recv_ts: int, out: list[Record]) -> None:
        self._due = recv_ts + self._interval
        bids, asks = self._book.view()
        out.append(BookSnapshot(ts, self._seq, bids, asks, recv_ts))
