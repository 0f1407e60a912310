"""``dccd read``: stored rows in each format."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dccd.client.fake import FakeDaemon
from dccd.records import Trade
from dccd.store.claims import NoteBook
from dccd.store.layout import Layout
from dccd.store.scan import About
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import Dataset

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
            "TS": [NOON + i * 1_000_000_000 for i in range(100)],
            "price": [42000.5 + i for i in range(100)],
            "side": ["buy", None] * 50,
        }
    )
    daemon.frames[TRADES] = frame
    return frame


async def test_a_table_has_a_few_rows_and_says_so(dccd: Command, stored: pl.DataFrame) -> None:
    """Without --limit people get 20 rows, times they can read, and a word on the rest."""
    done = await dccd("read", TRADES)
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0].split() == ["TS", "price", "side"]
    assert lines[1].split() == ["2024-01-01", "12:00:00", "42,000.5", "buy"]
    assert len(lines) == 21
    assert "… and more" in done.err


async def test_newest_are_the_last_rows(dccd: Command, stored: pl.DataFrame) -> None:
    """``--newest`` shows the end, with and without a limit."""
    lines = (await dccd("read", TRADES, "--newest", "--limit", "1")).out.splitlines()
    assert [text.split()[1] for text in lines[1:]] == ["12:01:39"]
    lines = (await dccd("read", TRADES, "--newest")).out.splitlines()
    assert [text.split()[1] for text in lines[1:]] == [f"12:01:{i}" for i in range(20, 40)]


@pytest.mark.parametrize("form", ["json", "csv", "parquet", "arrow"])
async def test_a_pipe_gets_all_rows_in_each_format(dccd: Command, stored: pl.DataFrame, form: str) -> None:
    """What comes out of each format is what is stored, to the last digit."""
    process = await dccd.start("read", TRADES, "--format", form)
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    read = {"json": pl.read_ndjson, "csv": pl.read_csv, "parquet": pl.read_parquet, "arrow": pl.read_ipc}[form]
    assert_frame_equal(read(io.BytesIO(out)), stored)


async def test_json_is_what_dash_dash_json_means(dccd: Command, stored: pl.DataFrame) -> None:
    """``--json`` gives a line a row, as every listing gives JSON."""
    done = await dccd("read", TRADES, "--json", "--columns", "TS, price", "--limit", "2")
    assert [json.loads(text) for text in done.out.splitlines()] == stored.head(2).select("TS", "price").to_dicts()


async def test_a_file_takes_its_format_from_its_name(dccd: Command, stored: pl.DataFrame) -> None:
    """``-o day.parquet`` is Parquet; nothing half-written is left beside it."""
    done = await dccd("read", TRADES, "-o", "day.parquet")
    assert (done.code, done.out, done.err) == (0, "", "100 rows in day.parquet\n")
    assert_frame_equal(pl.read_parquet(dccd.folder / "day.parquet"), stored)
    assert [path.name for path in dccd.folder.iterdir()] == ["day.parquet"]


async def test_a_reader_of_the_pipe_that_leaves_ends_it(dccd: Command, daemon: FakeDaemon) -> None:
    """``| head``: without a word, and without reading the rest."""
    daemon.frames[TRADES] = pl.DataFrame({"TS": range(200_000), "price": [1.5] * 200_000})
    process = await dccd.start("read", TRADES, "--format", "csv")
    assert process.stdout is not None
    assert process.stderr is not None
    assert await process.stdout.readline() == b"TS,price\n"
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # asyncio's has no name for it
    async with asyncio.timeout(30):
        assert await process.stderr.read() == b""
        assert await process.wait() == 1
    assert daemon.sent < 12_000


async def test_the_source_of_bars_travels(dccd: Command, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """``--from`` says what to make them of; what was made is told."""
    daemon.derived[TRADES] = About(TRADES, "binance.ohlc.BTC-USDT.1m")
    done = await dccd("read", TRADES, "--from", "1m", "--json")
    assert len(done.out.splitlines()) == 100
    assert "bars made of binance.ohlc.BTC-USDT.1m, not the exchange's own" in done.err
    assert daemon.asked("read")[0].source == "1m"


async def test_a_folder_that_is_not_there_is_1(dccd: Command, stored: pl.DataFrame) -> None:
    """A file that can't be written is an error of one line."""
    done = await dccd("read", TRADES, "-o", "absent/day.parquet")
    assert done.code == 1
    assert "absent" in done.err
    assert "Traceback" not in done.err


