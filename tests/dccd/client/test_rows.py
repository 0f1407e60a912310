"""Rows as they come: in bounded memory, to be stopped, and honest about what they are."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dccd.bus.server import EmbeddedServer
from dccd.client import Client, DerivedBars
from dccd.client.fake import FakeDaemon
from dccd.errors import BusError, RequestError
from dccd.store.ipc import encoded
from dccd.store.scan import About

pytestmark = pytest.mark.anyio

BARS = "binance.ohlc.BTC-USDT.7m"
TRADES = "binance.trades.BTC-USDT"
WINDOW = 8
"""What the service sends before it is acknowledged."""


@pytest.fixture
def stored(daemon: FakeDaemon) -> pl.DataFrame:
    """A thousand rows of bars made of trades, which are there, too."""
    frame = pl.DataFrame({"TS": range(1000), "price": [float(n) for n in range(1000)]})
    daemon.frames = {TRADES: frame, BARS: frame}
    daemon.derived = {BARS: About(BARS, TRADES, ((0, 7),), 0, 999)}
    return frame


async def test_rows_come_in_frames(client: Client, stored: pl.DataFrame) -> None:
    """All of them, in order, with what is known of them before the first."""
    async with client.rows(TRADES) as rows:
        assert (rows.count, rows.derived_from, rows.incomplete) == (0, None, [])
        frames = [frame async for frame in rows]
    assert len(frames) > 10
    assert_frame_equal(pl.concat(frames), stored)
    assert rows.count == 1000


async def test_an_iteration_alone_asks_and_ends(client: Client, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """Without a block, the end of the iteration is the end of the read."""
    assert sum([frame.height async for frame in client.rows(TRADES)]) == 1000
    assert daemon.sending == 0


async def test_a_reader_that_stops_stops_the_daemon(client: Client, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """After the rows that were on their way nothing more is made, and what it reads from is closed."""
    async with client.rows(TRADES) as rows:
        async for _ in rows:
            break
    async with asyncio.timeout(60):
        while daemon.sending:
            await client.health()
    assert daemon.sent <= WINDOW + 4


async def test_a_slow_reader_holds_up_the_daemon(client: Client, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """No more is on its way than the window: memory doesn't grow with the rows, on neither side."""
    taken = 0
    async with client.rows(TRADES) as rows:
        async for _ in rows:
            taken += 1
            await client.health()
            assert daemon.sent <= taken + WINDOW + 3
    assert taken > 30


async def test_bars_that_are_made_are_told(client: Client, stored: pl.DataFrame) -> None:
    """Who didn't ask for them gets a warning; who named a source, none."""
    with pytest.warns(DerivedBars, match="made of binance.trades.BTC-USDT, without 1 interval"):
        assert_frame_equal(await client.read(BARS), stored)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.read(BARS, source="trades")
        await client.read(TRADES)
    async with client.rows(BARS) as rows:
        assert (rows.derived_from, rows.incomplete) == (TRADES, [(0, 7)])


async def test_the_source_travels(client: Client, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """As it was named, and as the daemon's own choice otherwise."""
    await client.read(TRADES)
    await client.read(TRADES, source="1m")
    assert [ask.source for ask in daemon.asked("read")] == ["auto", "1m"]


async def test_an_error_comes_before_the_first_row(client: Client) -> None:
    """A read that is refused is refused when it is opened."""
    with pytest.raises(RequestError, match="nothing is stored"):
        async with client.rows(TRADES):
            raise AssertionError("it opened")


async def test_a_stream_that_breaks_off_is_an_error(client: Client, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """Fewer rows are never taken for all."""

    async def half() -> AsyncIterator[bytes]:
        table = stored.to_arrow()
        for piece in list(encoded(table.schema, table.to_batches(100)))[:5]:
            yield piece

    daemon.replies["read"] = lambda ask: half()
    with pytest.raises(BusError, match="ended in the middle"):
        await client.read(TRADES)


async def test_without_await(server: EmbeddedServer, client: Client, daemon: FakeDaemon, stored: pl.DataFrame) -> None:
    """The same in a program without an event loop, and it stops the daemon, too."""

    def plainly() -> tuple[int, int]:
        with Client(server.url) as plain:
            with plain.rows(TRADES) as rows:
                total = sum(frame.height for frame in rows)
            with plain.rows(BARS) as rows:
                assert rows.rows.derived_from == TRADES
                some = next(iter(rows)).height
            return total, some

    assert await asyncio.to_thread(plainly) == (1000, 16)
    async with asyncio.timeout(60):
        while daemon.sending:
            await client.health()
