"""Requests that nobody should send, on every subject: a clear error each, and no actor is harmed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Config, Job
from dccd.errors import RequestError
from dccd.messages import TreeNode
from dccd.operations import OPERATIONS, schema
from tests.flows.support import take, with_jobs

pytestmark = pytest.mark.anyio

NOT_JSON = [
    b"{", b"nul", b"\xff\xfe{}", b"{}x", b"'a'", b"{'a': 1}", b"[" * 5000, b'{"a":' * 3000, b"\x00",
    b'{"limit": 1e999}',
]  # fmt: skip
NOT_OBJECTS = [b"[]", b"1", b'"x"', b"null", b"true", b"-0", b"[[[]]]"]
ODD: list[Any] = [
    None, True, -1, 0, 2**53, 2**63, 2**64, 10**40, -(10**300), 1.5, 1e308,
    "", " ", "x" * 5000, "🦀", "\u0000", "a\nb", "../..", "binance.trades.*", ">", "$JS.API", "9" * 40, "-1",
    [], [1], {}, {"a": 1},
    "binance.ohlc.BTC-USDT", "BTC/USDT", "origin", "2024-13-45", "running", "0190-aaaa",
]  # fmt: skip


def fields_of(operation: str) -> list[str]:
    definition = schema(OPERATIONS[operation].request)
    name = definition["$ref"].rsplit("/", 1)[1]
    return [*definition["$defs"][name].get("properties", {}), "unknown"]


def payloads(operation: str, count: int, chance: random.Random) -> Iterator[bytes]:
    """The fixed bad ones, then *count* objects of odd values, one of them near the size of a message."""
    yield from NOT_JSON
    yield from NOT_OBJECTS
    names = fields_of(operation)
    yield json.dumps({name: "y" * (1_000_000 // len(names)) for name in names}).encode()
    for _ in range(count):
        chosen = chance.sample(names, chance.randint(1, min(4, len(names))))
        # json of the standard library: msgspec refuses integers beyond 64 bits, and those are to be sent.
        yield json.dumps({name: chance.choice(ODD) for name in chosen}).encode()


def restarts(node: TreeNode) -> int:
    return node.restarts + sum(restarts(child) for child in node.children)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
async def test_a_bad_request_gets_a_clear_error_and_harms_nobody(count: int, config: Config) -> None:
    """Whatever is sent: the answer is a reply, or an error with code, reason and message; nothing restarts."""
    chance = random.Random(count)
    config = with_jobs(config, Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades"))
    refused = 0
    async with daemon(config) as running, Client(running.bus_url) as client:
        await take(client.ticks("binance", "BTC/USDT"), 1)
        for operation in OPERATIONS:
            for payload in payloads(operation, count, chance):
                try:
                    await client.bus.request(f"dccd.{operation}", payload, 20)
                except RequestError as exc:
                    refused += 1
                    assert exc.code in (400, 404, 409, 422, 503), (operation, payload[:200], str(exc))
                    assert exc.reason
                    assert str(exc)
        assert restarts((await client.tree()).root) == 0
        assert (await client.health()).ok
        await take(client.ticks("binance", "BTC/USDT"), 1)
    assert refused > len(OPERATIONS) * len(NOT_JSON + NOT_OBJECTS)
