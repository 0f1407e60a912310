"""Past records through ccxt's unified methods: their answers as JSON flow in, records flow out."""

from __future__ import annotations

from dccd.exchanges.base import Market, Page, PageRequest
from dccd.exchanges.book import whole_book
from dccd.exchanges.paging import SETTLED, STATED, SinglePage
from dccd.exchanges.unified.features import INTEREST_TIMEFRAME, Features
from dccd.exchanges.unified.pages import Rows, UnifiedPages
from dccd.exchanges.unified.rows import (
    BarRow,
    BookRow,
    FundingRow,
    InterestRow,
    TradeRow,
    bar,
    funding,
    interest,
    levels,
    trade,
)
from dccd.exchanges.wire import MS, Decoder, parse_error
from dccd.symbols import NS

__all__ = ["BarPager", "DepthPager", "FundingPager", "InterestPager", "TradePager"]

_DAY = 86_400
_WORTH_SEEKING = 4
_COARSE = "coarse"
"""The cursor of a request that looks for where a market's bars begin."""


class TradePager(UnifiedPages):
    """``fetchTrades``."""

    may_be_coarse = True

    def __init__(self, exchange: str, market: Market, start: int, end: int) -> None:
        super().__init__(exchange, "fetchTrades", {"symbol": market.id}, start, end)
        self._market = market
        self._decoder: Decoder[list[TradeRow]] = Decoder(exchange, list[TradeRow])

    def rows(self, body: bytes, recv_ts: int) -> Rows:
        """Trades, told apart by their ids, where they have some."""
        found = [trade(row, self._market) for row in self._decoder.decode(body)]
        return [((one.ts, one.tid or (one.price, one.amount, one.side)), one) for one in found]


class BarPager(UnifiedPages):
    """``fetchOHLCV``. Before the first page from *start* (ns) on, daily bars find where a market begins, should that be
    later: a handful of requests, where windows of minutes would be thousands."""

    def __init__(self, features: Features, market: Market, span: int, start: int, end: int) -> None:
        params: dict[str, str | int] = {"symbol": market.id, "timeframe": features.timeframes[span]}
        window = None
        if features.page is not None:
            params["limit"] = features.page
            window = features.page * span * NS
        times = {"step": span * NS, "lasts": span * NS, "window": window}
        super().__init__(features.id, "fetchOHLCV", params, start, end, **times)  # type: ignore[arg-type]  # by name
        self._decoder: Decoder[list[BarRow]] = Decoder(features.id, list[BarRow])
        self._days = features.timeframes.get(_DAY) if window is not None and span < _DAY else None

    def rows(self, body: bytes, recv_ts: int) -> Rows:
        """The bars that are closed for certain."""
        found = [bar(row, closed=True) for row in self._decoder.decode(body)]
        return [(one.ts, one) for one in found if one.ts + self._lasts <= recv_ts - SETTLED]

    def requests(self, limit: int) -> list[PageRequest]:
        """The next page, or days."""
        found = super().requests(limit)
        if found and self._newest and self._seeks(self._newest[0][1].ts):
            assert self._days is not None
            # From the day's beginning, so that the one in which `since` lies is among them.
            day = self._since - self._since % (_DAY * NS)
            params = {**found[0].params, "timeframe": self._days, "since": day // MS}
            return [PageRequest(self._method, params, _COARSE)]
        return found

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        if request.cursor != _COARSE:
            return super().receive(request, body, recv_ts)
        days = [row.timestamp * MS for row in self._decoder.decode(body)]
        self._open = False
        there = [ts for ts in days if ts + _DAY * NS > self._since]
        if there:
            self._since = max(self._since, min(there))
            self._days = None
        else:
            assert self._window is not None
            self._since += self._window // self._lasts * _DAY * NS
        return Page([], self._start, self._start)

    def _seeks(self, oldest: int) -> bool:
        if self._days is None or self._window is None or self._walked:
            return False
        return self._since + _WORTH_SEEKING * self._window < oldest


class FundingPager(UnifiedPages):
    """``fetchFundingRateHistory``."""

    def __init__(self, exchange: str, market: Market, start: int, end: int) -> None:
        super().__init__(exchange, "fetchFundingRateHistory", {"symbol": market.id}, start, end, settled=STATED)
        self._decoder: Decoder[list[FundingRow]] = Decoder(exchange, list[FundingRow])

    def rows(self, body: bytes, recv_ts: int) -> Rows:
        """The rates that were paid."""
        found = [funding(row) for row in self._decoder.decode(body)]
        return [(one.ts, one) for one in found if one.ts <= recv_ts]


class InterestPager(UnifiedPages):
    """``fetchOpenInterestHistory``."""

    def __init__(self, exchange: str, market: Market, start: int, end: int) -> None:
        params: dict[str, str | int] = {"symbol": market.id, "timeframe": INTEREST_TIMEFRAME}
        super().__init__(exchange, "fetchOpenInterestHistory", params, start, end, settled=STATED)
        self._decoder: Decoder[list[InterestRow]] = Decoder(exchange, list[InterestRow])

    def rows(self, body: bytes, recv_ts: int) -> Rows:
        """What was open at each hour."""
        return [(one.ts, one) for one in map(interest, self._decoder.decode(body))]


class DepthPager(SinglePage):
    """``fetchOrderBook``: the present book, at the exchange's time where ccxt has it, else at that when it came."""

    def __init__(self, exchange: str, market: Market) -> None:
        super().__init__(PageRequest("fetchOrderBook", {"symbol": market.id}), 0)
        self._exchange = exchange
        self._market = market
        self._decoder: Decoder[BookRow] = Decoder(exchange, BookRow)

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot. Raises ParseError."""
        found = self._decoder.decode(body)
        try:
            sides = levels(found.bids, self._market), levels(found.asks, self._market)
        except ValueError as exc:
            raise parse_error(self._exchange, exc, body) from exc
        ts = recv_ts if found.timestamp is None else found.timestamp * MS
        seq = recv_ts if found.nonce is None else found.nonce
        return Page([whole_book(self._exchange, body, ts, seq, sides, recv_ts)], ts, ts)
