"""Ticks as frames, against a real bus."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec
import polars as pl
import pytest

from dccd.bus.connection import Bus
from dccd.bus.incoming import StreamMessage
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams
from dccd.client import Client
from dccd.client.fake import FakeDaemon
from dccd.client.tick_frames import FrameBuilder, empty_frame, rows_in
from dccd.errors import IdentityError
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.store.schema import SCHEMAS, table_from_records
from dccd.symbols import Dataset, DataType

pytestmark = pytest.mark.anyio

TRADES = "binance.trades.BTC-USDT"
RECORDS: dict[DataType, list[Record]] = {
    DataType.TRADES: [Trade(ts=1, price=0.1, amount=0.2, side="buy", tid="a", recv_ts=2)],
    DataType.OHLC: [
        Bar(ts=60, open=1, high=3, low=0.5, close=2, volume=9, trades=4),
        Bar(ts=120, open=1, high=3, low=0.5, close=2, volume=9, closed=False),
    ],
    DataType.ORDERBOOK: [
        BookSnapshot(ts=1, seq=5, bids=[(9.0, 1.0), (8.0, 2.0)], asks=[(10.0, 1.5)]),
        BookDelta(ts=1, seq=6, bids=[], asks=[(10.0, 0.0)], recv_ts=2),
    ],
    DataType.FUNDING: [FundingRate(ts=1, rate=1e-4, due_ts=99)],
    DataType.OPEN_INTEREST: [OpenInterest(ts=1, open_interest=5.5)],
}


def trade(number: int) -> Trade:
    return Trade(ts=number, price=number / 3, amount=0.5, side="buy", tid=str(number), recv_ts=number + 1)


def name_of(kind: DataType) -> str:
    return f"binance.{kind}.BTC-USDT" + (".1m" if kind is DataType.OHLC else "")


@pytest.mark.parametrize("kind", DataType)
@pytest.mark.parametrize("how", [{}, {"since": "now"}], ids=["plain", "stream"])
async def test_each_data_type(
    client: Client, daemon: FakeDaemon, server: EmbeddedServer, kind: DataType, how: dict
) -> None:
    """The rows are those that the store would have, by either way of parsing them; open bars are left out."""
    async with await Bus.open(server.url, "collector") as bus:
        await ensure_streams(bus)
        span = "1m" if kind is DataType.OHLC else None
        feed = client.ticks("binance", "BTC/USDT", kind, span, **how)
        async with asyncio.timeout(20), feed, aclosing(feed.frames(every=None, rows=1)) as frames:
            await daemon.tick(name_of(kind), *RECORDS[kind])
            frame = await anext(frames)
        wanted = pl.DataFrame(pl.from_arrow(table_from_records(kind, RECORDS[kind])))
        assert frame.equals(wanted) and frame.schema == wanted.schema


@pytest.mark.parametrize("kind", DataType)
def test_an_empty_frame_has_the_columns(kind: DataType) -> None:
    """In the order and of the types of the files; of several datasets whose rows they are, too."""
    wanted = pl.DataFrame(pl.from_arrow(SCHEMAS[kind].empty_table())).schema
    assert empty_frame(kind).schema == wanted
    assert empty_frame(kind, several=True).schema == {**wanted, "dataset": pl.String}
    assert FrameBuilder(kind, False).take().schema == wanted


@pytest.mark.parametrize("kind", DataType)
def test_rows_are_counted_without_parsing(kind: DataType) -> None:
    """Open bars count, since they arrive."""
    records = RECORDS[kind]
    rows = 4 if kind is DataType.ORDERBOOK else len(records)
    assert rows_in(kind, msgspec.json.encode(records)) == rows
    assert rows_in(kind, b"[]") == 0


async def test_a_frame_each_interval(client: Client, daemon: FakeDaemon) -> None:
    """Also when nothing has come: then an empty one."""
    async with (
        asyncio.timeout(20),
        client.ticks("binance", "BTC/USDT") as ticks,
        aclosing(ticks.frames("20ms")) as frames,
    ):
        assert (await anext(frames)).equals(ticks.empty())
        await daemon.tick(TRADES, trade(1))
        await daemon.tick(TRADES, trade(2), trade(3))
        found = [await anext(frames)]
        while sum(frame.height for frame in found) < 3:
            found.append(await anext(frames))
        assert pl.concat(found)["tid"].to_list() == ["1", "2", "3"]


async def test_several_datasets_have_a_column_more(client: Client, daemon: FakeDaemon) -> None:
    """Whose rows they are; a frame is of one data type."""
    async with (
        asyncio.timeout(20),
        client.ticks("*", "*") as ticks,
        aclosing(ticks.frames(every=None, rows=3)) as frames,
    ):
        await daemon.tick(TRADES, trade(1))
        await daemon.tick("kraken.trades.BTC-USD", trade(7))
        await daemon.tick(TRADES, trade(2))
        frame = await anext(frames)
        assert frame.columns == [*SCHEMAS[DataType.TRADES].names, "dataset"]
        assert frame.select("dataset", "tid").sort("tid").rows() == [
            (TRADES, "1"), (TRADES, "2"), ("kraken.trades.BTC-USD", "7")
        ]  # fmt: skip
    with pytest.raises(IdentityError, match="several data types"):
        await anext(client.ticks(pattern="binance.>").frames())
    with pytest.raises(IdentityError):
        await anext(client.ticks("binance", "BTC/USDT").frames("never"))


async def test_the_rest_comes_before_the_end(server: EmbeddedServer, daemon: FakeDaemon) -> None:
    """What has come when the client is closed is the last frame."""
    async with asyncio.timeout(20):
        client = await Client(server.url).__aenter__()
        ticks = client.ticks("binance", "BTC/USDT")
        frames = ticks.frames(every=None, rows=2)
        await ticks.open()
        await daemon.tick(TRADES, trade(1), trade(2))
        await anext(frames)
        await daemon.tick(TRADES, trade(3))
        async with client.ticks("binance", "ETH/USDT") as last:
            # Messages of one publisher reach a subscriber in order: with this one here, so is the other.
            await daemon.tick("binance.trades.ETH-USDT", trade(0))
            await anext(last.batches())
        await client.aclose()
        assert [frame["tid"].to_list() async for frame in frames] == [["3"]]


def test_what_is_no_tick_is_left_out_and_counted() -> None:
    """The other messages of the frame are all there."""
    builder = FrameBuilder(DataType.TRADES, False)
    dataset = Dataset.parse(TRADES)
    bodies = [msgspec.json.encode([trade(1)]), b"hello", b'[{"ts":"x"}]', msgspec.json.encode([trade(2)])]
    for body in bodies:
        builder.add(dataset, StreamMessage(0, "", body, 0))
    assert builder.take()["tid"].to_list() == ["1", "2"]
    assert builder.unparsed == 2


def test_pieces_of_all_kinds_stay_in_order() -> None:
    """Messages, records and rows of the store, as they come."""
    builder = FrameBuilder(DataType.TRADES, False)
    dataset = Dataset.parse(TRADES)
    builder.add_frame(dataset, pl.DataFrame(pl.from_arrow(table_from_records(DataType.TRADES, [trade(0)]))))
    builder.add(dataset, StreamMessage(0, "", msgspec.json.encode([trade(1)]), 0))
    builder.add_records(dataset, [trade(2), trade(3)])
    builder.add(dataset, StreamMessage(0, "", msgspec.json.encode([trade(4)]), 0))
    assert builder.rows == 5
    assert builder.take()["tid"].to_list() == [str(n) for n in range(5)]
    assert builder.rows == 0 and builder.take().height == 0
