"""Tests of the columns and of what makes them from messages and records."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import BadRecord
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.store.schema import SCHEMAS, table_from_payloads, table_from_records
from dccd.symbols import DataType

encode = msgspec.json.encode

ints = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
# What stands in JSON strings is at its worst where it looks like the borders between records.
texts = st.one_of(st.text(), st.sampled_from(["},{", "}\n{", "[{", "}]", '"', "\\", "\x00", "é😀"]))
trades = st.builds(
    Trade, ts=ints, price=floats, amount=floats, side=st.sampled_from(["buy", "sell", None]),
    tid=st.none() | texts, recv_ts=st.none() | ints,
)  # fmt: skip
bars = st.builds(
    Bar, ts=ints, open=floats, high=floats, low=floats, close=floats, volume=floats,
    quote_volume=st.none() | floats, trades=st.none() | ints, recv_ts=st.none() | ints, closed=st.booleans(),
)  # fmt: skip
levels = st.lists(st.tuples(floats, floats), max_size=4)
books = st.one_of(
    st.builds(kind, ts=ints, seq=ints, bids=levels, asks=levels, recv_ts=st.none() | ints)
    for kind in (BookSnapshot, BookDelta)
)
funding = st.builds(FundingRate, ts=ints, rate=floats, mark_price=st.none() | floats, recv_ts=st.none() | ints)
interest = st.builds(
    OpenInterest, ts=ints, open_interest=floats, open_interest_value=st.none() | floats, recv_ts=st.none() | ints
)
KINDS = {
    DataType.TRADES: trades,
    DataType.OHLC: bars,
    DataType.ORDERBOOK: books,
    DataType.FUNDING: funding,
    DataType.OPEN_INTEREST: interest,
}


def rows(records: list[Record]) -> list[dict[str, object]]:
    """The rows that *records* are, by the plainest code there is."""
    found: list[dict[str, object]] = []
    for record in records:
        fields = msgspec.structs.asdict(record)
        fields = {"TS": fields.pop("ts"), **fields}
        if isinstance(record, (BookSnapshot, BookDelta)):
            for side, its in (("bid", record.bids), ("ask", record.asks)):
                for price, amount in its:
                    found.append(
                        {"TS": record.ts, "side": side, "price": price, "amount": amount, "count": None,
                         "is_snapshot": isinstance(record, BookSnapshot), "seq": record.seq,
                         "recv_ts": record.recv_ts}
                    )  # fmt: skip
        elif fields.pop("closed", True):
            found.append(fields)
    return found


def exact(value: object) -> object:
    """*value*, with what ``==`` doesn't see: the sign of zero."""
    return (value, math.copysign(1, value)) if isinstance(value, float) else value


def same(table: object, expected: list[dict[str, object]]) -> bool:
    actual = table.to_pylist()  # type: ignore[attr-defined]  # a pyarrow table
    return [{k: exact(v) for k, v in row.items()} for row in actual] == [
        {k: exact(v) for k, v in row.items()} for row in expected
    ]


@pytest.mark.parametrize("kind", list(DataType))
def test_payloads_and_records_become_exactly_their_rows(kind: DataType) -> None:
    """Every int64, every finite float and any text comes out as it went in, by either way, in the schema's types."""

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.lists(KINDS[kind], max_size=4), max_size=4))
    def check(batches: list[list[Record]]) -> None:
        records = [record for batch in batches for record in batch]
        by_payloads = table_from_payloads(kind, [encode(batch) for batch in batches])
        by_records = table_from_records(kind, records)
        assert by_payloads.schema == by_records.schema == SCHEMAS[kind]
        assert same(by_payloads, rows(records))
        assert same(by_records, rows(records))

    check()


def test_the_fast_way_is_the_one_that_is_taken() -> None:
    """Ordinary trades don't fall back to the slow way, which would be a silent loss of speed."""
    from dccd.store.schema import _fast

    payload = encode([Trade(1, 2.5, 3.0, "sell", "7", 4), Trade(2, 2.5, 3.0, None, None)])
    table = _fast(DataType.TRADES, [payload, b"[]"])
    assert table is not None
    assert table.num_rows == 2


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"x", b"{}", b"null", b"[", b"]", b"[1]", b"[[]]", b"[{}]", b"[null]", b"\xff\xff\xff", b'["a"]',
        b'[{"ts":"1","price":1.0,"amount":1.0,"side":"buy","tid":"1"}]',
        b'[{"ts":1.5,"price":1.0,"amount":1.0,"side":"buy","tid":"1"}]',
        b'[{"ts":9223372036854775808,"price":1.0,"amount":1.0,"side":"buy","tid":"1"}]',
        b'[{"ts":1,"price":null,"amount":1.0,"side":"buy","tid":"1"}]',
        b'[{"ts":1,"price":1e999,"amount":1.0,"side":"buy","tid":"1"}]',
        b'[{"ts":1,"price":1.0,"side":"buy","tid":"1"}]',
        b'[{"ts":1,"price":1.0,"amount":1.0,"side":"bid","tid":"1"}]',
        b'[{"ts":1,"price":1.0,"amount":1.0,"side":"buy","tid":"1"}',
        b'[{"ts":1,"price":1.0,"amount":1.0,"side":"buy","tid":"1"}{"ts":2}]',
    ],
)  # fmt: skip
def test_a_bad_message_is_named_and_nothing_is_made(bad: bytes) -> None:
    """A message that is no array of trades is refused by its index, wherever it stands among good ones."""
    good = encode([Trade(1, 1.0, 1.0, "buy", "1")])
    with pytest.raises(BadRecord) as caught:
        table_from_payloads(DataType.TRADES, [good, bad, good])
    assert caught.value.index == 1


def test_two_halves_of_a_record_in_two_messages_make_none() -> None:
    """What is broken in each of two messages isn't mended by their standing side by side."""
    halves = [b'[{"ts":1,"price":1.0]', b'["amount":1.0,"side":"buy","tid":"1"}]']
    with pytest.raises(BadRecord) as caught:
        table_from_payloads(DataType.TRADES, halves)
    assert caught.value.index == 0


def test_unusual_spacing_is_read_all_the_same() -> None:
    """JSON that another program indents is as good as ours."""
    payload = msgspec.json.format(encode([Trade(1, 1.0, 1.0, "buy", "1"), Trade(2, 1.0, 1.0, "buy", "2")]), indent=2)
    assert table_from_payloads(DataType.TRADES, [payload])["tid"].to_pylist() == ["1", "2"]


def test_a_record_of_another_type_is_named() -> None:
    """Bars among trades are refused by the index of the first."""
    mixed: list[Record] = [Trade(1, 1.0, 1.0, "buy", "1"), FundingRate(1, 0.1)]
    with pytest.raises(BadRecord) as caught:
        table_from_records(DataType.TRADES, mixed)
    assert caught.value.index == 1
