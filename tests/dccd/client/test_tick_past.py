"""Feeds that begin in the past, against a real bus and a daemon that only answers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
import polars as pl
import pytest

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import api, stream_state
from dccd.bus.kv import Bucket
from dccd.bus.publisher import Publisher
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams, renew_epoch
from dccd.client import Client, Ticks, TickSet
from dccd.client.fake import FakeDaemon
from dccd.client.selection import Selection
from dccd.client.tick_past import MARGIN, Start, begin
from dccd.errors import BusUnavailable, IdentityError, RequestError, StreamReplaced, TicksGone
from dccd.records import Bar, Record, Trade
from dccd.store.schema import table_from_records
from dccd.symbols import EARLIEST, NS, Dataset, DataType

pytestmark = pytest.mark.anyio

TRADES = "binance.trades.BTC-USDT"
OTHER = "kraken.trades.BTC-USD"
BARS = "binance.ohlc.BTC-USDT.1m"
STREAM = subjects.STREAM_TICKS


@pytest.fixture(autouse=True)
async def bus(server: EmbeddedServer) -> AsyncIterator[Bus]:
    """The collectors' connection; the streams exist."""
    async with await Bus.open(server.url, "collector") as bus:
        await ensure_streams(bus)
        yield bus


async def publish(bus: Bus, dataset: str, *batches: list[Record]) -> None:
    """Store a message a batch."""
    async with Publisher(bus) as publisher:
        for batch in batches:
            publisher.offer(subjects.ticks(Dataset.parse(dataset)), msgspec.json.encode(batch))
        assert await publisher.drain() == 0


async def archived(bus: Bus, seq: int) -> None:
    """Note that all up to *seq* is on the fake daemon's disk."""
    epoch = (await stream_state(bus, STREAM)).epoch
    note = msgspec.json.encode({"epoch": epoch, "acked": seq, "reader": "test"})
    await Bucket(bus, subjects.BUCKET_ARCHIVERS).put("fake", note)


def trade(ts: int, tid: int) -> Trade:
    return Trade(ts=ts, price=1.5, amount=tid / 2, side="sell", tid=str(tid), recv_ts=ts + 5)


def rows(kind: DataType, records: list[Record]) -> pl.DataFrame:
    """As they are stored."""
    return pl.DataFrame(pl.from_arrow(table_from_records(kind, records)))


async def take(feed: Ticks | TickSet, count: int) -> list:
    found = []
    async with asyncio.timeout(20), aclosing(aiter(feed)) as items:
        while len(found) < count:
            found.append(await anext(items))
    return found


def tids(records: list[Trade]) -> list[int]:
    return [int(record.tid or -1) for record in records]


# ---------------------------------------------------------------- from the stream


async def test_from_a_time_in_the_stream_and_live(client: Client, bus: Bus) -> None:
    """What is stored comes first, what is published afterwards follows; what is dated before is left out."""
    now = time.time_ns()
    await publish(bus, TRADES, [trade(now - 100, 1)])
    since = now - MARGIN - NS  # the first message is older than it by more than the margin: made so below
    ticks = client.ticks("binance", "BTC/USDT", since=since, store=False)
    await publish(bus, TRADES, [trade(since - 1, 2), trade(since, 3)], [trade(now, 4)])
    async with ticks, asyncio.timeout(20):
        batches = ticks.batches()
        first = await anext(batches)
        assert (tids(first), first.seq, str(first.dataset), first.redelivered) == ([1], 1, TRADES, False)
        assert first.at > now - NS
        assert tids(await anext(batches)) == [3]
        assert tids(await anext(batches)) == [4]
        await publish(bus, TRADES, [trade(now + 1, 5)])
        assert tids(await anext(batches)) == [5]
        await batches.aclose()
    assert (ticks.messages, ticks.doubles, ticks.interruptions) == (4, 0, 0)


async def test_from_now(client: Client, bus: Bus) -> None:
    """Nothing of the past, and a position from the beginning."""
    await publish(bus, TRADES, [trade(1, 1)])
    async with client.ticks("binance", "BTC/USDT", since="now") as ticks:
        assert ticks.position is not None and ticks.position.startswith("2@")
        await publish(bus, TRADES, [trade(2, 2)])
        assert tids(await take(ticks, 1)) == [2]


