"""Deliveries of what the bus keeps, made for who may not use JetStream: the daemon's end.

A request flows in; a push consumer that delivers straight to the inbox of whoever asks comes of it, and what it has to
know flows out. Nothing of what is delivered passes through here, so it goes on whatever becomes of the daemon.

A consumer publishes with nobody's rights, to wherever it is told: so it is made here, for inboxes only, and who listens
can't make one. It acknowledges nothing; flow control holds it up while its listener has no room.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.consumer import archived
from dccd.bus.consumers import create_consumer, from_message, from_time
from dccd.bus.direct import JetStreamError, StreamState, api, get_batch, start_of_newest, stream_state
from dccd.bus.service import ASKED_FROM, is_inbox
from dccd.errors import IdentityError, RequestError
from dccd.symbols import parse_time

__all__ = ["FORGOTTEN", "OF_A_HOST", "OF_A_STREAM", "Followers", "as_refusals", "stored_since"]

_NS = 1_000_000_000
FORGOTTEN = 5.0
"""Seconds after which the server deletes a consumer to which nobody listens."""
HEARTBEAT = 1.0
"""Seconds of silence after which the server says that there is nothing."""
OF_A_STREAM, OF_A_HOST = 1000, 500
"""Consumers of a stream, whoever has made them, and of those that this host has made, beyond which none is made."""
_OVERLAP = 10138


class _Delivered(msgspec.Struct):
    consumer_seq: int = 0


class _Made(msgspec.Struct):
    num_pending: int = 0
    delivered: _Delivered = msgspec.field(default_factory=_Delivered)


class _Names(msgspec.Struct):
    total: int = 0
    consumers: list[str] | None = None


class Followers:
    """Makes them on *bus*, for the host of this id."""

    def __init__(self, bus: Bus, host: str, *, of_a_stream: int = OF_A_STREAM, of_a_host: int = OF_A_HOST) -> None:
        self._bus, self._host = bus, host
        self._of_a_stream, self._of_a_host = of_a_stream, of_a_host
        self._made: dict[str, set[str]] = {name: set() for name, _ in subjects.KEPT.values()}
        self._making = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Followers {self._host} {sum(map(len, self._made.values()))} made>"

    async def follow(self, ask: m.Follow) -> m.Followed:
        """Do what is asked. Raises RequestError, BusUnavailable, JetStreamError."""
        with as_refusals():
            return await self._follow(ask)

    async def _follow(self, ask: m.Follow) -> m.Followed:
        filters = _checked_filters(ask)
        _check_inbox(ask.inbox)
        stream = subjects.KEPT[ask.stream][0]
        state = await stream_state(self._bus, stream)
        told = _told(self._host, state)
        if ask.stream == "ticks":
            told = msgspec.structs.replace(told, archived=await archived(self._bus, self._host, state.epoch))
        if ask.inbox is None:
            oldest = await self._oldest(stream, state, filters) if ask.filters else None
            return msgspec.structs.replace(told, oldest=oldest)
        start: int | None = None
        if ask.since is None:
            start = await self._start(ask, state, stream, filters)
            where = from_message(start)
        else:
            where = from_time(stored_since(ask.since))
        made = await self._make(stream, filters, ask.inbox, where)
        # What is on its way already isn't pending to the server, but to who has asked.
        return msgspec.structs.replace(told, start=start, pending=made.num_pending + made.delivered.consumer_seq)

    async def _oldest(self, stream: str, state: StreamState, filters: Sequence[str]) -> tuple[int, int] | None:
        if not state.messages:
            return None
        found = [await get_batch(self._bus, stream, state.first, 1, subject) for subject in filters]
        return min(((message.seq, message.at) for batch in found for message in batch.messages), default=None)

    async def _start(self, ask: m.Follow, state: StreamState, stream: str, filters: Sequence[str]) -> int:
        """The message to begin with."""
        if ask.seq is not None:
            if state.first > ask.seq:
                since = f"begins with message {state.first}" if state.messages else "is empty"
                raise RequestError(404, "gone", f"stream {stream} {since}: {ask.seq} isn't there any more", "seq")
            return ask.seq
        return await start_of_newest(self._bus, stream, filters, ask.last) if ask.last else state.last + 1

    async def _make(self, stream: str, filters: Sequence[str], inbox: str, where: dict[str, Any]) -> _Made:
        name = f"{subjects.CONSUMER_FOLLOWER}-{self._host}-{secrets.token_hex(8)}"
        config: dict[str, Any] = {
            "description": "dccd: delivers to who has asked by dccd.follow",
            "deliver_subject": inbox,
            "ack_policy": "none",
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT * _NS),
            "inactive_threshold": int(FORGOTTEN * _NS),
            "mem_storage": True,
            "num_replicas": 1,
            **where,
        }
        async with self._making:  # so that the bounds are bounds
            await self._check_room(stream)
            made = await create_consumer(self._bus, stream, name, config, _Made, filters=filters)
            self._made[stream].add(name)
        return made

    async def _check_room(self, stream: str) -> None:
        """Raises RequestError 503 when there are as many as there may be."""
        info = await api(self._bus, f"STREAM.INFO.{stream}", None, _Info)
        made = self._made[stream]
        if len(made) >= self._of_a_host:
            names: set[str] = set()
            while True:
                body = {"offset": len(names)}
                page = await api(self._bus, f"CONSUMER.NAMES.{stream}", body, _Names)
                names.update(page.consumers or ())
                if not page.consumers or len(names) >= page.total:
                    break
            made &= names
        if info.state.consumer_count >= self._of_a_stream or len(made) >= self._of_a_host:
            told = f"{info.state.consumer_count} readers of stream {stream} are all that there may be; try again later"
            raise RequestError(503, "busy", told)


class _Counts(msgspec.Struct):
    consumer_count: int = 0


class _Info(msgspec.Struct):
    state: _Counts


def stored_since(since: str | int) -> int:
    """The time (ns) that a request means. A number is taken as it is: one of long ago means all that there is.

    Raises IdentityError.
    """
    return since if isinstance(since, int) else parse_time(since, "since")


@contextlib.contextmanager
def as_refusals() -> Iterator[None]:
    """Turn what is raised of a request that can't be into the RequestError that says so."""
    try:
        yield
    except IdentityError as exc:
        raise RequestError(400, "malformed", str(exc), exc.field) from exc
    except JetStreamError as exc:
        if exc.err_code == _OVERLAP:
            raise RequestError(400, "malformed", "two of the filters mean the same subjects", "filters") from exc
        if exc.code == 404:
            raise RequestError(404, "no_stream", "the bus has no such stream; daemons make it") from exc
        raise


