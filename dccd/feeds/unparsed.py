"""Frames that aren't what the exchange documents: each flows in, and now and then one item for all of them flows out.

Pure; an exchange that changes its format sends thousands a second.
"""

from __future__ import annotations

from dccd.feeds.items import Unparsed

__all__ = ["BadFrames"]

_SAMPLE = 512


class BadFrames:
    """Those of one session; told at once, then *every* so many seconds at most."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._last: tuple[str, bytes] | None = None
        self._count = 0
        self._told = float("-inf")

    def __repr__(self) -> str:
        return f"<BadFrames {self._count} to be told>"

    def add(self, error: str, frame: bytes) -> None:
        """One more."""
        self._count += 1
        self._last = (error, frame[:_SAMPLE])

    def tell(self, now: float) -> Unparsed | None:
        """What there is to be told at *now*, monotonic seconds; the newest is the sample."""
        if self._last is None or now - self._told < self._every:
            return None
        told = Unparsed(*self._last, self._count)
        self._last, self._count, self._told = None, 0, now
        return told
