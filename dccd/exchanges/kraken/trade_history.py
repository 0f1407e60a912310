"""Past trades of Kraken over REST: bodies of ``publicGetTrades`` flow in, trades flow out.

The cursor is a time (``last``, in ns), and several trades may share one. So each page is asked for from just before the
end of the page before, and what both hold is known by its id. Pages depend on each other: one request at a time.
https://docs.kraken.com/api-reference/market-data/get-recent-trades
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.exchanges.kraken.checksum import number
from dccd.exchanges.kraken.frames import EXCHANGE, parse_error
from dccd.exchanges.kraken.history import Body, only
from dccd.exchanges.paging import SETTLED
from dccd.exchanges.wire import Decoder, Id, Price, Traded
from dccd.records import Record, Trade

__all__ = ["TradePager"]

_LIMIT = 1000


class _Row(msgspec.Struct, array_like=True, gc=False):
    """``time`` in seconds, as it is written: a float holds no nanoseconds of these days."""

    price: Price
    amount: Traded
    time: msgspec.Raw
    side: Literal["b", "s"]
    kind: str
    misc: str
    trade_id: Id


_TRADES: Decoder[Body[list[_Row]]] = Decoder(EXCHANGE, Body[list[_Row]])


class TradePager(HistoryPager):
    """Trades from *start* to *end* (ns).

    It is done when a page reaches ``end``, or holds nothing that wasn't known. Should more than a page of trades share
    one nanosecond, those beyond the page can't be asked for: the pages' intervals leave that nanosecond out then.
    """

    def __init__(self, market: str, start: int, end: int) -> None:
        self._market = market
        self._start, self._end = start, end
        self._since = max(0, start - 1)  # what `since` itself names may or may not be part of the answer
        self._until = start
        self._open = False
        self._done = start >= end
        self._known: set[tuple[int, int]] = set()  # id and time of what the newest pages held

    def __repr__(self) -> str:
        return f"<TradePager {self._market} since={self._since} done={self._done}>"

    def requests(self, limit: int) -> list[PageRequest]:
        """The next page."""
        if limit < 1 or self._open or self._done:
            return []
        self._open = True
        params: dict[str, str | int] = {"pair": self._market, "since": self._since, "count": _LIMIT}
        return [PageRequest("publicGetTrades", params)]

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        found = _TRADES.decode(body)
        rows = only(found, list, body)
        try:
            last = int(found.result["last"])  # type: ignore[arg-type]  # a list raises TypeError, which is caught
            trades = [(_ns(row.time), row) for row in rows]
        except (KeyError, TypeError, ValueError) as exc:
            raise parse_error(exc, body) from exc
        fresh = [(ts, row) for ts, row in trades if (row.trade_id, ts) not in self._known]
        records: list[Record] = [
            Trade(ts, row.price, row.amount, "buy" if row.side == "b" else "sell", str(row.trade_id))
            for ts, row in fresh
            if self._start <= ts < self._end
        ]
        records.sort(key=lambda record: record.ts)
        if not fresh and len(rows) >= _LIMIT and last < self._since:
            # It would be the same page again, for ever, and what comes after it can't be had.
            raise parse_error(f"a full page of known trades until {last}, where {self._since} on was asked for", body)
        self._open = False
        start = self._until
        if not fresh and len(rows) < _LIMIT:
            # Everything there is.
            self._until = max(start, min(self._end, recv_ts - SETTLED))
            self._done = True
        elif not fresh:
            # A page full of trades that are known: they share one time. Go past it, leaving it out.
            self._since = max(self._since, last) + (1 if self._since >= last else 0)
            start = self._until = max(start, min(self._end, last + 1))
            self._done = last >= self._end
        else:
            self._known = {(row.trade_id, ts) for ts, row in trades}
            self._since = max(self._since, last - 1)
            self._until = max(start, min(self._end, last))
            self._done = last >= self._end
        return Page(records, start, self._until)

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._done

    @property
    def position(self) -> int:
        """All trades before this time (ns) have been asked for."""
        return self._until


def _ns(raw: msgspec.Raw) -> int:
    """Nanoseconds from seconds with decimals. Raises ValueError."""
    whole, _, fraction = number(raw).partition(b".")
    return int(whole) * 10**9 + int(fraction[:9].ljust(9, b"0"))
