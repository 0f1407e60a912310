"""Incidents of a real daemon, told to a real HTTP receiver: once each, whatever restarts or is away."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Alerts, Config, Job, Webhook
from dccd.errors import RequestError
from dccd.messages import AlertChanged
from dccd.simulator import Simulator
from dccd.simulator.faults import HttpError, Silence
from tests.flows.support import take, watching, with_jobs
from tests.receiver import Receiver

pytestmark = pytest.mark.anyio

BTC = "binance.trades.BTC-USDT"


def alerting(config: Config, receiver: Receiver, **fields: object) -> Config:
    webhooks = [
        Webhook(url=f"{receiver.url}/json", name="all"),
        Webhook(url=f"{receiver.url}/slack", name="chat", format="slack"),
        Webhook(url=f"{receiver.url}/ntfy", name="phone", format="ntfy", rules=["space"]),
    ]
    alerts = Alerts(settle=0.5, webhooks=webhooks, **fields)  # type: ignore[arg-type]  # fields of its own
    trades = Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades")
    return with_jobs(msgspec.structs.replace(config, alerts=alerts), trades)


async def test_a_stale_stream_is_told_once_and_so_is_its_recovery(config: Config, sim: Simulator) -> None:
    """Over a restart of the daemon, too; webhooks get what they asked for, in their form."""
    async with Receiver() as receiver:
        config = alerting(config, receiver, stream_silence=3)
        async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
            await take(client.ticks("binance", "BTC/USDT"), 1)
            silence = sim.faults.inject(Silence(exchange="binance"))
            (first,) = await receiver.until(1)
            assert (first["rule"], first["subject"], first["state"]) == ("stale", BTC, "open")
            await expect(lambda event: _about(event) == (first["key"], "open"))
            listed = await client.alerts()
            assert [one.key for one in listed.incidents] == [first["key"]]
            assert next((one.name, one.sent, one.error) for one in listed.webhooks) == ("all", 1, None)
        async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
            assert [one.told["all"] for one in (await client.alerts()).incidents] == ["open"]
            silence.lift()
            _, over = await receiver.until(2)
            assert (over["key"], over["state"]) == (first["key"], "resolved")
            await expect(lambda event: _about(event) == (first["key"], "resolved"))
            assert (await client.alerts()).incidents == []
            assert [one.state for one in (await client.alerts(all=True)).incidents] == ["resolved"]
            chat = await receiver.texts(2, "/slack")
            assert "is stale" in chat[0]
            assert "has recovered" in chat[1]
            assert not [path for path, _, _ in receiver.posts if path == "/ntfy"]


async def test_a_webhook_that_is_away_is_told_later(config: Config) -> None:
    """What doesn't answer is tried again, health says so, and nobody else waits for it."""
    async with Receiver() as receiver:
        config = alerting(config, receiver, free_space="9999TiB")
        receiver.status = 500
        async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
            event = await expect(lambda event: _about(event) == ("health:webhooks", "open"))
            assert "HTTP 500: as you say" in event.incident.detail
            assert [one.error for one in (await client.alerts()).webhooks] == ["HTTP 500: as you say"] * 3
            receiver.posts.clear()
            receiver.status = 200
            told = await receiver.until(1)
            assert (told[0]["rule"], told[0]["subject"]) == ("space", "space")
            await expect(lambda event: _about(event) == ("health:webhooks", "resolved"))
            assert [one.error for one in (await client.alerts()).webhooks] == [None] * 3
            assert "space runs out" in (await receiver.texts(1, "/ntfy"))[0]


async def test_a_webhook_that_was_put_right_is_told_at_once(config: Config) -> None:
    """However long the wrong one said that it be left alone; health has nothing against it any more."""
    async with Receiver() as wrong, Receiver() as right:
        wrong.status, wrong.headers = 429, {"Retry-After": "300"}
        config = alerting(config, wrong, free_space="9999TiB")
        async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
            await expect(lambda event: _about(event) == ("health:webhooks", "open"))
            got = await client.config()
            webhooks = [{"url": f"{right.url}/json", "name": "all"}]
            wanted = {**got.config, "alerts": {**got.config["alerts"], "webhooks": webhooks}}
            await client.put_config(wanted, revision=got.revision)
            assert "space" in {one["rule"] for one in await right.until(1)}
            await expect(lambda event: _about(event) == ("health:webhooks", "resolved"))
            (entry,) = (await client.alerts()).webhooks
            assert entry.sent and entry.error is None


async def test_a_webhook_that_does_not_answer_keeps_nobody_waiting(config: Config) -> None:
    """The others are told at once, in what is asked for on request, too; and incidents are listed meanwhile."""
    async with Receiver() as receiver:
        config = alerting(config, receiver, free_space="9999TiB")
        receiver.silent = {"/json"}
        async with daemon(config) as running, Client(running.bus_url) as client:
            assert "space runs out" in (await receiver.texts(1, "/ntfy"))[0]
            with anyio.move_on_after(9) as waiting:  # of the 10 s that a webhook has
                async with anyio.create_task_group() as group:
                    group.start_soon(client.test_webhooks)
                    await receiver.texts(2, "/ntfy")
                    listed = await client.alerts()
                    group.cancel_scope.cancel()
            assert not waiting.cancelled_caught
            assert {one.name: one.sent for one in listed.webhooks} == {"all": 0, "chat": 1, "phone": 1}


def _about(event: Any) -> tuple[str, str] | None:
    return (event.incident.key, event.incident.state) if isinstance(event, AlertChanged) else None


async def test_a_job_that_fails_again_and_again_is_told(config: Config, sim: Simulator) -> None:
    """So is the run that succeeds."""
    async with Receiver() as receiver:
        config = alerting(config, receiver, failures=1)
        job = Job(
            exchange="binance", pairs=["ETH/USDT"], data_type="ohlc", span="1m", operation="backfill",
            trigger_kind="manual",
        )  # fmt: skip
        config = with_jobs(config, job)
        broken = sim.faults.inject(HttpError(exchange="binance", path="klines", status=400, count=0))
        async with daemon(config) as running, Client(running.bus_url) as client:
            await client.request("jobs.run", {"name": "backfill.binance.ohlc.ETH-USDT.1m"})
            (failed,) = await receiver.until(1)
            assert (failed["rule"], failed["subject"]) == ("failures", "backfill.binance.ohlc.ETH-USDT.1m")
            broken.lift()
            await client.request("jobs.run", {"name": "backfill.binance.ohlc.ETH-USDT.1m"})
            assert (await receiver.until(2))[1]["state"] == "resolved"


async def test_webhooks_are_tried_on_request(config: Config) -> None:
    """Each says whether it took the message; without webhooks, or with another name, the error says what there is."""
    async with (
        Receiver() as receiver,
        daemon(alerting(config, receiver)) as running,
        Client(running.bus_url) as client,
    ):
        assert [(one.name, one.error) for one in await client.test_webhooks()] == [
            ("all", None), ("chat", None), ("phone", None)
        ]  # fmt: skip
        assert sorted(path for path, _, _ in receiver.posts) == ["/json", "/ntfy", "/slack"]
        receiver.status = 403
        assert [one.error for one in await client.test_webhooks("chat")] == ["HTTP 403: as you say"]
        with pytest.raises(RequestError, match="there are all, chat, phone") as raised:
            await client.test_webhooks("pager")
        assert raised.value.code == 404
