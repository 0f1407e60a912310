"""The whole daemon on a bus with users and TLS: it works whole as a collector, and each role gets what is its own."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import msgspec
import pytest

from actors.daemon import daemon
from dccd import messages as m
from dccd.auth.certificates import make_ca, make_certificate
from dccd.auth.folder import AuthFolder
from dccd.auth.local import apply, auth_folder, client_login
from dccd.auth.logins import read_credentials
from dccd.bus.connection import Message
from dccd.bus.login import Login, Tls
from dccd.client import Client, Target
from dccd.config import Config, Job, TlsConfig
from dccd.errors import BusError, BusRefused, ConfigError
from dccd.simulator import Simulator
from dccd.symbols import NS
from tests.flows.support import take, watching, with_jobs

pytestmark = pytest.mark.anyio


@pytest.fixture
def users(config: Config) -> AuthFolder:
    """A user of each role of the embedded bus."""
    folder = auth_folder(config)
    folder.init("nats://127.0.0.1:4222")
    folder.add("reader", "reader")
    return folder


def client(url: str, users: AuthFolder, name: str) -> Client:
    """A client that is user *name*."""
    return Client(Target(url=url, login=read_credentials(str(users.credentials(name))).login))


def with_bus(config: Config, **fields: object) -> Config:
    """The same configuration with another ``bus``."""
    return msgspec.structs.replace(config, bus=msgspec.structs.replace(config.bus, **fields))


async def test_the_daemon_works_whole_as_a_collector(sim: Simulator, config: Config, users: AuthFolder) -> None:
    """Streams, a backfill, a repair, the catalogue and events need no more than a collector may."""
    config = with_jobs(config, Job(exchange="kraken", pairs=["BTC/USD"], data_type="trades"))
    start = sim.binance.truth.opened("BTC/USDT") // (60 * NS) * 60 * NS + 300 * NS
    async with daemon(config) as running:
        url = running.bus_url
        async with (
            client(url, users, "operator") as operator,
            client(url, users, "viewer") as viewer,
            client(url, users, "reader") as reader,
        ):
            async with watching(viewer) as expect:
                run = await operator.backfill("binance", "BTC/USDT", "ohlc", "1m", start=start, end=start + 600 * NS)
                await expect(lambda event: getattr(event, "run_id", None) == run.run_id)
            assert (run.state, run.rows) == ("done", 10)
            assert len(await take(viewer.ticks("kraken", "BTC/USD"), 20)) == 20
            assert len(await take(viewer.ticks("kraken", "BTC/USD", since="5m"), 20)) == 20
            assert len(await take(operator.ticks("*", "*", since="5m", store=False), 20)) == 20
            assert len(await take(viewer.ticks("*", "*", group="g"), 20)) == 20
            for refused in (
                viewer.ticks("*", "*", group="g", durable=True).open(),
                operator.ticks("*", "*", group="g", since="5m").open(),
                viewer.drop_group("g"),
            ):
                with pytest.raises(BusRefused, match="needs the role reader: `dccd auth add NAME --role reader`"):
                    await refused
            assert len(await take(reader.ticks("*", "*", since="5m", group="g", store=False), 20)) == 20
            assert await reader.drop_group("g")
            assert (await viewer.read("binance.ohlc.BTC-USDT.1m")).height == 10
            page = await viewer.journal(m.Journal(run=run.run_id, kinds=["run.status"]))
            assert page.events[-1].event["run"]["state"] == "done"
            events = [event async for event in viewer.events(run=run.run_id)]
            assert events[-1].event.run.state == "done"  # type: ignore[union-attr]  # a run's last
            async with operator.replay("binance.ohlc.BTC-USDT.1m") as replay, asyncio.timeout(20):
                assert len([record async for _, record in replay]) == 10
            await operator.start_replay(
                m.ReplayStart(datasets=["binance.ohlc.BTC-USDT.1m"], id="shown", start_paused=True)
            )
            heard = asyncio.Event()

            async def hear(message: Message) -> None:
                heard.set()

            await viewer.bus.subscribe("dccd.replay.shown.>", hear)
            await operator.request("replay.resume", {"id": "shown"})
            async with asyncio.timeout(20):
                await heard.wait()
            assert (await viewer.health()).ok
            assert [run.run_id for run in await viewer.runs()] == [run.run_id]
            await operator.request("repair", {})
            for ask in (
                viewer.request("streams.stop", {"dataset": "kraken.trades.BTC-USD"}),
                viewer.start_backfill("binance", "BTC/USDT", span="1m"),
                viewer.request("repair", {}, host="alpha"),
            ):
                async with asyncio.timeout(8):  # a request without an answer would take ten
                    with pytest.raises(BusRefused, match="doesn't let this user publish to dccd"):
                        await ask
            assert (await viewer.streams())[0].state == "live"
        errors = running.links.bus.statistics()["errors"]
        assert errors.get("refused", 0) == 0, running.links.bus
        with pytest.raises(BusRefused, match="refuses who asks"):
            async with Client(Target(url=url)):
                pass


async def test_users_change_without_a_restart(config: Config, users: AuthFolder) -> None:
    """Who is added gets in, who is removed is put out at once; the daemon and the others notice nothing."""
    async with daemon(config) as running:
        url = running.bus_url
        async with client(url, users, "viewer") as viewer:
            users.add("alice", "viewer", password=True)
            assert apply(config)
            alice = await _until_let_in(client(url, users, "alice"))
            assert (await alice.health()).host == "alpha"
            users.remove("alice")
            assert apply(config)
            async with asyncio.timeout(60):
                assert await alice.bus.wait_closed()
            await alice.aclose()
            assert viewer.bus.statistics()["reconnects"] == 0
            assert (await viewer.health()).ok
        assert running.links.bus.statistics()["reconnects"] == 0


async def test_the_daemon_s_own_secret_changes(config: Config, users: AuthFolder) -> None:
    """A collector whose secret is changed comes back with the new one, by itself."""
    async with daemon(config) as running:
        url = running.bus_url
        async with client(url, users, "viewer") as viewer:
            before = running.links.bus
            users.rotate(["collector"])
            assert apply(config)
            async with asyncio.timeout(20):
                await before.wait_closed()
                while running.links.bus is before or not running.links.bus.connected:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.02)
            assert (await _answered(viewer)).host == "alpha"


async def _answered(viewer: Client):
    """Its health, once its requests are served again."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await viewer.health()
            except BusError:
                await asyncio.sleep(0.05)


