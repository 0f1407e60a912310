"""Trades and bars of one symbol as Binance's REST gives them, spot and futures alike: queries flow in, lists flow out.

Which parameters go together, and what is refused, is as documented for both.
"""

from __future__ import annotations

from collections.abc import Mapping

from dccd.simulator.binance.formats import MS, TRADE_ID, Formats
from dccd.simulator.binance.parameters import Query, Refused, limited, mandatory, number
from dccd.simulator.intervals import Interval
from dccd.simulator.market import Market

__all__ = ["agg_trades", "klines", "listed", "trades"]

_HOUR_MS = 3_600_000


def listed(rows: list[str]) -> str:
    """A JSON array."""
    return "[" + ",".join(rows) + "]"


def trades(market: Market, formats: Formats, query: Query, now: int) -> str:
    """``trades`` and ``historicalTrades``: the newest, or from a trade id on."""
    limit, end = limited(query, 500, 1000), market.index(now + 1)
    from_id = number(query, "fromId")
    first = end - limit if from_id is None else from_id - TRADE_ID - formats.first_id
    first = max(0, first)
    return listed(formats.trade_rows(market.runs(first, min(end, first + limit))))


def agg_trades(market: Market, formats: Formats, query: Query, now: int) -> str:
    """From an id, or a time, or up to a time; both times at most an hour apart; else the newest."""
    limit = limited(query, 500, 1000)
    from_id, start, end = (number(query, name) for name in ("fromId", "startTime", "endTime"))
    past = market.index(now + 1)
    if from_id is not None:
        if start is not None or end is not None:
            raise Refused(-1128, "Combination of optional parameters invalid.")
        first = max(0, from_id - formats.first_id)
        last = first + limit
    else:
        until = past if end is None else min(past, market.index((end + 1) * MS))
        if start is None:
            first, last = max(0, until - limit), until
        else:
            if end is not None and end < start:
                raise Refused(-1128, "Combination of optional parameters invalid.")
            if end is not None and end - start > _HOUR_MS:
                raise Refused(-1127, "More than 1 hours between startTime and endTime.")
            first = market.index(start * MS)
            last = min(until, first + limit)
    return listed(formats.agg_rows(market.runs(first, min(past, last))))


def klines(
    market: Market, formats: Formats, query: Query, now: int, intervals: Mapping[str, Interval], most: int
) -> str:
    """Bars that begin within the times, from the older end on if a start is given; the last one may be open."""
    interval = intervals.get(mandatory(query, "interval"))
    if interval is None:
        raise Refused(-1120, "Invalid interval.")
    if query.get("timeZone", "0") not in ("0", "00:00", "+00:00"):
        raise Refused(-1130, "Data sent for parameter 'timeZone' is not valid.")
    limit = limited(query, 500, most)
    start, end = number(query, "startTime"), number(query, "endTime")
    oldest = interval.start(market.time(0))
    newest = interval.start(now if end is None else min(now, end * MS))
    if start is None:
        first = max(oldest, interval.shift(newest, 1 - limit))
    else:
        first = max(oldest, interval.shift(interval.start(start * MS - 1), 1))
    starts = interval.starts(first, newest, limit)
    if not starts:
        return "[]"
    edges = [market.index(start) for start in starts]
    ends = [*starts[1:], interval.shift(starts[-1], 1)]
    edges.append(market.index(min(ends[-1], now + 1)))
    return listed(formats.kline_rows(starts, ends, market.aggregates(edges)))
