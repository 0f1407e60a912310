"""Whether a backfill gets on: the pages that came flow in, an error flows out once they lead nowhere.

An exchange may answer with the same page whatever is asked for, or lead round in a circle. Pagers refuse what they can
tell from a body alone; what shows over several pages shows here, for all of them. Backfills have no end of their own.
"""

from __future__ import annotations

from collections import Counter

from dccd.errors import NoProgress
from dccd.exchanges.base import Page, PageRequest
from dccd.symbols import format_time

__all__ = ["REPEATS", "STANDSTILL", "Progress"]

REPEATS = 4
"""So often may one request be made at one position, less one: a page that begins with the last trade comes twice."""
STANDSTILL = 100
"""So many pages of records in a row may cover nothing new: of one millisecond there are some full pages at most."""


class Progress:
    """The requests and pages of one pager since its position moved last. *position* (ns): where it begins."""

    def __init__(self, exchange: str, position: int) -> None:
        self._exchange = exchange
        self._position = position
        self._asked: Counter[tuple[str, tuple[tuple[str, str | int], ...]]] = Counter()
        self._standing = 0

    def __repr__(self) -> str:
        return f"<Progress {self._exchange} position={self._position} standing={self._standing}>"

    def took(self, request: PageRequest, page: Page, position: int, *, alone: bool) -> NoProgress | None:
        """What is wrong with *page*, if anything: it came for *request*, and all before *position* (ns) is covered now.

        *alone*: no other request was under way, so that the position waits for none.
        """
        if position > self._position:
            self._position = position
            self._asked.clear()
            self._standing = 0
            return None
        # Pages without records are no standstill: a market's beginning is looked for in many of those.
        self._standing += alone and bool(page.records)
        same = request.endpoint, tuple(sorted(request.params.items()))
        self._asked[same] += 1
        if self._asked[same] >= REPEATS:
            return self._error(request, f"the same page was asked for {REPEATS} times")
        if self._standing >= STANDSTILL:
            return self._error(request, f"{STANDSTILL} pages of records came")
        return None

    def _error(self, request: PageRequest, what: str) -> NoProgress:
        return NoProgress(
            self._exchange,
            f"{self._exchange} makes no progress: {what}, and nothing from {format_time(self._position)} on is covered "
            f"by it ({request.endpoint})",
            request.endpoint,
            self._position,
        )
