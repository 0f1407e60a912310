"""What is asked of order books over the bus, answered out of files."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from actors.control.books import book, books_arrow, books_json
from dccd import messages as m
from dccd.errors import BookUnknown, RequestError
from dccd.records import BookDelta, BookSnapshot
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

pytestmark = pytest.mark.anyio

BOOK = Dataset.parse("kraken.orderbook.BTC-USD")
NOON = 1_700_049_600 * NS


@pytest.fixture
def links(tmp_path: Path) -> Any:
    """What of a daemon is looked at: a store with a snapshot at noon and a change each second after it."""
    layout = Layout(tmp_path)
    records = [
        BookSnapshot(NOON, 1, [(9.0, 1.0), (8.0, 1.0)], [(10.0, 1.0)]),
        *(BookDelta(NOON + n * NS, 1 + n, [(9.0, 1.0 + n)], []) for n in range(1, 5)),
    ]
    SegmentWriter(layout, "test").write(BOOK, table_from_records(BOOK.data_type, records))
    return SimpleNamespace(store=Store(layout))


def asked(**fields: Any) -> m.Books:
    return m.Books(dataset=BOOK.name, **fields)


async def test_the_newest_book_unless_a_time_is_named(links: Any) -> None:
    """With how old it is."""
    found = await book(links, m.Book(dataset=BOOK.name))
    assert (found.at, found.stale, found.bids, found.seq) == (NOON + 4 * NS, 0, [(9.0, 5.0), (8.0, 1.0)], 5)
    found = await book(links, m.Book(dataset=BOOK.name, at=NOON + 3 * NS // 2, depth=1))
    assert (found.ts, found.stale, found.bids, found.snapshot_ts) == (NOON + NS, NS // 2, [(9.0, 2.0)], NOON)


async def test_json_comes_in_pages(links: Any) -> None:
    """``next`` is where to go on; together the pages are the series."""
    first = await books_json(links, asked(every="1s", depth=1, limit=3, shape="wide"))
    assert first.next is not None
    rest = await books_json(links, asked(every="1s", depth=1, start=first.next, shape="wide"))
    assert rest.next is None
    assert [row[0] for row in (*first.rows, *rest.rows)] == [NOON + n * NS for n in range(5)]
    assert (first.start, first.end, first.every) == (NOON, NOON + 4 * NS + 1, NS)
    assert first.columns[:3] == ["TS", "as_of", "bid_price_1"]


async def test_arrow_has_the_same_rows(links: Any) -> None:
    """And the stretches without a book as rows that say why."""
    pieces = list(await books_arrow(links, asked(every=1, start=NOON - NS, end=NOON + 6 * NS)))
    frame = pl.read_ipc_stream(io.BytesIO(b"".join(pieces)))
    assert frame.filter(pl.col("side") == "ask")["TS"].to_list() == [NOON + n * NS for n in range(5)]
    assert frame.filter(pl.col("unknown").is_not_null()).select("TS", "as_of").rows() == [
        (NOON - NS, NOON),
        (NOON + 5 * NS, NOON + 6 * NS),
    ]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (m.Books(dataset="kraken.trades.BTC-USD"), "no_book"),
        (m.Books(dataset="kraken.orderbook.ETH-USD"), "no_dataset"),
        (asked(shape="wide", depth=None), "no_depth"),
        (asked(every="1ms", limit=5000), "too_many_rows"),
    ],
)
async def test_what_is_refused(links: Any, request_: m.Books, reason: str) -> None:
    """With a reason that scripts know."""
    with pytest.raises(RequestError) as caught:
        await books_json(links, request_)
    assert caught.value.reason == reason


async def test_before_the_first_snapshot_nothing_is_known(links: Any) -> None:
    """One book is an error then."""
    with pytest.raises(BookUnknown):
        await book(links, m.Book(dataset=BOOK.name, at=NOON - 1))
