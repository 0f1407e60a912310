"""Past bars and the present book of BitMEX over REST: bodies flow in, bars and one book flow out.

https://www.bitmex.com/app/restAPI; endpoints as ccxt called them (up to 4.5.81).
"""

from __future__ import annotations

from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Market, Page, PageRequest
from dccd.exchanges.bitmex.bars import BarRow, bars_of
from dccd.exchanges.bitmex.books import BookRow, levels_of
from dccd.exchanges.bitmex.frames import EXCHANGE, parse_error
from dccd.exchanges.bitmex.symbols import bin_size
from dccd.exchanges.book import whole_book
from dccd.exchanges.paging import SinglePage
from dccd.exchanges.wire import MS, Decoder
from dccd.records import Bar
from dccd.symbols import NS, format_time

__all__ = ["BarPager", "BookPager", "time_text"]

_LIMIT = 1000
_DAY = 86_400
_OPENED = 1_411_344_000 * NS
"""2014-09-22; BitMEX opened two months later."""

_BARS: Decoder[list[BarRow]] = Decoder(EXCHANGE, list[BarRow])
_BOOK: Decoder[list[BookRow]] = Decoder(EXCHANGE, list[BookRow])


def time_text(ns: int) -> str:
    """The first millisecond at or after *ns*, as parameters have it."""
    return format_time(-(-ns // MS) * MS)


class BarPager(BarWindows):
    """Bars of ``publicGetTradeBucketed``: their times there, and those asked for, are the bars' ends."""

    exchange = EXCHANGE

    def __init__(self, market: Market, span: int, start: int, end: int) -> None:
        super().__init__(span, start, end, _LIMIT, coarse=_DAY, opened=_OPENED)
        self._market = market
        self._asked_span = span

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Both times are inclusive."""
        self._asked_span = span
        params: dict[str, str | int] = {
            "symbol": self._market.id,
            "binSize": bin_size(span),
            "partial": "false",
            "reverse": "false",
            "count": _LIMIT,
            "startTime": time_text(start + span * NS),
            "endTime": time_text(end + span * NS - MS),
        }
        return PageRequest("publicGetTradeBucketed", params)

    def bars(self, body: bytes) -> list[Bar]:
        """The bars of our market. Raises ParseError, ValueError."""
        rows = _BARS.decode(body)
        if any(row.symbol != self._market.id for row in rows):
            raise ValueError("bars of another market")
        return bars_of(rows, self._asked_span)


class BookPager(SinglePage):
    """The present book, whole, of ``publicGetOrderBookL2``: one page with one snapshot, at the time when it came."""

    def __init__(self, market: Market) -> None:
        super().__init__(PageRequest("publicGetOrderBookL2", {"symbol": market.id, "depth": 0}), 0)
        self._symbol = market.id
        self._base = market.base

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot; the times in it are those of its levels, and nothing is numbered. Raises ParseError."""
        rows = _BOOK.decode(body)
        try:
            if any(row.symbol != self._symbol for row in rows):
                raise ValueError("levels of another market")
            sides = levels_of(rows, self._base)
        except ValueError as exc:
            raise parse_error(exc, body) from exc
        return Page([whole_book(EXCHANGE, body, recv_ts, recv_ts, sides, recv_ts)], recv_ts, recv_ts)
