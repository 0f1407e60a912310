"""Tests of rows as an Arrow IPC stream."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest

from dccd.store.ipc import chunks


@pytest.mark.parametrize("columns", [None, ["tid", "price"]])
@pytest.mark.parametrize(
    ("limit", "newest", "rows"),
    [
        (None, False, range(100)),
        (30, False, range(30)),
        (30, True, range(70, 100)),
        (None, True, range(100)),
        (0, False, []),
    ],
)
def test_a_stream_holds_what_read_returns(bench: Any, columns: Any, limit: Any, newest: bool, rows: Any) -> None:
    """In pieces of the size asked for, with the columns asked for, one stream when they are put together."""
    bench.put([bench.trade(n) for n in range(60)])
    bench.put([bench.trade(n, bench.noon + 86_400_000_000_000 + n) for n in range(60, 100)])
    pieces = list(chunks(bench.store, bench.trades, None, None, columns, limit, newest, rows=16))
    batches = list(pa.ipc.open_stream(io.BytesIO(b"".join(pieces))))
    assert all(batch.num_rows <= 16 for batch in batches)
    table = pa.Table.from_batches(batches, pa.ipc.open_stream(io.BytesIO(b"".join(pieces))).schema)
    assert table["tid"].to_pylist() == [str(n) for n in rows]
    assert table.schema.names == (["TS", "price", "tid"] if columns else bench.store.read(bench.trades).columns)
