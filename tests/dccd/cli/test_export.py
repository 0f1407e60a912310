"""``dccd export``: stored rows into files of other programs."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dccd.client.fake import FakeDaemon
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.scan import About
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

TRADES = "binance.trades.BTC-USDT"
NOON = 1_704_110_400_000_000_000


@pytest.fixture
def stored(daemon: FakeDaemon) -> pl.DataFrame:
    """100 trades, one a second."""
    frame = pl.DataFrame(
        {
            "TS": [NOON + i * NS for i in range(100)],
            "price": [42000.5 + i for i in range(100)],
            "side": ["buy", None] * 50,
        }
    )
    daemon.frames[TRADES] = frame
    return frame


@pytest.fixture
def files(alone: Command) -> Path:
    """A data_path, relative to the command's folder, with trades of a base and a segment; no daemon runs."""
    from dccd.records import Trade

    layout = Layout(alone.folder / "store")
    writer = SegmentWriter(layout, "test")
    dataset = Dataset.parse(TRADES)
    for part in (range(600), range(500, 1000)):
        trades = [Trade(NOON + n * NS, 1.0 + n, 1.0, "buy", str(n)) for n in part]
        writer.write(dataset, table_from_records(dataset.data_type, trades))
        if part.start == 0:
            fold(layout, dataset, "2024-01-01", force=True)
    return layout.root


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Every file below *folder* with its size and time."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.ndjson", "a.arrow", "a.duckdb"])
async def test_a_file_takes_its_format_from_its_name(dccd: Command, stored: pl.DataFrame, name: str) -> None:
    """Each holds what is stored; it is told how much, and nothing else is left in the folder."""
    done = await dccd("export", TRADES, "-o", name)
    path = dccd.folder / name
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"100 rows in {name}, ")
    if name.endswith(".duckdb"):
        with duckdb.connect(str(path), read_only=True) as database:
            read = database.sql(f'FROM "{TRADES}"').pl()
    else:
        reader = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".ndjson": pl.read_ndjson, ".arrow": pl.read_ipc}
        read = reader[path.suffix](path)
    assert_frame_equal(read, stored)
    assert os.listdir(dccd.folder) == [name]


async def test_a_format_by_name_and_times_as_people_read_them(dccd: Command, stored: pl.DataFrame) -> None:
    """``--format`` wins over the suffix; ``--iso`` is for CSV; ``-`` is stdout."""
    done = await dccd("export", TRADES, "--format", "csv", "--iso", "--columns", "TS, price", "-o", "-")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == ["TS,price", "2024-01-01T12:00:00.000000000Z,42000.5"]
    assert (await dccd("export", TRADES, "--format", "csv", "-o", "a.txt")).code == 0
    assert (dccd.folder / "a.txt").read_bytes().startswith(b"TS,price,side\r\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "rows.xyz"], "what is rows.xyz to be?"),
        (["-o", "-"], "what is stdout to be?"),
        (["--format", "duckdb", "-o", "-"], "is a file"),
        (["--iso", "-o", "a.parquet"], "--iso is for CSV"),
        (["-o", "there.csv"], "--force overwrites it"),
        ([], "'-o'"),
    ],
)
async def test_wrong_usage(dccd: Command, stored: pl.DataFrame, words: list[str], said: str) -> None:
    """Found out before anything is asked for."""
    (dccd.folder / "there.csv").write_text("precious")
    done = await dccd("export", TRADES, *words)
    assert done.code == 2
    assert said in done.err
    assert (dccd.folder / "there.csv").read_text() == "precious"


