"""What only contracts have on BitMEX: rows of ``instrument`` flow in, funding rates and open interest flow out.

The partial tells the whole row; an update only what has changed of it, so the rest is kept. Both data types are of the
same table, to which a connection can be subscribed once: such two streams are for two connections.
"""

from __future__ import annotations

import msgspec

from dccd.errors import NoCapability
from dccd.exchanges.announced import AnnouncedFunding, AnnouncedInterest
from dccd.exchanges.base import Market, Signal
from dccd.exchanges.bitmex.frames import EXCHANGE, Action, BitmexStream, Frame
from dccd.exchanges.bitmex.symbols import counted, is_quanto
from dccd.exchanges.wire import Count, Price, Rate, iso_ns
from dccd.records import Record
from dccd.symbols import Dataset

__all__ = ["FundingStream", "InstrumentRow", "OpenInterestStream", "counted_of"]

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
            value = self.read(row, kept)
            told.append((value, row, kept, recv_ts if row.timestamp is None else iso_ns(row.timestamp), _due(kept)))
        self._row = kept
        for value, row, kept, ts, due in told:
            if value is not None:
                self.tell(value, row, kept, ts, due, recv_ts, out)
        return None

    def read(self, row: InstrumentRow, kept: InstrumentRow) -> float | None:
        """What *row* tells, which makes the whole row *kept*; None for nothing. Raises ValueError."""
        raise NotImplementedError

    def tell(
        self,
        value: float,
        row: InstrumentRow,
        kept: InstrumentRow,
        ts: int,
        due: int | None,
        recv_ts: int,
        out: list[Record],
    ) -> None:
        """At *ts* (ns) that came; the next payment is at *due* (ns)."""
        raise NotImplementedError


class FundingStream(_InstrumentStream):
    """The rate that is paid at ``fundingTimestamp``; BitMEX announces it a whole interval before."""

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self._announced = AnnouncedFunding()

    def read(self, row: InstrumentRow, kept: InstrumentRow) -> float | None:
        """A rate is told only by a row that has one, or its time."""
        return None if row.rate is None and row.due is None else kept.rate

    def tell(
        self,
        value: float,
        row: InstrumentRow,
        kept: InstrumentRow,
        ts: int,
        due: int | None,
        recv_ts: int,
        out: list[Record],
    ) -> None:
        """Announce the rate."""
        self._announced.take(ts, value, kept.mark, due, recv_ts, out)


class OpenInterestStream(_InstrumentStream):
    """The open interest. Inverse contracts are worth 1 of the quote asset each: in base asset they are so much at the
    mark price. Of others the value is ``openValue``, where that is in the quote asset.
    """

    def __init__(self, dataset: Dataset, market: Market) -> None:
        super().__init__(market)
        self._quote = dataset.symbol.quote
        self._market = counted_of(dataset, market)
        self._announced = AnnouncedInterest()

    def read(self, row: InstrumentRow, kept: InstrumentRow) -> float | None:
        """An open interest is told only by a row that has one: prices alone don't change it."""
        if row.interest is None or (self._market.inverse and kept.mark is None):
            return None
        return self._market.base(row.interest, kept.mark or 1.0)

    def tell(
        self,
        value: float,
        row: InstrumentRow,
        kept: InstrumentRow,
        ts: int,
        due: int | None,
        recv_ts: int,
        out: list[Record],
    ) -> None:
        """Announce so much, when the contracts have changed."""
        contracts = None if row.interest is None else float(row.interest)
        in_quote: float | None = None
        if self._market.inverse:
            in_quote = contracts
        elif row.value is not None and (kept.settle or "").upper() == self._quote:
            unit = _SMALLEST.get(kept.settle or "")
            in_quote = row.value / unit if unit else None
        self._announced.take(ts, value, in_quote, recv_ts, out, contracts)


def counted_of(dataset: Dataset, market: Market) -> Market:
    """*market* with what a contract is. Raises NoCapability where that isn't fixed."""
    if is_quanto(dataset.symbol, market):
        raise NoCapability(
            EXCHANGE,
            f"{market.id} is paid in a third asset: how much base asset a contract is depends on that one's price, so "
            f"that there is no {dataset.data_type} of it here; there are trades, ohlc and funding",
            "data_type",
        )
    return counted(market)


def _merged(kept: InstrumentRow, row: InstrumentRow) -> InstrumentRow:
    told = {name: value for name in row.__struct_fields__ if (value := getattr(row, name)) is not None}
    return msgspec.structs.replace(kept, **told)


def _due(row: InstrumentRow) -> int | None:
    return None if row.due is None else iso_ns(row.due)
