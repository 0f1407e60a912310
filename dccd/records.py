"""The records: what a tick is, on the bus and in Parquet.

Parsers make them from bytes, the bus carries them as JSON objects in an array, the store turns them into
columns. All times are int64 nanoseconds UTC, prices in quote asset, amounts in base asset. A field that the
exchange doesn't give is ``None``, never 0.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd.symbols import DataType

__all__ = [
    "RECORD_TYPES",
    "Bar",
    "BookDelta",
    "BookSnapshot",
    "FundingRate",
    "Level",
    "OpenInterest",
    "Record",
    "Side",
    "Trade",
]

Side = Literal["buy", "sell"]
"""The taker's side."""

Level = tuple[float, float]
"""One price level of a book: price in quote asset, amount in base asset (0 in a delta removes the level)."""


# gc=False: these hold no cycles, and at 100,000 a second the collector's passes over them would be
# a good part of the cost (msgspec, "Disabling garbage collection").
class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade. ``ts`` exchange time, ``tid`` the exchange's trade id as text, ``recv_ts`` when we had it."""

    ts: int
    price: float
    amount: float
    side: Side | None
    tid: str | None
    recv_ts: int | None = None


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One OHLC bar. ``ts`` is its opening time; ``closed`` is false while it may still change.

    ``volume`` in base asset, ``quote_volume`` in quote asset, ``trades`` their count. Only closed bars are stored.
    """

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float | None = None
    trades: int | None = None
    recv_ts: int | None = None
    closed: bool = True


class BookSnapshot(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="snapshot"):
    """The whole book (to its depth) at ``ts``: best level first on both sides.

    ``seq`` is the exchange's sequence number of the last update in it, or ours where the exchange has none.
    """

    ts: int
    seq: int
    bids: list[Level]
    asks: list[Level]
    recv_ts: int | None = None


class BookDelta(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="delta"):
    """What changed in the book at ``ts``: each level's new amount, 0 where it is gone. ``seq`` as above."""

    ts: int
    seq: int
    bids: list[Level]
    asks: list[Level]
    recv_ts: int | None = None


class FundingRate(msgspec.Struct, frozen=True, gc=False):
    """A perpetual's funding rate as a fraction (0.0001 is 0.01 %) at ``ts``; ``mark_price`` in quote asset.

    Two kinds share a dataset. History has the rates that were paid: ``ts`` is when, and so is ``due_ts``. A live stream
    has the rate announced for the next payment, whenever that changes: ``ts`` is the exchange's time of the
    announcement, ``due_ts`` when it will be paid (null where the exchange doesn't tell).
    """

    ts: int
    rate: float
    mark_price: float | None = None
    recv_ts: int | None = None
    due_ts: int | None = None


class OpenInterest(msgspec.Struct, frozen=True, gc=False):
    """Open contracts at ``ts``: in base asset, and their value in quote asset."""

    ts: int
    open_interest: float
    open_interest_value: float | None = None
    recv_ts: int | None = None


Record = Trade | Bar | BookSnapshot | BookDelta | FundingRate | OpenInterest

RECORD_TYPES: dict[DataType, type] = {
    DataType.TRADES: list[Trade],
    DataType.OHLC: list[Bar],
    DataType.ORDERBOOK: list[BookSnapshot | BookDelta],
    DataType.FUNDING: list[FundingRate],
    DataType.OPEN_INTEREST: list[OpenInterest],
}
"""The type of a tick message's body, by data type; for ``msgspec.json.Decoder``."""