async def test_force_overwrites(dccd: Command, stored: pl.DataFrame) -> None:
    """Where it was asked for."""
    (dccd.folder / "there.csv").write_text("old")
    done = await dccd("export", TRADES, "-o", "there.csv", "--force", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told == {"file": "there.csv", "format": "csv", "rows": 100, "bytes": told["bytes"]}
    assert (dccd.folder / "there.csv").stat().st_size == told["bytes"]


async def test_terms_travel(dccd: Command, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """Range, columns and source are the daemon's business."""
    words = ["--start", "2024-01-01", "--end", "2024-01-02", "--columns", "price", "--from", "1m"]
    assert (await dccd("export", TRADES, *words, "-o", "a.csv")).code == 0
    ask = daemon.asked("read")[0]
    assert (ask.start, ask.end, ask.columns, ask.source) == ("2024-01-01", "2024-01-02", ["price"], "1m")


async def test_bars_that_are_made_are_told(dccd: Command, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """Of what, and where there are none."""
    bars = "binance.ohlc.BTC-USDT.7m"
    daemon.frames[bars] = stored
    holes = tuple((NOON + n * 10 * NS, NOON + n * 10 * NS + 5 * NS) for n in range(5))
    daemon.derived[bars] = About(bars, TRADES, holes)
    done = await dccd("export", bars, "-o", "a.csv")
    assert f"{bars}: bars made of {TRADES}, not the exchange's own" in done.err
    assert "isn't known to be whole: 2024-01-01 12:00:00 … 2024-01-01 12:00:05" in done.err
    assert "nor in 2 more intervals" in done.err


async def test_a_refusal_leaves_no_file(dccd: Command) -> None:
    """What isn't stored is exit code 3."""
    done = await dccd("export", TRADES, "-o", "a.csv")
    assert (done.code, os.listdir(dccd.folder)) == (3, [])


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_export_that_is_stopped_leaves_nothing(
    dccd: Command, daemon: FakeDaemon, sign: signal.Signals, code: int
) -> None:
    """Nor does it keep the daemon at work."""
    daemon.frames[TRADES] = pl.DataFrame({"TS": range(3_000_000)})
    process = await dccd.start("export", TRADES, "-o", "a.csv")
    async with asyncio.timeout(30):
        while daemon.sent < 100:
            await daemon._bus.barrier()
        process.send_signal(sign)
        done = await dccd.finish(process)
        while daemon.sending:
            await daemon._bus.barrier()
    assert daemon.sent < 3_000_000 / 16
    assert (done.code, os.listdir(dccd.folder)) == (code, [])


async def test_a_terminal_gets_a_bar(dccd: Command, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """By the time of the rows, up to all of them."""
    daemon.derived[TRADES] = About(TRADES, None, (), NOON, NOON + 99 * NS)
    ours, theirs = pty.openpty()
    process = await dccd.start("export", TRADES, "-o", "a.csv", err=theirs)
    os.close(theirs)
    shown = b""
    async with asyncio.timeout(30):
        while True:
            try:
                shown += await asyncio.to_thread(os.read, ours, 4096)
            except OSError:  # the other end is closed
                break
        await process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert b"100%" in shown
    assert b"100 rows" in shown


async def test_files_are_read_without_a_daemon(alone: Command, files: Path) -> None:
    """Base and segments, each row once; and nothing below the data_path is touched."""
    before = listing(files)
    done = await alone("export", TRADES, "--data-path", "store", "-o", "a.parquet", "--start", str(NOON + 10 * NS))
    assert (done.code, done.out) == (0, "")
    assert "stand-in" not in done.err
    assert pl.read_parquet(alone.folder / "a.parquet")["tid"].to_list() == [str(n) for n in range(10, 1000)]
    assert listing(files) == before


async def test_bars_are_made_without_a_daemon(alone: Command, files: Path) -> None:
    """The same bars, and the same words about them."""
    done = await alone("export", "binance.ohlc.BTC-USDT.7m", "--data-path", "store", "-o", "a.csv")
    assert f"bars made of {TRADES}" in done.err
    assert pl.read_csv(alone.folder / "a.csv")["trades"].to_list() == [420, 420]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["binance.trades.ETH-USDT"], 3, "nothing is stored"),
        ([TRADES, "--columns", "prcie"], 2, "no column 'prcie'"),
        ([TRADES, "--from", "1m"], 2, "only bars"),
        ([TRADES, "--start", "yesterday"], 2, "is no time"),
    ],
)
async def test_refusals_without_a_daemon(alone: Command, files: Path, words: list[str], code: int, said: str) -> None:
    """Are those of a daemon, with its exit codes."""
    done = await alone("export", *words, "--data-path", "store", "-o", "a.csv")
    assert done.code == code
    assert said in done.err
    assert not (alone.folder / "a.csv").exists()
