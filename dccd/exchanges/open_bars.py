"""Live bars: states of the present one flow in, bars flow out, each closed one once.

Some exchanges say when one is closed: then a closed one that is missing is a hole. Of others it is closed when a later
one begins, or when its end has passed for a moment without that.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dccd.exchanges.base import Broken
from dccd.records import Bar, Record
from dccd.symbols import NS

__all__ = ["GRACE", "ClosedBars", "OpenBars", "check_bar"]

GRACE = 3 * NS
"""How long after its end a bar may still get a trade (ns): they come a moment late, and clocks differ."""


def check_bar(bar: Bar) -> Bar:
    """Return *bar*. Raises ValueError when its high or low is none."""
    low, high = bar.low, bar.high
    if low <= bar.open <= high and low <= bar.close <= high:
        return bar
    raise ValueError(f"a bar from {low} to {high} that isn't")


class ClosedBars:
    """The bars of one stream of *span* seconds whose exchange says which are closed."""

    __slots__ = ("_closed", "_span", "_state")

    def __init__(self, span: int) -> None:
        self._span = span * NS
        self._closed: int | None = None
        self._state = (0, 0, 0.0)  # of the newest bar: when it opens, and what was traded

    def __repr__(self) -> str:
        return f"<ClosedBars closed={self._closed}>"

    def take(self, bars: Iterable[Bar], out: list[Record]) -> Broken | None:
        """Take states of bars in the order of their times; the hole that the closed ones leave, if they do."""
        span, closed = self._span, self._closed
        first: int | None = None
        until = missing = 0
        for bar in bars:
            ts = bar.ts
            state = ts, bar.trades or 0, bar.volume
            if (closed is not None and ts <= closed) or (state < self._state and not bar.closed):
                continue  # overtaken by a later state
            self._state = state
            out.append(bar)
            if not bar.closed:
                if closed is None:
                    # The first bar that is told must be closed, too: its closing may be what is lost.
                    closed = self._closed = ts - span
                continue
            if closed is not None and ts > closed + span:
                first, until = closed + span if first is None else first, ts
                missing += (ts - closed) // span - 1
            closed = self._closed = ts
        return None if first is None else Broken(f"{missing} closed bars are missing", first, "none", until)


class OpenBars:
    """The present bar of one stream of *span* seconds; each closed one is given out once, as closed."""

    __slots__ = ("_closed", "_open", "_span")

    def __init__(self, span: int) -> None:
        self._span = span * NS
        self._open: Bar | None = None
        self._closed: Bar | None = None

    def __repr__(self) -> str:
        return f"<OpenBars open={self._open and self._open.ts} closed={self._closed and self._closed.ts}>"

    def is_over(self, bar: Bar, now: int) -> bool:
        """Whether *bar* was closed before *now* (ns): of a snapshot, such are history's."""
        return bar.ts + self._span + GRACE <= now

    def take(self, bar: Bar, out: list[Record]) -> None:
        """Take a state of a bar (``closed`` false)."""
        closed, present = self._closed, self._open
        if closed is not None and bar.ts <= closed.ts:
            # A trade so late that its bar was taken for closed corrects it; what is older than that was overtaken.
            if bar.ts == closed.ts and _traded(bar) > _traded(closed):
                self._close(bar, out)
            return
        if present is not None:
            if bar.ts < present.ts or (bar.ts == present.ts and _traded(bar) < _traded(present)):
                return  # overtaken by a later state
            if bar.ts > present.ts:
                self._close(present, out)
        self._open = bar
        out.append(bar)

    def tick(self, now: int, out: list[Record]) -> None:
        """Close the present bar when its end has passed."""
        if self._open is not None and self.is_over(self._open, now):
            self._close(self._open, out)

    def _close(self, bar: Bar, out: list[Record]) -> None:
        self._closed = msgspec.structs.replace(bar, closed=True)
        if self._open is not None and self._open.ts <= bar.ts:
            self._open = None
        out.append(self._closed)


def _traded(bar: Bar) -> tuple[int, float]:
    """What only grows while a bar is open; not every exchange counts the trades."""
    return bar.trades or 0, bar.volume
