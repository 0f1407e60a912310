"""A feed that begins in the past: what the stream still has, and before that what is stored, joined without a seam.

A time flows in; pieces of the feed flow out, rows of the store first. Where the two meet is a time (the boundary): the
store is read up to it, and of the stream's messages all records from it on are handed out, and of those that weren't on
disk when the reading began also what is older. What could be in both is told by its id.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from dccd import messages as m
from dccd.bus.connection import Bus
from dccd.bus.incoming import StreamMessage
from dccd.client.rows import Rows
from dccd.client.selection import Selection
from dccd.client.sieve import Joint, Sieve, earliest
from dccd.client.since import Position
from dccd.client.tick_sources import Stored, Stream
from dccd.errors import BusUnavailable, RequestError, StreamReplaced, TicksGone
from dccd.symbols import EARLIEST, NS, Dataset, DataType, format_time

if TYPE_CHECKING:
    import polars as pl

    from dccd.client.base import Requests

__all__ = ["MARGIN", "Past", "Start", "begin"]

MARGIN = 15 * NS
"""By how much a record may be newer than when the bus had it, by two clocks, or a snapshot older (ns)."""
_HOUR = 3600 * NS


class Start(msgspec.Struct, frozen=True):
    """Where the stream is read from (``seq``, or what was stored at ``at`` on, ns), and what is read before.

    ``begins`` (ns) is how far back the stream reaches for this; None: as far back as was asked. ``boundary`` (ns) is
    where the store ends, None when it isn't needed.
    """

    seq: int | None
    at: int | None
    begins: int | None = None
    boundary: int | None = None


def begin(selection: Selection, since: int, state: m.Followed) -> Start:
    """Decide where to begin, by what the stream holds; ``oldest`` is its first message of *selection*. Pure."""
    low = since if selection.dataset is None else earliest(selection.dataset, since)
    whole = state.first <= 1  # nothing has ever fallen off
    first, oldest = state.oldest or (None, state.now)
    if selection.dataset is None:
        reaches = whole or since - MARGIN >= (state.first_at if state.messages else state.now)
        return Start(None, since - MARGIN, None if reaches else oldest)
    if oldest <= since - MARGIN:
        return Start(None, since - MARGIN)
    # The oldest messages may fall off while the store is read: keep away from them.
    away = 0 if whole or first is None else min((state.now - oldest) // 4, _HOUR)
    life = since - low  # of a bar; it is over by then but for the last nanosecond
    boundary = oldest + away + MARGIN - life
    if first is None:
        # What is in the store has come by other ways: it is read to its end.
        return Start(state.last + 1, None, oldest, state.now + MARGIN)
    return Start(first if not away else None, oldest + away if away else None, oldest, boundary)


class Past(Stream):
    """The source of such a feed. With *store* false only the stream is read, as far back as it reaches.

    ``sieve`` says what is left out, ``begins`` (ns) since when there is something to hand out.
    """

    def __init__(self, client: Requests, selection: Selection, since: int, *, store: bool, skip: int = 0) -> None:
        super().__init__(client.deliver, selection.subject, since=since)
        self.sieve = Sieve(since)
        self._client, self._selection, self._store, self._skip = client, selection, store, skip
        self._frames: AsyncGenerator[pl.DataFrame, None] | None = None
        self._rows: Rows | None = None
        self._first: list[pl.DataFrame] = []
        self._begun = ""  # the stream's epoch when it was looked where to begin

    async def open(self, bus: Bus) -> None:
        assert self._since is not None
        since = self._since
        state = await self._ask(m.Follow(stream="ticks", filters=[self._subject]))
        self._begun = state.epoch
        start = begin(self._selection, since, state)
        self._seq, self._since = start.seq, start.at
        self.begins = since if start.begins is None else max(since, start.begins)
        if start.begins is None or not self._store:
            pass
        elif self._selection.dataset is None:
            raise TicksGone(
                start.begins,
                f"the stream has ticks of {self._selection} since {format_time(start.begins)} only; the store is read "
                "for one dataset at a time: ask for one, or say store=False to begin there",
            )
        elif start.boundary is not None:
            await self._open_store(state, self._selection.dataset, since, start.boundary)
        if self._frames is None:
            await super().open(bus)
        else:
            self._bus = bus

    async def _open_store(self, state: m.Followed, dataset: Dataset, since: int, boundary: int) -> None:
        low = earliest(dataset, since)
        if boundary <= low:
            return
        try:
            joint = Joint(boundary, state.archived)  # on the host that is asked for the rows
            message = m.Read(
                dataset=dataset.name, start=max(low, EARLIEST), end=boundary, format="arrow", source="stored"
            )
            self._rows = Rows(partial(self._client._chunks, "read", message, host=state.host))
            await self._rows.open()
        except BusUnavailable as exc:
            await self._end_rows()
            raise BusUnavailable(
                f"the stream has ticks of {dataset} since {format_time(self.begins or boundary)} only, and what is "
                f"stored of before can't be read: {exc}; store=False begins there"
            ) from exc
        except RequestError as exc:
            await self._end_rows()
            if exc.code != 404:
                raise
            return  # nothing is stored of it
        self.sieve.joint = joint
        self._frames = self._stored(self._rows, dataset.data_type)
        async for frame in self._frames:
            self._first = [frame]
            self.begins = int(frame["TS"][0])
            break

    async def take(self, wait: float | None) -> Sequence[StreamMessage | Stored]:
        if self._first:
            return [Stored(self._first.pop())]
        if self._frames is not None:
            async for frame in self._frames:
                return [Stored(frame)]
            self._frames = None
            await self._end_rows()
            state = await self._ask(m.Follow(stream="ticks"))
            assert self.sieve.joint is not None
            self.sieve.joint.until = state.last
            self._check(state)
            await super().open(self._bus)
        return await super().take(wait)

    def _check(self, state: m.Followed) -> None:
        """Raise StreamReplaced or TicksGone where what comes next isn't there any more, once the store was read."""
        if state.epoch != self._begun:
            raise StreamReplaced(f"the stream was made anew ({state.epoch}) while the store was read ({self._begun})")
        if self._since is None:
            return  # of a message the reader finds out
        if not state.messages:  # it had some
            raise TicksGone(None, "while the store was read, the stream has lost what came next: by now it is empty")
        if state.first_at > self._since:
            raise TicksGone(
                state.first_at,
                "while the store was read, the stream has lost what came next: by now it begins at "
                f"{format_time(state.first_at)}; a larger bus.ticks_max_bytes keeps more",
            )

    def position(self) -> Position | None:
        """See :class:`Stream`."""
        if self._frames is not None and self._since is not None:
            return None
        return super().position()

    async def aclose(self) -> None:
        frames, self._frames = self._frames, None
        if frames is not None:
            await frames.aclose()
        await self._end_rows()
        await super().aclose()

    async def _end_rows(self) -> None:
        rows, self._rows = self._rows, None
        if rows is not None:
            await rows.aclose()

    async def _stored(self, rows: Rows, data_type: DataType) -> AsyncGenerator[pl.DataFrame, None]:
        """The frames, cut so that all rows of one time are in one."""
        import polars as pl

        held: pl.DataFrame | None = None
        async with aclosing(_each(rows)) as frames:
            async for frame in frames:
                whole = frame if held is None else pl.concat([held, frame])
                last = whole["TS"][-1]
                ready = whole.filter(pl.col("TS") < last)
                held = whole.slice(ready.height)
                if (ready := self._skipped(ready, data_type)).height:
                    yield ready
        if held is not None and (held := self._skipped(held, data_type)).height:
            yield held

    def _skipped(self, frame: pl.DataFrame, data_type: DataType) -> pl.DataFrame:
        """*frame* without the records at its beginning that were handed out before."""
        import polars as pl

        if not self._skip or not frame.height:
            return frame
        skip, self._skip = self._skip, 0
        if data_type is not DataType.ORDERBOOK:
            return frame.slice(skip)
        return frame.filter(pl.struct("TS", "seq", "is_snapshot").rle_id() >= skip)


async def _each(rows: Rows) -> AsyncGenerator[Any, None]:
    async for frame in rows:
        if frame.height:
            yield frame
