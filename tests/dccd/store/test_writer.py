"""Tests of segments: a period each, sorted, numbered, and told apart after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dccd.errors import BadRecord
from dccd.records import BookDelta
from dccd.store.parquet import OpenFile
from dccd.store.schema import SCHEMAS, table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import DataType


def test_a_write_is_a_segment(bench: Any) -> None:
    """Rows are on disk under the writer's name, sorted by time, and the answer says what is there."""
    (segment,) = bench.put([bench.trade(n) for n in (2, 0, 1)], seq=7)
    assert segment.path.parent == bench.layout.segment_dir(bench.trades, bench.day)
    assert segment.path.name.startswith("test.")
    assert (segment.rows, segment.first_ts, segment.last_ts) == (3, bench.noon, bench.noon + 2_000_000)
    assert segment.bytes == segment.path.stat().st_size
    assert bench.tids() == ["0", "1", "2"]
    assert bench.writer.statistics() == {"segments": 1, "rows": 3, "bytes": segment.bytes}


def test_rows_of_two_days_are_two_segments(bench: Any) -> None:
    """Each period has a segment of its own, with the same position on the bus."""
    day = 86_400_000_000_000
    segments = bench.put([bench.trade(n, bench.noon + n * day) for n in (2, 0, 1)], seq=7)
    assert [segment.period for segment in segments] == ["2023-11-15", "2023-11-16", "2023-11-17"]
    assert [segment.rows for segment in segments] == [1, 1, 1]
    assert bench.tids() == ["0", "1", "2"]
    for period in ("2023-11-15", "2023-11-17"):
        assert bench.store.stored_position(bench.trades, period, "e") == 7


def test_nothing_makes_no_file(bench: Any) -> None:
    """An empty table writes nothing."""
    assert bench.put([], seq=1) == []
    assert bench.files() == []


def test_book_rows_are_in_order_of_time_and_sequence(bench: Any) -> None:
    """Within one time the sequence orders the updates, and within one update its levels stay as they were."""
    deltas = [
        BookDelta(bench.noon + 1, 3, [(5.0, 1.0), (4.0, 1.0)], []),
        BookDelta(bench.noon, 2, [], [(7.0, 0.0), (8.0, 1.0)]),
        BookDelta(bench.noon, 1, [(3.0, 1.0)], [(9.0, 1.0)]),
    ]
    bench.put(deltas, bench.book)
    read = bench.store.read(bench.book)
    assert read["price"].to_list() == [3.0, 9.0, 7.0, 8.0, 5.0, 4.0]
    assert read["seq"].to_list() == [1, 1, 2, 2, 3, 3]


def test_a_later_write_is_later_though_the_clock_goes_back(bench: Any) -> None:
    """Files of one writer are ordered as written, whatever the clock says."""
    times = iter([100, 50, 50])
    writer = SegmentWriter(bench.layout, "w", clock=lambda: next(times))
    written = [OpenFile(bench.put([bench.trade(n)], writer=writer)[0].path, 0).footer for n in range(3)]
    assert [footer.written_at for footer in written if footer] == [100, 101, 102]


def test_names_are_never_used_again(bench: Any) -> None:
    """A writer that is started anew takes other names, so that a base never holds by name what is new."""
    names = set()
    for n in range(5):
        writer = SegmentWriter(bench.layout, "same")
        names |= {segment.path.name for segment in bench.put([bench.trade(n)], writer=writer)}
    assert len(names) == 5


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 200, "a~b"])
def test_an_id_that_is_no_file_name_is_refused(bench: Any, name: str) -> None:
    """Whoever names a host with a slash is told before anything is written."""
    with pytest.raises(ValueError, match="file name"):
        SegmentWriter(bench.layout, name)


def test_threads_share_a_writer(bench: Any) -> None:
    """Writes of several threads at once make a segment each, and none is lost."""
    threads = [
        threading.Thread(target=lambda k=k: [bench.put([bench.trade(10 * k + n)]) for n in range(10)]) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert bench.tids() == [str(n) for n in range(40)]
    assert bench.writer.statistics()["segments"] == 40


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.drop_columns(["price"]),
        lambda t: t.set_column(0, "TS", pa.array([1.5])),
        lambda t: t.set_column(1, "price", pa.nulls(1, pa.float64())),
    ],
)
def test_a_table_that_is_none_of_its_type_is_refused(bench: Any, change: Any) -> None:
    """A missing column, another type, and a null where there must be a value."""
    table = table_from_records(DataType.TRADES, [bench.trade(1)])
    with pytest.raises(BadRecord):
        bench.writer.write(bench.trades, change(table))
    assert bench.files() == []


def test_a_column_unknown_to_us_is_written(bench: Any) -> None:
    """What a later version knows is kept, after the columns that we know."""
    table = table_from_records(DataType.TRADES, [bench.trade(1)])
    bench.writer.write(bench.trades, table.add_column(0, "venue", pa.array(["x"])))
    assert bench.store.read(bench.trades).columns == [*SCHEMAS[DataType.TRADES].names, "venue"]


KILLED = """
import os, signal, sys
from dccd.records import Trade
from dccd.store.layout import Layout
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import Dataset

def step(name):
    if name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

dataset = Dataset.parse("binance.trades.BTC-USDT")
table = table_from_records(dataset.data_type, [Trade(1_700_049_600_000_000_000, 1.0, 1.0, None, "1")])
SegmentWriter(Layout(sys.argv[1]), "test", step=step).write(dataset, table)
"""


@pytest.mark.parametrize(("step", "stored"), [("rename", False), ("sync_folder", True)])
def test_kill_9(bench: Any, tmp_path: Path, step: str, stored: bool) -> None:
    """A process killed in earnest leaves a whole segment or a temporary file, which the next one removes."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), step]
    result = subprocess.run(command, timeout=60, check=False, env={**os.environ, "POLARS_MAX_THREADS": "1"})
    assert result.returncode == -signal.SIGKILL
    assert bench.tids() == (["1"] if stored else [])
    assert bench.writer.clean() == (0 if stored else 1)
    assert len(bench.files()) == (1 if stored else 0)
