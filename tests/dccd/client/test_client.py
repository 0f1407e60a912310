"""The async client against a daemon that only answers, on a real bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import dccd
from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams
from dccd.client import Client
from dccd.client.fake import FakeDaemon
from dccd.errors import BusError, BusUnavailable, RequestError, RunFailed
from dccd.operations import OPERATIONS
from dccd.runs import Run

pytestmark = pytest.mark.anyio

OHLC = "binance.ohlc.BTC-USDT.1m"


def progress(run: Run, fraction: float, rows: int) -> m.RunProgress:
    return m.RunProgress(
        at=run.updated,
        host=run.host,
        run_id=run.run_id,
        dataset=run.dataset,
        position=int(run.start + (run.end - run.start) * fraction),
        start=run.start,
        end=run.end,
        fraction=fraction,
        rows=rows,
        rate=100.0,
        left=1.0,
    )


async def test_every_operation_without_arguments_has_a_typed_method(client: Client, daemon: FakeDaemon) -> None:
    """Replies come as the structs that the operation table declares."""
    assert [op.name for op in await client.operations()] == list(OPERATIONS)
    assert (await client.health()).ok
    assert (await client.tree()).root.children[0].id == "bus"
    assert await client.exchanges() == {}
    assert await client.inventory("binance") == []
    assert await client.jobs() == []
    assert await client.streams() == []
    assert await client.runs() == []
    assert daemon.asked("inventory") == [m.InventoryList(dataset="binance")]


async def test_an_inventory_of_many_pages_is_one_list(client: Client, daemon: FakeDaemon) -> None:
    """Each page is asked for after the last name of the one before."""
    every = [
        m.DatasetEntry(dataset=f"d{n}", host="fake", rows=n, files=1, bytes=1, first_ts=0, last_ts=1) for n in range(5)
    ]

    def page(ask: m.InventoryList) -> m.Inventory:
        left = [entry for entry in every if entry.dataset > (ask.after or "")]
        following = left[1].dataset if len(left) > 2 else None
        return m.Inventory(host="fake", data_path="/data", datasets=left[:2], next=following)

    daemon.replies["inventory"] = page
    assert await client.inventory("d") == every
    assert [ask.after for ask in daemon.asked("inventory")] == [None, "d1", "d3"]


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_every_operation_can_be_asked_for_by_name(client: Client, daemon: FakeDaemon, operation: str) -> None:
    """``request`` takes any operation of the table, and decodes its reply into the declared struct."""
    run = daemon.new_run(OHLC)
    daemon.frames[OHLC] = pl.DataFrame({"TS": [1]})
    daemon.frames["kraken.orderbook.BTC-USD"] = pl.DataFrame({"TS": [1]})
    replayed = {"id": "r"}
    if operation in ("follow", "journal"):
        await ensure_streams(client.bus)
    if operation.startswith("replay.") and operation != "replay.start":
        await client.request("replay.start", {"id": "r", "datasets": [OHLC]})
    message: dict[str, Any] = {
        "follow": {"stream": "ticks"},
        "replay.start": {"datasets": [OHLC]},
        "replay.pause": replayed,
        "replay.resume": replayed,
        "replay.seek": {**replayed, "to": 1},
        "replay.speed": {**replayed, "speed": "max"},
        "replay.stop": replayed,
        "backfill.start": {"dataset": OHLC},
        "config.put": {"revision": "r1", "config": {}},
        "jobs.create": {"exchange": "binance", "pairs": ["BTC/USDT"], "data_type": "trades"},
        "jobs.update": {"name": f"backfill.{OHLC}", "every": "1h"},
        "jobs.delete": {"name": f"backfill.{OHLC}"},
        "streams.start": {"dataset": OHLC},
        "streams.stop": {"dataset": OHLC},
        "read": {"dataset": OHLC},
        "books": {"dataset": "kraken.orderbook.BTC-USD"},
        "coverage": {"dataset": OHLC},
        "runs.get": {"run_id": run.run_id},
        "backfill.status": {"run_id": run.run_id},
        "backfill.cancel": {"run_id": run.run_id},
        "jobs.run": {"name": f"backfill.{OHLC}"},
    }.get(operation, {})
    assert isinstance(await client.request(operation, message), OPERATIONS[operation].reply)


async def test_an_error_reply_is_raised_as_it_was(client: Client, daemon: FakeDaemon) -> None:
    """Code, reason, message and field of a RequestError cross the bus."""
    daemon.replies["backfill.start"] = RequestError(422, "no_capability", "kraken has no 7m bars; it has 1m", "span")
    with pytest.raises(RequestError, match="kraken has no 7m bars") as caught:
        await client.start_backfill("kraken", "BTC/USD", span="7m")
    assert (caught.value.code, caught.value.reason, caught.value.field) == (422, "no_capability", "span")


async def test_an_unknown_field_is_refused(client: Client) -> None:
    """A misspelt field is an error from the daemon, not a default."""
    with pytest.raises(RequestError) as caught:
        await client.request("runs.list", {"limits": 3})
    assert caught.value.code == 400


async def test_a_reply_of_another_version_says_so(client: Client, daemon: FakeDaemon) -> None:
    """A reply that doesn't fit its struct is an error that names the likely reason."""
    daemon.replies["health"] = m.Jobs(host="x", jobs=[])
    with pytest.raises(BusError, match="another version"):
        await client.health()


