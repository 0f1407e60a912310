"""The configuration while the daemon runs: what changes is done, what doesn't goes on undisturbed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
import yaml

from actors.daemon import Daemon, daemon
from dccd.client import Client
from dccd.config import Config, Job, load, parse
from dccd.config_edit import plain, sparse
from dccd.errors import BusUnavailable, RequestError
from dccd.simulator import SimConfig, Simulator

pytestmark = pytest.mark.anyio

JOBS = """\
# What we collect
jobs:
  # bitcoin, of course
  - exchange: binance
    pairs: [BTC/USDT, ETH/USDT]
    data_type: trades
  # a little history
  - exchange: binance
    pairs: [BTC/USDT]
    data_type: ohlc
    span: 1m
    operation: backfill
    trigger_kind: interval
    every: 1h   # often enough
"""


@pytest.fixture
def file(config: Config, tmp_path: Path) -> Path:
    """A configuration file with comments."""
    path = tmp_path / "config.yml"
    path.write_text("# Ours\n" + yaml.safe_dump(sparse(config), sort_keys=False) + JOBS)
    return path


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[tuple[Daemon, Client]]:
    """A daemon that follows *file*, all its streams live."""
    async with daemon(load(file), path=file) as found, Client(found.bus_url) as client:
        await live(client, *(spec.dataset for spec in found.links.specs.values() if spec.operation == "stream"))
        yield found, client


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Ask again and again until it is so: what is waited for has no event of its own."""
    with anyio.fail_after(seconds):
        while True:
            with contextlib.suppress(BusUnavailable):  # it starts
                if await true():
                    return
            await anyio.sleep(0.05)


async def live(client: Client, *datasets: str) -> None:
    """Wait until the streams of these, and no others, are live."""

    async def are() -> bool:
        found = {stream.dataset for stream in await client.streams() if stream.state == "live" and stream.records}
        return found == set(datasets)

    await until(are)


def text_of(file: Path) -> str:
    return file.read_text()


def put_text(file: Path, text: str) -> None:
    """As an editor does that writes over the old one."""
    file.write_text(text)


def allow(file: Path, mode: int) -> None:
    file.chmod(mode)


def incarnation(found: Daemon, dataset: str) -> object:
    """What is another one after a restart, whoever asked for it."""
    ref = found.links.streams.whereis(dataset)
    assert ref is not None
    return ref


async def test_a_put_starts_stops_and_restarts_what_changes_and_nothing_else(file: Path) -> None:
    """The stream that stays has the same actor and no gap; the file has the change, and its comments."""
    async with running(file) as (found, client):
        stays = incarnation(found, "binance.trades.BTC-USDT")
        got = await client.config()
        wanted = got.config
        wanted["jobs"][0]["pairs"] = ["BTC/USDT"]
        wanted["jobs"].append({"exchange": "kraken", "pairs": ["BTC/USD"], "data_type": "orderbook", "depth": 10})
        wanted["jobs"][1]["every"] = "2h"
        wanted["alerts"]["free_space"] = "1MiB"
        wanted["bus"]["window"] = 65
        would = await client.put_config(wanted, got.revision, dry_run=True)
        assert (await client.config()).revision == got.revision
        done = await client.put_config(wanted, got.revision)
        for reply in (would, done):
            assert reply.started == ["kraken.orderbook.BTC-USD"]
            assert reply.stopped == ["binance.trades.ETH-USDT"]
            assert reply.restarted == []
            assert reply.jobs_changed == ["backfill.binance.ohlc.BTC-USDT.1m"]
            assert reply.applied == ["alerts.free_space"]
            assert reply.restart_required == ["bus.window"]
        await live(client, "binance.trades.BTC-USDT", "kraken.orderbook.BTC-USD")

        got = await client.config()
        assert got.restart_required == ["bus.window"]
        wanted = got.config
        wanted["jobs"][-1]["depth"] = 25
        done = await client.put_config(wanted, got.revision)
        assert (done.started, done.stopped, done.restarted) == ([], [], ["kraken.orderbook.BTC-USD"])
        await live(client, "binance.trades.BTC-USDT", "kraken.orderbook.BTC-USD")
        assert incarnation(found, "binance.trades.BTC-USDT") is stays
        [stream] = [s for s in await client.streams() if s.dataset == "binance.trades.BTC-USDT"]
        assert (stream.restarts, stream.reconnects, stream.gaps) == (0, 0, 0)
        [hourly] = [job for job in await client.jobs() if job.operation == "backfill"]
        assert hourly.every == 7200
        assert found.links.config.bus.window == 64
    text = text_of(file)
    assert all(line in text for line in ("# Ours", "# What we collect", "# bitcoin, of course", "# a little history"))
    assert load(file).jobs[0].pairs == ["BTC/USDT"]
    assert load(file).bus.window == 65


