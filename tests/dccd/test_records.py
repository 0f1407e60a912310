"""Records: what a tick message carries comes out as it went in, for every data type."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.records import (
    RECORD_TYPES,
    Bar,
    BookDelta,
    BookSnapshot,
    FundingRate,
    OpenInterest,
    Record,
    Trade,
)
from dccd.symbols import DataType

ns = st.integers(0, 2**63 - 1)
number = st.floats(allow_nan=False, allow_infinity=False)
levels = st.lists(st.tuples(number, number), max_size=4)
recv_ts = st.none() | ns

RECORDS: dict[DataType, st.SearchStrategy[Record]] = {
    DataType.TRADES: st.builds(
        Trade, ns, number, number, st.sampled_from(["buy", "sell", None]), st.none() | st.text(), recv_ts
    ),
    DataType.OHLC: st.builds(
        Bar,
        ns,
        number,
        number,
        number,
        number,
        number,
        st.none() | number,
        st.none() | st.integers(0, 2**63 - 1),
        recv_ts,
        st.booleans(),
    ),
    DataType.ORDERBOOK: st.one_of(
        st.builds(BookSnapshot, ns, ns, levels, levels, recv_ts),
        st.builds(BookDelta, ns, ns, levels, levels, recv_ts),
    ),
    DataType.FUNDING: st.builds(FundingRate, ns, number, st.none() | number, recv_ts),
    DataType.OPEN_INTEREST: st.builds(OpenInterest, ns, number, st.none() | number, recv_ts),
}


def test_every_data_type_has_its_records() -> None:
    """A data type without a record type could be neither published nor stored; each record belongs to one."""
    assert set(RECORD_TYPES) == set(RECORDS) == set(DataType)
    members = [member for kind in RECORD_TYPES.values() for member in get_args(kind)]
    classes = [cls for member in members for cls in get_args(member) or (member,)]
    assert sorted(cls.__name__ for cls in classes) == sorted(cls.__name__ for cls in get_args(Record))


@pytest.mark.parametrize("data_type", list(DataType))
@given(data=st.data())
def test_a_tick_message_reads_back(data_type: DataType, data: st.DataObject) -> None:
    """The JSON array on the bus decodes to the very records that it was made from, every digit of them."""
    batch = data.draw(st.lists(RECORDS[data_type], max_size=5))
    body = msgspec.json.encode(batch)
    assert msgspec.json.decode(body, type=RECORD_TYPES[data_type]) == batch


def test_a_tick_is_readable_without_dccd() -> None:
    """The field names on the bus are the documented ones: what a shell script or another language relies on."""
    trade = msgspec.json.decode(msgspec.json.encode([Trade(1, 2.5, 0.1, "buy", "7", 3)]))
    assert trade == [{"ts": 1, "price": 2.5, "amount": 0.1, "side": "buy", "tid": "7", "recv_ts": 3}]
    book = msgspec.json.decode(msgspec.json.encode([BookDelta(1, 2, [(3.0, 0.0)], [])]))
    assert book == [{"type": "delta", "ts": 1, "seq": 2, "bids": [[3.0, 0.0]], "asks": [], "recv_ts": None}]
    bar = msgspec.json.decode(msgspec.json.encode([Bar(1, 1.0, 4.0, 1.0, 2.0, 5.0)]))[0]
    assert bar["closed"] is True
    assert bar["quote_volume"] is None


@pytest.mark.parametrize(
    "body",
    [
        b'[{"ts":1.5,"price":1.0,"amount":1.0,"side":null,"tid":null}]',
        b'[{"ts":1,"price":"1.0","amount":1.0,"side":null,"tid":null}]',
        b'[{"ts":1,"price":1.0,"amount":1.0,"side":"BUY","tid":null}]',
        b'[{"ts":1,"price":1.0,"side":null,"tid":null}]',
        b'[{"ts":9223372036854775808,"price":1.0,"amount":null,"side":null,"tid":null}]',
        b'{"ts":1,"price":1.0,"amount":1.0,"side":null,"tid":null}',
    ],
)
def test_a_tick_of_another_shape_is_refused(body: bytes) -> None:
    """A field of the wrong type, a missing one, or no array is an error, not a record with holes."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=RECORD_TYPES[DataType.TRADES])


def test_a_book_message_tells_snapshot_from_delta() -> None:
    """Snapshots and deltas travel in one stream and are told apart by their tag; an unknown tag is refused."""
    mixed: list[Record] = [BookSnapshot(1, 1, [(1.0, 2.0)], []), BookDelta(2, 2, [], [(3.0, 0.0)])]
    decoder: msgspec.json.Decoder[list[Record]] = msgspec.json.Decoder(RECORD_TYPES[DataType.ORDERBOOK])
    assert decoder.decode(msgspec.json.encode(mixed)) == mixed
    with pytest.raises(msgspec.ValidationError, match="type"):
        decoder.decode(b'[{"type":"patch","ts":1,"seq":1,"bids":[],"asks":[]}]')


@given(st.sampled_from(list(DataType)), st.data())
def test_records_are_values(data_type: DataType, data: st.DataObject) -> None:
    """A record can't be changed after it was made: the bus, the store and a client may hold the same one."""
    record = data.draw(RECORDS[data_type])
    with pytest.raises(AttributeError):
        record.ts = 0  # type: ignore[misc]  # the point of the test
