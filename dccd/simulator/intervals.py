"""When bars begin: an interval's name and a time flow in, the bar's start and the next one's flow out. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from dccd.symbols import NS

__all__ = ["INTERVALS", "Interval"]

_WEEK = 604_800
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": _WEEK}


class Interval:
    """One of Binance's intervals: fixed spans counted from 1970, weeks from Mondays, and calendar months."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._span = 0 if name == "1M" else int(name[:-1]) * _UNITS[name[-1]] * NS
        # 1970 began on a Thursday.
        self._offset = 4 * 86_400 * NS if name == "1w" else 0

    def __repr__(self) -> str:
        return f"<Interval {self.name}>"

    def start(self, time: int) -> int:
        """When the bar that *time* (ns) is in began."""
        if self._span:
            return time - (time - self._offset) % self._span
        moment = datetime.fromtimestamp(time // NS, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * NS

    def starts(self, first: int, last: int, most: int) -> list[int]:
        """Starts of the bars from the one at *first* to that at *last*, at most that many."""
        if self._span:
            return list(range(first, min(last, first + (most - 1) * self._span) + 1, self._span))
        out: list[int] = []
        while first <= last and len(out) < most:
            out.append(first)
            first = self.shift(first, 1)
        return out

    def shift(self, start: int, count: int) -> int:
        """When the bar *count* bars after the one at *start* begins; before it if negative."""
        if self._span:
            return start + count * self._span
        moment = datetime.fromtimestamp(start // NS, UTC)
        months = moment.year * 12 + moment.month - 1 + count
        return int(datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC).timestamp()) * NS


_NAMES = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")

INTERVALS = {name: Interval(name) for name in _NAMES}
"""Binance's, by name."""
