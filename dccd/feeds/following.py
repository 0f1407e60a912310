"""Which bars of a live stream are there for certain: bars flow in, up to where none is missing flows out.

A bar that the exchange closed, or that was closed because a later one came, is whole. One that only time has closed may
not be: the subscription may be dead. It is whole when the next one comes, unless silence was suspicious meanwhile. What
lies between bars that don't follow each other is a hole: most exchanges send no bar where nothing was traded, but only
history can tell. In a quiet market that is usual, so no more than one such hole is told in ten minutes, of all since.

Pure; times are ns.
"""

from __future__ import annotations

from dccd.records import Bar
from dccd.symbols import NS

__all__ = ["Following"]

_TOGETHER = 600 * NS
"""For so long after one hole what is left out is kept to be told as one."""


class Following:
    """The bars of a stream, each *span* ns long."""

    def __init__(self, span: int) -> None:
        self._span = span
        self.certain: int | None = None
        """All before this time came, closed; None before the first bar."""
        self.closed_to: int | None = None
        """Where the last closed bar ends, be it by time, or the last hole."""
        self._front = 0  # the same as certain, would what was left out be told
        self._left_out_to: int | None = None
        self._told_at = 0  # the front, when what was left out was told
        self._timed: int | None = None  # where a bar ends that only time has closed
        self._silent = False

    def __repr__(self) -> str:
        return f"<Following certain={self.certain} left_out_to={self._left_out_to}>"

    def silent(self) -> None:
        """Nothing has come for so long that the subscription may be dead."""
        self._silent = True

    def take(self, bar: Bar, by_time: bool) -> None:
        """Take a state of a bar; *by_time*: nobody sent it, but its end has passed."""
        end = bar.ts + self._span
        if bar.closed:
            self.closed_to = end if self.closed_to is None else max(self.closed_to, end)
        if self.certain is None:
            self.certain = self._front = bar.ts
        if not by_time:
            if self._silent:
                self._timed, self._silent = None, False
            elif bar.ts == self._timed:
                self._go_on(bar.ts)
        if not bar.closed:
            return  # it doesn't prove that the one before came: its closing may have been lost
        if bar.ts - self._front >= self._span:
            self._left_out_to = self._front = bar.ts
        if by_time:
            self._timed = end
        else:
            self._go_on(end)

    def hole(self) -> tuple[int, int] | None:
        """What was left out, if it is time to tell it."""
        if self.certain is None or self._left_out_to is None or self._front - self._told_at < _TOGETHER:
            return None
        self._told_at = self._front
        return self.certain, self._left_out_to

    def told(self, since: int, until: int) -> int:
        """A hole is told up to *until*; return where it begins: no later than *since*, nor than what isn't certain."""
        if self.certain is None:
            return since
        since = min(since, self.certain)
        self.closed_to = max(self.closed_to or until, until)
        self._front = max(self._front, until)
        if self._left_out_to is not None and self._left_out_to > until:
            self.certain = max(self.certain, until)
        else:
            self._left_out_to = None
            self.certain = self._front
        return since

    def _go_on(self, end: int) -> None:
        self._front = max(self._front, end)
        if self._left_out_to is None:
            self.certain = self._front
