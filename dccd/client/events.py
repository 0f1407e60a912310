"""What happened and what happens: events flow out of an iterator, from a time in the past on and live."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.direct import StreamState, api, start_of_newest
from dccd.bus.ordered import OrderedReader
from dccd.bus.pull import StreamMessage
from dccd.client.base import Requests
from dccd.client.since import Since, since_ns
from dccd.errors import IdentityError

__all__ = ["EventRequests", "StoredEvent", "event_of"]

_AT_ONCE = 500
_WAIT = 1.0


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as the bus has it: ``seq`` is its number there, ``at`` when it was stored (ns).

    ``event`` is one of the structs of ``dccd.messages``; of a kind that this version doesn't know, what its JSON says.
    """

    seq: int
    at: int
    subject: str
    kind: str
    event: m.Event | dict[str, Any]


class EventRequests(Requests):
    """Events."""

    async def events(
        self,
        *,
        run: str | None = None,
        stream: str | None = None,
        kind: str | Sequence[str] | None = None,
        since: Since | None = None,
        after: int | None = None,
        last: int | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[StoredEvent, None]:
        """Yield events in the order of the bus: each once, none left out, whatever becomes of the connection.

        *run*: of that run; *stream*: of a dataset's stream, or of all whose name begins so; *kind*: ``run.status``,
        or ``run`` for all of its kinds; or several. They begin *since* a time (``"1h"`` ago), *after* the event of
        that number, with the *last* so many, or, of these none given, with the first that is kept; with *follow*, with
        the next. They end with the last that there is; with *follow*, never.

        Raises IdentityError; TicksGone when *after* names what has fallen off the stream, or when they aren't taken
        for so long that those to be read next have; StreamReplaced when the stream was made anew.
        """
        kinds = [kind] if isinstance(kind, str) else list(kind or ())
        filters = subjects.event_filters(run, stream, kinds)
        if sum(one is not None for one in (since, after, last)) > 1:
            raise IdentityError("since", "give one of since, after and last")
        bus, seq, begin = self.bus, None, None
        if last is not None:
            seq = await start_of_newest(bus, subjects.STREAM_EVENTS, filters, last) if last > 0 else None
        elif after is not None:
            seq = after + 1
        elif since is not None:
            begin = since_ns(since, time.time_ns())
        elif not follow:
            begin = 1
        async with await _Reader.open(bus, subjects.STREAM_EVENTS, filters, seq=seq, since=begin) as reader:
            held: deque[StoredEvent] = deque(maxlen=last)
            async with aclosing(_of_the_past(reader)) as past:
                async for message in past:
                    if (event := event_of(message)) is None or not _wanted(event.kind, kinds):
                        continue
                    if last is not None and event.seq <= reader.end:
                        held.append(event)
                        continue
                    while held:
                        yield held.popleft()
                    yield event
            while held:
                yield held.popleft()
            while follow:
                for message in await reader.fetch(_AT_ONCE, None):
                    if (event := event_of(message)) is not None and _wanted(event.kind, kinds):
                        yield event


class _Count(msgspec.Struct):
    num_pending: int = 0


class _Reader(OrderedReader):
    """One that knows from the beginning whether there is anything to read."""

    end = 0
    """The number of the last message when it was opened."""

    async def _prepare(self, state: StreamState) -> str:
        name = await super()._prepare(state)
        self.end = self.end or state.last
        count = await api(self._bus, f"CONSUMER.INFO.{self.stream}.{name}", None, _Count)
        self.caught_up = not count.num_pending
        return name


async def _of_the_past(reader: _Reader) -> AsyncGenerator[StreamMessage, None]:
    """What there was when *reader* was opened."""
    while True:
        over = reader.caught_up or reader.next > reader.end
        batch = await reader.fetch(_AT_ONCE, 0 if over else _WAIT)
        for message in batch:
            yield message
        if over and not batch:
            return


def event_of(message: StreamMessage) -> StoredEvent | None:
    """The event in *message*; None for what is no JSON object, which no daemon publishes."""
    event: Any
    try:
        event = msgspec.json.decode(message.data, type=m.Event)
    except msgspec.DecodeError:
        try:
            event = msgspec.json.decode(message.data)
        except msgspec.DecodeError:
            return None
        if not isinstance(event, dict):
            return None
        kind = str(event.get("kind", ""))
    else:
        kind = str(type(event).__struct_config__.tag)
    return StoredEvent(message.seq, message.at, message.subject, kind, event)


def _wanted(kind: str, kinds: Sequence[str]) -> bool:
    return not kinds or any(kind == one or kind.startswith(f"{one}.") for one in kinds)