async def test_a_host_can_be_asked(client: Client) -> None:
    """``host`` reaches that host, and nobody else."""
    assert (await client.request("health", host="fake")).host == "fake"
    with pytest.raises(BusUnavailable, match="dccd hosts"):
        await client.request("health", host="elsewhere")


async def test_a_configuration_that_is_broken_elsewhere_is_warned_of(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bus is used, since its daemon goes on with what it had."""
    file = tmp_path / "config.yml"
    file.write_text(f"bus: {{url: '{client.url}'}}\njobs: 7")
    monkeypatch.delenv("DCCD_BUS_URL", raising=False)
    monkeypatch.setenv("DCCD_CONFIG", str(file))
    with pytest.warns(UserWarning, match=r"config\.yml: jobs"):
        async with dccd.connect() as found:
            assert (await found.health()).ok


async def test_a_client_may_be_of_one_host(client: Client) -> None:
    """All that it asks goes there, Arrow streams too, but for what names another."""
    async with Client(client.url, host="elsewhere") as pinned:
        with pytest.raises(BusUnavailable, match=r"dccd\.host\.elsewhere\.jobs\.list"):
            await pinned.jobs()
        with pytest.raises(BusUnavailable, match=r"dccd\.host\.elsewhere\.read"):
            await pinned.read(OHLC)
        assert (await pinned.request("health", host="fake")).host == "fake"


async def test_the_pages_of_a_list_are_of_one_host(client: Client, daemon: FakeDaemon) -> None:
    """The second is asked of who gave the first, as another host stores, and misses, something else."""
    daemon.replies["inventory"] = m.Inventory(host="first", data_path="/data", datasets=[], next="d1")
    with pytest.raises(BusUnavailable, match=r"dccd\.host\.first\.inventory"):
        await client.inventory()
    found = m.Coverage(dataset=OHLC, host="first", start=0, end=9, fraction=0.0, seconds={}, intervals=[], next=5)
    daemon.replies["coverage"] = found
    with pytest.raises(BusUnavailable, match=r"dccd\.host\.first\.coverage"):
        await client.coverage(OHLC)


@pytest.mark.parametrize("ask", [Client.streams, Client.jobs, Client.inventory], ids=lambda method: method.__name__)
async def test_lists_are_of_every_host(
    client: Client, daemon: FakeDaemon, ask: Callable[[Client], Awaitable[Any]]
) -> None:
    """One that doesn't answer is an error: a list without its part would pass for all that there is."""
    await ask(client)
    (one,) = daemon.replies["hosts"].hosts
    beside = [one, msgspec.structs.replace(one, id="second")]
    daemon.replies["hosts"] = msgspec.structs.replace(daemon.replies["hosts"], hosts=beside)
    with pytest.raises(BusUnavailable, match=r"dccd\.host\.second\."):
        await ask(client)


async def test_without_a_daemon_the_error_says_what_to_do(server: EmbeddedServer) -> None:
    """A bus that no daemon answers on is told apart from a bad request."""
    async with Client(server.url) as client:
        with pytest.raises(BusUnavailable, match=r"nobody answers.*dccd start"):
            await client.health()


async def test_without_a_bus_the_error_says_what_to_do(server: EmbeddedServer) -> None:
    """Nobody at the URL is an error within the timeout, with the URL in it."""
    url = server.url
    await server.stop()
    with pytest.raises(BusUnavailable, match=rf"{url}.*dccd start"):
        async with Client(url, timeout=0.2):
            pass


async def test_outside_of_its_block_a_client_refuses(server: EmbeddedServer) -> None:
    """A client that was never opened names the remedy."""
    with pytest.raises(BusError, match="async with"):
        await Client(server.url).health()


async def test_connect_finds_the_bus_in_the_environment(
    server: EmbeddedServer, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dccd.connect()`` takes DCCD_BUS_URL."""
    monkeypatch.setenv("DCCD_BUS_URL", server.url)
    async with dccd.connect() as client:
        assert client.url == server.url
        assert (await client.health()).ok


# ---------------------------------------------------------------- backfills


async def test_a_backfill_is_followed_to_its_end(client: Client, daemon: FakeDaemon) -> None:
    """``backfill`` returns the finished run; progress went to the callback, in order."""
    run = daemon.new_run(OHLC)
    done = msgspec.structs.replace(run, state="done", rows=1440, position=run.end, updated=run.updated + 9)
    daemon.script = [progress(run, 0.25, 360), progress(run, 0.75, 1080), m.RunStatus(at=1, host="fake", run=done)]
    seen: list[float] = []
    async with asyncio.timeout(60):
        result = await client.backfill("binance", "BTC/USDT", span="1m", on_progress=lambda p: seen.append(p.fraction))
    assert result == done
    assert seen == [0.25, 0.75]


async def test_without_wait_a_backfill_returns_at_once(client: Client, daemon: FakeDaemon) -> None:
    """``wait=False`` gives the run as it was started, with its range as asked for."""
    run = await client.backfill("binance", "BTC/USDT", span="1m", start="2024-01-01", end="2024-02-01", wait=False)
    assert (run.state, run.asked) == ("running", ("2024-01-01", "2024-02-01"))


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_backfill_that_is_not_done_raises(client: Client, daemon: FakeDaemon, state: str) -> None:
    """A run that ends otherwise than done is an exception with its reason, not a result to be looked at."""
    run = daemon.new_run(OHLC)
    ended = msgspec.structs.replace(run, state=state, error="the exchange is down", updated=run.updated + 1)
    daemon.script = [m.RunStatus(at=1, host="fake", run=ended)]
    with pytest.raises(RunFailed, match="the exchange is down") as caught:
        async with asyncio.timeout(60):
            await client.backfill("binance", "BTC/USDT", span="1m")
    assert (caught.value.run_id, caught.value.state) == (run.run_id, state)


async def test_a_lost_event_is_made_up_for(client: Client, daemon: FakeDaemon) -> None:
    """The end of a run is seen when its event never came: the state is asked for."""
    run = daemon.new_run(OHLC)
    states = []
    async with asyncio.timeout(60), aclosing(client.follow(run.run_id, poll=0.05)) as events:
        async for event in events:
            assert isinstance(event, m.RunStatus)
            states.append(event.run.state)
            if event.run.state == "running":
                await daemon.change(run, state="done", announce=False)
    assert states == ["running", "done"]


async def test_an_overtaken_event_changes_nothing(client: Client, daemon: FakeDaemon) -> None:
    """A state older than the one already known isn't told."""
    run = daemon.new_run(OHLC, updated=100)
    old = msgspec.structs.replace(run, state="queued", updated=50)
    done = msgspec.structs.replace(run, state="done", updated=200)
    daemon.script = [m.RunStatus(at=1, host="fake", run=old), m.RunStatus(at=2, host="fake", run=done)]
    async with asyncio.timeout(60), aclosing(client.follow(run.run_id)) as events:
        states = [e.run.state async for e in events if isinstance(e, m.RunStatus)]
    assert states[0] in ("running", "done")  # the first reply, or already the end
    assert states[-1] == "done"
    assert "queued" not in states[1:]


async def test_an_event_of_a_newer_daemon_is_passed_over(
    client: Client, daemon: FakeDaemon, server: EmbeddedServer
) -> None:
    """A kind of event that this version doesn't know doesn't end the following."""
    run = daemon.new_run(OHLC)
    states = []
    async with (
        asyncio.timeout(60),
        await Bus.open(server.url, "newer") as bus,
        aclosing(client.follow(run.run_id)) as events,
    ):
        async for event in events:
            assert isinstance(event, m.RunStatus)
            states.append(event.run.state)
            if event.run.state == "running":
                await bus.publish(subjects.run_event(run.run_id, "status"), b'{"kind":"run.metrics","at":1}')
                await bus.barrier()
                await daemon.change(run, state="done")
    assert states == ["running", "done"]


async def test_following_ends_when_nobody_answers(client: Client, daemon: FakeDaemon) -> None:
    """A daemon that is gone for longer than the patience is an error, not an endless wait."""
    run = daemon.new_run(OHLC)
    with pytest.raises(BusUnavailable):
        async with asyncio.timeout(60), aclosing(client.follow(run.run_id, poll=0.05, patience=0.1)) as events:
            async for _ in events:
                await daemon.__aexit__()


async def test_an_unknown_run_is_not_found(client: Client) -> None:
    """404 comes from following, showing and cancelling alike."""
    for asking in (client.run("nope"), client.cancel("nope"), anext(client.follow("nope"))):
        with pytest.raises(RequestError) as caught:
            await asking
        assert caught.value.code == 404


async def test_a_run_is_cancelled(client: Client, daemon: FakeDaemon) -> None:
    """``cancel`` returns the run as it ended; once over, it conflicts."""
    run = daemon.new_run(OHLC)
    assert (await client.cancel(run.run_id)).state == "cancelled"
    with pytest.raises(RequestError) as caught:
        await client.cancel(run.run_id)
    assert caught.value.code == 409


async def test_runs_are_listed_with_their_filters(client: Client, daemon: FakeDaemon) -> None:
    """Filters travel in the request; runs come newest first."""
    first, second = daemon.new_run(OHLC), daemon.new_run(OHLC)
    assert await client.runs(limit=10, dataset=OHLC, state="running", host="fake", before="z") == [second, first]
    assert daemon.asked("runs.list") == [m.RunsList(limit=10, dataset=OHLC, state="running", host="fake", before="z")]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("origin", "origin"),
        (1_704_067_200_000_000_000, 1_704_067_200_000_000_000),
        (date(2024, 1, 1), "2024-01-01"),
        (datetime(2024, 1, 1, 12), "2024-01-01T12:00:00+00:00"),
        (datetime(2024, 1, 1, 12, tzinfo=UTC), "2024-01-01T12:00:00+00:00"),
        (datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2024-01-01T12:00:00+02:00"),
    ],
)
async def test_times_travel_as_text_or_nanoseconds(
    client: Client, daemon: FakeDaemon, given: Any, sent: str | int
) -> None:
    """Python's dates and times become ISO 8601 with their zone, UTC when they name none."""
    await client.start_backfill("binance", "BTC/USDT", span="1m", start=given)
    assert daemon.asked("backfill.start")[0].start == sent


# ---------------------------------------------------------------- streams and rows


async def test_streams_are_started_and_stopped(client: Client, daemon: FakeDaemon) -> None:
    """The options of an order book travel with the request."""
    started = await client.start_stream(
        "kraken", "XBT/USD", "orderbook", depth=25, snapshot_interval=10, book="snapshots"
    )
    assert started.dataset == "kraken.orderbook.BTC-USD"
    ask = daemon.asked("streams.start")[0]
    assert (ask.depth, ask.snapshot_interval, ask.book) == (25, 10.0, "snapshots")
    assert (await client.stop_stream("kraken", "XBT/USD", "orderbook")).dataset == "kraken.orderbook.BTC-USD"


async def test_rows_come_as_a_frame(client: Client, daemon: FakeDaemon) -> None:
    """An Arrow stream in many chunks becomes the frame that was stored, in its types."""
    rows = 10_000
    stored = pl.DataFrame(
        {"TS": range(rows), "price": [i / 7 for i in range(rows)], "side": ["buy", None] * (rows // 2)}
    )
    daemon.frames["binance.trades.BTC-USDT"] = stored
    async with asyncio.timeout(60):
        assert_frame_equal(await client.read("binance.trades.BTC-USDT"), stored)
        some = await client.read("binance.trades.BTC-USDT", columns=["price"], limit=3, newest=True)
    assert_frame_equal(some, stored.select("price").tail(3))
    assert daemon.asked("read")[0].format == "arrow"


async def test_an_empty_range_is_an_empty_frame_with_its_columns(client: Client, daemon: FakeDaemon) -> None:
    """No rows is not an error, and the columns are there all the same."""
    stored = pl.DataFrame({"TS": [], "price": []}, schema={"TS": pl.Int64, "price": pl.Float64})
    daemon.frames["binance.trades.BTC-USDT"] = stored
    assert_frame_equal(await client.read("binance.trades.BTC-USDT"), stored)


async def test_rows_of_an_unknown_dataset_are_not_found(client: Client) -> None:
    """404 comes through the streamed reply, too."""
    with pytest.raises(RequestError) as caught:
        await client.read("binance.trades.BTC-USDT")
    assert caught.value.code == 404