async def test_what_is_stored_twice_comes_once(client: Client, bus: Bus) -> None:
    """A trade that was published in two messages, as after a restart of the collector."""
    now = time.time_ns()
    await publish(
        bus, TRADES, [trade(now, 0)], [trade(now, 1)], [trade(now, 0), trade(now, 1)], [trade(now, 1), trade(now, 7)]
    )
    async with client.ticks("binance", "BTC/USDT", since="1m", store=False) as ticks:
        assert tids(await take(ticks, 3)) == [0, 1, 7]
        assert ticks.doubles == 3


async def test_several_datasets(client: Client, bus: Bus) -> None:
    """Records come with whose they are; in the order of the bus."""
    now = time.time_ns()
    await publish(bus, TRADES, [trade(now, 1)])
    await publish(bus, OTHER, [trade(now, 1)])
    await publish(bus, BARS, [Bar(ts=now, open=1, high=1, low=1, close=1, volume=1)])
    async with client.ticks("*", "*", since="10m") as ticks:
        found = await take(ticks, 2)
    assert [(str(dataset), record.tid) for dataset, record in found] == [(TRADES, "1"), (OTHER, "1")]
    async with client.ticks(pattern="binance.>", since="10m") as every:
        found = await take(every, 2)
    assert [type(record) for _, record in found] == [Trade, Bar]


async def test_going_on_where_one_stopped(client: Client, bus: Bus) -> None:
    """In the middle of a message, and behind it; what came meanwhile isn't missed."""
    now = time.time_ns()
    await publish(bus, TRADES, [trade(now, 1), trade(now, 2), trade(now, 3)], [trade(now, 4)])
    ticks = client.ticks("binance", "BTC/USDT", since="1m", store=False)
    assert ticks.position is None
    found: list[int] = []
    while len(found) < 6:
        found += tids(await take(ticks, 1))
        position = ticks.position
        assert position is not None
        if len(found) == 2:
            assert position.startswith("1+2@")
        if len(found) == 4:
            await publish(bus, TRADES, [trade(now, 5)], [trade(now, 6)])
        ticks = client.ticks("binance", "BTC/USDT", resume=position)
    assert found == [1, 2, 3, 4, 5, 6]


async def test_positions_that_mean_nothing_any_more(client: Client, bus: Bus) -> None:
    """In a stream that was made anew, and of messages that are gone."""
    await publish(bus, TRADES, [trade(1, 1)], [trade(2, 2)], [trade(3, 3)])
    async with client.ticks("binance", "BTC/USDT", since="1m", store=False) as ticks:
        await take(client.ticks("binance", "BTC/USDT", since="now"), 0)
    epoch = (await stream_state(bus, STREAM)).epoch
    await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 3}, dict)
    with pytest.raises(TicksGone):
        await client.ticks("binance", "BTC/USDT", resume=f"2@{epoch}").open()
    await renew_epoch(bus, STREAM)
    with pytest.raises(StreamReplaced):
        await client.ticks("binance", "BTC/USDT", resume=f"4@{epoch}").open()
    assert ticks.lost == 0


async def test_a_kill_between_the_past_and_now(client: Client, bus: Bus, server: EmbeddedServer) -> None:
    """The server is killed with kill -9 while the past is read; it goes on live without a gap or a double."""
    now = time.time_ns()
    await publish(bus, TRADES, *([trade(now + n, n)] for n in range(3000)))
    async with client.ticks("binance", "BTC/USDT", since="1m", store=False) as ticks, asyncio.timeout(30):
        items = aiter(ticks)
        found = [await anext(items) for _ in range(1000)]
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        async with EmbeddedServer(server.data_dir, port=server.port, on_log=lambda level, text: None):
            await bus.wait_connected(10)
            await publish(bus, TRADES, *([trade(now + n, n)] for n in range(3000, 3100)))
            found += [await anext(items) for _ in range(2100)]
            assert tids(found) == list(range(3100))
            assert ticks.interruptions == 1
            await items.aclose()
            await client.aclose()


