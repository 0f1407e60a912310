"""Rows become the records that they were made of."""

from __future__ import annotations

import polars as pl
import pytest

from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.store.schema import table_from_records
from dccd.store.unpack import Unpacker
from dccd.symbols import DataType

RECORDS: dict[DataType, list[Record]] = {
    DataType.TRADES: [
        Trade(ts=1, price=0.1, amount=0.2, side="buy", tid="a", recv_ts=2),
        Trade(ts=1, price=0.3, amount=7, side=None, tid=None),
    ],
    DataType.OHLC: [
        Bar(ts=60, open=1, high=3, low=0.5, close=2, volume=9, quote_volume=None, trades=4, recv_ts=None),
        Bar(ts=120, open=1, high=3, low=0.5, close=2, volume=9, quote_volume=8.5, trades=None, recv_ts=121),
    ],
    DataType.ORDERBOOK: [
        BookSnapshot(ts=1, seq=5, bids=[(9.0, 1.0), (8.0, 2.0)], asks=[(10.0, 1.5)], recv_ts=2),
        BookDelta(ts=1, seq=6, bids=[], asks=[(10.0, 0.0)], recv_ts=2),
        BookDelta(ts=3, seq=7, bids=[(9.0, 4.0)], asks=[], recv_ts=None),
        BookSnapshot(ts=3, seq=7, bids=[(9.0, 4.0)], asks=[], recv_ts=4),
    ],
    DataType.FUNDING: [FundingRate(ts=1, rate=1e-4, mark_price=3.0, recv_ts=2, due_ts=99), FundingRate(ts=2, rate=0.0)],
    DataType.OPEN_INTEREST: [OpenInterest(ts=1, open_interest=5.5, open_interest_value=None, recv_ts=3)],
}


def frame_of(kind: DataType) -> pl.DataFrame:
    frame = pl.from_arrow(table_from_records(kind, RECORDS[kind]))
    assert isinstance(frame, pl.DataFrame)
    return frame


@pytest.mark.parametrize("kind", DataType)
def test_records_come_back(kind: DataType) -> None:
    """Each data type's records are equal to those that became the rows, nulls too."""
    unpacker = Unpacker(kind)
    assert [*unpacker.feed(frame_of(kind)), *unpacker.end()] == RECORDS[kind]


@pytest.mark.parametrize("cut", range(8))
def test_a_book_in_two_frames_is_one_record(cut: int) -> None:
    """Wherever the rows are cut into frames, the books are the same."""
    frame = frame_of(DataType.ORDERBOOK)
    unpacker = Unpacker(DataType.ORDERBOOK)
    parts = [unpacker.feed(frame[:cut]), unpacker.feed(frame[cut:]), unpacker.end()]
    assert [record for part in parts for record in part] == RECORDS[DataType.ORDERBOOK]


def test_a_book_is_held_until_the_next_begins() -> None:
    """Nobody knows whether more levels of the last one follow; no rows are no book."""
    unpacker = Unpacker(DataType.ORDERBOOK)
    assert unpacker.feed(frame_of(DataType.ORDERBOOK)) == RECORDS[DataType.ORDERBOOK][:-1]
    assert unpacker.feed(frame_of(DataType.ORDERBOOK)[:0]) == []
    assert unpacker.end() == RECORDS[DataType.ORDERBOOK][-1:]
    assert unpacker.end() == []
