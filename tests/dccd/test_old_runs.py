"""The run history of dccd 3, as it wrote it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from dccd.errors import OldFileProblem
from dccd.old_runs import read_old_runs
from dccd.runs import run_time
from dccd.symbols import NS

RUNS = Path(__file__).parent.parent / "frames" / "old" / "dccd3" / ".dccd" / "runs.db"
DAY = 1_709_251_200 * NS


def test_runs_are_taken_over() -> None:
    """With what they were about, how they ended, how far they were, and when."""
    found = read_old_runs(RUNS, "alpha")
    assert [(run.job, run.state, run.rows, run.error) for run in found.runs] == [
        ("backfill.binance.ohlc.BTC-USDT.1h", "done", 24, None),
        ("backfill.binance.ohlc.BTC-USDT.1h", "failed", 3, "HTTP 503"),
        ("backfill.binance.ohlc.BTC-USDT.1h", "cancelled", 0, None),
        ("backfill.binance.ohlc.BTC-USDT.1h", "failed", 0, "dccd 3 was stopped meanwhile"),
        ("stream.kraken.trades.BTC-USD", "failed", 0, "gave up"),
    ]
    first = found.runs[0]
    assert (first.start, first.end, first.position) == (DAY - 50 * NS, DAY + 50 * NS, DAY)
    assert (first.started, first.finished) == (DAY, DAY + 5 * NS)
    assert run_time(first.run_id) == first.created // 1_000_000 * 1_000_000
    assert first.reason == f"dccd 3: backfill:binance:BTC/USDT:ohlc:3600s@{DAY}"


def test_what_is_no_run_of_ours_is_told() -> None:
    """By its id."""
    assert read_old_runs(RUNS, "alpha").problems == (f"run remote-sync@{DAY}: sync isn't kept",)


def test_again_they_are_the_same(tmp_path: Path) -> None:
    """Their ids are made of the old ones; and the database is only read, wherever it lies."""
    folder = tmp_path / "read only"
    folder.mkdir()
    shutil.copy(RUNS, folder)
    before = (folder / "runs.db").read_bytes()
    folder.chmod(0o555)
    try:
        assert read_old_runs(folder / "runs.db", "alpha") == read_old_runs(RUNS, "alpha")
        assert [path.name for path in folder.iterdir()] == ["runs.db"]
    finally:
        folder.chmod(0o755)
    assert (folder / "runs.db").read_bytes() == before


def test_what_a_running_dccd_3_has_not_put_into_its_file_is_read_too(tmp_path: Path) -> None:
    """It writes to a log first."""
    path = tmp_path / "runs.db"
    shutil.copy(RUNS, path)
    writer = sqlite3.connect(path)
    try:
        writer.execute("UPDATE runs SET rows_written = 77 WHERE state = 'succeeded'")
        writer.commit()
        assert path.with_name("runs.db-wal").exists()
        assert read_old_runs(path, "alpha").runs[0].rows == 77
    finally:
        writer.close()


def test_another_database_is_refused(tmp_path: Path) -> None:
    """By its name, as by what is no database at all."""
    sqlite3.connect(tmp_path / "a.db").execute("CREATE TABLE x (y)").connection.close()
    (tmp_path / "b.db").write_text("nonsense" * 200)
    for name in ("a.db", "b.db"):
        with pytest.raises(OldFileProblem, match="no run history of dccd 3"):
            read_old_runs(tmp_path / name, "alpha")
