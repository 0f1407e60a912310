"""Tests of rows into files of other programs, read by these."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from dccd.errors import StoreError, StoreFull, Uninstalled
from dccd.store.parquet import ROW_GROUP
from dccd.store.scan import About, Scan
from dccd.store.sinks import Form, exported, frame_of, sink
from dccd.symbols import Dataset

NAME = "binance.trades.BTC-USDT"
FORMS: list[Form] = ["parquet", "csv", "json", "arrow", "duckdb"]


def reread(path: Path, form: Form) -> pl.DataFrame:
    """What another program finds in the file."""
    if form == "duckdb":
        with duckdb.connect(str(path), read_only=True) as database:
            return database.sql(f'SELECT * FROM "{NAME}"').pl()
    reader = {"parquet": pl.read_parquet, "csv": pl.read_csv, "json": pl.read_ndjson, "arrow": pl.read_ipc}[form]
    return reader(path)


@pytest.fixture
def scan(bench: Any) -> Scan:
    """300 trades, some without all that a trade may have."""
    bench.put([bench.trade(n, price=1 / (n + 1), recv=n if n % 2 else None) for n in range(300)])
    return Scan(bench.store, bench.trades)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_has_what_was_written(scan: Scan, tmp_path: Path, form: Form) -> None:
    """Every row, to the last bit, in the columns as they are; and nothing is left beside it."""
    path = tmp_path / "out" / f"rows.{form}"
    path.parent.mkdir()
    with exported(path, form, scan.schema, NAME) as into:
        for batch in scan.batches(7):
            into.write(batch)
        assert not path.exists()
    read = reread(path, form)
    if form in ("csv", "json"):
        read = read.cast({"tid": pl.String})
    assert_frame_equal(read, scan.read())
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_are_a_file_of_columns(bench: Any, tmp_path: Path, form: Form) -> None:
    """But in JSON lines, which have none."""
    bench.put([bench.trade(0)])
    scan = Scan(bench.store, bench.trades, end=0)
    path = tmp_path / f"rows.{form}"
    with exported(path, form, scan.schema, NAME):
        pass
    if form == "json":
        assert path.read_bytes() == b""
    else:
        assert reread(path, form).columns == scan.schema.names


@pytest.mark.parametrize("form", FORMS)
def test_what_goes_wrong_leaves_nothing(scan: Scan, tmp_path: Path, form: Form) -> None:
    """Neither half a file under its name nor one under another."""
    folder = tmp_path / "out"
    folder.mkdir()
    with (
        pytest.raises(KeyboardInterrupt),
        exported(folder / "rows", form, scan.schema, NAME) as into,
    ):
        into.write(next(scan.batches()))
        raise KeyboardInterrupt
    assert os.listdir(folder) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_not_overwritten_unless_told(scan: Scan, tmp_path: Path, form: Form) -> None:
    """Nor is one that appears meanwhile."""
    path = tmp_path / "rows"
    path.write_text("precious")
    with pytest.raises(StoreError, match="--force"), exported(path, form, scan.schema, NAME):
        raise AssertionError("it began")
    with exported(path, form, scan.schema, NAME, force=True):
        pass
    assert path.read_bytes() != b"precious"
    path.unlink()
    with pytest.raises(StoreError, match="meanwhile"), exported(path, form, scan.schema, NAME):
        path.write_text("precious")
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_that_is_not_there_is_named(scan: Scan, tmp_path: Path, form: Form) -> None:
    """As an error of the file that was asked for."""
    with pytest.raises(StoreError, match="absent"), exported(tmp_path / "absent" / "rows", form, scan.schema, NAME):
        pass


def test_a_full_disk_is_told_as_such(scan: Scan) -> None:
    """Writing where there is no room raises what the daemon's own writers raise."""
    with (
        pytest.raises(StoreFull),
        exported(Path("/dev/shm") / f"dccd-{os.getpid()}.csv", "csv", scan.schema) as into,
    ):
        into.write(next(scan.batches()))
        raise OSError(28, "No space left on device")