async def _until_let_in(client: Client) -> Client:
    """Opened, once the server has read its users again: it does so soon after it is told to."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await client.__aenter__()
            except BusRefused:
                await asyncio.sleep(0.02)


async def test_tls(config: Config, users: AuthFolder, tmp_path: Path) -> None:
    """With a certificate the bus is encrypted; a CA that isn't its own, another name, or no certificate where one is
    asked for, are told as what they are."""
    tls, other = tmp_path / "tls", tmp_path / "other"
    for folder in (tls, other):
        make_ca(folder)
        make_certificate(folder, "server", ["bus.example.org"])
    make_certificate(tls, "someone", [])
    ca, cert, key = (str(tls / name) for name in ("ca.pem", "server.pem", "server-key.pem"))
    config = with_bus(config, tls=TlsConfig(ca=ca, cert=cert, key=key, verify=True))
    login = client_login(config)
    mine = Tls(ca=ca, cert=str(tls / "someone.pem"), key=str(tls / "someone-key.pem"))
    async with daemon(config) as running:
        url = running.bus_url
        assert url.startswith("tls://")
        for url_, given in ((url, mine), (url.replace("tls://", "nats://"), mine), (url, login.tls)):
            async with Client(Target(url=url_, login=msgspec.structs.replace(login, tls=given))) as good:
                checks = (await good.health()).checks
                assert [check.ok for check in checks if check.name == "certificate"] == [True]
        for given, told in (
            (Tls(ca=str(other / "ca.pem"), cert=mine.cert, key=mine.key), "of no CA that is believed here"),
            (Tls(ca=ca), "wants a certificate of ours"),
            (Tls(ca=ca, cert=str(other / "server.pem"), key=str(other / "server-key.pem")), "TLS"),
        ):
            with pytest.raises(BusRefused, match=told):
                async with (
                    asyncio.timeout(20),
                    Client(Target(url=url, login=msgspec.structs.replace(login, tls=given)), timeout=30),
                ):
                    pass
        with pytest.raises(BusRefused, match=r"no CA that is believed here|wants TLS"):
            async with (
                asyncio.timeout(20),
                Client(Target(url=url.replace("tls://", "nats://"), login=Login()), timeout=30),
            ):
                pass


async def test_a_bus_that_others_reach_is_protected(config: Config, tmp_path: Path) -> None:
    """Other than loopback is refused without users and TLS, with what to do; or explicitly allowed."""
    open_ = with_bus(config, host="0.0.0.0")
    with pytest.raises(ConfigError, match=r"dccd auth init.*dccd auth tls.*insecure") as caught:
        async with daemon(open_):
            pass
    assert caught.value.path == "bus.host"
    async with daemon(with_bus(open_, insecure=True)) as running, Client(running.bus_url) as anybody:
        assert (await anybody.health()).ok
    auth_folder(config).init("nats://x")
    with pytest.raises(ConfigError, match="TLS"):
        async with daemon(open_):
            pass


async def test_the_nats_command_with_the_contexts(config: Config, tmp_path: Path, nats_binary: str) -> None:
    """What `dccd auth init --contexts` makes works with `nats --context`, and with `dccd --context`."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "home"), "DCCD_CONFIG": str(tmp_path / "config.yml")}
    for name in ("NATS_URL", "DCCD_BUS_URL", "NATS_CONTEXT"):
        environment.pop(name, None)
    (tmp_path / "config.yml").write_text(f"settings: {{data_path: {config.settings.data_path}}}\nbus: {{port: 0}}\n")
    dccd = str(Path(os.sys.executable).with_name("dccd"))  # type: ignore[attr-defined]

    async def run(*command: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(30):
            out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    code, told = await run(dccd, "auth", "init")
    assert code == 0, told
    async with daemon(config) as running:
        url = running.bus_url
        code, told = await run(dccd, "auth", "init", "--force", "--contexts", "--url", url)
        assert code == 0, told
        assert (await run(dccd, "auth", "init", "--contexts"))[0] == 2
        assert "taken it" in (await run(dccd, "auth", "reload"))[1]
        viewer = Client(Target(url=url, login=read_credentials(str(auth_folder(config).credentials("viewer"))).login))
        async with await _until_let_in(viewer):
            await _answered(viewer)
            code, told = await run(nats_binary, "--context", "dccd-viewer", "req", "--raw", "dccd.health", "")
            assert json.loads(told.strip())["host"] == "alpha", told
            code, told = await run(nats_binary, "--context", "dccd-viewer", "kv", "put", "dccd_jobs", "x", "y")
            assert "ermissions" in told, told
            assert (await run(dccd, "--context", "dccd-viewer", "health"))[0] == 0
            code, told = await run(dccd, "--context", "dccd-viewer", "--json", "req", "repair")
            assert (code, json.loads(told)["error"]["reason"]) == (4, "refused")
            assert (await run(dccd, "req", "repair"))[0] == 0  # as this account's: the operator
            seed = str(auth_folder(config).path / "viewer.nk")
            assert (await run(dccd, "--bus", url, "--creds", seed, "health"))[0] == 0
            code, told = await run(dccd, "--bus", url, "health")
            assert code == 4
            assert "refuses who asks" in told
