"""Requests, replies and errors on the bus, also as the `nats` command sees them."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from dccd.bus.connection import Bus, Message
from dccd.bus.service import UNKNOWN, Service
from dccd.bus.transfer import receive
from dccd.errors import BusUnavailable, RequestError
from tests.dccd.bus.conftest import Server
from tests.wire import frame, put

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object"}


async def test_any_host_and_one_host(bus: Bus, service: Service) -> None:
    """An operation answers on its own subject and on its host's."""
    assert await bus.request("dccd.echo", b'{"a":1}') == b'{"a":1}'
    assert await bus.request("dccd.host.alpha.echo", b'{"a":2}') == b'{"a":2}'
    assert await bus.request("dccd.echo") == b"{}"


async def test_error_has_code_reason_field(bus: Bus, service: Service) -> None:
    """A refusal is the same RequestError at the caller, and in headers and body for others."""
    with pytest.raises(RequestError, match="kraken has no") as caught:
        await bus.request("dccd.refuse")
    assert (caught.value.code, caught.value.reason, caught.value.field) == (422, "no_capability", "data_type")
    message = await bus.exchange("dccd.refuse")
    assert message.headers is not None
    assert message.headers["Nats-Service-Error-Code"] == "422"
    assert message.headers["Nats-Service-Error"] == "kraken has no funding"
    assert json.loads(message.data) == {
        "error": {
            "code": 422,
            "reason": "no_capability",
            "message": "kraken has no\r\nfunding",
            "field": "data_type",
        }
    }


@pytest.mark.parametrize("body", [b"", b"system", b"cancel"])
async def test_crash_is_an_internal_error(bus: Bus, service: Service, body: bytes) -> None:
    """Whatever a handler raises, the caller gets code 500 and the service lives on."""
    with pytest.raises(RequestError) as caught:
        await bus.request("dccd.crash", body)
    assert (caught.value.code, caught.value.reason) == (500, "internal")
    assert await bus.request("dccd.echo", b"1") == b"1"


@pytest.mark.parametrize("quoted", ["y" * 5_000_000, "\x01" * 1_000_000, "\ud800"])
async def test_an_error_that_quotes_what_was_asked(bus: Bus, service: Service, quoted: str) -> None:
    """However much of the request an error would quote, and whatever, it is answered, cut short."""

    async def quote(body: bytes) -> bytes:
        raise RequestError(400, "malformed", f"no such field: {quoted}", quoted)

    await service.add("quote", quote, SCHEMA, SCHEMA, "quotes")
    with pytest.raises(RequestError, match="no such field") as caught:
        await bus.request("dccd.quote")
    assert len(str(caught.value)) <= 2000
    assert len(caught.value.field or "") <= 200


async def test_unknown_operation_of_a_host(bus: Bus, service: Service) -> None:
    """A host tells what it doesn't know; a subject that nobody serves is BusUnavailable."""
    with pytest.raises(RequestError) as caught:
        await bus.request("dccd.host.alpha.frobnicate")
    assert caught.value.code == 404
    with pytest.raises(BusUnavailable):
        await bus.request("dccd.frobnicate")
    with pytest.raises(BusUnavailable):
        await bus.request("dccd.host.beta.echo")


async def test_each_operation_s_requests_are_timed(bus: Bus, service: Service) -> None:
    """By whatever subject they come; errors by code; what there is no operation of is one, whatever its name."""
    await bus.request("dccd.echo", b"1")
    await bus.request("dccd.host.alpha.echo", b"1")
    for subject in ("dccd.refuse", "dccd.host.alpha.refuse", "dccd.host.alpha.frob", "dccd.host.alpha.nicate"):
        with pytest.raises(RequestError):
            await bus.request(subject)
    told = {name: (of.durations.count, dict(of.errors)) for name, of in service.timings.items() if of.durations.count}
    assert told == {"echo": (2, {}), "refuse": (2, {422: 2}), UNKNOWN: (2, {404: 2})}
    assert service.timings["echo"].durations.total > 0
    assert service.running == 0


async def test_slow_request_holds_up_nobody_and_too_many_are_busy(bus: Bus, service: Service) -> None:
    """Requests run side by side up to the limit; one more is refused with 503."""
    release = asyncio.Event()
    running = asyncio.Semaphore(0)

    async def slow(body: bytes) -> bytes:
        running.release()
        await release.wait()
        return b"done"

    await service.add("slow", slow, SCHEMA, SCHEMA, "waits")
    waiting = [asyncio.create_task(bus.request("dccd.slow")) for _ in range(3)]
    for _ in waiting:
        await running.acquire()
    assert await bus.request("dccd.echo", b"1") == b"1"
    waiting.append(asyncio.create_task(bus.request("dccd.slow")))
    await running.acquire()
    with pytest.raises(RequestError) as caught:
        await bus.request("dccd.echo", b"1")
    assert (caught.value.code, caught.value.reason) == (503, "busy")
    release.set()
    assert await asyncio.gather(*waiting) == [b"done"] * 4


async def test_stop_answers_what_still_runs(bus: Bus) -> None:
    """Stopping answers requests that don't finish in time with 503, and leaves nothing running."""
    service = Service(bus, "alpha", "1.2.3")
    started = asyncio.Event()

    async def stuck(body: bytes) -> bytes:
        started.set()
        await asyncio.Event().wait()
        return b""

    await service.start()
    await service.add("stuck", stuck, SCHEMA, SCHEMA, "never ends")
    request = asyncio.create_task(bus.request("dccd.stuck"))
    await started.wait()
    await service.stop(timeout=0)
    with pytest.raises(RequestError) as caught:
        await request
    assert (caught.value.code, caught.value.reason) == (503, "stopping")
    assert service.statistics()["running"] == 0


