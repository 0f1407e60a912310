"""Tests of rows as an Arrow IPC stream."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest

from dccd.errors import BusError
from dccd.store.ipc import Decoder, pieces
from dccd.store.scan import About, Scan


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
    made = list(pieces(Scan(bench.store, bench.trades, None, None, columns, limit, newest), rows=16))
    batches = list(pa.ipc.open_stream(io.BytesIO(b"".join(made))))
    assert all(batch.num_rows <= 16 for batch in batches)
    table = pa.Table.from_batches(batches, pa.ipc.open_stream(io.BytesIO(b"".join(made))).schema)
    assert table["tid"].to_pylist() == [str(n) for n in rows]
    assert table.schema.names == (["TS", "price", "tid"] if columns else bench.store.read(bench.trades).columns)


def test_the_schema_comes_first_and_says_what_the_rows_are(bench: Any) -> None:
    """Whoever waits for rows knows their columns and times from the first piece on."""
    bench.put([bench.trade(n) for n in range(60)])
    decoder = Decoder()
    assert decoder.feed(next(pieces(Scan(bench.store, bench.trades)))) == []
    assert decoder.schema is not None
    assert About.of(decoder.schema) == About(
        "binance.trades.BTC-USDT", first_ts=bench.noon, last_ts=bench.noon + 59_000_000
    )


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_a_stream_is_decoded_from_pieces_of_any_size(bench: Any, size: int) -> None:
    """Batches come as soon as they are whole, and no more is held than the piece of one."""
    bench.put([bench.trade(n) for n in range(100)])
    data = b"".join(pieces(Scan(bench.store, bench.trades), rows=30))
    decoder, tids, most = Decoder(), [], 0
    for at in range(0, len(data), size):
        assert not decoder.ended
        for batch in decoder.feed(data[at : at + size]):
            tids += batch["tid"].to_pylist()
        most = max(most, decoder.held)
    assert decoder.ended
    assert tids == [str(n) for n in range(100)]
    assert most < len(data) / 2


def test_what_is_no_stream_is_refused() -> None:
    """Bytes of something else are an error at once: nobody waits for the rest of a batch that never comes."""
    with pytest.raises(BusError, match="no Arrow IPC stream"):
        Decoder().feed(b'{"error": "I am JSON"}')