def _checked_filters(ask: m.Follow) -> list[str]:
    """The subjects that are asked for."""
    if sum(one is not None for one in (ask.seq, ask.since, ask.last)) > 1:
        raise IdentityError("since", "give one of seq, since and last")
    if not ask.filters:
        return [f"{subjects.KEPT[ask.stream][1]}.>"]
    return [subjects.kept_filter(ask.stream, text) for text in dict.fromkeys(ask.filters)]


def _check_inbox(inbox: str | None) -> None:
    """Raises IdentityError unless it is an inbox where an answer may go, of the role that the asker's own is of."""
    if inbox is None:
        return
    role = subjects.inbox_role(inbox)
    if not inbox.startswith(f"{subjects.INBOX}.") or not is_inbox(inbox) or (role and inbox.count(".") < 2):
        raise IdentityError("inbox", "no inbox: a subject that you listen to, as _INBOX.viewer.x.y")
    asked_from = ASKED_FROM.get()
    if asked_from.startswith(subjects.INBOX) and subjects.inbox_role(asked_from) != role:
        raise IdentityError("inbox", "not an inbox of the user that asks")


def _told(host: str, state: StreamState) -> m.Followed:
    return m.Followed(
        host=host,
        epoch=state.epoch,
        messages=state.messages,
        first=state.first if state.messages else state.last + 1,
        last=state.last,
        first_at=state.first_at,
        last_at=state.last_at,
        now=state.now,
    )
