"""The columns, and how records become them.

Tick messages (JSON arrays of records, as the bus carries them) or records flow in, Arrow tables flow out:
``TS`` first, then the record's fields, sorted by nothing yet. Pure.

Tick messages of flat records are decoded by Polars' NDJSON reader. It costs the processor as much as msgspec and
lists of columns do, but holds the GIL for a quarter of that time only, and a collector parses in the same process
meanwhile. It is exact to the last bit of a float (a property test holds it to that) and strict, which Polars' readers
of whole arrays aren't: they make 1 of 1.5 and null of an integer beyond 64 bits. What it refuses is read once more by
msgspec, whose answer counts: it says which message is wrong and why. Books go by msgspec at once, since it is faster
for nested lists. ``ops/bench/store.py`` has the figures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from dccd.errors import BadRecord
from dccd.records import RECORD_TYPES, BookDelta, BookSnapshot, Record
from dccd.symbols import DataType

__all__ = ["KEYS", "REQUIRED", "SCHEMAS", "table_from_payloads", "table_from_records"]

_I, _F, _S = pa.int64(), pa.float64(), pa.string()

SCHEMAS: dict[DataType, pa.Schema] = {
    DataType.OHLC: pa.schema(
        [
            ("TS", _I),
            *((name, _F) for name in ("open", "high", "low", "close", "volume", "quote_volume")),
            ("trades", _I),
            ("recv_ts", _I),
        ]
    ),
    DataType.TRADES: pa.schema([("TS", _I), ("price", _F), ("amount", _F), ("side", _S), ("tid", _S), ("recv_ts", _I)]),
    DataType.ORDERBOOK: pa.schema(
        [
            ("TS", _I),
            ("side", _S),
            ("price", _F),
            ("amount", _F),
            ("count", _I),
            ("is_snapshot", pa.bool_()),
            ("seq", _I),
            ("recv_ts", _I),
        ]
    ),
    DataType.FUNDING: pa.schema([("TS", _I), ("rate", _F), ("mark_price", _F), ("recv_ts", _I), ("due_ts", _I)]),
    DataType.OPEN_INTEREST: pa.schema(
        [("TS", _I), ("open_interest", _F), ("open_interest_value", _F), ("recv_ts", _I)]
    ),
}
"""Columns by data type, in the order of the files. ``TS`` and ``recv_ts`` in ns; an order book has one row a level
(``side`` is ``bid`` or ``ask``, ``amount`` 0 where a level is gone, ``count`` the orders in it where known)."""

REQUIRED: dict[DataType, tuple[str, ...]] = {
    DataType.OHLC: ("TS", "open", "high", "low", "close", "volume"),
    DataType.TRADES: ("TS", "price", "amount"),
    DataType.ORDERBOOK: ("TS", "side", "price", "amount"),
    DataType.FUNDING: ("TS", "rate"),
    DataType.OPEN_INTEREST: ("TS", "open_interest"),
}
"""Columns that are never null."""

KEYS: dict[DataType, str | None] = {
    DataType.OHLC: "TS",
    DataType.TRADES: "tid",
    DataType.ORDERBOOK: None,
    DataType.FUNDING: "TS",
    DataType.OPEN_INTEREST: "TS",
}
"""The column that tells the same row (``None``: every row is one)."""

_POLARS = {_I: pl.Int64, _F: pl.Float64, _S: pl.String}
_JSON: dict[DataType, dict[str, Any]] = {
    kind: {("ts" if field.name == "TS" else field.name): _POLARS[field.type] for field in schema}
    | ({"closed": pl.Boolean} if kind is DataType.OHLC else {})
    for kind, schema in SCHEMAS.items()
    if kind is not DataType.ORDERBOOK
}
_DECODE: dict[DataType, Callable[[bytes], list[Any]]] = {
    kind: msgspec.json.Decoder(type_).decode for kind, type_ in RECORD_TYPES.items()
}


def table_from_payloads(data_type: DataType, payloads: Sequence[bytes]) -> pa.Table:
    """Return the rows of *payloads*, tick messages of one dataset: each a JSON array of its records.

    Open bars are left out. Raises BadRecord, whose ``index`` is the message at fault, when one isn't such an array.
    """
    if data_type is not DataType.ORDERBOOK:
        table = _fast(data_type, payloads)
        if table is not None:
            return table
    decode = _DECODE[data_type]
    records: list[Any] = []
    ends: list[int] = []  # how many records there are up to each message's last
    for index, payload in enumerate(payloads):
        try:
            records += decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise BadRecord(index, f"no array of {data_type} records: {exc}") from exc
        ends.append(len(records))
    try:
        return table_from_records(data_type, records)
    except BadRecord as exc:
        raise BadRecord(bisect_right(ends, exc.index), f"no array of {data_type} records: {exc}") from exc


def _fast(data_type: DataType, payloads: Sequence[bytes]) -> pa.Table | None:
    """The rows by Polars, or None where anything at all is unusual."""
    if not all([payload.startswith(b"[") and payload.endswith(b"]") for payload in payloads]):
        return None
    # One record a line. A `},{` inside of a string would make two broken lines of one record: refused, and
    # read by msgspec instead. No message can complete another's broken record, since a line ends between them.
    lines = b"\n".join([payload[1:-1] for payload in payloads]).replace(b"},{", b"}\n{")
    try:
        frame = pl.read_ndjson(lines, schema=_JSON[data_type])
    except pl.exceptions.PolarsError:
        return None
    if data_type is DataType.OHLC:
        closed = frame.drop_in_place("closed")
        if not closed.all():  # null is true: the field's default, which an encoder may omit
            frame = frame.filter(closed.fill_null(True))
    frame = frame.rename({"ts": "TS"})
    if any(frame[name].null_count() for name in REQUIRED[data_type]):
        return None
    if data_type is DataType.TRADES and not set(frame["side"].unique()) <= {"buy", "sell", None}:
        return None
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(SCHEMAS[data_type])


def table_from_records(data_type: DataType, records: Sequence[Record]) -> pa.Table:
    """Return the rows of *records*. Open bars are left out; a book becomes a row a level, bids first.

    Raises BadRecord, whose ``index`` is the record at fault, when one isn't of *data_type*, or holds an integer
    beyond 64 bits.
    """
    try:
        return _table(data_type, records)
    except _NO_RECORD as exc:
        raise _culprit(data_type, records, exc) from exc


_NO_RECORD = (AttributeError, TypeError, ValueError, OverflowError, pa.ArrowException)


def _table(data_type: DataType, records: Sequence[Any]) -> pa.Table:
    schema = SCHEMAS[data_type]
    if data_type is DataType.ORDERBOOK:
        return _columns(_levels(records), schema)
    rows = [row for row in records if row.closed] if data_type is DataType.OHLC else records
    if len(rows) <= _STRIDE:
        return _columns(_fields(rows, schema), schema)
    strides = (rows[start : start + _STRIDE] for start in range(0, len(rows), _STRIDE))
    return pa.concat_tables([_columns(_fields(stride, schema), schema) for stride in strides])


_STRIDE = 4096
"""Records that are turned into columns at a time: each column is a pass over them, and these stay in the processor's
cache between the passes. A bar of 50,000 costs 0.56 µs so, and 0.72 all at once."""


def _fields(rows: Sequence[Any], schema: pa.Schema) -> list[list[Any]]:
    """The columns of anything but books. A comprehension a column: a tenth faster than one pass that makes tuples."""
    return [[row.ts for row in rows], *([getattr(row, name) for row in rows] for name in schema.names[1:])]


def _columns(columns: list[list[Any]], schema: pa.Schema) -> pa.Table:
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _levels(books: Sequence[BookSnapshot | BookDelta]) -> list[list[Any]]:
    """The columns of an order book, in the schema's order."""
    times: list[int] = []
    sides: list[str] = []
    prices: list[float] = []
    amounts: list[float] = []
    snapshot: list[bool] = []
    seqs: list[int] = []
    received: list[int | None] = []
    for book in books:
        levels = [*book.bids, *book.asks]
        size, bids = len(levels), len(book.bids)
        times += [book.ts] * size
        sides += ["bid"] * bids + ["ask"] * (size - bids)
        for price, amount in levels:
            prices.append(price)
            amounts.append(amount)
        snapshot += [isinstance(book, BookSnapshot)] * size
        seqs += [book.seq] * size
        received += [book.recv_ts] * size
    return [times, sides, prices, amounts, [None] * len(times), snapshot, seqs, received]


def _culprit(data_type: DataType, records: Sequence[Any], exc: Exception) -> BadRecord:
    """The error that names the first record at fault, which checking each by itself tells."""
    for index, record in enumerate(records):
        try:
            _DECODE[data_type](msgspec.json.encode([record]))
            _table(data_type, [record])
        except (msgspec.MsgspecError, *_NO_RECORD) as fault:
            return BadRecord(index, f"no {data_type} record: {fault}")
    return BadRecord(0, str(exc))
