"""Requests that nobody should send, on every subject: the right answer each, and nothing comes of them.

A failure names the seed of its generator, which makes the same requests again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.daemon import Daemon, daemon
from dccd import subjects
from dccd.auth.local import auth_folder
from dccd.auth.logins import read_credentials
from dccd.auth.permissions import ROLES, Role, access
from dccd.bus.connection import Bus
from dccd.bus.login import Login
from dccd.bus.service import UNKNOWN
from dccd.client import Client, Target
from dccd.config import Alerts, Config, Job, RemoteConfig, Webhook
from dccd.operations import OPERATIONS
from dccd.simulator import SimConfig, Simulator
from tests.bad_requests import Bad, Generator
from tests.flows.asking import Asker, fault
from tests.flows.harm import held, settled, undone, unharmed
from tests.flows.support import take, with_jobs
from tests.receiver import Receiver
from tests.wire import frame, put

pytestmark = pytest.mark.anyio

TRADES, BOOK, BARS = "binance.trades.BTC-USDT", "kraken.orderbook.BTC-USDT", "kraken.ohlc.BTC-USD.1m"
BACKFILL: dict[str, Any] = {
    "exchange": "kraken", "pairs": ["BTC/USD"], "data_type": "ohlc", "span": "1m", "operation": "backfill",
    "trigger_kind": "manual",
}  # fmt: skip
JOBS = {f"stream.{TRADES}", f"stream.{BOOK}", f"backfill.{BARS}"}


@dataclass
class Victim:
    """A daemon with a stream, a job, a remote, a webhook and something stored; a client; and what is known there."""

    running: Daemon
    client: Client
    run_id: str

    def generator(self, seed: int) -> Generator:
        names = {"run_id": [self.run_id], "before": [self.run_id], "name": [f"backfill.{BARS}"]}
        names |= {"remote": ["backup"], "remotes": [["backup"]], "webhook": ["nobody-s"], "prefix": ["dccd_stream"]}
        return Generator(
            seed,
            self.running.links.host,
            seen={**names, "dataset": [TRADES, BARS, BOOK, BOOK]},
            changed={**names, "dataset": [BARS], "datasets": [[BARS], [TRADES, BOOK]]},
            max_payload=self.client.bus.max_payload,
        )

    async def undo(self) -> None:
        """End what has rightly been started; the job that may have been deleted is there again."""
        if f"backfill.{BARS}" not in self.running.links.specs:
            await self.client.request("jobs.create", BACKFILL)
        await undone(self.running, self.client, streams={TRADES, BOOK}, jobs=JOBS)


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Quiet markets, and little history: it's the requests that matter."""
    async with Simulator(SimConfig(seed=11, rate=5, history=0.02)) as simulator:
        yield simulator


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def config(config: Config, receiver: Receiver, tmp_path: Path) -> Config:
    """With a stream, a backfill that runs when it is asked for, a folder as a remote, and a webhook."""
    copies = tmp_path / "copies"
    copies.mkdir()
    # Few flushes: of each segment there is a file, and the doctor reads them all.
    remote = RemoteConfig(name="backup", url=copies.as_uri(), interval=0)
    storage = msgspec.structs.replace(config.storage, flush_interval=2, remotes=[remote])
    config = msgspec.structs.replace(
        config, storage=storage, alerts=Alerts(webhooks=[Webhook(name="nobody-s", url=f"{receiver.url}/json")])
    )
    return with_jobs(
        config,
        Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades"),
        Job(exchange="kraken", pairs=["BTC/USDT"], data_type="orderbook", depth=10),
        Job(**BACKFILL),
    )


@asynccontextmanager
async def victim(config: Config, login: Login | None = None) -> AsyncIterator[Victim]:
    async with daemon(config) as running, Client(Target(url=running.bus_url, login=login)) as client:
        run = await client.backfill("kraken", "BTC/USD", "ohlc", "1m", start="origin")
        await take(client.ticks("binance", "BTC/USDT"), 1)
        yield Victim(running, client, run.run_id)


