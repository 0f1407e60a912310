"""A replay as its receiver has it: messages flow in from the bus, records of several datasets flow out, by time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Message
from dccd.bus.credit import CreditReceiver
from dccd.client.base import Requests, Time, time_text
from dccd.client.tick_frames import FrameBuilder
from dccd.client.ticks import DECODERS, Batch, batch_of
from dccd.errors import BusUnavailable, DccdError, IdentityError, ReplayFailed, RequestError
from dccd.records import Record
from dccd.store.interleave import Part, runs
from dccd.symbols import Dataset

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Replay"]

_QUIET = 15.0
"""Seconds without a sign of life, which come each 5, after which the daemon is asked whether it has the replay."""
_UNANSWERED = 3
"""So many times nobody answers, with the bus there, before its host is taken for dead."""
_OVER = ("ended", "failed", "stopped", "expired")


def _ts(pair: tuple[Dataset, Any]) -> int:
    ts: int = pair[1].ts
    return ts


class Replay:
    """``async for dataset, record in replay``: what is stored of several datasets, merged by time, as
    :class:`~dccd.client.ticks.TickSet` has it live; made by :meth:`Client.replay`.

    ``async with`` starts it, and stops it at the end; it plays from the first step of the iteration on. Nothing is lost
    at any speed: what isn't taken isn't sent. The iteration ends with the replay; after :meth:`seek` there may be
    another one.

    ``datasets`` are those that it has, ``missing`` what of the time isn't certain to be there (``missing_more``: how
    many intervals more), ``entry`` what was last heard of it.
    """

    def __init__(self, requests: Requests, start: m.ReplayStart) -> None:
        self._requests, self._start = requests, start
        self.datasets: list[Dataset] = []
        self.missing: list[m.ReplayMissing] = []
        self.missing_more = 0
        self._entry: m.ReplayEntry | None = None
        self._receiver: CreditReceiver | None = None
        self._flow: str | None = None
        self._status = ""
        self._since = 0  # messages up to this number are of before a seek
        self._of: dict[str, int] = {}
        self._decoder = msgspec.json.Decoder(m.ReplayChanged)
        self._over = self._mine = False
        self._unanswered = 0
        self._parts: dict[int, list[Record]] = {}
        self._step = ""  # of which they are
        self._sent: tuple[int, int | None] = 0, None  # how far it is there, by what it said last

    def __repr__(self) -> str:
        state = "not started" if self._entry is None else f"{self._entry.state} {self._entry.records} records"
        return f"<Replay {self.id} {state}>"

    @property
    def id(self) -> str:
        """Its id on the bus."""
        return self._start.id or ""

    @property
    def entry(self) -> m.ReplayEntry:
        """What was last heard of it: state, position, speed. Raises ReplayFailed before it is started."""
        if self._entry is None:
            raise ReplayFailed(self.id, "gone", "the replay isn't started: use it inside `async with`")
        return self._entry

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """Start it, if it hasn't been. Raises RequestError, BusUnavailable."""
        if self._entry is not None:
            return
        receiver = CreditReceiver(self._requests.bus, subjects.replayed(self.id))
        await receiver.open()
        try:
            started: m.ReplayStarted = await self._requests.request("replay.start", self._start, timeout=60.0)
        except BaseException:
            await receiver.aclose()
            raise
        self._receiver, self._flow, self._entry = receiver, started.flow, started.replay
        self._status = subjects.replay_status(self.id)
        self.datasets = [Dataset.parse(name) for name in started.replay.datasets]
        self._of = {subjects.replay_ticks(self.id, dataset): n for n, dataset in enumerate(self.datasets)}
        self.missing, self.missing_more = started.missing, started.missing_more

    async def aclose(self) -> None:
        """Stop it. Safe to repeat."""
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        with anyio.CancelScope(shield=True):
            await receiver.aclose()
            if not (self._over and self.entry.state != "ended"):
                try:
                    await self._ask("replay.stop", m.ReplayOf(id=self.id), timeout=2.0)
                except DccdError:
                    return  # it is over, or expires by itself

    async def __aenter__(self) -> Replay:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # ---------------------------------------------------------------- control

    async def pause(self) -> m.ReplayEntry:
        """Hold it. What was sent before still comes."""
        return await self._ask("replay.pause", m.ReplayOf(id=self.id))

    async def resume(self) -> m.ReplayEntry:
        """Let it go on."""
        return await self._ask("replay.resume", m.ReplayOf(id=self.id))

    async def speed(self, speed: m.Speed) -> m.ReplayEntry:
        """Go on so many times as fast as it was; 0 or ``"max"``: as fast as it can be taken."""
        return await self._ask("replay.speed", m.ReplaySpeed(id=self.id, speed=speed))

    async def seek(self, to: Time) -> m.ReplayEntry:
        """Go on at *to*, behind or ahead: the next record is of then. Raises RequestError outside of the replay."""
        entry = await self._ask("replay.seek", m.ReplaySeek(id=self.id, to=time_text(to)))
        self._since, self._over = entry.number, False
        self._parts.clear()
        return entry

    async def stop(self) -> m.ReplayEntry:
        """End it, and the iteration."""
        self._mine = True
        return await self._ask("replay.stop", m.ReplayOf(id=self.id))

    async def _ask(self, operation: str, message: Any, timeout: float | None = None) -> m.ReplayEntry:
        host = self.entry.host
        self._entry = entry = await self._requests.request(operation, message, host=host, timeout=timeout)
        assert isinstance(entry, m.ReplayEntry)
        return entry

    # ---------------------------------------------------------------- what comes

    async def __aiter__(self) -> AsyncIterator[tuple[Dataset, Any]]:
        async with aclosing(self._steps()) as steps:
            async for number, parts in steps:
                pairs = [(self.datasets[index], record) for index, records in parts for record in records]
                if len(parts) > 1:
                    pairs.sort(key=_ts)  # stable: at equal times the order of the datasets
                for pair in pairs:
                    yield pair
                    if number <= self._since:
                        break  # sought to another time

    async def batches(self) -> AsyncGenerator[Batch[Any], None]:
        """Yield the same as lists of records that follow each other, each of one dataset (``batch.dataset``); ``seq``
        is the message's number. Raises ReplayFailed when it is over before its end, BusError.
        """
        async with aclosing(self._steps()) as steps:
            async for number, parts in steps:
                for index, records in parts if len(parts) == 1 else runs(parts):
                    batch = batch_of(self.datasets[index], records, number)
                    yield batch
                    if self.is_past(batch):
                        break

    async def frames(self, rows: int = 100_000) -> AsyncGenerator[pl.DataFrame, None]:
        """Yield the same as Polars frames of about *rows*, with the columns of the store, and ``dataset`` where there
        are several: then a dataset's rows follow another's within a frame. Raises IdentityError for several data types,
        and as :meth:`batches`."""
        await self.open()
        kinds = {dataset.data_type for dataset in self.datasets}
        if len(kinds) > 1:
            raise IdentityError(
                "datasets", f"a frame has the columns of one data type, not of {', '.join(sorted(kinds))}"
            )
        builder, since = FrameBuilder(kinds.pop(), len(self.datasets) > 1), self._since
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                if since != self._since:
                    builder.take()
                    since = self._since
                builder.add_records(batch.dataset, batch)
                if builder.rows >= rows:
                    yield await asyncio.to_thread(builder.take)
        if builder.rows and since == self._since:
            yield await asyncio.to_thread(builder.take)

    def is_past(self, batch: Batch[Any]) -> bool:
        """Whether *batch* is of before a seek: the rest of it isn't wanted."""
        return batch.seq <= self._since

    # ---------------------------------------------------------------- details

    async def _steps(self) -> AsyncGenerator[tuple[int, list[Part]], None]:
        """Yield what belongs together as it is complete, with the number of its last message."""
        await self.open()
        receiver = self._receiver
        if receiver is None:
            raise ReplayFailed(self.id, "stopped", f"replay {self.id} is closed")
        if self._flow is not None:
            await receiver.begin(self._flow)
        if self._over:
            return
        async with aclosing(receiver.messages(_QUIET)) as messages:
            async for message in messages:
                if message is None:
                    await self._ask_whether()
                    continue
                number = int((message.headers or {}).get(subjects.NUMBER, "0"))
                if message.subject == self._status:
                    if self._hear(message, number):
                        return
                    await receiver.compare(*self._sent)
                elif number > self._since and (parts := self._take(message)):
                    yield number, parts

    def _take(self, message: Message) -> list[Part]:
        """What can be handed out now that *message* is there: its records, or those of its whole step, by dataset."""
        index = self._of.get(message.subject)
        if index is None:
            return []
        records = DECODERS[self.datasets[index].data_type].decode(message.data)
        step = (message.headers or {}).get(subjects.STEP)
        if step is None:
            return [(index, records)]
        number, _, part = step.partition(" ")
        if number != self._step:  # where somebody else has sought, the rest of the one before doesn't come
            self._step = number
            self._parts.clear()
        self._parts.setdefault(index, []).extend(records)
        nth, _, count = part.partition("/")
        if nth != count:
            return []
        parts, self._parts = self._parts, {}
        return sorted(parts.items())

    def _hear(self, message: Message, number: int) -> bool:
        """Whether it is over. Raises ReplayFailed when it is so before its end."""
        entry = self._decoder.decode(message.data).replay
        self._sent = entry.number, entry.acked
        if number:
            if number <= self._since:
                return False
        elif entry.number < self._since or entry.state in _OVER:
            return False  # a sign of life; what it says was said among the messages, or will be
        self._entry = entry
        if entry.state not in _OVER:
            return False
        self._over = True
        self._parts.clear()
        if entry.state != "ended" and not (entry.state == "stopped" and self._mine):
            why = entry.error or f"it was {entry.state} before its end"
            raise ReplayFailed(self.id, entry.state, f"replay {self.id}: {why}")
        return True

    async def _ask_whether(self) -> None:
        """Raise ReplayFailed if there is no such replay any more."""
        try:
            found: m.Replays = await self._requests.request("replay.list", host=self.entry.host)
        except RequestError as exc:
            if exc.code != 503:
                raise
            return  # it is busy, or stops: then we hear of that
        except BusUnavailable as exc:
            # With the bus back we hear of it, or ask again.
            self._unanswered = self._unanswered + 1 if self._requests.bus.connected else 0
            if self._unanswered < _UNANSWERED:
                return
            self._over = True
            raise ReplayFailed(self.id, "gone", f"replay {self.id}: {self.entry.host} doesn't answer any more") from exc
        self._unanswered = 0
        if not any(one.id == self.id for one in found.replays):
            self._over = True
            raise ReplayFailed(self.id, "gone", f"replay {self.id} is gone: {self.entry.host} was started anew")