async def test_the_range_travels(dccd: Command, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """Times are sent as they were given; the daemon reads them."""
    assert (await dccd("read", TRADES, "--start", "2024-01-01", "--end", "1704110400000000000", "--json")).code == 0
    ask = daemon.asked("read")[0]
    assert (ask.start, ask.end, ask.limit) == ("2024-01-01", "1704110400000000000", None)


async def test_what_is_not_stored_is_3(dccd: Command) -> None:
    """A dataset that nobody has is exit code 3."""
    done = await dccd("read", "kraken.trades.ETH-USD")
    assert (done.code, done.out) == (3, "")
    assert "nothing is stored" in done.err


async def test_without_a_daemon_the_store_is_read_all_the_same(alone: Command) -> None:
    """Where there is a store and no daemon, a daemon runs for as long as the command."""
    (alone.folder / "data" / ".dccd").mkdir(parents=True)
    done = await alone("read", TRADES)
    assert done.code == 3  # the stand-in has nothing stored
    assert "stand-in up" in done.err
    assert "nothing is stored" in done.err


async def test_without_a_daemon_or_a_store_it_is_4(alone: Command) -> None:
    """Where there is nothing to read, nothing is started and no folder made."""
    done = await alone("read", TRADES)
    assert done.code == 4
    assert "stand-in" not in done.err
    assert not (alone.folder / "data").exists()


@pytest.fixture
def files(alone: Command) -> Command:
    """The command in a folder with a store of a thousand trades of two files, which share some; without a daemon."""
    dataset = Dataset.parse(TRADES)
    writer = SegmentWriter(Layout(alone.folder / "data"), "test")
    for part in (range(600), range(500, 1000)):
        trades = [Trade(NOON + n * 1_000_000_000, 1.0 + n, 1.0, "buy", str(n)) for n in part]
        writer.write(dataset, table_from_records(dataset.data_type, trades))
    return alone


async def test_files_are_read_without_a_daemon(files: Command) -> None:
    """With the path of the data, nobody is asked."""
    done = await files("read", TRADES, "--data-path", "data", "--newest", "--limit", "2", "--columns", "tid", "--json")
    assert (done.code, done.err) == (0, "")
    assert [json.loads(line)["tid"] for line in done.out.splitlines()] == ["998", "999"]


async def test_what_retention_removed_is_told_by_who_reads_the_files(files: Command) -> None:
    """Rows that a remote may have aren't left out in silence; where none of the range is gone nothing is said."""
    gone = (NOON - 3600 * 10**9, NOON - 1800 * 10**9)
    NoteBook(Layout(files.folder / "data"), "alpha").add(Dataset.parse(TRADES), purged=[gone])
    told = f"{TRADES}: retention removed 2024-01-01 11:00:00 … 2024-01-01 11:30:00, and no remote is asked for it here"
    for words in (["read", TRADES, "--data-path", "data"], ["read", "--sql", f'SELECT * FROM "{TRADES}"']):
        done = await files(*words, "--json")
        assert (done.code, told in done.err) == (0, True)
    done = await files("read", TRADES, "--data-path", "data", "--start", "2024-01-01T12:00", "--json")
    assert (done.code, done.err) == (0, "")


async def test_sql_is_run_over_the_files(files: Command) -> None:
    """Of the configuration's data_path, or the one that is named, each row once."""
    sql = f"SELECT count(*) n, sum(amount) a FROM \"{TRADES}\" WHERE TS >= ns('2024-01-01 12:00:10')"
    for where in ([], ["--data-path", "data"]):
        done = await files("read", "--sql", sql, *where, "--json")
        assert (done.code, done.out, done.err) == (0, '{"n":990,"a":990.0}\n', "")


async def test_sql_gives_tables_and_files(files: Command) -> None:
    """As any other read."""
    sql = f'SELECT tid, make_timestamp_ns(TS) AS "time" FROM "{TRADES}" ORDER BY TS'
    done = await files("read", "--sql", sql)
    assert done.out.splitlines()[1].split() == ["0", "2024-01-01", "12:00:00"]
    assert len(done.out.splitlines()) == 21
    assert "… and more" in done.err
    done = await files("read", "--sql", sql, "-o", "a.parquet")
    assert (done.code, done.err) == (0, "1,000 rows in a.parquet\n")
    assert pl.read_parquet(files.folder / "a.parquet")["tid"].to_list() == [str(n) for n in range(1000)]


async def test_sql_tells_of_made_bars(files: Command) -> None:
    """They aren't the exchange's own in SQL either."""
    done = await files("read", "--sql", 'SELECT count(*) n FROM "binance.ohlc.BTC-USDT.7m"', "--json")
    assert done.out == '{"n":2}\n'
    assert f"bars made of {TRADES}" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--sql", "SELEC 1"], 2, "syntax error"),
        (["--sql", 'SELECT 1 FROM "binance.trades.ETH-USDT"'], 3, "nothing is stored"),
        (["--sql", "SELECT 1", TRADES], 2, "--sql says itself what to read"),
        (["--sql", "SELECT 1", "--limit", "3"], 2, "--sql says itself what to read"),
        ([], 2, "which DATASET?"),
    ],
)
async def test_sql_that_cannot_be(files: Command, words: list[str], code: int, said: str) -> None:
    """One or two lines and an exit code, whoever refuses."""
    done = await files("read", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_sql_can_be_stopped(files: Command, sign: signal.Signals, code: int) -> None:
    """In the middle of a query that would take for ever; nothing of its file is left, nor of DuckDB's."""
    temporary = files.folder / "temporary"
    temporary.mkdir()
    files.environ["TMPDIR"] = str(temporary)
    endless = f'SELECT sum(sin(a.range * b.range)) FROM range(10000000) a, range(10000000) b, "{TRADES}"'
    process = await files.start("--debug", "read", "--sql", endless, "-o", "a.csv")
    async with asyncio.timeout(30):
        # (Python itself tries the folder with a file of another name before, and a signal might leave it there.)
        while not list(temporary.glob("dccd-sql-*")):  # noqa: ASYNC110 - a folder has no event
            await asyncio.sleep(0.01)
        process.send_signal(sign)
        done = await files.finish(process)
    assert done.code == code
    assert os.listdir(temporary) == []
    assert not [name for name in os.listdir(files.folder) if "csv" in name]