async def ask(asker: Asker, bad: Bad, *, busy: bool = False) -> None:
    answer = await asker.ask(bad)
    wrong = fault(bad, answer, busy=busy)
    assert wrong is None, f"{wrong}: {bad!r} → {answer!r:.1000}"


async def test_a_bad_request_gets_the_right_error_and_harms_nobody(config: Config) -> None:
    """Each operation, a hundred times: what its schema refuses is malformed, and else there is a reply or a declared
    error; nothing restarts, and no tick is lost."""
    async with victim(config) as it, Asker(it.client.bus) as asker:
        generator = it.generator(1)
        for operation in OPERATIONS:
            for _ in range(100):
                await ask(asker, generator.of(operation))
        for _ in range(200):
            await ask(asker, generator.elsewhere())
        await it.undo()
        await take(it.client.ticks("binance", "BTC/USDT"), 1)
        assert await unharmed(it.running, it.client, TRADES, BOOK) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
async def test_ten_thousand_bad_requests_leave_nothing_behind(config: Config, seed: int) -> None:
    """After 10,000 more of them there are no more tasks, files, threads, subscriptions, actors, keys, consumers and
    memory than after the first 2,000, when what they had rightly started has ended."""
    async with victim(config) as it, Asker(it.client.bus) as asker:
        generator = it.generator(seed)
        for _ in range(2_000):
            await ask(asker, generator.any())
        await it.client.exchanges(all=True)  # loads all of ccxt, once and for all, whoever asks first
        await it.undo()
        await asyncio.sleep(1)  # what ends takes a moment; of what doesn't, there would be more in the end
        before = await held(it.running, it.client)
        for _ in range(10_000):
            await ask(asker, generator.any())
        await it.undo()
        assert await settled(it.running, it.client, before) == {}
        await take(it.client.ticks("binance", "BTC/USDT"), 1)
        assert await unharmed(it.running, it.client, TRADES, BOOK) is None


@pytest.mark.parametrize("count", [1_000, pytest.param(5_000, marks=pytest.mark.slow)])
async def test_bad_requests_all_at_once(config: Config, count: int) -> None:
    """64 at once are answered as one is, or that there are too many; hundreds at once are turned away and not kept."""
    async with victim(config) as it, Asker(it.client.bus) as asker:
        generator, room = it.generator(4), asyncio.Semaphore(64)

        async def put_one(bad: Bad) -> None:
            async with room:
                await ask(asker, bad, busy=True)

        async with asyncio.timeout(count / 10), asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(put_one(generator.any()))
        flood = [Bad("slow", "dccd.doctor", b"{}", "doctor")] * 300
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*(asker.ask(bad) for bad in flood))
        turned_away = [answer for answer in answers if answer.error == (503, "busy")]
        assert 0 < len(turned_away) < 300
        assert all(answer.chunks for answer in answers if answer not in turned_away)
        await it.undo()
        await ask(asker, Bad("right", "dccd.doctor", b"{}", "doctor"))
        assert await unharmed(it.running, it.client, TRADES, BOOK) is None


@pytest.mark.parametrize("count", [300, pytest.param(3_000, marks=pytest.mark.slow)])
async def test_a_configuration_with_anything_in_place_of_anything(config: Config, count: int) -> None:
    """Put at the right revision, it is refused for what is wrong with it, or would be taken; nothing changes."""
    async with victim(config) as it, Asker(it.client.bus) as asker:
        generator = it.generator(5)
        before = await it.client.request("config.get", {"yaml": True})
        for _ in range(count):
            await ask(asker, generator.config(before.config, before.revision))
        assert await it.client.request("config.get", {"yaml": True}) == before
        assert await unharmed(it.running, it.client, TRADES, BOOK) is None


