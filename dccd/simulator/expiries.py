"""When dated contracts expire: a time flows in, the next quarterly expiries flow out. Pure.

Quarterly contracts end on the last Friday of March, June, September and December at 08:00 UTC, on all exchanges here;
ids are made of that day: ``BTCUSDT_240628``, ``BTC-USD-240628``, ``XBTM24``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from dccd.symbols import NS

__all__ = ["expiries", "expiry", "expiry_day"]

_FRIDAY = 4
_HOUR = 8


def expiries(at: int) -> tuple[int, int]:
    """When (ns) the current quarterly contract and the next one expire, at *at* (ns).

    From the moment of its expiry on a contract is gone, and what was the next one is the current one.
    """
    year = datetime.fromtimestamp(at // NS, UTC).year
    ends = [_end(year + n // 4, n % 4 * 3 + 3) for n in range(6)]
    current = next(n for n, end in enumerate(ends) if end > at)
    return ends[current], ends[current + 1]


def expiry(contract: str, at: int) -> int:
    """When (ns) the ``quarter`` or ``next_quarter`` contract of the time *at* expires. Raises ValueError for others."""
    ends = dict(zip(("quarter", "next_quarter"), expiries(at), strict=True))
    if contract not in ends:
        raise ValueError(f"a {contract or 'spot'} market has no expiry")
    return ends[contract]


def expiry_day(end: int) -> date:
    """The day of an expiry: ``f"{expiry_day(end):%y%m%d}"`` is how most exchanges write it."""
    return datetime.fromtimestamp(end // NS, UTC).date()


def _end(year: int, month: int) -> int:
    """08:00 UTC on the last Friday of a month."""
    after = datetime(year + month // 12, month % 12 + 1, 1, _HOUR, tzinfo=UTC)
    last = after - timedelta(days=1)
    return int((last - timedelta(days=(last.weekday() - _FRIDAY) % 7)).timestamp()) * NS
