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
from dccd.bus.incoming import StreamMessage
from dccd.bus.ordered import OrderedReader
from dccd.client.base import Requests
from dccd.client.since import Since, since_ns
from dccd.errors import BusUnavailable, IdentityError, RequestError
from dccd.runs import ACTIVE, Run

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
        seq, begin = None, None
        if after is not None:
            seq = after + 1
        elif since is not None:
            begin = since_ns(since, time.time_ns())
        elif last is None and not follow:
            begin = 1
        async with await self._events(filters, seq=seq, since=begin, last=last or 0) as reader:
            held: deque[StoredEvent] = deque(maxlen=last)
            async with aclosing(_of_the_past(reader)) as past:
                async for message in past:
                    if (event := event_of(message)) is None or not subjects.is_kind(event.kind, kinds):
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
                    if (event := event_of(message)) is not None and subjects.is_kind(event.kind, kinds):
                        yield event

    async def journal(self, ask: m.Journal) -> m.JournalPage:
        """A page of events, as plain values; :meth:`events` has all of them. Raises RequestError, BusUnavailable."""
        return await self._ask("journal", m.JournalPage, ask, timeout=self.timeout + ask.wait)

    async def logs(
        self,
        run_id: str,
        *,
        last: int | None = None,
        follow: bool = False,
        poll: float = 2.0,
        patience: float = 60.0,
    ) -> AsyncGenerator[m.RunLog | m.RunStatus, None]:
        """Yield what a run had to say and how its state changed (of that the *last* so many), and in the end, always,
        its state as it is.

        What the bus has forgotten already is taken from the end of the log in the run's record. With *follow* it goes
        on until the run is over; when nothing comes for *poll* seconds it is asked for. Raises RequestError 404 for an
        unknown run, BusUnavailable (or RequestError 503) when nobody has answered for *patience* seconds.
        """
        run = await self._run(run_id)
        told: Run | None = None
        filters = subjects.event_filters(run_id, kinds=("run.log", "run.status"))
        held: deque[m.RunLog | m.RunStatus] = deque(maxlen=last)
        async with await self._events(filters, since=1) as reader:
            async with aclosing(_logged(run, reader)) as past:
                async for event in past:
                    if last is not None:
                        held.append(event)
                        continue
                    told = event.run if isinstance(event, m.RunStatus) else told
                    yield event
            for event in held:
                told = event.run if isinstance(event, m.RunStatus) else told
                yield event
            if told is None or (told.state != run.state and told.updated <= run.updated):
                told = run
                yield _status(run)
            heard = time.monotonic()
            while follow and told.state in ACTIVE:
                for message in await reader.fetch(_AT_ONCE, poll):
                    heard = time.monotonic()
                    if (told_now := _of_run(message)) is not None:
                        told = told_now.run if isinstance(told_now, m.RunStatus) else told
                        yield told_now
                if time.monotonic() - heard < poll:
                    continue
                try:
                    run = await self._run(run_id, timeout=min(poll, 5.0))
                except (BusUnavailable, RequestError) as exc:
                    refused = isinstance(exc, RequestError) and exc.code != 503  # else it stops, or is busy
                    if refused or time.monotonic() - heard > patience:
                        raise
                    continue
                heard = time.monotonic()
                if run.state not in ACTIVE and told.state in ACTIVE:  # its last event is lost
                    told = run
                    yield _status(run)

    async def _events(
        self, filters: Sequence[str], *, seq: int | None = None, since: int | None = None, last: int = 0
    ) -> OrderedReader:
        return await OrderedReader.open(self.bus, self.deliver, "events", filters, seq=seq, since=since, last=last)

    async def _run(self, run_id: str, timeout: float | None = None) -> Run:
        return await self._ask("runs.get", Run, m.RunsGet(run_id=run_id), timeout=timeout)


async def _of_the_past(reader: OrderedReader) -> AsyncGenerator[StreamMessage, None]:
    """What there was when *reader* was opened."""
    while True:
        over = reader.caught_up or reader.next > reader.end
        batch = await reader.fetch(_AT_ONCE, 0 if over else _WAIT)
        for message in batch:
            yield message
        if over and not batch:
            return


async def _logged(run: Run, reader: OrderedReader) -> AsyncGenerator[m.RunLog | m.RunStatus, None]:
    """What is known of *run* when *reader* was opened; what was before the bus's first event is in its record."""
    first = True
    async with aclosing(_of_the_past(reader)) as past:
        async for message in past:
            if (event := _of_run(message)) is None:
                continue
            if first:
                first = False
                for line in _lines(run, before=event.at):
                    yield line
            yield event
    if first:
        for line in _lines(run):
            yield line


def _status(run: Run) -> m.RunStatus:
    return m.RunStatus(at=run.updated, host=run.host, run=run.brief)


def _of_run(message: StreamMessage) -> m.RunLog | m.RunStatus | None:
    stored = event_of(message)
    return stored.event if stored is not None and isinstance(stored.event, m.RunLog | m.RunStatus) else None


def _lines(run: Run, before: int | None = None) -> list[m.RunLog]:
    """The log in *run*'s record, as far as it is older than *before* (ns)."""
    return [
        m.RunLog(at=line.at, host=run.host, run_id=run.run_id, level=line.level, message=line.message)
        for line in run.log
        if before is None or line.at < before
    ]


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
