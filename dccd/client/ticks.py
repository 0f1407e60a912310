"""Feeds of ticks: messages flow in from the bus, typed records or frames flow out of an iterator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.incoming import StreamMessage
from dccd.client.selection import Selection
from dccd.client.sieve import Sieve
from dccd.client.since import Position
from dccd.client.tick_frames import FrameBuilder, empty_frame
from dccd.client.tick_past import Past
from dccd.client.tick_sources import Source, Stored, Stream
from dccd.errors import BusError, BusUnavailable, IdentityError, StreamReplaced
from dccd.records import RECORD_TYPES
from dccd.symbols import NS, Dataset, DataType, parse_interval

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DECODERS", "Batch", "Feed", "TickSet", "Ticks", "batch_of"]

T = TypeVar("T")
DECODERS: dict[DataType, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(type_) for kind, type_ in RECORD_TYPES.items()
}
"""Of messages with records."""
_ROWS = 100_000
_AT_ONCE = 5_000
"""Rows of which a frame is made without a thread."""


class Batch(list[T]):
    """The records of one message, a list; ``dataset`` is whose they are.

    ``seq`` is the message's number in the stream and ``at`` when that has stored it (ns), both 0 where it didn't come
    from there. ``redelivered``: a group has had it before, and nobody has said that it is done with.
    """

    __slots__ = ("at", "dataset", "redelivered", "seq")

    dataset: Dataset
    seq: int
    at: int
    redelivered: bool


class Feed(Generic[T]):
    """What :class:`Ticks` and :class:`TickSet` have in common.

    ``messages`` have come. ``lost`` is how many a plain subscription had no room for, ``interruptions`` how often the
    bus was away, ``unparsed`` counts messages that aren't ticks, ``doubles`` records that were left out since they were
    handed out before, ``redelivered`` messages that a group has had before.
    """

    _several = False

    def __init__(
        self, bus: Callable[[], Bus], selection: Selection, source: Source, *, position: Position | None = None
    ) -> None:
        self.selection = selection
        self.messages = self.interruptions = self.unparsed = self.redelivered = 0
        self._bus = bus
        self._source = source
        self._datasets: dict[str, Dataset | None] = {}
        self._sieve = source.sieve if isinstance(source, Past) else Sieve(None) if isinstance(source, Stream) else None
        self._resumed = position
        # The position is worked out when it is asked for: behind `_record`, of the message's `_raw`.
        self._place: Position | None = position
        self._raw: Sequence[Any] = ()
        self._record: Any = None
        self._started = False
        self._closed: asyncio.Future[str] | None = None
        self._exit = ExitStack()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.selection} {self.messages} messages, {self.lost} lost, "
            f"{self.interruptions} interruptions>"
        )

    # ---------------------------------------------------------------- what is known of it

    @property
    def lost(self) -> int:
        """Messages for which a plain subscription had no room."""
        return self._source.lost

    @property
    def doubles(self) -> int:
        """Records that were left out since they were handed out before."""
        return 0 if self._sieve is None else self._sieve.doubles

    @property
    def begins(self) -> int | None:
        """Since when (ns) there is something to hand out of the time that was asked for; None without ``since``, or
        before it is open."""
        return self._source.begins

    def empty(self) -> pl.DataFrame:
        """A frame without rows, with the columns of :meth:`frames`. Raises IdentityError for several data types."""
        return empty_frame(self._data_type(), self._several)

    @property
    def position(self) -> str | None:
        """Where it is, behind what was handed out last: ``client.ticks(…, resume=position)`` goes on there.

        None of a plain subscription, of a group, and of the past before the first record.
        """
        place = self._place
        if place is None:
            return None
        if self._record is not None:
            number = next(n for n, record in enumerate(self._raw, 1) if record is self._record)
            if place.in_store:
                ts = self._raw[number - 1].ts
                before = sum(1 for record in self._raw[:number] if record.ts == ts)
                place = Position.stored(ts, before)
            elif number < len(self._raw):
                place = Position(place.epoch, place.seq - 1, number)
        return str(place)

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """Begin, if it hasn't yet: what is published once this has returned will be seen.

        Raises TicksGone where the stream doesn't have any more what was asked for, StreamReplaced for a position in a
        stream that was made anew, BusUnavailable, JetStreamError.
        """
        if self._started:
            return
        bus = self._bus()
        try:
            await self._source.open(bus)
            self._check_resumed()
        except BaseException:
            await self._source.aclose()
            raise
        self._started = True
        self._exit.callback(bus.on_change(self._changed))
        self._closed = asyncio.ensure_future(bus.wait_closed())
        self._closed.add_done_callback(lambda _: self._source.wake())
        self._exit.callback(self._closed.cancel)
        if isinstance(self._source, Stream) and self._place is None:
            self._place = self._source.position()

    def _check_resumed(self) -> None:
        place = self._resumed
        if place is not None and not place.in_store and isinstance(self._source, Stream):
            epoch = self._source.epoch
            if epoch != place.epoch:
                raise StreamReplaced(f"the stream was made anew ({epoch}) since that position in it ({place.epoch})")

    async def aclose(self) -> None:
        """End it. Safe to repeat."""
        self._exit.close()
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # ---------------------------------------------------------------- what comes

    async def batches(self) -> AsyncGenerator[Batch[T], None]:
        """Yield a list of records for each message: what one read of the exchange's socket held. Ends when the client
        is closed.

        Raises TicksGone when the stream has lost what was to come next, BusError when the connection is closed for
        good by the server.
        """
        await self.open()
        try:
            while (pieces := await self._take(None)) is not None:
                for piece in pieces:
                    if isinstance(piece, Stored):
                        yield self._stored(piece.frame)
                        continue
                    if (batch := self._batch(piece)) is not None:
                        yield batch
                    await self._source.done(piece)
        finally:
            await self.aclose()

    def each(self, batch: Batch[T]) -> Iterator[T]:
        """The records of the newest batch one by one; ``position`` is behind each."""
        for record in batch:
            self._record = record
            yield record
        self._record = None

    async def frames(self, every: str | float | None = "1s", rows: int = _ROWS) -> AsyncGenerator[pl.DataFrame, None]:
        """Yield what has come as a Polars frame each *every* (seconds, or as ``100ms``), also when nothing has; at once
        when there are *rows*, and only then where *every* is None. Messages aren't cut: a frame may have more rows.

        Columns are those of the store, and of several datasets ``dataset``. Open bars are left out, as they are there;
        an order book has a row a level. Raises IdentityError for several data types, and as :meth:`batches`.
        """
        data_type = self._data_type()
        interval = None if every is None else parse_interval(every) / NS
        await self.open()
        builder = FrameBuilder(data_type, self._several)
        taken: list[StreamMessage] = []
        reached = self._place  # what isn't handed out yet isn't behind anybody
        due = None if interval is None else time.monotonic() + interval
        try:
            while True:
                pieces = await self._take(None if due is None else max(0.0, due - time.monotonic()))
                for piece in pieces or ():
                    handed = self._place
                    self._collect(builder, piece)
                    reached, self._place = self._place, handed
                    if not isinstance(piece, Stored):
                        taken.append(piece)
                    if builder.rows >= rows:
                        yield await self._frame(builder, reached)
                        await self._done(taken)
                if pieces is None and not builder.rows:
                    return
                if pieces is None or (due is not None and time.monotonic() >= due):
                    yield await self._frame(builder, reached)
                    await self._done(taken)
                if due is not None and interval is not None and time.monotonic() >= due:
                    # Once an interval, but for a reader that takes longer.
                    due = max(due + interval, time.monotonic())
        finally:
            await self.aclose()

    # ---------------------------------------------------------------- details

    def _data_type(self) -> DataType:
        if self.selection.data_type is None:
            raise IdentityError("pattern", f"{self.selection} is of several data types; a frame has the columns of one")
        return self.selection.data_type

    async def _take(self, wait: float | None) -> Sequence[StreamMessage | Stored] | None:
        """What has come, nothing after *wait* seconds, None when it is over."""
        while True:
            over = self._closed is not None and self._closed.done()
            try:
                pieces = await self._source.take(0.0 if over else wait)
            except BusUnavailable:
                if self._is_over():
                    return None
                raise
            if pieces:
                return pieces
            if self._is_over():
                return None
            if wait is not None:
                return ()

    def _is_over(self) -> bool:
        """Whether the client or this feed is closed; raises BusError when the server has closed the connection."""
        if self._closed is None or not self._closed.done():
            return False
        if not self._closed.cancelled() and (why := self._closed.result()):
            raise BusError(f"the bus closed the connection: {why}")
        return True

    def _records(self, message: StreamMessage) -> tuple[Dataset, list[T]] | None:
        """What a message holds that is to be handed out; None of one that is no ticks, or was there before."""
        self.messages += 1
        if message.delivered > 1:
            self.redelivered += 1
        dataset = self._dataset(message.subject)
        if dataset is None:
            self.unparsed += 1
            return None
        sieve = self._sieve
        if sieve is not None and sieve.is_double(message.id):
            return None
        try:
            raw: list[T] = DECODERS[dataset.data_type].decode(message.data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.unparsed += 1  # somebody else's message on this subject; ours always decode
            return None
        if sieve is None:
            return dataset, raw
        self._raw = raw
        place = self._resumed
        records = raw[place.skip :] if place is not None and message.seq == place.seq and not place.in_store else raw
        return dataset, sieve.keep(dataset, records, message.seq)

    def _batch(self, message: StreamMessage) -> Batch[T] | None:
        found = self._records(message)
        self._arrive(message)
        if found is None or not found[1]:
            return None
        return batch_of(*found, message.seq, message.at, message.delivered > 1)

    def _arrive(self, message: StreamMessage) -> None:
        if isinstance(self._source, Stream):
            self._record = None
            self._place = Position(self._source.epoch, message.seq + 1)

    def _stored(self, frame: pl.DataFrame) -> Batch[T]:
        from dccd.store.unpack import Unpacker  # polars: half a second that only readers pay

        dataset, sieve = self.selection.dataset, self._sieve
        assert dataset is not None
        unpacker = Unpacker(dataset.data_type)
        records: list[Any] = [*unpacker.feed(frame), *unpacker.end()]
        if sieve is not None and sieve.joint is not None:
            sieve.joint.read(dataset.data_type, records)
        self._raw, self._record = records, None
        self._place = Position.stored(records[-1].ts + 1, 0)
        return batch_of(dataset, records)

    def _collect(self, builder: FrameBuilder, piece: StreamMessage | Stored) -> None:
        if isinstance(piece, Stored):
            assert self.selection.dataset is not None
            self._stored(piece.frame)
            builder.add_frame(self.selection.dataset, piece.frame)
        elif self._sieve is not None:
            if (found := self._records(piece)) is not None:
                builder.add_records(*found)
            self._arrive(piece)
        else:
            self.messages += 1
            self.redelivered += piece.delivered > 1
            if (dataset := self._dataset(piece.subject)) is None:
                self.unparsed += 1
            else:
                builder.add(dataset, piece)

    async def _frame(self, builder: FrameBuilder, reached: Position | None) -> pl.DataFrame:
        # In a thread what takes long: what comes meanwhile is to be taken from the socket.
        frame = builder.take() if builder.rows < _AT_ONCE else await asyncio.to_thread(builder.take)
        self.unparsed, builder.unparsed = self.unparsed + builder.unparsed, 0
        self._place = reached
        return frame

    async def _done(self, taken: list[StreamMessage]) -> None:
        for message in taken:
            await self._source.done(message)
        taken.clear()

    def _dataset(self, subject: str) -> Dataset | None:
        """Whose ticks travel on *subject*; None when nobody's."""
        try:
            return self._datasets[subject]
        except KeyError:
            try:
                dataset = subjects.dataset_of_ticks(subject)
            except IdentityError:
                dataset = None
            self._datasets[subject] = dataset
            return dataset

    def _changed(self, connected: bool) -> None:
        self.interruptions += connected


