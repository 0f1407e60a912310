"""What only contracts have on BitMEX: rows of ``instrument`` flow in, funding rates and open interest flow out.

The partial tells the whole row; an update only what has changed of it, so the rest is kept. Both data types are of the
same table, to which a connection can be subscribed once: such two streams are for two connections.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from dccd.errors import NoCapability
from dccd.exchanges.announced import AnnouncedFunding, AnnouncedInterest
from dccd.exchanges.base import Market, Signal
from dccd.exchanges.bitmex.frames import EXCHANGE, Action, BitmexStream, Frame
from dccd.exchanges.bitmex.symbols import Contracts, is_quanto
from dccd.exchanges.wire import Count, Price, iso_ns
from dccd.records import Record
from dccd.symbols import Dataset

__all__ = ["FundingStream", "InstrumentRow", "OpenInterestStream", "Rate", "contracts_of"]

Rate = Annotated[float, msgspec.Meta(gt=-10, lt=10)]
"""A funding rate as a fraction."""

_SMALLEST = {"USDt": 1_000_000, "XBt": 100_000_000}
"""Of assets that contracts are paid in, how many of the units that values are counted in are one."""


class InstrumentRow(msgspec.Struct, gc=False):
    """What there is of a contract, as far as told; ``interest`` in contracts, ``value`` in the unit of ``settle``."""

    symbol: str
    timestamp: str | None = None
    rate: Rate | None = msgspec.field(name="fundingRate", default=None)
    due: str | None = msgspec.field(name="fundingTimestamp", default=None)
    mark: Price | None = msgspec.field(name="markPrice", default=None)
    interest: Count | None = msgspec.field(name="openInterest", default=None)
    value: Count | None = msgspec.field(name="openValue", default=None)
    settle: str | None = msgspec.field(name="settlCurrency", default=None)


class _InstrumentStream(BitmexStream[InstrumentRow]):
    """Table ``instrument``; keeps the row."""

    decoder = msgspec.json.Decoder(Frame[InstrumentRow], strict=False)

    def __init__(self, market: Market) -> None:
        super().__init__("instrument", market)
        self._row = InstrumentRow(market.id)

    def take(self, action: Action, rows: list[InstrumentRow], recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the row, or what has changed of it. Raises ValueError."""
        if action not in ("partial", "update", "insert"):
            return None  # a contract that is gone
        kept = InstrumentRow(self._symbol) if action == "partial" else self._row
        told = []
        for row in rows:
            kept = _merged(kept, row)
            told.append((row, kept, recv_ts if row.timestamp is None else iso_ns(row.timestamp), _due(kept)))
        self._row = kept
        for row, kept, ts, due in told:
            self.tell(row, kept, ts, due, recv_ts, out)
        return None

    def tell(
        self, row: InstrumentRow, kept: InstrumentRow, ts: int, due: int | None, recv_ts: int, out: list[Record]
    ) -> None:
        """At *ts* (ns) *row* came, which makes the whole row *kept*; the next payment is at *due* (ns)."""
        raise NotImplementedError


class FundingStream(_InstrumentStream):
    """The rate that is paid at ``fundingTimestamp``; BitMEX announces it a whole interval before."""

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self._announced = AnnouncedFunding()

    def tell(
        self, row: InstrumentRow, kept: InstrumentRow, ts: int, due: int | None, recv_ts: int, out: list[Record]
    ) -> None:
        """A rate is told only by a row that has one, or its time."""
        if kept.rate is not None and (row.rate is not None or row.due is not None):
            self._announced.take(ts, kept.rate, kept.mark, due, recv_ts, out)


class OpenInterestStream(_InstrumentStream):
    """The open interest. Inverse contracts are worth 1 of the quote asset each: in base asset they are so much at the
    mark price. Of others the value is ``openValue``, where that is in the quote asset.
    """

    def __init__(self, dataset: Dataset, market: Market) -> None:
        super().__init__(market)
        self._quote = dataset.symbol.quote
        self._contracts = contracts_of(dataset, market)
        self._announced = AnnouncedInterest()

    def tell(
        self, row: InstrumentRow, kept: InstrumentRow, ts: int, due: int | None, recv_ts: int, out: list[Record]
    ) -> None:
        """An open interest is told only by a row that has one: prices alone don't change it."""
        interest, inverse = kept.interest, self._contracts.inverse
        if row.interest is None or interest is None or (inverse and kept.mark is None):
            return
        if inverse:
            value: float | None = float(interest)
        else:
            unit = _SMALLEST.get(kept.settle or "")
            paid_in_quote = unit is not None and (kept.settle or "").upper() == self._quote
            value = (
                kept.value / unit
                if unit and paid_in_quote and row.value is not None and kept.value is not None
                else None
            )
        self._announced.take(ts, self._contracts.base(interest, kept.mark or 1.0), value, recv_ts, out)


def contracts_of(dataset: Dataset, market: Market) -> Contracts:
    """What one contract of *market* is. Raises NoCapability where that isn't fixed."""
    if is_quanto(dataset.symbol, market):
        raise NoCapability(
            EXCHANGE,
            f"{market.id} is paid in a third asset: how much base asset a contract is depends on that one's price, so "
            f"that there is no {dataset.data_type} of it here; there are trades, ohlc and funding",
            "data_type",
        )
    return Contracts(market)


def _merged(kept: InstrumentRow, row: InstrumentRow) -> InstrumentRow:
    told = {name: value for name in row.__struct_fields__ if (value := getattr(row, name)) is not None}
    return msgspec.structs.replace(kept, **told)


def _due(row: InstrumentRow) -> int | None:
    return None if row.due is None else iso_ns(row.due)
