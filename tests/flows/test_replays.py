"""What was collected is played again: each row once, by time, at any speed, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.daemon import daemon
from dccd.bus import credit
from dccd.bus.credit import CreditReceiver
from dccd.client import Client, Replay
from dccd.config import Config
from dccd.errors import ReplayFailed, RequestError
from dccd.messages import ReplayChanged, ReplayOf, ReplayStart
from dccd.records import Bar, BookDelta, BookSnapshot, Trade
from dccd.simulator import Simulator
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.unpack import Unpacker
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset
from tests.flows.support import watching

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
OTHERS = Dataset.parse("kraken.trades.BTC-USD")
BARS = Dataset.parse("binance.ohlc.BTC-USDT.1s")
NOON = 1_700_049_600 * NS  # 2023-11-15T12:00:00Z


def stored(config: Config, *datasets: Dataset) -> list[tuple[Dataset, Any]]:
    """All that is on disk as records, by time."""
    store = Store(Path(config.settings.data_path))
    found = []
    for number, dataset in enumerate(datasets):
        unpacker = Unpacker(dataset.data_type)
        records = [*unpacker.feed(store.read(dataset)), *unpacker.end()]
        found += [(record.ts, number, dataset, record) for record in records]
    found.sort(key=lambda one: one[:2])
    return [(dataset, record) for *_, dataset, record in found]


def put(config: Config, dataset: Dataset, records: list[Any]) -> None:
    """Store *records* before the daemon starts."""
    layout = Layout(Path(config.settings.data_path))
    SegmentWriter(layout, "before").write(dataset, table_from_records(dataset.data_type, records))


def trades(count: int, gap: int = NS // 100, since: int = NOON) -> list[Trade]:
    return [Trade(since + n * gap, 1.0 + n, 2.0, "buy", str(n), None) for n in range(count)]


async def collected(replay: Replay) -> list[tuple[Dataset, Any]]:
    with anyio.fail_after(60):
        async with replay:
            return [pair async for pair in replay]


@pytest.fixture
async def client(config: Config) -> AsyncIterator[Client]:
    """A client of a daemon with some minutes of trades of two exchanges and bars, made up, on disk."""
    put(config, TRADES, trades(20_000))
    put(config, OTHERS, trades(15_000, gap=13_000_000))
    put(config, BARS, [Bar(NOON + n * NS, 1.0, 2.0, 0.5, 1.5, 9.0) for n in range(200)])
    async with daemon(config) as running, Client(running.bus_url) as client:
        yield client


async def test_what_was_backfilled_is_replayed_row_by_row(sim: Simulator, config: Config) -> None:
    """Trades of two exchanges and bars, twice at full speed: the same as on disk, merged by time, each once."""
    async with daemon(config) as running, Client(running.bus_url) as client:
        since = time.time_ns() - 90 * NS
        for dataset in (TRADES, OTHERS, BARS):
            await client.backfill(dataset.exchange, dataset.symbol.human, dataset.data_type, dataset.span, start=since)
        expected = stored(config, TRADES, OTHERS, BARS)
        assert len(expected) > 1000 and len({dataset for dataset, _ in expected}) == 3
        for _ in range(2):
            assert await collected(client.replay([TRADES, OTHERS, BARS])) == expected
        assert await client.replays() == []


async def test_patterns_and_a_range_choose(client: Client, config: Config) -> None:
    """The pattern's datasets by name; the range begins with its start and ends before its end."""
    start, end = NOON + 10 * NS, NOON + 20 * NS
    found = await collected(client.replay("*.trades.*", start, end))
    assert found == [pair for pair in stored(config, TRADES, OTHERS) if start <= pair[1].ts < end]


async def test_batches_and_frames_are_the_same(client: Client, config: Config) -> None:
    """Lists by dataset, and frames with the columns of the store."""
    expected = stored(config, TRADES, OTHERS)
    async with client.replay([TRADES, OTHERS]) as replay:
        pairs = [(batch.dataset, record) async for batch in replay.batches() for record in batch]
    assert pairs == expected
    async with client.replay(TRADES) as replay:
        frames = [frame async for frame in replay.frames(5000)]
    store = Store(Path(config.settings.data_path)).read(TRADES)
    assert [frame.height for frame in frames][:-1] and sum(frame.height for frame in frames) == store.height
    assert [row for frame in frames for row in frame.select(store.columns).rows()] == store.rows()


