"""What of a run's range the exchange doesn't serve: pages flow in, holes flow out. Pure.

Pages come in any order, and several are asked for at once. So a hole is one only when the position has passed it.
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Page
from dccd.store.intervals import IntervalSet
from dccd.symbols import NS, format_time

__all__ = ["Hole", "Missed"]

_EVER = 2**63
_NAMED = 3
"""So many holes are named; of the others the number is told."""


class Hole(msgspec.Struct, frozen=True):
    """``[start, end)`` ns, and what is to be said of it; ``front``: it was where the run began."""

    start: int
    end: int
    reason: str
    front: bool


class Missed:
    """Holes of a run from *exchange*. One shorter than *least* ns holds nothing: no bar begins in it."""

    def __init__(self, exchange: str, least: int) -> None:
        self._exchange, self._least = exchange, least
        self._front: int | None = None  # where the run began
        self._at = 0  # up to here holes are known
        self._covered = IntervalSet()  # from there on
        self._open = IntervalSet()  # holes that weren't taken yet
        self.fronts: list[str] = []
        """What was said of those at the front."""
        self._count = self._length = 0
        self._named: list[str] = []

    def __repr__(self) -> str:
        return f"<Missed {self._count + len(self.fronts)} holes, open={len(self._open)}>"

    def begin(self, position: int) -> None:
        """A fetch begins at *position* (ns). What is missing where the first one did, the exchange serves no more."""
        self._at = max(self._at, position)
        if self._front is None:
            self._front = self._at

    def add(self, page: Page, position: int) -> None:
        """*page* has come, and all before *position* (ns) was asked for."""
        self._covered = self._covered.add(page.start, page.end)
        if position > self._at:
            for start, end in self._covered.gaps(self._at, position):
                self._open = self._open.add(start, end)
            self._covered = self._covered.within(position, _EVER)
            self._at = position

    @property
    def since(self) -> int:
        """Where the first hole begins that wasn't taken yet (ns): a run that ends now must go on there."""
        return min((start for start, _ in self._open), default=_EVER)

    def take(self, *, final: bool) -> list[Hole]:
        """The holes since the last time; one that may still grow only when *final*."""
        found: list[Hole] = []
        for start, end in self._open:
            if end == self._at and not final:
                break
            self._open = self._open.subtract(start, end)
            if end - start >= self._least:
                found.append(self._hole(start, end))
        return found

    def _hole(self, start: int, end: int) -> Hole:
        if start == self._front:
            self.fronts.append(f"{self._exchange} serves nothing before {format_time(end)} any more")
            return Hole(start, end, self.fronts[-1], front=True)
        self._count += 1
        self._length += end - start
        if len(self._named) < _NAMED:
            self._named.append(f"{format_time(start)} to {format_time(end)}")
        return Hole(start, end, f"{self._exchange} doesn't serve it", front=False)

    def between(self) -> str | None:
        """Of the holes that were taken those that were no fronts, in one sentence."""
        if not self._count:
            return None
        what = "one interval" if self._count == 1 else f"{self._count:,} intervals"
        named = ", ".join([*self._named, "…"] if self._count > len(self._named) else self._named)
        return f"{self._exchange} doesn't serve {what} in between, {self._length / NS:,.3f} s in all: {named}"
