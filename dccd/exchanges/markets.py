"""Which of an exchange's markets a symbol means: what is listed flows in, one market flows out. Pure.

``:quarter`` and ``:next_quarter`` are the contracts that expire in the last days of March, June, September or December:
the first and the second such from now on. A contract settled in the quote asset comes before one settled in the base.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import msgspec

from dccd.exchanges.base import Market
from dccd.symbols import NS, Symbol

__all__ = ["Listed", "choose", "is_quarterly", "meant_since"]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One market of an exchange. ``kind``: ``spot``, ``perp``, ``dated``, or empty for what isn't traded here.

    ``settle``: the asset that a contract is paid in; the rest as in Market.
    """

    id: str
    base: str
    quote: str
    kind: str
    settle: str = ""
    contract: float = 1.0
    inverse: bool = False
    expires: int | None = None

    @property
    def market(self) -> Market:
        """Without what the symbol says already."""
        return Market(self.id, self.contract, self.inverse, self.expires)


def choose(symbol: Symbol, listed: Iterable[Listed], now: int) -> Market | None:
    """The market that *symbol* means at *now* (ns); None when there is none."""
    kind = {"": "spot", "perp": "perp"}.get(symbol.contract, "dated")
    found = [one for one in listed if one.kind == kind and (one.base, one.quote) == (symbol.base, symbol.quote)]
    if kind == "dated":
        found = _of_quarter(found, now, int(symbol.contract == "next_quarter"))
    for settle in (symbol.quote, symbol.base, None):
        same = [one for one in found if kind == "spot" or settle is None or one.settle == settle]
        if same:
            return same[0].market
    return None


def _of_quarter(listed: Iterable[Listed], now: int, which: int) -> list[Listed]:
    """Those that expire in the first or second quarter that any does, whatever they are settled in; earliest first."""
    found = sorted(
        (one.expires, n, one)
        for n, one in enumerate(listed)
        if one.expires is not None and one.expires > now and is_quarterly(one.expires)
    )
    months = [
        (moment := datetime.fromtimestamp(expires // NS, UTC)).year * 12 + moment.month for expires, _, _ in found
    ]
    wanted = sorted(set(months))[which : which + 1]
    return [one for (_, _, one), month in zip(found, months, strict=True) if month in wanted]


def is_quarterly(expires: int) -> bool:
    """Whether a contract that expires at *expires* (ns) is a quarterly one: in the last week of a quarter."""
    moment = datetime.fromtimestamp(expires // NS, UTC)
    return moment.month % 3 == 0 and (moment + timedelta(days=7)).month != moment.month


def meant_since(symbol: Symbol, market: Market) -> int | None:
    """Since when (ns) a dated *symbol* means *market*: since the quarterly contract before expired; None of others.

    Before, it meant that one, whose records this one's history doesn't have.
    """
    if market.expires is None or symbol.contract not in ("quarter", "next_quarter"):
        return None
    expires = datetime.fromtimestamp(market.expires // NS, UTC)
    quarters = 1 if symbol.contract == "quarter" else 2
    month = expires.year * 12 + expires.month - 1 - 3 * quarters
    # The last Friday; at the same hour, which each exchange has its own of.
    after = date((month + 1) // 12, (month + 1) % 12 + 1, 1)
    friday = after - timedelta(days=(after.weekday() - 5) % 7 + 1)
    return int(datetime.combine(friday, expires.timetz()).timestamp()) * NS
