"""What one connection has to send, and when: frames of its streams flow in, one at a time flows out. Pure.

Exchanges count the messages that a client sends, and close the connection of one that sends too many: the subscriptions
of fifty streams that start at once go out one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["Outbox", "Window"]

_SLACK = 1e-6
"""Seconds by which sums of floats may be wrong: without them, one would wait for less than a clock can tell."""


class Window:
    """At most *count* events in any *period* seconds, wherever these begin. Times are monotonic seconds."""

    def __init__(self, count: float, period: float) -> None:
        # Half an event in a second is one in two.
        whole = max(1, int(count))
        self._period = period * whole / count
        self._whole = whole
        self._times: deque[float] = deque(maxlen=whole)

    @classmethod
    def evenly(cls, count: float) -> Window:
        """One at a time, *count* a second.

        A second's at once would be within a limit, too, where they leave; on their way they are held up, and two
        seconds' may arrive in one.
        """
        return cls(1.0, 1.0 / count)

    def __repr__(self) -> str:
        return f"<Window {self._whole} in {self._period:g} s, {len(self._times)} noted>"

    def wait(self, now: float) -> float:
        """Seconds until the next event may happen."""
        if len(self._times) < self._whole:
            return 0.0
        wait = self._times[0] + self._period - now
        return wait if wait > _SLACK else 0.0

    def note(self, now: float) -> None:
        """One has happened."""
        self._times.append(now)


class Outbox:
    """Frames that wait for their turns, each with the number of the stream whose it is.

    Those that mend something go first; those that end something, once their time has come; subscriptions last.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._urgent: deque[tuple[int, str]] = deque()
        self._later: deque[tuple[float, int, str]] = deque()
        self._usual: deque[tuple[int, str]] = deque()
        self.sent = 0
        """Frames taken so far."""

    def __len__(self) -> int:
        return len(self._urgent) + len(self._later) + len(self._usual)

    def put(self, lane: int, frames: Iterable[str], *, urgent: bool = False, not_before: float | None = None) -> None:
        """Take frames of the stream *lane*; with *not_before* times that don't decrease."""
        if not_before is not None:
            self._later.extend((not_before, lane, frame) for frame in frames)
        else:
            (self._urgent if urgent else self._usual).extend((lane, frame) for frame in frames)

    def forget(self, lane: int) -> None:
        """The stream has left: what it still had to say is pointless."""
        self._urgent = deque(one for one in self._urgent if one[0] != lane)
        self._usual = deque(one for one in self._usual if one[0] != lane)

    def wait(self, now: float) -> float | None:
        """Seconds until :meth:`take` has something; ``None``: there is nothing to send."""
        if self._urgent or self._usual:
            return self._window.wait(now)
        if self._later:
            due = self._later[0][0] - now
            return max(self._window.wait(now), due if due > _SLACK else 0.0)
        return None

    def take(self, now: float) -> tuple[int, str] | None:
        """The next frame that may go now, and whose it is; it counts as sent."""
        if self._window.wait(now):
            return None
        if self._urgent:
            found = self._urgent.popleft()
        elif self._later and self._later[0][0] <= now + _SLACK:
            _, lane, frame = self._later.popleft()
            found = (lane, frame)
        elif self._usual:
            found = self._usual.popleft()
        else:
            return None
        self._window.note(now)
        self.sent += 1
        return found
