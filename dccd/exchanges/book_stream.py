"""What the live order books that begin with a snapshot have in common: updates flow in, breaks flow out.

A break renews the subscription on the same connection, which brings a new snapshot; nothing is given out until then.
"""

from __future__ import annotations

import re
from typing import ClassVar

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Signal, StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_output import BookOutput
from dccd.exchanges.stream import TopicStream
from dccd.records import Record
from dccd.symbols import NS

__all__ = ["UNREAD", "BookTopic", "UnnumberedBook"]

UNREAD = "a frame could not be read"
_PATIENCE = 10 * NS


class BookTopic(TopicStream):
    """One book. It comes before the exchange's own stream class among a subclass's bases.

    ``_seq``: of the last change in the book. Where the exchange numbers nothing that goes on over reconnections, it is
    :meth:`_next`.
    """

    _book: Book
    _output: BookOutput

    def _hold(self, book: Book, options: StreamOptions) -> None:
        """Once, when the stream is made."""
        self._book = book
        self._output = BookOutput(book, options)
        self._seq = 0
        self._waiting = 0  # since when updates come without a snapshot
        self._unread = False  # a frame came that can't be read: nothing that follows would tell what was in it

    def subscribe(self) -> list[str]:
        """What comes before its snapshot is of the subscription before this one."""
        self._output.stop()
        self._waiting, self._unread = 0, False
        return super().subscribe()

    @property
    def confirms(self) -> bool:
        """The snapshot does."""
        return self._output.live

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Give out a snapshot that is due; renew a book of which a frame was lost."""
        if self._unread:
            return self._broken(UNREAD)
        self._output.tick(now, out)
        if self._waiting and now - self._waiting > _PATIENCE:
            return self._broken("updates come, but no snapshot")
        return None

    def _broken(self, reason: str) -> Broken:
        self._output.stop()
        self._unread = False
        return Broken(reason, self._output.last_ts, "resubscribe")

    def _next(self, recv_ts: int) -> int:
        """The time when a frame came (ns), or one more where that hasn't moved on: it grows over reconnections, too."""
        self._seq = max(self._seq + 1, recv_ts)
        return self._seq


class UnnumberedBook(BookTopic):
    """One whose frames have no numbers, or whose checksums don't cover all of it.

    A frame that can't be read leaves a wrong book then, and nothing shows it: it is a break. :meth:`take` tells so at
    the next frame (``if self._unread: return self._broken(UNREAD)``, once that is read), or :meth:`tick`.
    """

    named: ClassVar[re.Pattern[bytes]]
    """Finds the names of symbols in a frame."""
    _mark: bytes
    """What all frames of our channel have in them."""
    _name: bytes
    """Our symbol's."""
    _frame = b""
    """The one that is being taken."""

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        self._frame = frame
        try:
            return super().receive(frame, recv_ts, out)
        except ParseError:
            self._unread = self._unread or (self._output.live and self._may_be_ours(frame))
            raise

    def _may_be_ours(self, frame: bytes) -> bool:
        """Whether a frame that can't be read was perhaps one of this book: what can't be told goes to all streams."""
        if self._mark not in frame:
            return False
        names = self.named.findall(frame)
        return not names or self._name in names