async def test_of_two_puts_at_once_one_is_refused(file: Path) -> None:
    """Both have changed the same revision: the second is a conflict, and has done nothing."""
    outcomes: list[object] = []

    async def put(size: str) -> None:
        wanted = {**got.config, "alerts": {"free_space": size}}
        try:
            await client.put_config(wanted, got.revision)
        except RequestError as exc:
            outcomes.append((exc.code, exc.reason))
        else:
            outcomes.append(size)

    async with running(file) as (_, client):
        got = await client.config()
        async with anyio.create_task_group() as group:
            group.start_soon(put, "5MiB")
            group.start_soon(put, "6MiB")
        assert (409, "conflict") in outcomes
        [winner] = [one for one in outcomes if isinstance(one, str)]
        assert load(file).alerts.free_space == winner
        # An edit of the file is a change of somebody else, too, taken over or not.
        got = await client.config()
        put_text(file, text_of(file) + "# an edit\n")
        await put("7MiB")
        assert outcomes[-1] == (409, "conflict")


async def test_an_edit_of_the_file_is_taken_over_and_a_broken_one_is_told(file: Path) -> None:
    """The daemon goes on with what it had as long as there is an error, which health names with its path."""
    async with running(file) as (found, client):
        stays = incarnation(found, "binance.trades.BTC-USDT")
        good = text_of(file)
        put_text(file, good.replace("free_space", "").replace("exchange: binance", "exchange: binancee", 1))

        async def ill() -> bool:
            return not (await client.health()).ok

        await until(ill)
        [check] = [check for check in (await client.health()).checks if not check.ok]
        assert check.name == "config"
        assert "jobs[0].exchange" in check.detail
        assert (await client.config()).error == check.detail
        with pytest.raises(RequestError, match="isn't what runs") as caught:
            await client.delete_job("stream.binance.trades.ETH-USDT")
        assert caught.value.reason == "file_broken"
        assert len(await client.streams()) == 2

        put_text(file, good.replace("[BTC/USDT, ETH/USDT]", "[BTC/USDT, SOL/USDT]"))
        await live(client, "binance.trades.BTC-USDT", "binance.trades.SOL-USDT")
        assert (await client.health()).ok
        assert incarnation(found, "binance.trades.BTC-USDT") is stays


async def test_a_put_of_yaml_is_the_file(file: Path) -> None:
    """The text that get gives, changed, is what stands there then, with its secrets."""
    put_text(file, text_of(file).replace("bus:\n", "bus:\n  password: 'geh#eim'   # old: hunter2\n", 1))
    async with running(file) as (_, client):
        got = await client.config(yaml=True)
        assert got.yaml is not None
        assert "geh#eim" not in got.yaml + str(got.config)
        changed = got.yaml.replace("[BTC/USDT, ETH/USDT]", "[BTC/USDT]  # one is enough")
        done = await client.put_config(changed, got.revision)
        assert done.stopped == ["binance.trades.ETH-USDT"]
        assert done.restart_required == []
        text = text_of(file)
        assert "[BTC/USDT]  # one is enough" in text
        assert "password: 'geh#eim'" in text
        for bad, code, field in (
            ("jobs: [", 400, "yaml"),
            (changed.replace("exchange: binance", "exchange: binancee", 1), 422, "jobs[0].exchange"),
            (changed.replace("port: 0", "port: -1"), 422, "bus.port"),
        ):
            with pytest.raises(RequestError) as caught:
                await client.put_config(bad, done.revision)
            assert (caught.value.code, caught.value.field) == (code, field)
        assert text_of(file) == text
        with pytest.raises(RequestError) as caught:
            await client.put_config({**got.config, "bus": {"user": "***"}}, done.revision)
        assert (caught.value.code, caught.value.field) == (422, "bus.user")


