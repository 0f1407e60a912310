"""Order books of the past by the client."""

from __future__ import annotations

import polars as pl
import pytest

from dccd import messages as m
from dccd.client import Client
from dccd.client import books as module
from dccd.client.books import joined
from dccd.client.fake import FakeDaemon

pytestmark = pytest.mark.anyio

BOOK = "kraken.orderbook.BTC-USD"


def test_stretches_that_go_on_are_joined() -> None:
    """Two parts of one stretch are one; others stay as they are."""
    a, b = m.Unknown(start=1, end=2, reason="x"), m.Unknown(start=2, end=4, reason="x")
    c = m.Unknown(start=4, end=5, reason="y")
    assert joined([a, b, c]) == [m.Unknown(start=1, end=4, reason="x"), c]


@pytest.fixture
def stored(daemon: FakeDaemon) -> None:
    """A book a time, from 100 to 190, but from 130 to 160."""
    times = list(range(100, 200, 10))
    lost = [130 <= time < 160 for time in times]
    daemon.frames[BOOK] = pl.DataFrame(
        {
            "TS": times,
            "as_of": [time + 10 if gone else time for time, gone in zip(times, lost, strict=True)],
            "bid_price_1": [None if gone else float(time) for time, gone in zip(times, lost, strict=True)],
            "unknown": ["overflow" if gone else None for gone in lost],
        }
    )


async def test_a_series_comes_in_parts_and_is_whole(
    client: Client, daemon: FakeDaemon, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part is asked for by itself; together they are the series, with its unknown stretches made whole."""
    monkeypatch.setattr(module, "_CELLS", 8)  # two times a part
    found = await client.books(BOOK, 0.5, 100, 200, depth=1, wide=True)
    assert found.frame["TS"].to_list() == [100, 110, 120, 160, 170, 180, 190]
    assert found.unknown == [m.Unknown(start=130, end=160, reason="overflow")]
    asked = [(ask.start, ask.end) for ask in daemon.asked("books") if ask.format == "arrow"]
    assert asked == [(100, 120), (120, 140), (140, 160), (160, 180), (180, 200)]


async def test_one_book(client: Client, daemon: FakeDaemon) -> None:
    """The reply comes typed, and the request as it was meant."""
    found = await client.book(BOOK, 2_000, depth=2)
    assert (found.bids[0], found.stale) == ((9.0, 1.0), 500)
    assert daemon.asked("book") == [m.Book(dataset=BOOK, at=2_000, depth=2)]