# ---------------------------------------------------------------- from the store, and on


async def test_the_store_is_read_first(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """What is older than the stream comes from the store; what is in both, once; then what is live."""
    now = time.time_ns()
    hour = 3600 * NS
    stored = [trade(now - 5 * hour + n, n) for n in range(100)] + [trade(now - 2, 100), trade(now - 1, 101)]
    await publish(bus, TRADES, [trade(now - 2, 100), trade(now - 1, 101)], [trade(now, 102)])
    await archived(bus, 1)
    daemon.frames[TRADES] = rows(DataType.TRADES, stored)
    ticks = client.ticks("binance", "BTC/USDT", since=now - 5 * hour + 10)
    async with ticks, asyncio.timeout(20):
        assert ticks.begins == now - 5 * hour + 10
        items = aiter(ticks)
        found = [await anext(items) for _ in range(93)]
        await publish(bus, TRADES, [trade(now + 1, 103)])
        found.append(await anext(items))
        assert found == [*stored[10:], trade(now, 102), trade(now + 1, 103)]
        await items.aclose()
    (ask,) = daemon.asked("read")
    assert (ask.start, ask.source) == (now - 5 * hour + 10, "stored")
    assert now < ask.end <= now + MARGIN + NS


async def test_what_was_stored_while_the_store_was_read(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """Not on disk when the reading began, in it all the same: handed out once. Not in it: not missed."""
    now = time.time_ns()
    await publish(bus, TRADES, [trade(now, 1)], [trade(now + 1, 2)], [trade(now + 2, 3)])
    await archived(bus, 1)
    daemon.frames[TRADES] = rows(DataType.TRADES, [trade(now - NS, 0), trade(now, 1), trade(now + 1, 2)])
    async with client.ticks("binance", "BTC/USDT", since=now - 2 * NS) as ticks:
        assert tids(await take(ticks, 4)) == [0, 1, 2, 3]


async def test_bars_meet_without_a_seam(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """A bar of the store isn't told again by the stream, an open one is; one that isn't over at the beginning belongs
    to it."""
    minute = 60 * NS
    start = (time.time_ns() // minute - 5) * minute

    def bar(number: int, close: float, closed: bool = True) -> Bar:
        return Bar(ts=start + number * minute, open=1, high=9, low=1, close=close, volume=1, closed=closed)

    live = [bar(3, 1, False), bar(3, 2), bar(4, 1, False), bar(4, 2), bar(5, 1, False)]
    await publish(bus, BARS, *([one] for one in live))
    await archived(bus, 2)
    daemon.frames[BARS] = rows(DataType.OHLC, [bar(n, 2) for n in range(4)])
    async with client.ticks("binance", "BTC/USDT", "ohlc", "1m", since=start + minute // 2) as ticks:
        found = await take(ticks, 4 + 3)
    assert [(b.ts - start) // minute for b in found] == [0, 1, 2, 3, 4, 4, 5]
    assert [b.closed for b in found] == [True, True, True, True, False, True, False]


async def test_frames_over_the_seam(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """The same records as columns, in frames of the size asked for."""
    now = time.time_ns()
    stored = [trade(now - NS + n, n) for n in range(40)]
    await publish(bus, TRADES, [stored[-1], trade(now, 40)], [trade(now + 1, 41)])
    await archived(bus, 1)
    daemon.frames[TRADES] = rows(DataType.TRADES, [*stored, trade(now, 40)])
    found = []
    async with asyncio.timeout(20), client.ticks("binance", "BTC/USDT", since="1h") as ticks:
        async with aclosing(ticks.frames(every=None, rows=10)) as frames:
            async for frame in frames:
                found.append(frame)
                if sum(part.height for part in found) >= 40:
                    break
        position = ticks.position
    ticks = client.ticks("binance", "BTC/USDT", resume=position)
    async with asyncio.timeout(20), ticks, aclosing(ticks.frames("50ms")) as frames:
        async for frame in frames:
            found.append(frame)
            if sum(part.height for part in found) >= 42:
                break
    whole = pl.concat(found)
    assert whole.equals(rows(DataType.TRADES, [*stored, trade(now, 40), trade(now + 1, 41)]))
    assert all(part.height >= 10 for part in found[:2])


async def test_frames_that_were_not_handed_out(client: Client, bus: Bus) -> None:
    """What was collected for a frame that nobody got, since its reader was stopped, comes when it goes on."""
    now = time.time_ns()
    await publish(bus, TRADES, [trade(now, 1)], [trade(now + 1, 2)])
    ticks = client.ticks("binance", "BTC/USDT", since="1m", store=False)
    async with asyncio.timeout(20), ticks, aclosing(ticks.frames(every=None, rows=2)) as frames:
        assert (await anext(frames)).height == 2
        position = ticks.position
        await publish(bus, TRADES, [trade(now + 2, 3)])
        waiting = asyncio.ensure_future(anext(frames))
        while ticks.messages < 3:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert ticks.position == position
    async with client.ticks("binance", "BTC/USDT", resume=ticks.position) as ticks:
        assert tids(await take(ticks, 1)) == [3]


@pytest.mark.parametrize("how", ["purged", "made anew"])
async def test_a_stream_that_is_not_what_it_was_behind_the_store(
    how: str, client: Client, bus: Bus, daemon: FakeDaemon
) -> None:
    """What the stream has lost while the store was read is an error, also where it has lost all."""
    now = time.time_ns()
    await publish(bus, OTHER, [trade(now, 0)])
    await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 2}, dict)
    await publish(bus, TRADES, [trade(now, 1)], [trade(now + 1, 2)])
    daemon.frames[TRADES] = rows(DataType.TRADES, [trade(now - NS, 0)])
    async with client.ticks("binance", "BTC/USDT", since=now - 2 * NS) as ticks:
        if how == "purged":
            await api(bus, f"STREAM.PURGE.{STREAM}", None, dict)
        else:
            await renew_epoch(bus, STREAM)
        with pytest.raises(TicksGone if how == "purged" else StreamReplaced):
            await take(ticks, 2)


async def test_going_on_in_the_store(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """A consumer that stopped among rows of one time goes on with the next of them."""
    now = time.time_ns()
    daemon.frames[TRADES] = rows(DataType.TRADES, [trade(now - NS + n // 4, n) for n in range(40)])
    found: list[int] = []
    ticks = client.ticks("binance", "BTC/USDT", since="1h")
    for _ in range(5):
        found += tids(await take(ticks, 7))
        assert ticks.position is not None and ticks.position.endswith("@store")
        ticks = client.ticks("binance", "BTC/USDT", resume=ticks.position)
    found += tids(await take(ticks, 5))
    assert found == list(range(40))


async def test_bars_of_all_the_time_that_there_is(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """A bar that isn't over at the first time that is one would begin before it: that isn't asked for."""
    now = time.time_ns()
    daemon.frames[BARS] = rows(DataType.OHLC, [Bar(ts=now - 300 * NS, open=1, high=1, low=1, close=1, volume=1)])
    async with client.ticks("binance", "BTC/USDT", "ohlc", "1m", since="2009-01-01") as ticks:
        assert [bar.ts for bar in await take(ticks, 1)] == [now - 300 * NS]
    (ask,) = daemon.asked("read")
    assert ask.start == EARLIEST


async def test_nothing_is_stored(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """Then it begins with the stream, and says when that is."""
    now = time.time_ns()
    await publish(bus, TRADES, [trade(now, 1)])
    daemon.replies["read"] = RequestError(404, "no_dataset", "nothing is stored")
    async with client.ticks("binance", "BTC/USDT", since="1h") as ticks:
        assert tids(await take(ticks, 1)) == [1]
        assert ticks.begins is not None and now - NS < ticks.begins < now + 60 * NS


async def test_no_daemon_to_read_the_store(client: Client, bus: Bus, daemon: FakeDaemon) -> None:
    """Who can't be given the past is told so, and how to do without it."""
    await publish(bus, TRADES, [trade(time.time_ns(), 1)])
    daemon.replies["read"] = BusUnavailable("nobody answers")
    client._chunks = _nobody  # type: ignore[method-assign]
    with pytest.raises(BusUnavailable, match="store=False"):
        await client.ticks("binance", "ETH/USDT", since="1h").open()
    async with client.ticks("binance", "BTC/USDT", since="1h", store=False) as ticks:
        assert tids(await take(ticks, 1)) == [1]


async def _nobody(*_: object, **__: object) -> AsyncIterator[bytes]:
    raise BusUnavailable("nobody answers")
    yield b""


async def test_no_daemon_at_all(server: EmbeddedServer, bus: Bus) -> None:
    """What is live comes all the same; what was before isn't delivered by anybody, and that is said."""
    async with Client(server.url) as client:
        for how in ({"since": "1h"}, {"since": "now"}, {"since": "1h", "store": False}):
            with pytest.raises(BusUnavailable, match="Is a daemon running"):
                await client.ticks("binance", "BTC/USDT", **how).open()
        async with client.ticks("binance", "BTC/USDT") as ticks:
            await publish(bus, TRADES, [trade(1, 1)])
            assert tids(await take(ticks, 1)) == [1]


async def test_several_datasets_beyond_the_stream(client: Client, bus: Bus) -> None:
    """The store is read for one only: refused with how far the stream reaches, unless that is enough."""
    now = time.time_ns()
    await publish(bus, TRADES, [trade(now, 1)], [trade(now, 2)])
    await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 2}, dict)
    with pytest.raises(TicksGone, match="one dataset at a time") as told:
        await client.ticks("binance", "*", since="1h").open()
    assert told.value.begins is not None and told.value.begins >= now
    async with client.ticks("binance", "*", since="1h", store=False) as ticks:
        assert [record.tid for _, record in await take(ticks, 1)] == ["2"]
        assert ticks.begins == told.value.begins


# ---------------------------------------------------------------- groups


async def test_a_durable_group_shares_and_remembers(client: Client, bus: Bus) -> None:
    """Each message goes to one; what a member had in hand when it went is delivered again, and told."""
    now = time.time_ns()
    await publish(bus, TRADES, *([trade(now, n)] for n in range(10)))
    async with client.ticks("binance", "BTC/USDT", group="g", since="1m") as first:
        found = await take(first, 4)  # the fourth isn't done with: no step followed
        assert tids(found) == [0, 1, 2, 3]
    async with client.ticks("binance", "BTC/USDT", group="g", durable=True) as second:
        rest = await take(second, 7)
        assert sorted(tids(rest)) == [3, 4, 5, 6, 7, 8, 9]
        assert second.redelivered >= 1 and second.position is None
    assert await client.drop_group("g")
    assert not await client.drop_group("g")


async def test_a_group_and_frames(client: Client, bus: Bus) -> None:
    """A frame's messages are done with when the next is asked for, and not before."""
    await publish(bus, TRADES, *([trade(n, n)] for n in range(20)))
    async with asyncio.timeout(20), client.ticks("*", "*", group="g", since="2020-01-01") as ticks:
        async with aclosing(ticks.frames(every=None, rows=10)) as frames:
            first, second = await anext(frames), await anext(frames)
        assert first["tid"].to_list() + second["tid"].to_list() == [str(n) for n in range(20)]
    async with client.ticks("*", "*", group="g", durable=True) as ticks:
        assert sorted(int(record.tid) for _, record in await take(ticks, 10)) == list(range(10, 20))


async def test_a_group_begins_where_the_stream_does(client: Client, bus: Bus) -> None:
    """It has no store behind it: who asks for more is told, or begins there."""
    await publish(bus, TRADES, [trade(1, 1)], [trade(2, 2)])
    await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 2}, dict)
    with pytest.raises(TicksGone):
        await client.ticks("binance", "BTC/USDT", group="g", since="1h").open()
    async with client.ticks("binance", "BTC/USDT", group="g", since="1h", store=False) as ticks:
        assert ticks.begins is not None
        assert tids(await take(ticks, 1)) == [2]


async def test_a_plain_group_shares_what_is_live(client: Client, bus: Bus) -> None:
    """Without a memory: of two members each message reaches one."""
    async with (
        client.ticks("binance", "BTC/USDT", group="g") as a,
        client.ticks("binance", "BTC/USDT", group="g") as b,
        client.ticks("binance", "BTC/USDT") as every,
    ):
        await publish(bus, TRADES, *([trade(n, n)] for n in range(50)))
        assert len(await take(every, 50)) == 50
        await client.bus.barrier()
        assert a.messages + b.messages == 0  # nothing is parsed before it is asked for
        held = [len(feed._source._arrived) for feed in (a, b)]  # type: ignore[attr-defined]
        assert sum(held) == 50 and all(held)


# ---------------------------------------------------------------- what can't be, and where to begin


@pytest.mark.parametrize(
    "how",
    [
        {"since": "soon"},
        {"since": "1m", "resume": "1@e"},
        {"resume": "1@e", "group": "g"},
        {"resume": "nonsense"},
        {"durable": True},
    ],
)
async def test_what_cannot_be(client: Client, how: dict) -> None:
    """Options that mean nothing, alone or together, are refused at once."""
    with pytest.raises(IdentityError):
        client.ticks("binance", "BTC/USDT", **how)


async def test_ticks_of_what(client: Client) -> None:
    """Parts or a pattern, not both, and a position in the store is of one dataset."""
    for wrong in ({}, {"exchange": "binance"}, {"pattern": "binance.>", "exchange": "binance"}):
        with pytest.raises(IdentityError):
            client.ticks(**wrong)  # type: ignore[call-overload]
    with pytest.raises(IdentityError):
        client.ticks("binance", "*", resume="1@store")
    with pytest.raises(IdentityError):
        client.ticks(pattern="binance.>").empty()


def state(first: int, first_at: int, now: int, oldest: tuple[int, int] | None) -> m.Followed:
    return m.Followed(
        host="a", epoch="e", messages=10, first=first, last=first + 9, first_at=first_at, last_at=now, now=now,
        oldest=oldest,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "since", "stream", "start"),
    [
        # The stream reaches back.
        (TRADES, 900 * NS, state(1, 100 * NS, 1000 * NS, (1, 100 * NS)), Start(None, 885 * NS)),
        (TRADES, 900 * NS, state(7, 100 * NS, 1000 * NS, (9, 300 * NS)), Start(None, 885 * NS)),
        # It doesn't, and has lost nothing: up to its first message the store.
        (TRADES, 50 * NS, state(1, 100 * NS, 500 * NS, (1, 100 * NS)), Start(1, None, 100 * NS, 115 * NS)),
        # It has: a quarter of it is left alone, since it may fall off next.
        (TRADES, 50 * NS, state(7, 100 * NS, 500 * NS, (7, 100 * NS)),
         Start(None, 200 * NS, 100 * NS, 215 * NS)),
        # It has nothing of the dataset.
        (TRADES, 50 * NS, state(7, 100 * NS, 500 * NS, None), Start(17, None, 500 * NS, 515 * NS)),
        # A bar of before is told when it is over.
        (BARS, 50 * NS, state(1, 100 * NS, 500 * NS, (1, 100 * NS)), Start(1, None, 100 * NS, 55 * NS + 1)),
        # Several: as far as the stream goes.
        ("*.trades.*", 900 * NS, state(7, 100 * NS, 1000 * NS, (9, 300 * NS)), Start(None, 885 * NS)),
        ("*.trades.*", 50 * NS, state(1, 100 * NS, 1000 * NS, (1, 100 * NS)), Start(None, 35 * NS)),
        ("*.trades.*", 50 * NS, state(7, 100 * NS, 900 * NS, (9, 300 * NS)), Start(None, 35 * NS, 300 * NS)),
    ],
)  # fmt: skip
async def test_where_to_begin(name: str, since: int, stream: m.Followed, start: Start) -> None:
    """By what the stream has, and since when."""
    assert begin(Selection.parse(name), since, stream) == start
