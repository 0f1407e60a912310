"""Who of a connection's streams gets which frame: reads of the socket flow in, each stream's share flows out. No I/O.

It sees every frame, hence its form: a read that is of one stream as a whole, which is most of them where there is much
to do, costs one call of the router a frame and is handed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from dccd.exchanges.base import Router
from dccd.feeds.socket import Read

__all__ = ["Inbox", "Switch"]


class Inbox:
    """What has come for one stream and isn't taken yet. *notify* is called when there is something new."""

    __slots__ = ("_frames", "_stamp", "count", "last", "notify", "queued", "reads", "topic")

    def __init__(self, topic: str, notify: Callable[[], None]) -> None:
        self.topic = topic
        self.notify = notify
        self.reads: list[Read] = []
        self.queued = 0
        """Bytes in ``reads``."""
        self.count = 0
        """Frames that have come."""
        self.last: float | None = None
        """When the last frame of its own topic came, in monotonic seconds."""
        self._stamp: int | None = None
        self._frames: list[bytes] = []

    def __repr__(self) -> str:
        return f"<Inbox {self.topic} {self.queued} bytes>"

    def take(self) -> list[Read]:
        """All that there is."""
        reads, self.reads, self.queued, self._stamp = self.reads, [], 0, None
        return reads

    def put(self, read: Read, size: int) -> None:
        """Take a whole read, of *size* bytes."""
        self.reads.append(read)
        self.queued += size
        self.count += len(read[1])
        self._stamp = None
        self.notify()

    def add(self, stamp: int, frame: bytes) -> bool:
        """Take one frame of the read that came at *stamp*; return whether it is the first of it."""
        first = stamp != self._stamp
        if first:
            self._stamp = stamp
            self._frames = []
            self.reads.append((stamp, self._frames))
        self._frames.append(frame)
        self.queued += len(frame)
        self.count += 1
        return first


class Switch:
    """The inboxes of one connection."""

    def __init__(self, router: Router, limit: int) -> None:
        self.router = router
        self.topics: dict[str, Inbox] = {}
        self.listening: list[Inbox] = []
        """Those that get what is for all: a stream that hasn't said anything yet can't be meant."""
        self.full: set[Inbox] = set()
        """Those that have *limit* bytes or more to take."""
        self.unclaimed = 0
        """Frames of topics that nobody here has: of streams that have left, as a rule."""
        self.dropped = 0
        """Frames that the router said are for nobody."""
        self.unheard = 0
        """Frames for all, when nobody had said anything yet."""
        self.stranger: str | None = None
        """The last topic that nobody had."""
        self._limit = limit
        # What frames of the last read that was all of one topic begin with, and that topic.
        self._beginning = b""
        self._topic: str | None = None

    def __repr__(self) -> str:
        return f"<Switch {len(self.topics)} streams, {self.unclaimed} unclaimed>"

    def add(self, inbox: Inbox) -> None:
        """A stream takes part from now on."""
        self.topics[inbox.topic] = inbox

    def listen(self, inbox: Inbox) -> None:
        """It gets what is for all, too."""
        if inbox not in self.listening:
            self.listening.append(inbox)

    def remove(self, inbox: Inbox) -> None:
        """A stream takes part no longer."""
        self.topics.pop(inbox.topic, None)
        self.full.discard(inbox)
        if inbox in self.listening:
            self.listening.remove(inbox)

    def taken(self, inbox: Inbox) -> None:
        """It has taken what it had."""
        self.full.discard(inbox)

    def give(self, read: Read, size: int, now: float) -> None:
        """Hand a read of about *size* bytes on. What the router raises (MessagesLost) is raised once all before is."""
        stamp, frames = read
        beginning = self._beginning
        # A third of what it costs to route them, and a busy stream's reads are like this.
        if beginning and all([frame.startswith(beginning) for frame in frames]):
            self._whole(self._topic, read, size, now)
            return
        topics: list[str | None] = []
        lost: Exception | None = None
        try:
            # What was routed before an exception stays in the list.
            topics.extend(map(self.router.route, frames))
        except Exception as exc:
            lost = exc
        if topics:
            first = topics[0]
            if lost is None and topics.count(first) == len(topics):
                self._beginning = self.router.alike(frames[0]) if first else b""
                self._topic = first
                self._whole(first, read, size, now)
            else:
                self._mixed(topics, stamp, frames, now)
        if lost is not None:
            raise lost

    def _whole(self, topic: str | None, read: Read, size: int, now: float) -> None:
        """All frames of a read are of one topic."""
        if topic is None:
            self.unheard += 0 if self.listening else len(read[1])
            for inbox in self.listening:
                inbox.put(read, size)
                if inbox.queued >= self._limit:
                    self.full.add(inbox)
            return
        found = self.topics.get(topic)
        if found is not None:
            found.last = now
            found.put(read, size)
            if found.queued >= self._limit:
                self.full.add(found)
        else:
            self._nobody_s(topic, len(read[1]))

    def _mixed(self, topics: list[str | None], stamp: int, frames: list[bytes], now: float) -> None:
        touched: list[Inbox] = []
        inboxes = self.topics
        for topic, frame in zip(topics, frames, strict=False):  # fewer topics: the rest came after a loss
            if topic is None:
                self.unheard += not self.listening
                touched += [inbox for inbox in self.listening if inbox.add(stamp, frame)]
                continue
            inbox = inboxes.get(topic)
            if inbox is None:
                self._nobody_s(topic, 1)
                continue
            inbox.last = now
            if inbox.add(stamp, frame):
                touched.append(inbox)
        for inbox in touched:
            inbox.notify()
            if inbox.queued >= self._limit:
                self.full.add(inbox)

    def _nobody_s(self, topic: str, count: int) -> None:
        if topic:
            self.unclaimed += count
            self.stranger = topic
        else:
            self.dropped += count
