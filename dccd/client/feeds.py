"""Live feeds."""

from __future__ import annotations

import time
from typing import Any, Literal, TypedDict, Unpack, overload

from dccd import subjects
from dccd.bus.group import drop_group
from dccd.client.base import Requests
from dccd.client.selection import Selection
from dccd.client.since import Position, Since, since_ns
from dccd.client.tick_past import Past
from dccd.client.tick_sources import Live, Shared, Source, Stream, for_readers
from dccd.client.ticks import Ticks, TickSet
from dccd.errors import IdentityError
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import NS, DataType

__all__ = ["TickOptions", "TickRequests"]

Star = Literal["*"]
"""Any exchange, any symbol (contracts, too), any span."""
Trades = Literal["trades"]
Bars = Literal["ohlc"]
Books = Literal["orderbook"]
Funding = Literal["funding"]
Interest = Literal["open_interest"]


class TickOptions(TypedDict, total=False):
    """How ticks are delivered; see :meth:`TickRequests.ticks`."""

    since: Since | None
    resume: str | None
    group: str | None
    durable: bool
    ack_wait: float
    store: bool


# mypy calls the overloads of "*" unsafe, since that is a str, too: it is the narrower one that comes first.
class TickRequests(Requests):
    """Ticks as they come."""

    @overload
    def ticks(self, *, pattern: str, **how: Unpack[TickOptions]) -> TickSet[Any]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: Star, symbol: str, data_type: Trades = "trades", span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[Trade]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: str, symbol: Star, data_type: Trades = "trades", span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[Trade]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Trades = "trades", span: None = None, **how: Unpack[TickOptions]
    ) -> Ticks[Trade]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: Star, symbol: str, data_type: Bars, span: str | int, **how: Unpack[TickOptions]
    ) -> TickSet[Bar]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: str, symbol: Star, data_type: Bars, span: str | int, **how: Unpack[TickOptions]
    ) -> TickSet[Bar]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: str, symbol: str, data_type: Bars, span: Star, **how: Unpack[TickOptions]
    ) -> TickSet[Bar]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Bars, span: str | int, **how: Unpack[TickOptions]
    ) -> Ticks[Bar]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: Star, symbol: str, data_type: Books, span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[BookSnapshot | BookDelta]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: str, symbol: Star, data_type: Books, span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[BookSnapshot | BookDelta]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Books, span: None = None, **how: Unpack[TickOptions]
    ) -> Ticks[BookSnapshot | BookDelta]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: Star, symbol: str, data_type: Funding, span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[FundingRate]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: str, symbol: Star, data_type: Funding, span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[FundingRate]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Funding, span: None = None, **how: Unpack[TickOptions]
    ) -> Ticks[FundingRate]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: Star, symbol: str, data_type: Interest, span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[OpenInterest]: ...

    @overload
    def ticks(  # type: ignore[overload-overlap]
        self, exchange: str, symbol: Star, data_type: Interest, span: None = None, **how: Unpack[TickOptions]
    ) -> TickSet[OpenInterest]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Interest, span: None = None, **how: Unpack[TickOptions]
    ) -> Ticks[OpenInterest]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: str, span: str | int | None = None, **how: Unpack[TickOptions]
    ) -> Ticks[Any] | TickSet[Any]: ...

    def ticks(
        self,
        exchange: str | None = None,
        symbol: str | None = None,
        data_type: str = "trades",
        span: str | int | None = None,
        *,
        pattern: str | None = None,
        since: Since | None = None,
        resume: str | None = None,
        group: str | None = None,
        durable: bool = False,
        ack_wait: float = 30.0,
        store: bool = True,
    ) -> Ticks[Any] | TickSet[Any]:
        """Return the ticks of a dataset, or with a ``*`` for exchange, symbol or span those of all that match, to
        iterate over. *pattern* is a NATS wildcard: ``binance.trades.*``, ``*.ohlc.BTC-USDT.1m``, ``kraken.>``.

        Live by default. *since*: what the stream has from then on, and live without a gap or a double: a time, or how
        long ago (``"10m"``, a timedelta), or ``"now"``. What the stream doesn't reach back to is read from the store
        first, of one dataset; *store* false: begin with the stream, and ``begins`` says when. *resume*: go on at a
        ``position`` of before.

        *group*: share the messages with all others of that group. With *since* or *durable* the group is remembered and
        each message comes at least once: it counts as done with at the next step of the iteration, and goes to another
        member after *ack_wait* seconds without one; where the bus has users, that takes the role reader. Raises
        IdentityError.
        """
        if pattern is None:
            if exchange is None or symbol is None:
                raise IdentityError("symbol", "which ticks? An exchange and a symbol, * for any, or a pattern")
            selection = Selection.make(exchange, data_type, symbol, span)
        elif exchange is not None or symbol is not None:
            raise IdentityError("pattern", "a pattern names all: leave out exchange and symbol")
        else:
            selection = Selection.parse(pattern)
        if resume is not None and (since is not None or group is not None):
            raise IdentityError("resume", "a position says where to begin, and for one reader: without since and group")
        if durable and group is None:
            raise IdentityError("durable", "durable is of a group: give it a name")
        position = None if resume is None else Position.parse(resume)
        at = None if since is None else since_ns(since, time.time_ns())
        live = since == "now"
        source: Source
        if group is not None and (durable or at is not None):
            source = Shared(selection.subject, group, ack_wait, None if live else at, strict=store)
        elif position is not None and not position.in_store:
            source = Stream(self.deliver, selection.subject, seq=position.seq)
        elif position is not None:
            if selection.dataset is None:
                raise IdentityError("resume", f"this position is of one dataset, not of {selection}")
            source = Past(self, selection, _from(selection, position.seq), store=store, skip=position.skip)
        elif live:
            source = Stream(self.deliver, selection.subject)
        elif at is not None:
            source = Past(self, selection, at, store=store)
        else:
            source = Live(selection.subject, group or "")
        if pattern is not None or selection.dataset is None:
            return TickSet[Record](lambda: self.bus, selection, source, position=position)
        return Ticks[Record](lambda: self.bus, selection, source, position=position)

    async def drop_group(self, group: str) -> bool:
        """Forget a durable group and how far it is; returns whether there was one. Raises IdentityError."""
        with for_readers():
            return await drop_group(self.bus, subjects.STREAM_TICKS, group)


def _from(selection: Selection, ts: int) -> int:
    """The time since which records of that ``ts`` and later belong to it."""
    dataset = selection.dataset
    return ts if dataset is None or dataset.data_type is not DataType.OHLC else ts + (dataset.span or 0) * NS - 1
