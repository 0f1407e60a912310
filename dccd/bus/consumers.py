"""Consumers of a stream (ADR-1 of NATS' architecture): how one is made, and what its deliveries say.

A place to begin and filters flow in, what the server is asked flows out; the subject that a delivery is to be answered
on flows in, the numbers in it flow out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from dccd.bus.connection import Bus
from dccd.bus.direct import api, rfc3339

__all__ = ["create_consumer", "delivery", "from_message", "from_time"]

T = TypeVar("T")


def from_message(seq: int) -> dict[str, Any]:
    """What a consumer's configuration says that begins with message *seq*."""
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": seq}


def from_time(ns: int) -> dict[str, Any]:
    """The same of one that begins with what was stored at *ns*."""
    return {"deliver_policy": "by_start_time", "opt_start_time": rfc3339(ns)}


async def create_consumer(
    bus: Bus,
    stream: str,
    name: str,
    config: Mapping[str, Any],
    reply: type[T],
    *,
    filters: Sequence[str] = (),
    action: str = "",
) -> T:
    """Make consumer *name* of *stream*, of the subjects in *filters* (none: of all), and return what the server says.

    *action* ``create``: only if there is none. Raises BusUnavailable, JetStreamError.
    """
    whole = {"name": name, **config}
    subject = f"CONSUMER.CREATE.{stream}.{name}"
    if len(filters) == 1:
        # The server wants a single filter in the subject, too, where permissions may look at it.
        whole["filter_subject"] = filters[0]
        subject = f"{subject}.{filters[0]}"
    elif filters:
        whole["filter_subjects"] = list(filters)
    body: dict[str, Any] = {"stream_name": stream, "config": whole}
    if action:
        body["action"] = action
    return await api(bus, subject, body, reply)


def delivery(reply: str) -> list[str] | None:
    """What the *reply* subject of a message says of its delivery: the consumer, how often the message was delivered,
    its number in the stream and among the consumer's, when it was stored (ns), and how many are behind it, as text.

    None of a message that isn't one of a stream.
    """
    if not reply.startswith("$JS.ACK."):
        return None
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, and from some servers with
    # two more tokens in front (domain, account), and one behind.
    tokens = reply.split(".")
    return tokens[3:9] if len(tokens) < 11 else tokens[5:11]
