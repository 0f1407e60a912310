"""Past bars and the present book of OKX over REST: bodies flow in, bars and one book flow out.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-candlesticks-history
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-order-book
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Market, Page, PageRequest
from dccd.exchanges.book import whole_book
from dccd.exchanges.okx.bars import Candle, to_bar
from dccd.exchanges.okx.books import BookData, to_levels
from dccd.exchanges.okx.capabilities import DEPTH, KEPT
from dccd.exchanges.okx.frames import EXCHANGE, parse_error
from dccd.exchanges.okx.symbols import BARS
from dccd.exchanges.paging import SinglePage
from dccd.exchanges.wire import MS, Decoder
from dccd.records import Bar
from dccd.symbols import NS

__all__ = ["OLD", "OPENED", "BarPager", "Body", "DepthPager", "data_of"]

_LIMIT = 300
_DAY = 86_400
OPENED = 1_483_228_800 * NS
"""OKX (as OKEx) began in 2017."""
OLD = (KEPT - 5 * _DAY) * NS
"""Where the first record there is of a market is so old (ns), OKX may have had more before; else there were none."""

_T = TypeVar("_T")


class Body(msgspec.Struct, Generic[_T]):
    """Every answer: data, or an error's code and words."""

    code: str
    data: list[_T]
    msg: str = ""


def data_of(body: Body[_T], raw: bytes) -> list[_T]:
    """The data. Raises ParseError in OKX's words when it is an error."""
    if body.code != "0":
        raise parse_error(f"{body.msg} (code {body.code})", raw)
    return body.data


_CANDLES: Decoder[Body[Candle]] = Decoder(EXCHANGE, Body[Candle])
_BOOKS: Decoder[Body[BookData]] = Decoder(EXCHANGE, Body[BookData])


class BarPager(BarWindows):
    """Bars of ``publicGetMarketHistoryCandles``, which has one for each interval, with or without trades."""

    exchange = EXCHANGE

    def __init__(self, market: Market, span: int, start: int, end: int, *, spot: bool) -> None:
        super().__init__(span, start, end, _LIMIT, coarse=_DAY, opened=OPENED)
        self._inst = market.id
        self._spot = spot

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Both bounds are exclusive."""
        params: dict[str, str | int] = {
            "instId": self._inst,
            "bar": BARS[span],
            "before": -(-start // MS) - 1,
            "after": -(-end // MS),
            "limit": _LIMIT,
        }
        return PageRequest("publicGetMarketHistoryCandles", params)

    def bars(self, body: bytes) -> list[Bar]:
        """Newest first in the body. Which of them are over, time tells."""
        found = data_of(_CANDLES.decode(body), body)
        return [to_bar(candle, self._spot) for candle in reversed(found)]


class DepthPager(SinglePage):
    """The present book, of ``publicGetMarketBooks``: one page with one snapshot, numbered as the live books are."""

    def __init__(self, market: Market) -> None:
        params: dict[str, str | int] = {"instId": market.id, "sz": DEPTH}
        super().__init__(PageRequest("publicGetMarketBooks", params), 0)
        self._base = market.to_base

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot. Raises ParseError."""
        found = data_of(_BOOKS.decode(body), body)
        if len(found) != 1:
            raise parse_error(f"{len(found)} books where one was asked for", body)
        try:
            sides = to_levels(found[0].bids, self._base), to_levels(found[0].asks, self._base)
        except ValueError as exc:
            raise parse_error(exc, body) from exc
        seq = recv_ts if found[0].seq is None else found[0].seq
        return Page([whole_book(EXCHANGE, body, found[0].ms * MS, seq, sides, recv_ts)], recv_ts, recv_ts)