async def test_reply_that_is_too_large(bus: Bus, service: Service) -> None:
    """A reply that no message can hold is an error, not a closed connection."""
    with pytest.raises(RequestError) as caught:
        await bus.request("dccd.big", b"5000000")
    assert caught.value.reason == "too_large"
    assert len(await bus.request("dccd.big", b"4000000")) == 4_000_000


async def test_service_comes_back_after_a_kill(server, bus: Bus, service: Service) -> None:
    """Requests work again after the server was killed and started, without doing anything."""
    await server.kill()
    await server.start()
    assert await bus.request("dccd.echo", b"1", timeout=10) == b"1"
    assert b"".join([chunk async for chunk in receive(bus, "dccd.rows.read", b"3")]).startswith(b"0,0,")


async def test_nats_command_lists_and_asks(nats_command, bus: Bus, service: Service) -> None:
    """`nats micro ls`, `info`, `stats` and `nats req` see what there is, with schemas and right counts."""
    for _ in range(3):
        await bus.request("dccd.echo")
    with pytest.raises(RequestError):
        await bus.request("dccd.refuse")
    listing = json.loads(await nats_command("micro", "ls", "dccd", "--json"))
    assert [instance["metadata"]["host"] for instance in listing] == ["alpha"]
    info = json.loads(await nats_command("micro", "info", "dccd", service.id, "--json"))
    info = info.get("info", info)
    endpoints = {endpoint["name"]: endpoint for endpoint in info["endpoints"]}
    assert endpoints["rows-read"]["subject"] == "dccd.rows.read"
    assert json.loads(endpoints["echo"]["metadata"]["request"]) == SCHEMA
    assert info["version"] == "4.0.0-dev0"
    stats = json.loads(await nats_command("micro", "stats", "dccd", "--json"))
    instance = stats[0] if isinstance(stats, list) else stats
    counts = {endpoint["name"]: endpoint for endpoint in instance["endpoints"]}
    assert (counts["echo"]["num_requests"], counts["echo"]["num_errors"]) == (3, 0)
    assert (counts["refuse"]["num_requests"], counts["refuse"]["num_errors"]) == (1, 1)
    assert "kraken has no" in counts["refuse"]["last_error"]
    assert (await nats_command("req", "dccd.echo", '{"a": 1}', "--raw")).strip() == '{"a": 1}'
    body = await nats_command("req", "dccd.refuse", "", "--raw")
    assert msgspec.json.decode(body)["error"]["code"] == 422
    chunks = await nats_command("req", "dccd.rows.read", "3", "--raw", "--wait-for-empty")
    # The command shows the empty message at the end as "nil body".
    assert chunks.replace("\n", "").removesuffix("nil body") == "0," * 100 + "1," * 100 + "2," * 100


async def test_of_several_operations_the_last_is_waited_for(server: Server, bus: Bus, service: Service) -> None:
    """Whoever has an answer of the operation that was added last has one of each that was added before it."""

    async def echo(body: bytes) -> bytes:
        return body

    names = [f"op{number}" for number in range(60)]
    for name in names:
        await service.add(name, echo, SCHEMA, SCHEMA, "", wait=name == names[-1])
    other = await Bus.open(server.url, "other")
    try:
        for name in reversed(names):
            assert await other.request(f"dccd.{name}", b"1") == b"1"
    finally:
        await other.aclose()


async def test_who_names_no_inbox(bus: Bus, service: Service) -> None:
    """A request that names no inbox for its answer is neither done nor answered."""
    heard: list[bytes] = []

    async def hear(message: Message) -> None:
        heard.append(message.data)

    await bus.subscribe("$KV.dccd_jobs.>", hear)
    before = service.statistics()["endpoints"]["echo"]["errors"]
    for subject in ("dccd.echo", "dccd.host.alpha.echo", "$SRV.PING.dccd", "$SRV.INFO", "$SRV.STATS"):
        await bus.client.publish(subject, b"{}", reply="$KV.dccd_jobs.alpha")
    await bus.client.publish("dccd.echo", b"{}")
    assert await bus.request("dccd.echo", b"last") == b"last"
    await bus.barrier()
    assert (heard, service.ignored) == ([], 3)
    assert service.statistics()["endpoints"]["echo"]["errors"] == before


async def test_what_looks_like_an_inbox_and_is_none(server: Server, bus: Bus, service: Service) -> None:
    """An inbox that is no plain text, or too long for the line of an answer, is none: answering there would cost the
    daemon its connection."""
    odd = (
        b"_INBOX." + b"x" * 4000,
        b"_INBOX.\x00",
        b"_INBOX.a\x0bb",
        b"_INBOX.\xc3\xbc",
        b"_INBOX.*",
        b"_INBOX.>",
        b"x",
    )
    for reply in odd:
        frames = [frame(subject, reply, b"1") for subject in (b"dccd.echo", b"dccd.rows.read", b"$SRV.INFO")]
        await put(server.url, *frames)
        assert await bus.request("dccd.echo", b"1") == b"1"
    assert service.ignored == 2 * len(odd)
    heard = asyncio.Event()

    async def hear(message: Message) -> None:
        heard.set()

    longest = "_INBOX." + "x" * 1017
    await bus.subscribe(longest, hear)
    await put(server.url, frame(b"dccd.echo", longest.encode(), b"1"))
    async with asyncio.timeout(60):
        await heard.wait()
    assert bus.statistics()["reconnects"] == 0
