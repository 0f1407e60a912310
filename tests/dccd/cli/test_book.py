"""``dccd book``: a ladder for people, JSON and frames for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

BOOK = "kraken.orderbook.BTC-USD"


@pytest.fixture
def stored(daemon: FakeDaemon) -> None:
    """Two books of a level a side, ten ns apart, and a stretch without."""
    daemon.frames[BOOK] = pl.DataFrame(
        {
            "TS": [100, 100, 110, 110, 120],
            "as_of": [95, 95, 110, 110, 180],
            "side": ["bid", "ask", "bid", "ask", None],
            "level": pl.Series([1, 1, 1, 1, None], dtype=pl.Int32),
            "price": [9.0, 10.0, 9.5, 10.5, None],
            "amount": [1.0, 2.0, 3.0, 4.0, None],
            "unknown": [None, None, None, None, "disconnect"],
        }
    )


async def test_a_ladder(dccd: Command, daemon: FakeDaemon) -> None:
    """Prices fall from the worst ask to the worst bid, with the spread between; its age is told."""
    done = await dccd("book", BOOK, "--at", "2000", "--depth", "2")
    lines = [line.split() for line in done.out.splitlines()]
    assert done.code == 0
    assert [line[:4] for line in lines[1:]] == [
        ["ask", "11", "0.5", "3.5"],
        ["ask", "10", "3", "3"],
        ["1", "1052.63", "bp", "spread"],
        ["bid", "9", "1", "1"],
        ["bid", "8", "2.5", "3.5"],
    ]
    assert "last change 1970-01-01T00:00:00.0000015Z" in done.err
    (asked,) = daemon.asked("book")
    assert (asked.at, asked.depth) == ("2000", 2)


async def test_a_book_as_json(dccd: Command, daemon: FakeDaemon) -> None:
    """Scripts get the reply of the bus."""
    found = json.loads((await dccd("book", BOOK, "--json")).out)
    assert found["bids"] == [[9.0, 1.0], [8.0, 2.5]]
    assert found["stale"] == 500


async def test_an_unknown_book_is_an_error_that_says_why(dccd: Command, daemon: FakeDaemon) -> None:
    """The exit code tells that it isn't there."""
    daemon.replies["book"] = RequestError(404, "book_unknown", "the book isn't known: disconnect")
    done = await dccd("book", BOOK)
    assert (done.code, "disconnect" in done.err) == (3, True)


async def test_a_series_as_a_table_tells_what_is_unknown(dccd: Command, stored: None) -> None:
    """Rows of known books, and a line on stderr for each stretch without."""
    done = await dccd("book", BOOK, "--every", "1s")
    assert done.code == 0
    assert [line.split()[4:] for line in done.out.splitlines()[1:]] == [
        ["bid", "1", "9", "1"],
        ["ask", "1", "10", "2"],
        ["bid", "1", "9.5", "3"],
        ["ask", "1", "10.5", "4"],
    ]
    assert "unknown 1970-01-01 00:00:00 … 1970-01-01 00:00:00: disconnect" in done.err


async def test_a_series_in_a_file(dccd: Command, stored: None) -> None:
    """The file's suffix says its format; the stretches without aren't in it."""
    done = await dccd("book", BOOK, "--every", "1s", "-o", "books.parquet")
    assert done.code == 0
    frame = pl.read_parquet(Path(dccd.folder) / "books.parquet")
    assert frame.columns == ["TS", "as_of", "side", "level", "price", "amount"]
    assert frame["TS"].to_list() == [100, 100, 110, 110]


@pytest.mark.parametrize(
    "words", [("--wide",), ("--start", "2024-01-01"), ("--format", "csv"), ("--every", "1s", "--at", "2000")]
)
async def test_options_that_do_not_go_together(dccd: Command, words: tuple[str, ...]) -> None:
    """What is for a series asks for --every, and a time for one book isn't for a series."""
    assert (await dccd("book", BOOK, *words)).code == 2
