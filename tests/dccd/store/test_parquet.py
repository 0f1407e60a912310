"""Tests of one file: what is in it, what others make of it, and what happens when it is damaged."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest

from dccd.errors import CorruptFile
from dccd.store.parquet import MAX_TS, MIN_TS, ROW_GROUP, BusPosition, Footer, OpenFile, between, write_parquet
from dccd.store.schema import SCHEMAS, table_from_records
from dccd.store.seal import UNSEALED
from dccd.symbols import DataType


def written(path: Path, bench: Any, rows: int) -> Path:
    table = table_from_records(DataType.TRADES, [bench.trade(n) for n in range(rows)])
    bus = (BusPosition("S", "e", 1, 2),)

    def footer(first: int, last: int) -> Footer:
        return Footer(kind="segment", writer="w", written_at=3, first_ts=first, last_ts=last, bus=bus, run_id="r")

    file = io.BytesIO()
    count, _ = write_parquet(file, [table.slice(0, 1), table.slice(1)], SCHEMAS[DataType.TRADES], footer)
    assert count == rows
    path.write_bytes(file.getvalue())
    return path


def test_footer_and_rows_come_back(tmp_path: Path, bench: Any) -> None:
    """A file says of itself what it was told, and its first and last times."""
    file = OpenFile(written(tmp_path / "a.parquet", bench, 3), 0)
    assert file.footer is not None
    assert msgspec.structs.replace(file.footer, body=UNSEALED, seal=UNSEALED) == Footer(
        kind="segment", writer="w", written_at=3, first_ts=bench.noon, last_ts=bench.noon + 2_000_000,
        bus=(BusPosition("S", "e", 1, 2),), run_id="r",
    )  # fmt: skip
    assert (file.rows, file.first_ts, file.last_ts) == (3, bench.noon, bench.noon + 2_000_000)
    assert [frame["tid"].to_list() for frame, _ in file.frames(MIN_TS, MAX_TS)] == [["0", "1", "2"]]


def test_any_reader_of_parquet_reads_it(tmp_path: Path, bench: Any) -> None:
    """Polars' own reader and pyarrow's see the same plain columns, zstd-compressed, with time statistics."""
    path = written(tmp_path / "a.parquet", bench, 500)
    table = pq.read_table(path)
    assert table.schema.remove_metadata() == SCHEMAS[DataType.TRADES]
    assert pl.read_parquet(path).rows() == [tuple(row.values()) for row in table.to_pylist()]
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    assert column.compression == "ZSTD"
    assert column.statistics.min == bench.noon + 1_000_000


def test_a_range_reads_its_row_groups_only(tmp_path: Path, bench: Any) -> None:
    """Damage outside of the range asked for isn't noticed, since those row groups aren't read; inside it is."""
    path = written(tmp_path / "a.parquet", bench, 2 * ROW_GROUP)
    meta = pq.ParquetFile(path).metadata
    last = meta.row_group(meta.num_row_groups - 1).column(1)
    data = bytearray(path.read_bytes())
    data[last.data_page_offset + last.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    file = OpenFile(path, 0, check=False)  # as of a larger file
    end = bench.noon + ROW_GROUP * 1_000_000
    assert sum(frame.height for frame, _ in file.frames(bench.noon, end, ["price"])) == ROW_GROUP
    with pytest.raises(CorruptFile):
        list(file.frames(bench.noon, MAX_TS, ["price"]))


@pytest.mark.parametrize("rows", [10, 30_000])
def test_any_damage_is_corrupt_or_harmless(tmp_path: Path, bench: Any, rows: int) -> None:
    """A flipped bit anywhere in the file, or a missing end, raises CorruptFile, or changes no row."""
    good = written(tmp_path / "good.parquet", bench, rows)
    expected = pl.concat(frame for frame, _ in OpenFile(good, 0).frames(MIN_TS, MAX_TS))
    data = good.read_bytes()
    path = tmp_path / "bad.parquet"
    caught = 0
    damages = [data[: len(data) * n // 20] for n in range(20)]
    for n in range(60):
        damaged = bytearray(data)
        damaged[len(data) * n // 60] ^= 1 << n % 8
        damages.append(bytes(damaged))
    for damage in damages:
        path.write_bytes(damage)
        try:
            file = OpenFile(path, 0)
            found = pl.concat(frame for frame, _ in file.frames(MIN_TS, MAX_TS))
        except CorruptFile as exc:
            assert exc.path == path
            caught += 1
        else:
            assert found.equals(expected)
    assert caught >= 60


def test_a_segment_needs_our_footer(tmp_path: Path, bench: Any) -> None:
    """Parquet of someone else among the segments is refused: which rows of the bus it holds can't be known."""
    path = tmp_path / "a.parquet"
    pl.DataFrame({"TS": [1], "price": [1.0]}).write_parquet(path)
    with pytest.raises(CorruptFile, match="footer"):
        OpenFile(path, 0)
    assert OpenFile(path).footer is None


@pytest.mark.parametrize("columns", [{"price": [1.0]}, {"TS": ["x"]}, {"TS": [1.5]}])
def test_a_file_without_times_is_refused(tmp_path: Path, columns: dict[str, Any]) -> None:
    """Rows need a TS of 64-bit integers."""
    path = tmp_path / "a.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(CorruptFile, match="TS"):
        OpenFile(path)


@pytest.mark.parametrize("statistics", [True, False])
def test_a_row_without_time_is_refused(tmp_path: Path, statistics: bool) -> None:
    """A null TS is damage, with statistics or without."""
    path = tmp_path / "a.parquet"
    pl.DataFrame({"TS": [1, None, 3]}, schema={"TS": pl.Int64}).write_parquet(path, statistics=statistics)
    with pytest.raises(CorruptFile, match="TS"):
        list(OpenFile(path).frames(MIN_TS, MAX_TS))


def test_a_foreign_file_need_not_be_sorted(tmp_path: Path) -> None:
    """What another program wrote in any order, and without statistics, is read in order."""
    path = tmp_path / "a.parquet"
    times = [5, 1, 4, 2, 3] * 10
    pl.DataFrame({"TS": times}).write_parquet(path, statistics=False, row_group_size=7)
    file = OpenFile(path)
    assert (file.first_ts, file.last_ts) == (1, 5)
    frame = pl.concat(frame for frame, _ in file.frames(2, 5))
    assert frame["TS"].to_list() == sorted(t for t in times if 2 <= t < 5)


def test_an_open_file_outlives_its_name(tmp_path: Path, bench: Any) -> None:
    """Who has it open reads it to the end, whoever removes it."""
    path = written(tmp_path / "a.parquet", bench, 100_000)
    file = OpenFile(path, 0)
    path.unlink()
    assert sum(frame.height for frame, _ in file.frames(MIN_TS, MAX_TS)) == 100_000


def test_between_is_half_open() -> None:
    """The start is in, the end is not."""
    frame = pl.DataFrame({"TS": [1, 2, 2, 3, 5]})
    assert between(frame, 2, 5)["TS"].to_list() == [2, 2, 3]
    assert between(frame, 4, 5).height == 0
    assert between(frame, MIN_TS, MAX_TS).height == 5