async def test_a_slow_receiver_loses_nothing_and_isnt_overrun(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has what it takes, and no more than a window is on the way."""
    monkeypatch.setattr(credit, "WINDOW_BYTES", 300_000)
    with anyio.fail_after(60):
        async with client.replay([TRADES, OTHERS]) as replay:
            found = []
            async for pair in replay:
                found.append(pair)
                if len(found) == 100:
                    for _ in range(50):  # it stands still, and others go on
                        await client.health()
                    (entry,) = await client.replays()
                    assert entry.acked is not None
                    assert 4000 < entry.records < 20_000
    assert found == stored(config, TRADES, OTHERS)


async def test_a_seek_goes_back_and_ahead(client: Client, config: Config) -> None:
    """The next record is of then, also from the middle of a batch and after the end."""
    rows = stored(config, TRADES)
    with anyio.fail_after(60):
        async with client.replay(TRADES) as replay:
            found: list[Any] = []
            async for _, record in replay:
                found.append(record)
                if len(found) == 10:
                    await replay.seek(NOON + 100 * NS)
                elif len(found) == 20:
                    await replay.seek(NOON)
            assert found == [
                *(record for _, record in rows[:10]),
                *(record for _, record in rows[10_000:10_010]),
                *(record for _, record in rows),
            ]
            assert replay.entry.state == "ended"
            await replay.seek(NOON + 199 * NS)
            assert [record async for _, record in replay] == [record for _, record in rows[19_900:]]
            with pytest.raises(RequestError) as refused:
                await replay.seek(NOON - 1)
            assert (refused.value.code, refused.value.reason) == (422, "out_of_range")


async def test_a_paused_replay_waits(client: Client) -> None:
    """It begins when it is told to; who stops it has the end of the iteration, and no error."""
    with anyio.fail_after(60):
        async with client.replay(TRADES, speed=10, start_paused=True) as replay:
            assert replay.entry.state == "paused"
            assert (await replay.resume()).state == "playing"
            seen = 0
            async for _ in replay:
                seen += 1
                if seen == 5:
                    assert (await replay.pause()).state == "paused"
                    await replay.resume()
                if seen == 6:
                    await replay.stop()
            assert seen >= 6
    assert await client.replays() == []


async def test_a_replay_that_somebody_else_stops_has_not_ended(client: Client) -> None:
    """Who listens is told so: it isn't all there was."""
    with anyio.fail_after(60), pytest.raises(ReplayFailed) as failed:
        async with client.replay(TRADES, speed=1) as replay:
            seen = 0
            async for _ in replay:
                seen += 1
                if seen == 1:
                    await client.change_replay("stop", ReplayOf(id=replay.id))
    assert failed.value.state == "stopped"


async def test_a_killed_server_costs_a_replay_nothing(client: Client, config: Config) -> None:
    """kill -9 of the bus in the middle: the replay goes on where it was, each row once."""
    pid = _server_of(config)
    with anyio.fail_after(60):
        async with client.replay([TRADES, OTHERS]) as replay:
            found = []
            async for pair in replay:
                found.append(pair)
                if len(found) == 9000:
                    os.kill(pid, signal.SIGKILL)
    assert found == stored(config, TRADES, OTHERS)


def _server_of(config: Config) -> int:
    """The process of the daemon's own server."""
    folder = str(config.data_path)
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if "nats-server" in command[0] and any(folder in part for part in command):
                return int(process.name)
    raise AssertionError("no nats-server")


async def test_without_flow_control_it_waits_for_a_subscriber(client: Client, config: Config) -> None:
    """Plain messages as of ticks, with numbers, and the end among them; events say the same."""
    async with watching(client, "dccd.events.replay.>") as expect:
        asked = ReplayStart(datasets=[TRADES.name, BARS.name], id="mine", speed="max", end=str(NOON + 20 * NS))
        started = await client.start_replay(asked)
        assert (started.replay.state, started.subject, started.flow) == ("waiting", "dccd.replay.mine.>", None)
        receiver = CreditReceiver(client.bus, started.subject)
        await receiver.open()
        found: list[Any] = []
        numbers = []
        with anyio.fail_after(30):
            async for message in receiver.messages(30.0):
                assert message is not None
                if (number := (message.headers or {}).get("Dccd-Number")) is not None:
                    numbers.append(int(number))
                    if message.subject.endswith(".status"):
                        if b'"ended"' in message.data:
                            break
                    else:
                        found += [message.subject]
        assert {*found} == {f"dccd.replay.mine.{TRADES}", f"dccd.replay.mine.{BARS}"}
        assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        ended = await expect(lambda event: isinstance(event, ReplayChanged) and event.replay.state == "ended")
        assert (ended.replay.records, ended.replay.position) == (2020, NOON + 20 * NS)
        await receiver.aclose()
    state = await client.bus.jetstream.stream_info("DCCD_TICKS")
    assert state.state.messages == 0


async def test_requests_that_cant_be_are_refused(client: Client) -> None:
    """With a code, a reason and the field at fault; replays are counted."""

    async def refusal(**fields: Any) -> tuple[int, str, str | None]:
        with pytest.raises(RequestError) as refused:
            await client.request("replay.start", {"datasets": [TRADES.name], **fields})
        return refused.value.code, refused.value.reason, refused.value.field

    assert await refusal(datasets=["kraken.trades.ETH-USD"]) == (404, "no_dataset", "dataset")
    assert await refusal(datasets=["okx.>"]) == (404, "no_dataset", "dataset")
    assert await refusal(datasets=["nonsense"]) == (400, "malformed", "datasets")
    assert await refusal(start="2023-11-16", end="2023-11-15") == (422, "empty_range", "start")
    assert (await refusal(speed=-1))[:2] == (400, "malformed")
    assert (await refusal(id="a.b"))[:2] == (400, "malformed")
    for n in range(8):
        await client.start_replay(ReplayStart(datasets=[TRADES.name], id=f"r{n}"))
    assert await refusal(id="r3") == (409, "taken", "id")
    assert await refusal() == (503, "too_many", None)
    assert [entry.id for entry in await client.replays()] == [f"r{n}" for n in range(8)]
    await client.change_replay("stop", ReplayOf(id="r3"))
    with pytest.raises(RequestError) as refused:
        await client.change_replay("pause", ReplayOf(id="r3"))
    assert (refused.value.code, refused.value.reason) == (404, "no_replay")


async def test_a_damaged_file_fails_a_replay(client: Client, config: Config) -> None:
    """Loudly, with what is wrong, and not with fewer rows."""
    with anyio.fail_after(60), pytest.raises(ReplayFailed, match="parquet") as failed:
        async with client.replay(OTHERS, start_paused=True) as replay:
            folder = Layout(Path(config.settings.data_path)).dataset_segments(OTHERS)
            for path in folder.rglob("*.parquet"):
                path.write_bytes(path.read_bytes()[:-20])
            await replay.resume()
            async for _ in replay:
                pass
    assert failed.value.state == "failed"


async def test_the_same_without_await(client: Client, config: Config) -> None:
    """A script's replay, with a seek."""
    expected = stored(config, TRADES, BARS)

    def script() -> list[Any]:
        with Client(client.url) as sync, sync.replay([TRADES, BARS], speed="max") as replay:
            found = []
            for pair in replay:
                found.append(pair)
                if len(found) == 7:
                    replay.seek(NOON)
                    replay.speed(0)
            assert replay.replay.entry.state == "ended"
            return found

    found = await anyio.to_thread.run_sync(script)
    assert found == [*expected[:7], *expected]


async def test_a_book_begins_as_it_was(config: Config) -> None:
    """From the middle on, the first record is a snapshot that has all before it."""
    book = Dataset.parse("binance.orderbook.BTC-USDT")
    put(
        config,
        book,
        [
            BookSnapshot(NOON, 1, [(9.0, 1.0)], [(10.0, 1.0)]),
            *(BookDelta(NOON + n, n, [(9.0, float(n))], []) for n in range(2, 50)),
        ],
    )
    async with daemon(config) as running, Client(running.bus_url) as client:
        assert await collected(client.replay(book)) == stored(config, book)
        (_, first), (_, second), *_ = await collected(client.replay(book, NOON + 30))
    assert first == BookSnapshot(NOON + 29, 29, [(9.0, 29.0)], [(10.0, 1.0)])
    assert second.ts == NOON + 30


async def test_missing_time_is_told_and_jumped(config: Config) -> None:
    """What isn't certain to be there is in the reply; at its own speed a day's hole costs no time if so asked."""
    put(config, TRADES, trades(5, gap=1_000_000))
    put(config, TRADES, [Trade(NOON + 86_400 * NS, 1.0, 1.0, None, "late", None)])
    async with daemon(config) as running, Client(running.bus_url) as client:
        with anyio.fail_after(30):
            async with client.replay(TRADES, speed=1, skip_gaps=True) as replay:
                (missing,) = replay.missing
                assert (missing.dataset, missing.state) == (TRADES.name, "missing")
                assert missing.end - missing.start > 86_399 * NS
                found = [record async for _, record in replay]
        assert len(found) == 6