async def test_jobs_are_created_changed_and_deleted_in_the_file(file: Path) -> None:
    """Each as it stands there, and beside what stands there: comments stay."""
    async with running(file) as (_, client):
        done = await client.create_job("kraken", ["BTC/USD", "ETH/USD"])
        assert (done.saved, done.started) == ("file", ["kraken.trades.BTC-USD", "kraken.trades.ETH-USD"])
        with pytest.raises(RequestError) as caught:
            await client.create_job("kraken", "BTC/USD")
        assert (caught.value.code, caught.value.reason, caught.value.field) == (409, "job_exists", "pairs")
        done = await client.update_job("backfill.binance.ohlc.BTC-USDT.1m", every=None, trigger_kind="manual")
        assert done.jobs_changed == ["backfill.binance.ohlc.BTC-USDT.1m"]
        assert (await client.delete_job("stream.kraken.trades.BTC-USD")).stopped == ["kraken.trades.BTC-USD"]
        for name in ("stream.kraken.trades.BTC-USD", "nonsense"):
            for refused in (client.delete_job(name), client.update_job(name, depth=5)):
                with pytest.raises(RequestError) as caught:
                    await refused
                assert (caught.value.code, caught.value.reason) == (404, "no_job")
        with pytest.raises(RequestError) as caught:
            await client.update_job("backfill.binance.ohlc.BTC-USDT.1m", cron="5 * * * *")
        assert (caught.value.code, caught.value.field) == (422, "cron")
        with pytest.raises(RequestError) as caught:
            await client.create_job("kraken", "BTC/USD", "ohlc")
        assert (caught.value.code, caught.value.field) == (422, "span")
        await live(client, "binance.trades.BTC-USDT", "binance.trades.ETH-USDT", "kraken.trades.ETH-USD")
        names = {(job.name, job.trigger_kind, job.source) for job in await client.jobs()}
    assert names == {
        ("stream.binance.trades.BTC-USDT", "supervised", "file"),
        ("stream.binance.trades.ETH-USDT", "supervised", "file"),
        ("stream.kraken.trades.ETH-USD", "supervised", "file"),
        ("backfill.binance.ohlc.BTC-USDT.1m", "manual", "file"),
    }
    assert "# a little history" in text_of(file)
    assert "# bitcoin, of course" in text_of(file)


async def test_jobs_beside_a_file_that_cannot_be_written_survive(file: Path) -> None:
    """They stand on the bus alone until the file can be written; what the file says can't be changed before."""
    allow(file, 0o444)
    before = text_of(file)
    async with running(file) as (_, client):
        assert not (await client.config()).writable
        assert (await client.create_job("kraken", ["BTC/USD"])).saved == "bus"
        for refused in (
            client.delete_job("stream.binance.trades.BTC-USDT"),
            client.put_config({}, (await client.config()).revision),
        ):
            with pytest.raises(RequestError, match="read-only") as caught:
                await refused
            assert (caught.value.code, caught.value.reason) == (409, "read_only")
        await client.update_job("stream.kraken.trades.BTC-USD", restart="transient")
    assert text_of(file) == before
    async with running(file) as (_, client):  # all three streams live: the job is there
        [job] = [job for job in await client.jobs() if job.source == "request"]
        assert (job.name, job.restart) == ("stream.kraken.trades.BTC-USD", "transient")
        allow(file, 0o644)
        got = await client.config()
        done = await client.put_config(got.config, got.revision)
        assert (done.saved, done.restarted, done.jobs_changed) == ("file", [], [])
        assert [job.source for job in await client.jobs()] == ["file"] * 4
    assert "BTC/USD]" in text_of(file)


async def test_without_a_file_all_of_it_is_kept_on_the_bus(config: Config) -> None:
    """Jobs and settings survive a restart; what is needed before the bus is there can't be set."""
    config = msgspec.structs.replace(config, jobs=load_jobs(JOBS))
    async with daemon(config) as found, Client(found.bus_url) as client:
        await live(client, "binance.trades.BTC-USDT", "binance.trades.ETH-USDT")
        got = await client.config()
        assert (got.file, got.writable) == (None, True)
        with pytest.raises(RequestError) as caught:
            await client.put_config({**got.config, "settings": {"host": "beta"}}, got.revision)
        assert (caught.value.code, caught.value.reason) == (422, "needs_file")
        done = await client.put_config({**got.config, "alerts": {"free_space": "1MiB"}}, got.revision)
        assert (done.saved, done.applied) == ("bus", ["alerts.free_space"])
        assert (await client.delete_job("stream.binance.trades.ETH-USDT")).stopped == ["binance.trades.ETH-USDT"]
        assert (await client.create_job("kraken", "BTC/USD")).started == ["kraken.trades.BTC-USD"]
        wanted = (await client.config()).config
    async with daemon(config) as found, Client(found.bus_url) as client:
        await live(client, "binance.trades.BTC-USDT", "kraken.trades.BTC-USD")
        got = await client.config(yaml=True)
        assert (got.config, got.config["alerts"]["free_space"]) == (wanted, "1MiB")
        assert got.yaml is not None
        assert "BTC/USD" in got.yaml
        assert found.links.config.alerts.free_space == "1MiB"