def batch_of(dataset: Dataset, records: list[Any], seq: int = 0, at: int = 0, redelivered: bool = False) -> Batch[Any]:
    """*records* as a batch."""
    batch = Batch(records)
    batch.dataset, batch.seq, batch.at, batch.redelivered = dataset, seq, at, redelivered
    return batch


class Ticks(Feed[T]):
    """The ticks of one dataset: ``async for trade in ticks``, ``async for trades in ticks.batches()``, or
    ``async for frame in ticks.frames("1s")``.

    Without ``since``, ``resume`` or a durable group it is what is published from the first step on (``async with
    ticks:`` subscribes before), with no memory: what is published while the bus is away isn't seen, nor what a reader
    slower than the market has no room for.
    """

    @property
    def dataset(self) -> Dataset:
        """Whose ticks they are."""
        assert self.selection.dataset is not None
        return self.selection.dataset

    async def __aiter__(self) -> AsyncIterator[T]:
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for record in self.each(batch):
                    yield record


class TickSet(Feed[T]):
    """The ticks of all datasets that match: ``async for dataset, trade in ticks``; batches have ``.dataset``, and
    frames a column ``dataset``. Else as :class:`Ticks`."""

    _several = True

    async def __aiter__(self) -> AsyncIterator[tuple[Dataset, T]]:
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for record in self.each(batch):
                    yield batch.dataset, record
