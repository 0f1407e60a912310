"""Where a feed begins: a time in words, or where another one stopped, becomes a number. Pure.

>>> since_ns("10m", now=3_000_000_000_000_000_000)
2999999400000000000
>>> Position.parse("1234+2@2026-01-01T00:00:00Z")
Position(epoch='2026-01-01T00:00:00Z', seq=1234, skip=2)
"""

from __future__ import annotations

import re
from datetime import date, timedelta

import msgspec

from dccd.client.base import Time, time_text
from dccd.errors import IdentityError
from dccd.symbols import EARLIEST, parse_interval, parse_time

__all__ = ["Position", "Since", "since_ns"]

Since = Time | timedelta
"""A time, or how long ago: ``"10m"``, a timedelta; ``"now"``."""

_AGO = re.compile(r"[0-9.]+(ms|s|m|h|d)")
_POSITION = re.compile(r"(\d{1,19})(?:\+(\d{1,9}))?@(\S{1,80})")
_STORE = "store"


def since_ns(since: Since, now: int) -> int:
    """*since* in ns, when it is *now* (ns); what is before all time that there is begins with that.

    Raises IdentityError.
    """
    if isinstance(since, timedelta):
        return max(EARLIEST, now - max(0, since // timedelta(microseconds=1)) * 1000)
    if since == "now":
        return now
    if isinstance(since, str) and _AGO.fullmatch(since.strip()):
        return now - parse_interval(since, "since")
    try:
        return parse_time(time_text(since) if isinstance(since, date) else since, "since")
    except IdentityError as exc:
        raise IdentityError(exc.field, f"{exc}; or how long ago, as 10m, 2h, 7d") from exc


class Position(msgspec.Struct, frozen=True):
    """Where a feed is: it goes on with message ``seq`` of the stream's ``epoch``, after ``skip`` records of that.

    While it reads the store (``epoch`` is ``store``): with rows of the time ``seq`` (ns), after ``skip`` records of
    that time. Its text is what a program keeps.
    """

    epoch: str
    seq: int
    skip: int = 0

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read one; raises IdentityError."""
        match = _POSITION.fullmatch(text)
        if match is None:
            raise IdentityError("resume", f"{text[:80]!r} is no position: take one from `position`, as it is")
        return cls(match[3], int(match[1]), int(match[2] or 0))

    @classmethod
    def stored(cls, ts: int, skip: int) -> Position:
        """One in the store."""
        return cls(_STORE, ts, skip)

    @property
    def in_store(self) -> bool:
        """Whether it is one in the store."""
        return self.epoch == _STORE

    def __str__(self) -> str:
        return f"{self.seq}{f'+{self.skip}' if self.skip else ''}@{self.epoch}"
