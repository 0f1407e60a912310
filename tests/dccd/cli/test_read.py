"""``dccd read``: stored rows in each format."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dccd.client.fake import FakeDaemon

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
