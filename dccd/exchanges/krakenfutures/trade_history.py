"""Past trades of Kraken Futures over REST: bodies of the market's executions flow in, trades flow out.

``/api/history/v3/market/{symbol}/executions`` goes back to a market's first trade, oldest first if asked so, and each
answer has the token of the next one. (``/derivatives/api/v3/history`` has some days only, by a hundred.)
https://docs.kraken.com/api-reference/market-history/get-public-execution-events
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import msgspec
from msgspec import field

from dccd.exchanges.base import HistoryPager, Market, Page, PageRequest
from dccd.exchanges.krakenfutures.frames import EXCHANGE, parse_error
from dccd.exchanges.paging import SETTLED
from dccd.exchanges.wire import MS, Decoder, Millis, Price, Traded
from dccd.records import Record, Side, Trade

__all__ = ["TradePager"]

_LIMIT = 1000
_STANDSTILL = 100
"""So many pages of one time, or without a trade, may follow each other: tokens tell nothing of how far they lead."""
_SIDES: dict[str, Side] = {"Buy": "buy", "Sell": "sell"}


class _Order(msgspec.Struct, gc=False):
    product: str = field(name="tradeable")
    direction: Literal["Buy", "Sell", "Unknown"]


class _Execution(msgspec.Struct, gc=False):
    """``uid`` is the trade's, as live; the event has another one of its own."""

    uid: str
    taker: _Order = field(name="takerOrder")
    ms: Millis = field(name="timestamp")
    quantity: Traded
    price: Price


class _Held(msgspec.Struct, gc=False):
    execution: _Execution


class _Event(msgspec.Struct, gc=False):
    held: _Held = field(name="Execution")


class _Element(msgspec.Struct, gc=False):
    event: _Event


class _Body(msgspec.Struct):
    elements: list[_Element]
    token: str | None = field(name="continuationToken", default=None)


_EXECUTIONS: Decoder[_Body] = Decoder(EXCHANGE, _Body)


class TradePager(HistoryPager):
    """Trades from *start* to *end* (ns), one page after the other."""

    def __init__(self, market: Market, start: int, end: int) -> None:
        self._market = market.id
        self._base = market.to_base
        self._start, self._end = start, end
        self._until = start
        self._newest = 0
        self._standing = 0
        self._token = ""
        self._open = False
        self._done = start >= end

    def __repr__(self) -> str:
        return f"<TradePager {self._market} until={self._until} done={self._done}>"

    def requests(self, limit: int) -> list[PageRequest]:
        """The next page."""
        if limit < 1 or self._open or self._done:
            return []
        self._open = True
        # A millisecond more at each end: whether the times themselves are part of the answer isn't documented.
        params: dict[str, str | int] = {
            "symbol": self._market,
            "sort": "asc",
            "since": max(0, self._start // MS - 1),
            "before": -(-self._end // MS) + 1,
            "count": _LIMIT,
        }
        if self._token:
            params["continuation_token"] = self._token
        return [PageRequest("historyGetMarketSymbolExecutions", params)]

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        found = _EXECUTIONS.decode(body)
        rows = [element.event.held.execution for element in found.elements]
        if any(later.ms < earlier.ms for earlier, later in pairwise(rows)) or (rows and rows[0].ms * MS < self._newest):
            raise parse_error("trades out of order", body)
        if any(row.taker.product != self._market for row in rows):
            raise parse_error("trades of another market", body)
        try:
            trades: list[Record] = [self._trade(row) for row in rows]
        except ValueError as exc:
            raise parse_error(exc, body) from exc
        start, newest = self._until, max(self._newest, rows[-1].ms * MS if rows else 0)
        if found.token and found.token == self._token:
            # It would be the same page again, for ever, and what comes after it can't be had.
            raise parse_error("the token of the page before", body)
        standing = 0 if newest > self._newest else self._standing + 1
        if standing >= _STANDSTILL:
            raise parse_error(f"{standing} pages without a trade later than {newest}", body)
        last = not found.token
        if last:
            self._until = max(start, min(self._end, max(recv_ts - SETTLED, newest)))
        else:
            self._until = max(start, min(self._end, newest))  # more of that time may come
        self._token, self._newest, self._standing = found.token or "", newest, standing
        self._done = last or newest >= self._end
        self._open = False
        return Page([trade for trade in trades if self._start <= trade.ts < self._end], start, self._until)

    def _trade(self, row: _Execution) -> Trade:
        amount = row.quantity if self._base is None else self._base(row.quantity, row.price)
        return Trade(row.ms * MS, row.price, amount, _SIDES.get(row.taker.direction), row.uid)

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._done

    @property
    def position(self) -> int:
        """All trades before this time (ns) have come."""
        return self._until
