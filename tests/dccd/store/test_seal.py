"""Tests of the checksum over the footer."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import pytest

from dccd.store.parquet import Footer, write_parquet
from dccd.store.schema import table_from_records
from dccd.store.seal import check_body, read_footer, sealed
from dccd.symbols import DataType


@pytest.fixture
def footer(bench: Any) -> bytes:
    table = table_from_records(DataType.TRADES, [bench.trade(1)])
    file = io.BytesIO()

    def about(first: int, last: int) -> Footer:
        return Footer(kind="segment", writer="w", written_at=1, first_ts=first, last_ts=last)

    write_parquet(file, [table], table.schema, about)
    return read_footer(file)


def test_a_written_footer_is_sealed(footer: bytes) -> None:
    """What we write has a seal that holds."""
    assert sealed(footer)


def test_no_single_flipped_bit_gets_through(footer: bytes) -> None:
    """Each bit of the footer that flips breaks the seal, or the name by which it would be found."""
    for place in range(len(footer)):
        for bit in range(8):
            damaged = bytearray(footer)
            damaged[place] ^= 1 << bit
            try:
                # A damaged mark makes it look like another program's; `OpenFile` sees then that it claims to be ours.
                assert not sealed(bytes(damaged))
            except ValueError:
                continue
            assert b'"seal":"' not in damaged


def test_a_footer_of_others_has_no_seal() -> None:
    """Parquet that Polars wrote is neither sealed nor refused."""
    file = io.BytesIO()
    pl.DataFrame({"TS": [1]}).write_parquet(file)
    assert not sealed(read_footer(file))


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" * 4, b"PAR1" + b"\x00" * 8, b"x" * 100 + b"\xff\xff\xff\x7fPAR1"]
)
def test_what_is_no_parquet_has_no_footer(data: bytes) -> None:
    """Too short, no magic, or a length beyond the file."""
    with pytest.raises(ValueError, match="Parquet"):
        read_footer(io.BytesIO(data))


def test_a_bit_of_a_pages_header_breaks_the_body(bench: Any) -> None:
    """Page checksums don't cover it: one bit of an encoding gives other values of a page that is whole."""
    table = table_from_records(DataType.TRADES, [bench.trade(n) for n in range(10)])
    (segment,) = bench.writer.write(bench.trades, table)
    data = segment.path.read_bytes()
    footer = len(read_footer(io.BytesIO(data)))
    for place in range(len(data) - footer - 8):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match="checksum"):
            check_body(io.BytesIO(damaged), read_footer(io.BytesIO(data)))
    check_body(io.BytesIO(data), read_footer(io.BytesIO(data)))
