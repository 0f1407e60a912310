"""Live feeds."""

from __future__ import annotations

from typing import Any, Literal, overload

from dccd.client.base import Requests
from dccd.client.ticks import Ticks
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Trade
from dccd.symbols import Dataset

__all__ = ["TickRequests"]


class TickRequests(Requests):
    """Ticks as they come."""

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["trades"] = "trades", span: None = None
    ) -> Ticks[Trade]: ...

    @overload
    def ticks(self, exchange: str, symbol: str, data_type: Literal["ohlc"], span: str | int) -> Ticks[Bar]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["orderbook"], span: None = None
    ) -> Ticks[BookSnapshot | BookDelta]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["funding"], span: None = None
    ) -> Ticks[FundingRate]: ...

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["open_interest"], span: None = None
    ) -> Ticks[OpenInterest]: ...

    @overload
    def ticks(self, exchange: str, symbol: str, data_type: str, span: str | int | None = None) -> Ticks[Any]: ...

    def ticks(self, exchange: str, symbol: str, data_type: str = "trades", span: str | int | None = None) -> Ticks[Any]:
        """Return the live feed of a dataset, to iterate over. Raises IdentityError."""
        return Ticks(lambda: self.bus, Dataset.make(exchange, data_type, symbol, span))