async def test_another_server_for_an_exchange_restarts_its_streams_and_goes_on_with_its_backfills(
    file: Path, config: Config
) -> None:
    """Streams by request, too; those of another exchange don't blink."""
    async with Simulator(SimConfig(seed=12, rate=40, history=0.2)) as other, running(file) as (found, client):
        await client.create_job("kraken", "BTC/USD")
        await client.start_stream("binance", "SOL/USDT")
        names = ["binance.trades.BTC-USDT", "binance.trades.ETH-USDT", "binance.trades.SOL-USDT"]
        await live(client, *names, "kraken.trades.BTC-USD")
        stays = incarnation(found, "kraken.trades.BTC-USD")
        before = [incarnation(found, name) for name in names]
        got = await client.config()
        got.config["exchanges"]["binance"] = {**other.urls()["binance"], "rate_limit": False}
        done = await client.put_config(got.config, got.revision)
        assert (done.restarted, done.started, done.stopped) == (names[:2], [], [])
        await live(client, *names, "kraken.trades.BTC-USD")
        assert [incarnation(found, name) for name in names] != before
        assert incarnation(found, "kraken.trades.BTC-USD") is stays
        assert other.binance.hub.peers
        run = await client.start_backfill("binance", "BTC/USDT", "trades", start="origin")
        got.config["exchanges"]["binance"] = {**plain(config.exchanges["binance"]), "concurrency": 2}
        await client.put_config(got.config, (await client.config()).revision)
        moved = await client.run(run.run_id)
        assert moved.resumed == 1

        async def goes_on() -> bool:
            now = await client.run(run.run_id)
            return now.rows > moved.rows or now.state == "done"

        await until(goes_on)


def load_jobs(text: str) -> list[Job]:
    return parse(text).jobs


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{two}: &{two} [{', '.join([f'*{one}'] * 10)}]\n" for one, two in zip("abcdefghi", "bcdefghij", strict=True)
)
NASTY = {
    "deep": "[" * 100_000,
    "deep and closed": "jobs: " + "[" * 500 + "]" * 500,
    "laughs": LAUGHS,
    "itself": "jobs: &jobs [*jobs]",
    "surrogate": 'settings: {data_path: "\\uD800"}',
    "zero": 'settings: {data_path: "\\0"}',
    "a mask": "***",
    "a URL": "http://***@x/?token=y",
    "an odd key": "? {a: b}\n: c",
    "a tag": "jobs: !!python/object/apply:os.system [ls]",
    "numbers": "jobs: [{exchange: binance, pairs: [BTC/USDT], data_type: ohlc, span: 1e400, every: .inf}]",
    "for ever": "jobs: [{exchange: binance, pairs: [BTC/USDT], data_type: trades, operation: backfill, "
    "trigger_kind: interval, every: 99999999999999999999w}]",
    "nothing": "~",
    "a date": "2024-01-01",
    "many documents": "a: 1\n---\nb: 2",
    "bytes": "\x00\x01",
}


async def test_what_nobody_should_put_harms_nothing(file: Path) -> None:
    """Each is refused with its reason, no actor restarts, and the file is as it was."""
    async with running(file) as (found, client):
        owner, before = found.links.reconciler, text_of(file)
        revision = (await client.config()).revision
        codes: dict[str, object] = {}
        for name, text in NASTY.items():
            for ask in ({"yaml": text}, {"config": {"settings": {"data_path": text}, "jobs": []}}):
                try:
                    await client.request("config.put", {"revision": revision, "dry_run": True, **ask})
                except RequestError as exc:
                    codes.setdefault(name, exc.code)
                else:
                    codes.setdefault(name, "done")
        assert {name: code for name, code in codes.items() if code not in (400, 422)} == {"nothing": "done"}
        assert found.links.reconciler is owner
        assert (await client.health()).ok
        assert text_of(file) == before
