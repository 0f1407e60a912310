"""When a replay's records are due: times of records flow in, times of the clock flow out. Pure.

Everything is counted from one moment at which it was at one time, so that lateness never adds up.
"""

from __future__ import annotations

import math

import msgspec

from dccd.symbols import NS

__all__ = ["Pace"]


class Pace(msgspec.Struct, frozen=True):
    """At ``at`` (s of the clock) the replay was at ``ts`` (ns), and since then it goes ``speed`` times as fast as it
    was; 0: as fast as it can be taken."""

    ts: int
    at: float
    speed: float

    @property
    def quantum(self) -> int:
        """Records of so much of the replayed time (ns) are published at once: a millisecond's. 0: no matter."""
        return math.ceil(self.speed * NS / 1000)

    def due(self, ts: int) -> float:
        """When (s of the clock) what is of *ts* is to be published."""
        return self.at + (ts - self.ts) / NS / self.speed if self.speed else -math.inf

    def position(self, now: float) -> int:
        """Where it should be *now*; at full speed where it was."""
        return self.ts + round((now - self.at) * self.speed * NS)

    def behind(self, ts: int, now: float) -> float:
        """By how many seconds what is of *ts*, and not out, is late."""
        return max(0.0, now - self.due(ts)) if self.speed else 0.0

    def jumped(self, length: int) -> Pace:
        """As if *length* ns of the replayed time hadn't been there."""
        return msgspec.structs.replace(self, ts=self.ts + length)
