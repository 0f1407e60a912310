"""What a publisher has to deliver, and what is to be done about it: offers, answers and the time flow in, what to send
next flows out. Pure: it neither waits nor sends, and times are monotonic seconds that it is told.

A message waits in a queue, then it is on its way until it is acknowledged: a window of messages at most, in the order
of the offers, which is the order in which they are sent again, too. What doesn't fit is dropped, the newest first.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

__all__ = ["Dropped", "Offer", "Outbox"]

_OVERHEAD = 256
"""What a buffered message costs beside its payload, about, in bytes."""
_NEVER = float("-inf")
"""Before all times."""
_RETRY_FIRST, _RETRY_MOST = 0.05, 1.0
"""Seconds between two tries while the bus takes nothing."""


class Offer(msgspec.Struct, gc=False):
    """A message that is held here; the outbox alone changes it. One that is sent at no time is to be sent (again)."""

    number: int
    subject: str
    payload: bytes
    count: int
    first_ts: int
    last_ts: int
    offered: float
    covered: str | None = None
    ttl: int | None = None
    first_sent: float = 0.0
    sent: float = _NEVER
    behind: int = 0
    """A number of the stream: if the message is stored, then behind it."""


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """What was dropped of one subject: how much, and the times (ns) of the first and the last record."""

    messages: int
    records: int
    first_ts: int
    last_ts: int


class Outbox:
    """Holds what is offered until it is acknowledged; parameters as :class:`dccd.bus.publisher.Publisher`'s.

    *limit*: bytes that it may hold; a single message always may.
    """

    def __init__(self, window: int, deadline: float, limit: int, duplicate_window: float, now: float) -> None:
        self._window = window
        self._deadline = deadline
        self._limit = limit
        self._duplicate_window = duplicate_window
        self._number = 0
        self._queue: deque[Offer] = deque()
        self._on_way: dict[int, Offer] = {}
        self.resend = False
        """Whether something on its way is to be sent again."""
        self.held_bytes = 0
        self.overflow = 0
        """Messages that were dropped since it overflows; 0 while it doesn't."""
        self._dropped: dict[str, Dropped] = {}
        self._progress = now
        self._newest = 0  # the number in the stream of what was stored last
        self._look_at = now
        self._retry_at = 0.0
        self._retry_wait = 0.0
        self._acked = self._again = self._duplicates = self._refused = 0
        self._dropped_messages = self._dropped_records = 0

    def __len__(self) -> int:
        """Messages that aren't acknowledged."""
        return len(self._queue) + len(self._on_way)

    def __repr__(self) -> str:
        return f"<Outbox waiting={len(self._queue)} on_way={len(self._on_way)} acked={self._acked}>"

    # ---------------------------------------------------------------- what is offered

    def offer(
        self,
        subject: str,
        payload: bytes,
        count: int,
        first_ts: int,
        last_ts: int,
        covered: str | None,
        ttl: int | None,
        now: float,
    ) -> bool:
        """Take a message, or drop it; returns whether there was room for it."""
        size = len(payload)
        # Where nothing waits there is room for one, however small the buffer: an overflow ends when something has left,
        # so with nothing there it would never end. And once one is dropped everything is until half is free, so that
        # each subject has one gap and not many.
        if self.overflow or (self.held_bytes and self.held_bytes + size > self._limit):
            self.overflow += 1
            _add(self._dropped, subject, count, first_ts, last_ts)
            return False
        self._number += 1
        self._queue.append(Offer(self._number, subject, payload, count, first_ts, last_ts, now, covered, ttl))
        self.held_bytes += size + _OVERHEAD
        return True

    @property
    def full(self) -> bool:
        """Whether a window of messages or more waits here."""
        return len(self._queue) + len(self._on_way) >= self._window

    def stalled(self, now: float, connected: bool) -> bool:
        """Whether the bus is away, or has not acknowledged anything for a deadline: a market doesn't wait for that."""
        return not connected or (bool(self._on_way) and now - self._progress > self._deadline)

    @property
    def waiting_since(self) -> float | None:
        """When the oldest message that isn't acknowledged was offered, ``None`` when there is none."""
        oldest = next(iter(self._on_way.values()), None) or (self._queue[0] if self._queue else None)
        return None if oldest is None else oldest.offered

    # ---------------------------------------------------------------- what to send

    def may_send(self, now: float) -> bool:
        """Whether no pause is to be made, after a try that failed; one that is over is forgotten."""
        if now < self._retry_at:
            return False
        self._retry_at = 0.0
        return True

    @property
    def window_open(self) -> bool:
        """Whether another message may be on its way."""
        return len(self._on_way) < self._window

    @property
    def has_work(self) -> bool:
        """Whether something waits to be sent, or sent again."""
        return bool(self._queue) or self.resend

    def next(self, now: float) -> Offer | None:
        """The next message to send: it is on its way now. ``None``: the window is full, or some go again first."""
        if not self._queue or self.resend or len(self._on_way) >= self._window:
            return None
        if not self._on_way:
            self._look_at = now + self._deadline / 4
        offer = self._queue.popleft()
        self._on_way[offer.number] = offer
        offer.first_sent, offer.behind = now, self._newest
        return offer

    def sent(self, offer: Offer, now: float) -> None:
        """It was handed to the connection."""
        offer.sent = now

    def wait(self, now: float) -> float | None:
        """Seconds until it is to be looked at again, if nothing happens before; ``None``: no need."""
        if not self._on_way and not self._retry_at:
            return None
        return self._retry_at - now if self._retry_at > now else max(0.0, self._look_at - now)

    # ---------------------------------------------------------------- what to send again

    def look(self, now: float) -> bool:
        """Mark what wasn't acknowledged within the deadline: it is sent again. Four times a deadline, however often
        it is called; returns whether it was time to."""
        if now < self._look_at:
            return False
        self._look_at = now + self._deadline / 4
        overdue = now - self._deadline
        for offer in self._on_way.values():
            if offer.sent < overdue:
                offer.sent = _NEVER
                self.resend = True
        return True

    def reconnected(self, now: float) -> None:
        """Mark all that is on its way: of what was sent, or answered, just before the loss nobody knows."""
        for offer in self._on_way.values():
            offer.sent = _NEVER
        self.resend = bool(self._on_way)
        self._retry_at = 0.0
        self._progress = now

    def failed(self, now: float) -> None:
        """Nothing can be sent now: after a pause, then, first of all what could not be."""
        self._retry_wait = min(_RETRY_MOST, self._retry_wait * 2 or _RETRY_FIRST)
        self._retry_at = now + self._retry_wait
        if any(offer.sent == _NEVER for offer in self._on_way.values()):
            self.resend = True

    def again(self, now: float) -> tuple[list[Offer], dict[str, int]]:
        """All that is marked, in the order of the offers; and the subjects to look up in the stream before, from which
        of its numbers on.

        The server forgets the ids of messages in time: an old one may be stored, and be stored a second time.
        """
        marked = [offer for offer in self._on_way.values() if offer.sent == _NEVER]
        old = now - self._duplicate_window / 2
        since: dict[str, int] = {}
        for offer in marked:
            if offer.first_sent < old:
                since[offer.subject] = min(offer.behind + 1, since.get(offer.subject, offer.behind + 1))
        return marked, since

    def take_again(self, offer: Offer) -> bool:
        """Whether it is to be sent again all the same: answers come in between. It counts as sent again."""
        if offer.sent != _NEVER or offer.number not in self._on_way:
            return False
        self._again += 1
        return True

    def sent_again(self) -> None:
        """All that was marked has been sent; more may be marked by now."""
        self.resend = any(offer.sent == _NEVER for offer in self._on_way.values())

    # ---------------------------------------------------------------- answers

    def get(self, number: int) -> Offer | None:
        """The message with that number if it is on its way: an answer to an earlier sending may have come before."""
        return self._on_way.get(number)

    def acked(self, number: int, seq: int, now: float, duplicate: bool = False) -> Offer | None:
        """It is stored, as *seq* of the stream; returns it, ``None`` when that was known."""
        offer = self._on_way.pop(number, None)
        if offer is None:
            return None
        self.held_bytes -= len(offer.payload) + _OVERHEAD
        self._acked += 1
        self._duplicates += duplicate
        if not duplicate:
            # Not the greatest of all: a stream that was made anew begins at 1 again.
            self._newest = seq
        self._progress = now
        self._retry_wait = 0.0
        return offer

    def refused(self, offer: Offer, now: float) -> bool:
        """It isn't stored for now, and is sent again; returns whether it is the first one so since all was sent."""
        first = not self.resend
        self._refused += 1
        offer.sent = _NEVER
        self.resend = True
        if now >= self._retry_at:
            self.failed(now)
        return first

    def refused_for_good(self, offer: Offer) -> dict[str, Dropped]:
        """The stream will never take it; returns it as dropped."""
        self._refused += 1
        del self._on_way[offer.number]
        self.held_bytes -= len(offer.payload) + _OVERHEAD
        dropped: dict[str, Dropped] = {}
        _add(dropped, offer.subject, offer.count, offer.first_ts, offer.last_ts)
        return self._counted(dropped)

    # ---------------------------------------------------------------- what is dropped

    def end_overflow(self) -> dict[str, Dropped]:
        """End it if half of the buffer is free: ask when something has left. Returns what was dropped, by subject."""
        if self.held_bytes > self._limit // 2:
            return {}
        return self._take_dropped()

    def end(self) -> dict[str, Dropped]:
        """Give up what is left; returns it with what an overflow has dropped, by subject."""
        for offer in [*self._on_way.values(), *self._queue]:
            _add(self._dropped, offer.subject, offer.count, offer.first_ts, offer.last_ts)
        self._on_way.clear()
        self._queue.clear()
        self.held_bytes = 0
        return self._take_dropped()

    def _take_dropped(self) -> dict[str, Dropped]:
        dropped, self._dropped, self.overflow = self._dropped, {}, 0
        return self._counted(dropped)

    def _counted(self, dropped: dict[str, Dropped]) -> dict[str, Dropped]:
        for total in dropped.values():
            self._dropped_messages += total.messages
            self._dropped_records += total.records
        return dropped

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and what is here now; what is dropped counts once the overflow is over."""
        return {
            "offered": self._number,
            "acked": self._acked,
            "published_again": self._again,
            "duplicates": self._duplicates,
            "refused": self._refused,
            "waiting": len(self._queue),
            "on_way": len(self._on_way),
            "window": self._window,
            "buffer_bytes": self.held_bytes,
            "buffer_limit": self._limit,
            "overflowing": bool(self.overflow),
            "dropped_messages": self._dropped_messages,
            "dropped_records": self._dropped_records,
        }


def _add(dropped: dict[str, Dropped], subject: str, count: int, first_ts: int, last_ts: int) -> None:
    """Add a message to the totals of its subject."""
    total = dropped.get(subject)
    if total is None:
        dropped[subject] = Dropped(1, count, first_ts, last_ts)
    else:
        first, last = min(total.first_ts, first_ts), max(total.last_ts, last_ts)
        dropped[subject] = Dropped(total.messages + 1, total.records + count, first, last)
