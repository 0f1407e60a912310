"""How consumers are made, and what their deliveries say."""

from __future__ import annotations

from typing import Any

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.consumers import create_consumer, delivery, from_message, from_time
from dccd.bus.direct import JetStreamError
from dccd.bus.streams import ensure_streams
from tests.dccd.bus.numbered import ONE, OTHER, publish

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.DCCD_TICKS.reader-1.2.30.4.1790000000000000000.5",
        "$JS.ACK.hub.A1B2.DCCD_TICKS.reader-1.2.30.4.1790000000000000000.5",
        "$JS.ACK._.A1B2.DCCD_TICKS.reader-1.2.30.4.1790000000000000000.5.x7",
    ],
)
def test_a_delivery_says_the_same_in_each_form(reply: str) -> None:
    """With a domain and an account in front, and what servers add behind, or without."""
    assert delivery(reply) == ["reader-1", "2", "30", "4", "1790000000000000000", "5"]


@pytest.mark.parametrize("reply", ["", "_INBOX.x", "$JS.FC.DCCD_TICKS.reader-1.x", "$JS.ACKS.a.b.c.d.e.f.g"])
def test_what_is_no_delivery(reply: str) -> None:
    """Heartbeats, flow control and answers aren't messages of a stream."""
    assert delivery(reply) is None


@pytest.mark.parametrize(("filters", "pending"), [((), 3), ((ONE,), 2), ((ONE, OTHER), 3)])
async def test_a_consumer_has_what_its_filters_let_through(bus: Bus, filters: tuple[str, ...], pending: int) -> None:
    """None, one or several; from a message on."""
    await ensure_streams(bus)
    await publish(bus, 1, 2, 3)
    await publish(bus, 4, subject=OTHER)
    config = {"ack_policy": "none", "mem_storage": True, **from_message(2)}
    made = await create_consumer(bus, subjects.STREAM_TICKS, "c", config, dict[str, Any], filters=filters)
    assert (made["name"], made["num_pending"]) == ("c", pending)


async def test_a_consumer_begins_at_a_time(bus: Bus) -> None:
    """With what was stored from then on."""
    await ensure_streams(bus)
    await publish(bus, 1)
    config = {"ack_policy": "none"}
    for ns, pending in ((1, 1), (2_000_000_000_000_000_000, 0)):
        made = await create_consumer(bus, subjects.STREAM_TICKS, f"c{ns}", {**config, **from_time(ns)}, dict[str, Any])
        assert made["num_pending"] == pending


async def test_one_that_there_is_otherwise_is_not_made_again(bus: Bus) -> None:
    """By the action `create`; without it a durable one of the same kind is returned."""
    await ensure_streams(bus)
    config: dict[str, Any] = {"durable_name": "c", "ack_policy": "explicit", "description": "first"}
    await create_consumer(bus, subjects.STREAM_TICKS, "c", config, dict)
    other = {**config, "description": "second"}
    with pytest.raises(JetStreamError):
        await create_consumer(bus, subjects.STREAM_TICKS, "c", other, dict, action="create")
    made = await create_consumer(bus, subjects.STREAM_TICKS, "c", config, dict[str, Any])
    assert made["config"]["description"] == "first"
