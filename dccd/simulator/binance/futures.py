"""The public REST API of Binance's futures: paths and queries flow in, answers flow out, without I/O.

https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api: perpetuals and quarterly
contracts margined in USDT and USDC, under ``/fapi/v1``, and statistics under ``/futures/data``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dccd.simulator.binance.formats import MS
from dccd.simulator.binance.futures_formats import FuturesFormats, contract_info
from dccd.simulator.binance.futures_streams import FUTURES_INTERVALS
from dccd.simulator.binance.limits import FUNDING, FUTURES, STATISTICS, Pool
from dccd.simulator.binance.listing import limit_info
from dccd.simulator.binance.parameters import Query, Refused, limited, mandatory, number
from dccd.simulator.binance.tables import agg_trades, klines, listed, trades
from dccd.simulator.venue import Listing
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.binance.rest import Binance

__all__ = ["FuturesApi", "Path", "weight"]

_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
_PERIODS = {
    "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14_400, "6h": 21_600, "12h": 43_200, "1d": 86_400,
}  # fmt: skip
_KEPT = 30 * 86_400 * NS


class Path(NamedTuple):
    """One endpoint: its parameters, what a request weighs, its answer, and what it counts against."""

    parameters: tuple[str, ...]
    weigh: Callable[[Query], int]
    answer: Callable[[Query, int], str]
    pool: Pool = FUTURES


def weight(weight: int) -> Callable[[Query], int]:
    """Always the same."""
    return lambda query: weight


class FuturesApi:
    """The endpoints of *venue*'s contracts."""

    def __init__(self, venue: Binance) -> None:
        self._venue = venue
        klines = ("symbol", "interval", "startTime", "endTime", "limit")
        self.paths: dict[str, Path] = {
            "/fapi/v1/ping": Path((), weight(1), lambda query, now: "{}"),
            "/fapi/v1/time": Path((), weight(1), lambda query, now: f'{{"serverTime":{now // MS}}}'),
            "/fapi/v1/exchangeInfo": Path((), weight(1), self._exchange_info),
            "/fapi/v1/depth": Path(("symbol", "limit"), _depth_weight, self._depth),
            "/fapi/v1/trades": Path(("symbol", "limit"), weight(5), self._trades),
            "/fapi/v1/aggTrades": Path(
                ("symbol", "fromId", "startTime", "endTime", "limit"), weight(20), self._agg_trades
            ),
            "/fapi/v1/klines": Path(klines, _klines_weight, self._klines),
            "/fapi/v1/premiumIndex": Path(("symbol",), weight(1), self._premium),
            "/fapi/v1/fundingRate": Path(
                ("symbol", "startTime", "endTime", "limit"), weight(1), self._funding, FUNDING
            ),
            "/fapi/v1/fundingInfo": Path((), weight(1), lambda query, now: "[]", FUNDING),
            "/fapi/v1/openInterest": Path(("symbol",), weight(1), self._interest),
            "/futures/data/openInterestHist": Path(
                ("symbol", "period", "startTime", "endTime", "limit"), weight(1), self._interests, STATISTICS
            ),
        }

    def __repr__(self) -> str:
        return f"<FuturesApi {', '.join(self._venue.contracts)}>"

    def _exchange_info(self, query: Query, now: int) -> str:
        venue = self._venue
        return json.dumps(
            {
                "timezone": "UTC",
                "serverTime": now // MS,
                "futuresType": "U_MARGINED",
                "rateLimits": [
                    limit_info("REQUEST_WEIGHT", "MINUTE", 1, FUTURES.most),
                    limit_info("ORDERS", "MINUTE", 1, 1200),
                    limit_info("ORDERS", "SECOND", 10, 300),
                ],
                "exchangeFilters": [],
                "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
                "symbols": [
                    contract_info(listing.instrument, venue.started, venue.opened)
                    for listing in venue.contracts.values()
                ],
            },
            separators=(",", ":"),
        )

    def _depth(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        limit = number(query, "limit") or 500
        if limit not in _LIMITS:
            raise Refused(-4021, f"{limit} is not valid depth limit.")
        book, step = listing.book, listing.book.step(now)
        return formats.depth_body(book.time(step), book.last_id(step), *book.levels(step, limit))

    def _trades(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        return trades(listing.market, formats, query, now)

    def _agg_trades(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        return agg_trades(listing.market, formats, query, now)

    def _klines(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        return klines(listing.market, formats, query, now, FUTURES_INTERVALS, 1500)

    def _premium(self, query: Query, now: int) -> str:
        if "symbol" in query:
            return self._listing(query)[1].premium(now)
        return listed([formats.premium(now) for formats in self._venue.futures_formats.values()])

    def _funding(self, query: Query, now: int) -> str:
        """The newest; of those between both times the oldest, in ascending order. Dated contracts have none."""
        listing, formats = self._listing(query)
        limit = limited(query, 100, 1000)
        start, end = number(query, "startTime"), number(query, "endTime")
        until = now + 1 if end is None else min(now + 1, end * MS + 1)
        paid = listing.derivative.settlements(0 if start is None else start * MS, until)
        paid = paid[-limit:] if start is None else paid[:limit]
        return listed([formats.funding_row(one.ts, one.rate) for one in paid])

    def _interest(self, query: Query, now: int) -> str:
        return self._listing(query)[1].interest(now)

    def _interests(self, query: Query, now: int) -> str:
        """The newest of those between the times, in ascending order, of the last 30 days."""
        listing, formats = self._listing(query)
        period = _PERIODS.get(mandatory(query, "period"))
        if period is None:
            raise Refused(-1130, "parameter 'period' is invalid.")
        limit, span = limited(query, 30, 500), period * NS
        start, end = number(query, "startTime"), number(query, "endTime")
        if start is not None and start * MS < now - _KEPT:
            raise Refused(-1130, "parameter 'startTime' is invalid.")
        first = max(now - _KEPT if start is None else start * MS, listing.market.opened)
        last = now if end is None else min(now, end * MS)
        times = range(first + -first % span, last + 1, span)
        return listed([formats.interest_row(at) for at in times[-limit:]])

    def _listing(self, query: Query) -> tuple[Listing, FuturesFormats]:
        listing = self._venue.contracts.get(mandatory(query, "symbol"))
        if listing is None:
            raise Refused(-1121, "Invalid symbol.")
        return listing, self._venue.futures_formats[listing.symbol.human]


def _number(query: Query, default: int) -> int:
    limit = query.get("limit", "")
    return int(limit) if limit.isdecimal() else default


def _depth_weight(query: Query) -> int:
    limit = _number(query, 500)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def _klines_weight(query: Query) -> int:
    limit = _number(query, 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
