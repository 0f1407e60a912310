"""Pages of what a stream keeps, read for who may not use JetStream: the daemon's end.

A request flows in, events flow out: those of the past, and where there are none the next, as soon as it comes. A pull
consumer of a page's own reads them, so that any number of filters costs the same, and none between two is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import nats.errors
from nats.aio.msg import Msg

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.consumers import create_consumer, from_message, from_time
from dccd.bus.direct import StreamState, start_of_newest, stream_state
from dccd.bus.following import as_refusals, stored_since
from dccd.bus.incoming import StreamMessage, message_of
from dccd.bus.translation import translated
from dccd.errors import BusUnavailable, IdentityError, RequestError

__all__ = ["WAITING", "EventLog"]

_NS = 1_000_000_000
WAITING = 32
"""How many requests may wait for an event at once: each is one of those that a host answers at once."""
_ENTRY = 200
"""What stands around an event in a page, about, in bytes."""
_SECONDS = 10.0
_ANSWERED = ("MaxBytes", "Batch Completed")
"""How a status of 409 ends that has come after some messages: the others have to be asked for."""
_HEAD = 1 << 16
"""Bytes of a message beside its payload, at most."""


class EventLog:
    """Reads events on *bus* for the host of this id; a page has up to *room* bytes."""

    def __init__(self, bus: Bus, host: str, room: int = 1 << 20) -> None:
        self._bus, self._host, self._room = bus, host, room
        self._waiting: set[_Pages] = set()
        self._patient = True

    def __repr__(self) -> str:
        return f"<EventLog {self._host} {len(self._waiting)} wait>"

    def release(self) -> None:
        """Nobody waits any more, now and from now on: the page is empty then."""
        self._patient = False
        for pages in self._waiting:
            pages.release()

    async def read(self, ask: m.Journal) -> m.JournalPage:
        """Return the page that is asked for. Raises RequestError, BusUnavailable, JetStreamError."""
        with as_refusals():
            filters = _filters(ask)
            state = await stream_state(self._bus, subjects.STREAM_EVENTS)
            start, newest = await self._start(ask, state, filters)
            async with self._reading(filters, start, ask.wait) as pages:
                page = await (self._newest if newest else self._page)(ask, state, pages)
                if not page.events and ask.wait and await self._wait(pages, ask.wait):
                    page = await self._page(ask, state, pages)
                return page

    async def _start(self, ask: m.Journal, state: StreamState, filters: Sequence[str]) -> tuple[dict[str, Any], bool]:
        """Where to begin, as a consumer's configuration says it, and whether the newest are asked for."""
        if ask.last is not None:
            seq = state.last + 1
            if ask.last:
                seq = await start_of_newest(self._bus, subjects.STREAM_EVENTS, filters, ask.last)
            return from_message(seq), ask.last > 0
        if ask.after is not None:
            if state.first > ask.after + 1:
                told = f"what followed event {ask.after} is gone: the first that is kept has the number {state.first}"
                raise RequestError(404, "gone", told, "after")
            if ask.after > state.last:  # waited for, it would come, and all before it would be left out
                told = f"there is no event {ask.after}: the last has the number {state.last}; the stream was made anew"
                raise RequestError(404, "gone", told, "after")
            return from_message(ask.after + 1), False
        if ask.since is not None:
            return from_time(stored_since(ask.since)), False
        return from_message(max(1, state.first)), False

    async def _page(self, ask: m.Journal, state: StreamState, pages: _Pages) -> m.JournalPage:
        events: list[m.JournalEntry] = []
        room, last, pending = self._room, ask.after or 0, 1
        while pending and len(events) < ask.limit:
            found = await pages.read(ask.limit - len(events))
            pending = found[-1].pending if found else 0
            for message in found:
                entry = _entry(message, ask.kinds)
                if entry is not None:
                    room -= len(message.data) + _ENTRY
                    if room < 0 and events:
                        return self._told(events, last, message.pending + 1)
                    events.append(entry)
                last = message.seq
        # Where there are no more, all up to there has been looked at: who goes on needn't go through the others again.
        return self._told(events, last if pending else max(last, state.last), pending)

    async def _newest(self, ask: m.Journal, state: StreamState, pages: _Pages) -> m.JournalPage:
        kept: deque[tuple[m.JournalEntry, int]] = deque(maxlen=ask.last)
        while found := await pages.read(1000):
            entries = [(_entry(message, ask.kinds), len(message.data)) for message in found]
            kept.extend((entry, size) for entry, size in entries if entry is not None)
            if not found[-1].pending:
                break
        room, events = self._room, deque[m.JournalEntry]()
        for entry, size in reversed(kept):
            room -= size + _ENTRY
            if room < 0 and events:
                break
            events.appendleft(entry)
        return self._told(list(events), max([state.last, *(entry.seq for entry in events)]), 0)

    def _told(self, events: list[m.JournalEntry], last: int, pending: int) -> m.JournalPage:
        return m.JournalPage(host=self._host, events=events, next=last, pending=pending)

    async def _wait(self, pages: _Pages, seconds: float) -> bool:
        """Whether there is another one within that time."""
        if len(self._waiting) >= WAITING:
            raise RequestError(503, "busy", f"{WAITING} requests wait for an event; try again in a moment", "wait")
        self._waiting.add(pages)
        try:
            return self._patient and await pages.wait(seconds)
        finally:
            self._waiting.remove(pages)

    @asynccontextmanager
    async def _reading(self, filters: Sequence[str], start: dict[str, Any], wait: float) -> AsyncIterator[_Pages]:
        """A consumer of its own, gone with the block."""
        stream, name = subjects.STREAM_EVENTS, f"{subjects.CONSUMER_JOURNAL}-{self._host}-{secrets.token_hex(8)}"
        config: dict[str, Any] = {
            "description": "dccd: reads a page of events",
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": int((wait + _SECONDS) * _NS),
            **start,
        }
        await create_consumer(self._bus, stream, name, config, dict, filters=filters)
        pages = _Pages(self._bus, stream, name)
        try:
            await pages.open()
            yield pages
        finally:
            with anyio.move_on_after(1, shield=True), contextlib.suppress(nats.errors.Error):
                await pages.aclose()
                await self._bus.client.publish(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", b"")


class _Pages:
    """What a pull consumer has, asked for when it is wanted."""

    def __init__(self, bus: Bus, stream: str, consumer: str) -> None:
        self._bus = bus
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = bus.client.new_inbox()
        self._number = self._limit = self._came = 0
        self._found: list[StreamMessage] = []
        self._failure: str | None = None
        self._ended = asyncio.Event()
        self._subscription: Any = None

    async def open(self) -> None:
        with translated("subscribing"):
            self._subscription = await self._bus.client.subscribe(f"{self._inbox}.*", cb=self._take)

    async def aclose(self) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def read(self, limit: int) -> list[StreamMessage]:
        """Up to *limit* messages of those that there are; none only where there are no more. Raises BusUnavailable."""
        more = limit - len(self._found)
        if more > 0:
            body = b'{"batch":%d,"no_wait":true,"max_bytes":%d}' % (more, self._bus.max_payload + _HEAD)
            await self._ask(body, more, _SECONDS)
            if self._failure is not None:
                raise BusUnavailable(f"reading events: {self._failure}")
        found, self._found = self._found, []
        return found

    async def wait(self, seconds: float) -> bool:
        """Whether one comes within that time; the next :meth:`read` has it."""
        await self._ask(b'{"batch":1,"expires":%d}' % int(seconds * _NS), 1, seconds + _SECONDS)
        return bool(self._found)

    def release(self) -> None:
        """End the waiting."""
        self._ended.set()

    async def _ask(self, body: bytes, limit: int, patience: float) -> None:
        self._number += 1
        self._limit = len(self._found) + limit
        self._ended.clear()
        with translated("reading events"):
            await self._bus.client.publish(self._subject, body, reply=f"{self._inbox}.{self._number}")
            async with asyncio.timeout(patience):
                await self._ended.wait()

    async def _take(self, message: Msg) -> None:
        delivered = message_of(message)
        if delivered is not None:
            found, _, number = delivered
            self._came += 1
            if number != self._came:  # one was lost with a connection
                self._failure = f"message {number} came instead of {self._came}"
            self._found.append(found)
            if len(self._found) >= self._limit:
                self._ended.set()
        elif message.subject == f"{self._inbox}.{self._number}":
            status, why = _status(message)
            if status == "100":
                return
            if status not in ("404", "408") and not why.endswith(_ANSWERED):
                # With the server the consumer is gone. That it has nothing more isn't known then.
                self._failure = why or "nobody answers"
            self._ended.set()


def _status(message: Msg) -> tuple[str, str]:
    headers = message.headers or {}
    return headers.get("Status", ""), headers.get("Description", "")


def _filters(ask: m.Journal) -> list[str]:
    if sum(one is not None for one in (ask.since, ask.after, ask.last)) > 1:
        raise IdentityError("since", "give one of since, after and last")
    if ask.subject is None:
        return subjects.event_filters(ask.run, ask.stream, ask.kinds)
    if ask.run is not None or ask.stream is not None or ask.kinds:
        raise IdentityError("subject", "a subject names all: leave out run, stream and kinds")
    return [subjects.kept_filter("events", ask.subject)]


def _entry(message: StreamMessage, kinds: Sequence[str]) -> m.JournalEntry | None:
    """The event in *message*; None for one that isn't of *kinds*, or for what is no JSON object."""
    try:
        event = msgspec.json.decode(message.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(event, dict) or not subjects.is_kind(str(event.get("kind", "")), kinds):
        return None
    return m.JournalEntry(seq=message.seq, at=message.at, subject=message.subject, event=event)