def test_csv_is_as_the_standard_has_it(tmp_path: Path) -> None:
    """RFC 4180: lines end with CRLF, and quotes, commas and line breaks are in quotes; null is nothing at all."""
    schema = pa.schema([("TS", pa.int64()), ("tid", pa.string()), ("recv_ts", pa.int64())])
    words = ['say "a"', "b,c", "d\r\ne", "", None]
    batch = pa.record_batch([pa.array(range(5)), pa.array(words), pa.array([None] * 5, pa.int64())], schema=schema)
    with exported(tmp_path / "a.csv", "csv", schema) as into:
        into.write(batch)
    data = (tmp_path / "a.csv").read_bytes()
    assert data.startswith(b'TS,tid,recv_ts\r\n0,"say ""a""",\r\n1,"b,c",\r\n2,"d\r\ne",\r\n')
    assert data.endswith(b'3,"",\r\n4,,\r\n')
    assert [row[1] for row in csv.reader(io.StringIO(data.decode(), newline=""))][1:4] == words[:3]


def test_csv_can_have_times_that_people_read(tmp_path: Path) -> None:
    """With all nine digits, so that nothing of the time is lost."""
    schema = pa.schema([("TS", pa.int64()), ("trades", pa.int64()), ("recv_ts", pa.int64())])
    batch = pa.record_batch(
        [pa.array([1_704_067_200_000_000_001]), pa.array([5]), pa.array([None], pa.int64())], schema=schema
    )
    with exported(tmp_path / "a.csv", "csv", schema, iso=True) as into:
        into.write(batch)
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == "2024-01-01T00:00:00.000000001Z,5,"


@pytest.mark.slow
def test_parquet_has_row_groups_and_says_what_it_is(bench: Any, tmp_path: Path) -> None:
    """Groups as large as the store's, compressed, with the note that tells made bars from an exchange's."""
    bench.put([bench.trade(n, bench.noon + n * 500_000_000) for n in range(1000)])
    scan = Scan(bench.store, Dataset.parse("binance.ohlc.BTC-USDT.1s"))
    schema = scan.about.on(scan.schema)
    with exported(tmp_path / "a.parquet", "parquet", schema) as into:
        for _ in range(2 * ROW_GROUP // 400):
            for batch in scan.batches(100):
                into.write(batch.cast(schema))
    file = pq.ParquetFile(tmp_path / "a.parquet")
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]
    assert len(sizes) == 3
    assert all(size >= ROW_GROUP / 2 for size in sizes[:-1])
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    about = About.of(file.schema_arrow)
    assert about is not None
    assert about.derived_from == NAME


@pytest.mark.parametrize("form", ["parquet", "csv", "json", "arrow"])
def test_a_pipe_takes_the_same(scan: Scan, form: Form) -> None:
    """What can't go back writes the same bytes."""
    reading, writing = os.pipe()
    file = io.BytesIO()
    with open(writing, "wb") as pipe:
        for target in (pipe, file):
            into = sink(target, form, scan.schema)  # type: ignore[arg-type]  # BytesIO is no BinaryIO
            for batch in scan.batches():
                into.write(batch)
            into.close()
    with open(reading, "rb") as read:
        assert read.read() == file.getvalue()


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_half_of_the_rows_never_look_like_a_whole_file(scan: Scan, form: Form) -> None:
    """What was written to a pipe before something went wrong can't be read as a file of fewer rows."""
    file = io.BytesIO()
    into = sink(file, form, scan.schema)
    into.write(next(scan.batches()))
    into.abandon()
    del into
    with pytest.raises(pa.ArrowInvalid):
        pq.ParquetFile(file) if form == "parquet" else pa.ipc.open_file(file)


def test_a_stream_is_no_database(scan: Scan) -> None:
    """DuckDB needs a file of its own."""
    with pytest.raises(ValueError, match="stream"):
        sink(io.BytesIO(), "duckdb", scan.schema)


def test_without_duckdb_it_says_what_to_install(scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And makes no file."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with (
        pytest.raises(Uninstalled, match=r"pip install 'dccd\[sql\]'"),
        exported(tmp_path / "a.duckdb", "duckdb", scan.schema),
    ):
        pass
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_frame_of_no_batches_has_the_columns(scan: Scan) -> None:
    """Nothing is a frame, too."""
    assert frame_of(scan.schema, []).columns == scan.schema.names
