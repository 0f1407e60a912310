"""How much an address may ask of Binance: weights and times flow in, headers and refusals flow out. Pure.

Spot and futures count apart, by the minute; funding rates and statistics of futures have limits of their own, in
requests of five minutes. https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""

from __future__ import annotations

from typing import NamedTuple

from dccd.symbols import NS

__all__ = ["FUNDING", "FUTURES", "SPOT", "STATISTICS", "Limits", "Pool"]

_BAN = 120  # seconds of 418 for who goes on after a 429


class Pool(NamedTuple):
    """What counts against one limit: *most* in *period* seconds."""

    name: str
    most: int
    period: int = 60


SPOT = Pool("spot", 6000)
FUTURES = Pool("futures", 2400)
FUNDING = Pool("funding", 500, 300)
STATISTICS = Pool("statistics", 1000, 300)


class Limits:
    """The counts of all addresses."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], tuple[int, int]] = {}  # (pool, address): (period, weight used)
        self._banned: dict[tuple[str, str], int] = {}  # (pool, address): until when (ns)

    def __repr__(self) -> str:
        return f"<Limits used={len(self._used)} banned={len(self._banned)}>"

    def count(self, pool: Pool, weight: int, now: int, client: str) -> dict[str, str]:
        """Count a request at *now* (ns), and return its headers."""
        period, key = now // (pool.period * NS), (pool.name, client)
        at, used = self._used.get(key, (period, 0))
        used = weight if at != period else used + weight
        self._used[key] = (period, used)
        return {"x-mbx-used-weight": str(used), "x-mbx-used-weight-1m": str(used)} if pool.period == 60 else {}

    def refusal(self, pool: Pool, now: int, client: str) -> tuple[int, float] | None:
        """Status and seconds to wait, if the last request was one too many."""
        key = (pool.name, client)
        until = self._banned.get(key, 0)
        if now < until:
            return 418, (until - now) / NS + 1
        used = self._used[key][1]
        if used > 2 * pool.most:
            self._banned[key] = now + _BAN * NS
            return 418, _BAN
        return (429, pool.period - now // NS % pool.period) if used > pool.most else None
