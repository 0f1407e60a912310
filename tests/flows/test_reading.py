"""Rows out of a real daemon: pages, streams that are stopped, and bars that were never stored."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from actors.daemon import Daemon, daemon
from dccd.client import Client
from dccd.config import BusConfig, Config, Settings
from dccd.errors import RequestError
from dccd.records import Trade
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = "binance.ohlc.BTC-USDT.7m"
NOON = 1_704_110_400 * NS  # 2024-01-01T12:00
ROWS = 300_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with half a day of trades, ten to a moment, mostly folded."""
    layout = Layout(tmp_path / "data")
    writer = SegmentWriter(layout, "elsewhere")
    chance = random.Random(1)  # prices that don't compress: a small file isn't held open
    records = [Trade(NOON + n // 10 * NS, chance.random() + 1, 1.0, "buy", str(n)) for n in range(ROWS)]
    writer.write(TRADES, table_from_records(DataType.TRADES, records[: ROWS - 1000]))
    fold(layout, TRADES, "2024-01-01", force=True)
    writer.write(TRADES, table_from_records(DataType.TRADES, records[ROWS - 1000 :]))
    return layout.root


@pytest.fixture
async def running(folder: Path) -> AsyncIterator[Daemon]:
    """A daemon on it that collects nothing."""
    config = Config(settings=Settings(data_path=str(folder), host="alpha"), bus=BusConfig(port=0))
    async with daemon(config) as running:
        yield running


@pytest.fixture
async def client(running: Daemon) -> AsyncIterator[Client]:
    """A client of that daemon."""
    async with Client(running.bus_url) as client:
        yield client


def opened(folder: Path) -> list[str]:
    """The Parquet files below *folder* that this process, in which the daemon runs, has open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        if name.startswith(str(folder)) and name.endswith(".parquet"):
            found.append(name)
    return found


async def test_json_has_pages(client: Client) -> None:
    """The cursor of each page gets the next one, and rows that share a time are neither lost nor repeated."""
    ask: dict[str, Any] = {"dataset": TRADES.name, "start": NOON, "end": NOON + 5 * NS, "limit": 7, "columns": ["tid"]}
    tids, pages = [], 0
    while True:
        reply = await client.request("read", ask)
        tids += [tid for _, tid in reply.rows]
        pages += 1
        if reply.next is None:
            break
        ask["after"] = reply.next
    assert (tids, pages) == ([str(n) for n in range(50)], 8)


async def test_a_stream_that_is_left_closes_its_files(client: Client, folder: Path) -> None:
    """The daemon stops reading when its reader does, and holds nothing open."""
    async with client.rows(TRADES) as rows:
        async for _ in rows:
            assert opened(folder)
            break
    async with asyncio.timeout(60):
        while opened(folder):
            await client.health()
    assert rows.count < ROWS / 10


async def test_a_stream_has_every_row(client: Client) -> None:
    """Folded or not, once."""
    tids = [tid async for frame in client.rows(TRADES, columns=["tid"]) for tid in frame["tid"]]
    assert tids == [str(n) for n in range(ROWS)]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [3_000_000])
async def test_the_daemon_is_never_far_ahead_of_its_reader(client: Client, running: Daemon, rows: int) -> None:
    """Of millions of rows it has decoded no more than a few chunks that the reader hasn't had yet."""
    layout, each = running.links.layout, rows // 10
    for day in range(1, 11):
        n = pl.int_range(each, eager=True)
        frame = pl.DataFrame({"TS": NOON + day * 86_400 * NS + n * NS // 10, "price": n * 1.5, "amount": n * 1.0})
        path = layout.base_path(TRADES, f"2024-01-{day + 1:02}")
        frame.write_parquet(path, row_group_size=100_000)
    before, most, taken = running.links.store.statistics()["rows"], 0, 0
    async with client.rows(TRADES, NOON + 86_400 * NS) as found:
        async for part in found:
            taken += part.height
            # The event loop is the daemon's, too: it gets as far as it may.
            await client.bus.barrier()
            most = max(most, running.links.store.statistics()["rows"] - before - taken)
    assert taken == rows
    assert 0 < most < 500_000


async def test_bars_that_were_never_stored(client: Client) -> None:
    """They are made of trades, in both formats, and say so; the parts at the edges are left out."""
    bars = await client.read(BARS, source="trades")
    # Trades go on for 30,000 s from noon, two minutes before a bar of seven minutes begins.
    assert bars["TS"].to_list() == [NOON + (120 + n * 420) * NS for n in range(71)]
    assert set(bars["trades"]) == {4200}
    reply = await client.request("read", {"dataset": BARS, "limit": 2, "newest": True})
    assert reply.derived_from == TRADES.name
    assert [row[0] for row in reply.rows] == bars["TS"].tail(2).to_list()
    assert len(reply.incomplete) == 2


@pytest.mark.parametrize(
    ("ask", "code", "reason", "field"),
    [
        ({"dataset": "binance.ohlc.ETH-USDT.7m"}, 404, "no_dataset", "dataset"),
        ({"dataset": BARS, "source": "stored"}, 404, "no_dataset", "dataset"),
        ({"dataset": BARS, "source": "7m"}, 422, "bad_read", "source"),
        ({"dataset": TRADES.name, "source": "1m"}, 422, "bad_read", "source"),
        ({"dataset": TRADES.name, "columns": ["prcie"]}, 422, "bad_read", "columns"),
        ({"dataset": TRADES.name, "after": "then"}, 422, "bad_read", "after"),
        ({"dataset": TRADES.name, "limit": 1001}, 422, "too_many_rows", "limit"),
    ],
)
async def test_reads_that_cannot_be(client: Client, ask: dict[str, Any], code: int, reason: str, field: str) -> None:
    """Each names the field at fault."""
    with pytest.raises(RequestError) as caught:
        await client.request("read", ask)
    assert (caught.value.code, caught.value.reason, caught.value.field) == (code, reason, field)


async def test_a_column_that_nobody_has_is_refused_in_arrow_too(client: Client) -> None:
    """Before the first piece."""
    with pytest.raises(RequestError, match="no column 'prcie'"):
        await client.read(TRADES, columns=["prcie"])
    with pytest.raises(RequestError, match="leave out `after`"):
        await client.request("read", {"dataset": TRADES.name, "format": "arrow", "after": "1.1"})