async def test_what_names_no_inbox_is_not_done(config: Config) -> None:
    """Requests that nobody waits for, or that are to be answered elsewhere, are ignored, on every subject; so is what
    isn't even a message."""
    async with victim(config) as it:
        links = it.running.links
        assert links.service is not None
        before = done(it.running)
        odd = [b"", b"dccd.ticks.x", b"$KV.dccd_jobs.alpha", b"_INBOX.*", b"_INBOX.\xff", b"_INBOX." + b"x" * 3900]
        asked = [
            frame(subject.encode(), reply, b"{}")
            for name in OPERATIONS
            for subject in (subjects.request(name), subjects.host_request("alpha", name))
            for reply in odd
        ]
        headers = [b"NATS/1.0 \xff\xff\xff\r\n\r\n", b"NATS/1.0", b"N", b"\xff" * 100, b"NATS/1.0\r\nDccd-Flow\r\n\r\n"]
        await put(it.running.bus_url, *asked, *(frame(b"dccd.tree", b"_INBOX.x", b"{}", one) for one in headers))
        assert (await it.client.health()).ok
        assert links.service.ignored == len(asked)
        after = done(it.running)
        assert {name for name in after if after[name] != before[name]} == {"tree", "health"}
        assert after["tree"] == before["tree"] + len(headers)
        assert links.bus.statistics()["reconnects"] == 0
        assert await unharmed(it.running, it.client, TRADES, BOOK) is None


FORGED = (
    "dccd.ticks.binance.trades.BTC-USDT", "dccd.events.run.x.status", "dccd.replay.x.status", "_INBOX.collector.x",
    "$KV.dccd_jobs.alpha.job.x", "$KV.dccd_config.alpha", "$JS.API.STREAM.PURGE.KV_dccd_runs",
    "$JS.API.STREAM.DELETE.DCCD_TICKS", "$JS.API.STREAM.UPDATE.DCCD_TICKS", "$JS.API.CONSUMER.NAMES.DCCD_TICKS",
    "$SYS.REQ.SERVER.PING", "$JS.API.STREAM.CREATE.X",
)  # fmt: skip
"""What only collectors may publish, if anybody."""


@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_bad_requests_of_each_role(config: Config, count: int) -> None:
    """What a role may not ask is refused by the bus at once and not done; what it may is answered as to anybody. A
    stranger gets nothing."""
    users = auth_folder(config)
    users.init("nats://127.0.0.1:4222")
    users.add("reader", "reader", password=True)
    logins = {role: read_credentials(str(users.credentials(role))).login for role in ROLES}
    async with victim(config, logins["operator"]) as it:
        for seed, role in enumerate(ROLES):
            generator, before = it.generator(10 + seed), done(it.running)
            async with await Bus.open(it.running.bus_url, role, login=logins[role]) as bus, Asker(bus, 10) as asker:
                for number in range(count):
                    bad = generator.any()
                    if number % 10 == 0 and role != "collector":
                        bad = Bad("forged", generator.chance.choice(FORGED), bad.payload, None)
                    if may(role, bad.subject):
                        await ask(asker, bad)
                    else:
                        answer = await asker.ask(bad)
                        assert answer.said == "refused", (role, bad, answer)
            if role in ("viewer", "reader"):
                changed = {name for name, number in done(it.running).items() if number != before[name]}
                assert {OPERATIONS[name].role for name in changed - {UNKNOWN}} == {"viewer"}
        await it.undo()
        before = done(it.running)
        for number in range(count):
            bad = generator.any()
            user, password = generator.chance.choice(
                [(None, None), ("nobody", "x"), ("operator", ""), ("viewer", "viewer")]
            )
            asked = frame(bad.subject.encode(), b"_INBOX.x", bad.payload[:10_000])
            assert b"PONG" not in await put(it.running.bus_url, asked, user=user, password=password), number
        assert done(it.running) == before
        await take(it.client.ticks("binance", "BTC/USDT"), 1)
        assert await unharmed(it.running, it.client, TRADES, BOOK) is None


def may(role: Role, subject: str) -> bool:
    """Whether *role* may publish there; nobody may where the name has an empty part."""
    return all(subject.split(".")) and any(subjects.matches(pattern, subject) for pattern in access(role).publish)


def done(running: Daemon) -> dict[str, int]:
    """How many requests each operation has had."""
    assert running.links.service is not None
    return {name: timing.durations.count for name, timing in running.links.service.timings.items()}
