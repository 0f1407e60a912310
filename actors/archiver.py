"""Bus → Parquet. One actor a host.

Tick messages flow in from the JetStream stream, in sequence order; segments flow out to the store, and only when they
are on disk is the bus acknowledged. After a crash the reader starts again behind the last acknowledgement; what was on
disk by then is told by the segments' own footers and left out.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import msgspec

from actors.links import Links
from actors.mail import GapFound
from actors.runtime.actor import Actor, run_together
from dccd import subjects
from dccd.bus.streams import LostRange, TickMessage, TickReader, stream_epoch
from dccd.config import parse_duration
from dccd.errors import BadRecord, BusError, BusUnavailable, CorruptFile, IdentityError, StoreError
from dccd.feeds.holes import LATE
from dccd.histogram import LAGS
from dccd.records import RECORD_TYPES, Record
from dccd.store.intervals import Interval, IntervalSet
from dccd.store.lags import lags
from dccd.store.parquet import MAX_TS, MIN_TS
from dccd.store.position import read_position, write_position
from dccd.store.replay import table_of, unstored
from dccd.store.writer import BusPosition, Segment, SegmentWriter
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Archiver", "covered_by"]

Taken = dict[str, list[TickMessage]]
"""Messages by subject, each list in sequence order."""
Cut = tuple[Taken, int]
"""What one flush takes, and the sequence number up to which that is everything."""

_FETCH = 2000
_ROW_BYTES = 110
_PARALLEL = 4
_RETRY_SECONDS = 5.0
_LAG_SECONDS = 1.0
_UNKNOWN = MAX_TS - 1
"""The time of a row that no file has."""
_SKEW = 5 * NS
"""By how much our clock and an exchange's may differ, and how late a record on disk may have come (ns)."""


class Archiver(Actor):
    """Takes messages until it is time to flush, then writes a segment a dataset and period, then acknowledges.

    One flush runs while the next messages are taken; when those too are many, the reader waits.
    """

    def __init__(self, links: Links) -> None:
        self.links = links
        self._max_age = int(parse_duration(links.config.bus.ticks_max_age) * NS)
        self._writer = SegmentWriter(links.layout, links.host)
        self._reader: TickReader | None = None
        self._recheck = 0  # messages up to here may be on disk already
        self._taken: Taken = defaultdict(list)
        self._bytes = 0
        self._since: float | None = None
        self._last = 0
        self._writing: Taken = {}
        self._writing_last = 0
        self._lost: list[LostRange] = []
        self._newest: dict[Dataset, int | None] = {}  # of what is on disk, the newest row (ns)
        # By dataset: messages after this number claim nothing from before this time (ns).
        self._floors: dict[str, tuple[int, int]] = {}
        self._epoch = ""
        self._messages = self._flushes = 0
        self._written: deque[tuple[str, tuple[list[int], float, int], list[Segment]]] = deque()
        self._idle = anyio.Semaphore(1)

    @property
    def _flush_after(self) -> float:
        """Seconds, as they are configured now."""
        return parse_duration(self.links.config.storage.flush_interval)

    @property
    def _flush_bytes(self) -> int:
        return self.links.config.storage.flush_rows * _ROW_BYTES

    def __repr__(self) -> str:
        return f"<Archiver {self._messages} messages in {self._flushes} flushes, {self._bytes} bytes waiting>"

    def statistics(self) -> dict[str, Any]:
        reader = {} if self._reader is None else self._reader.statistics()
        return {"messages": self._messages, "flushes": self._flushes, "waiting_bytes": self._bytes, "reader": reader}

    async def on_start(self) -> None:
        await anyio.to_thread.run_sync(self._writer.clean)
        bus, host = self.links.bus, self.links.host
        epoch = await stream_epoch(bus, subjects.STREAM_TICKS)
        stored = await anyio.to_thread.run_sync(read_position, self.links.layout, host, subjects.STREAM_TICKS, epoch)
        self._reader = await TickReader.open(bus, host, on_lost=self._lost.append, stored=stored)
        self._epoch = self._reader.epoch
        try:
            self._recheck = (await self._reader.lag()).last
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._reader.aclose()
            raise
        self._last = self._reader.acked

    async def run(self) -> None:
        await run_together(self._take, self._watch_lag, self.serve)

    async def on_stop(self) -> None:
        """Put on disk what the bus has by now: the collectors have stopped before."""
        if self._reader is None:
            return
        if self.links.bus.closed:
            # Nothing can be acknowledged: what was taken comes again, or its stream is gone and it is here only.
            await self._write((self._writing, self._writing_last))
            await self._write(self._cut())
            await self._reader.aclose()
            return
        try:
            if self._writing:  # a flush that the stop has interrupted: its messages come before all others
                await self._flush((self._writing, self._writing_last))
            await self.links.publisher.drain(2.0)
            # Up to what is there now: other hosts go on publishing. One that delivers nothing at once isn't empty yet.
            last = (await self._reader.lag()).last
            while self._last < last and (messages := await self._reader.fetch(_FETCH, wait=3.0)):
                self._keep(messages)
                if self._bytes >= self._flush_bytes:
                    await self._flush(self._cut())
            await self._flush(self._cut())
            self.links.archive.pending = (await self._reader.lag()).messages
        except BusError:
            # It is away, and has what isn't acknowledged; or its stream is gone, and what was taken is here only.
            await self._write(self._cut())
        finally:
            await self._reader.aclose()

    # ------------------------------------------------------------ taking

    async def _take(self) -> None:
        assert self._reader is not None
        async with anyio.create_task_group() as flushes:
            while True:
                left = self._flush_after if self._since is None else self._since + self._flush_after - self._now()
                self._keep(await self._reader.fetch(_FETCH, wait=max(left, 0.001)))
                await self._report_lost()
                due = self._since is not None and self._now() - self._since >= self._flush_after
                if not (due or self._bytes >= self._flush_bytes):
                    continue
                # One flush at a time, beside the taking; memory is bounded by two of them.
                await self._idle.acquire()
                flushes.start_soon(self._flush_and_release, self._cut())

    def _keep(self, messages: list[TickMessage]) -> None:
        if not messages:
            return
        if self._since is None:
            self._since = self._now()
        for message in messages:
            self._taken[message.subject].append(message)
            self._bytes += len(message.data)
        self._last = messages[-1].seq
        self._messages += len(messages)
        self.links.tally.messages += len(messages)

    def _cut(self) -> Cut:
        """Take what there is as one flush."""
        cut = self._taken, self._last
        self._taken, self._bytes, self._since = defaultdict(list), 0, None
        return cut

    # ------------------------------------------------------------ writing

    async def _flush_and_release(self, cut: Cut) -> None:
        try:
            await self._flush(cut)
        finally:
            self._idle.release()

    async def _flush(self, cut: Cut) -> None:
        """Write *cut* until all of it is on disk, then acknowledge it."""
        await self._write(cut)
        assert self._reader is not None
        while self._reader.acked < self._writing_last:
            try:
                await self._reader.ack(self._writing_last)
            except BusUnavailable as exc:
                # The segments are on disk; the acknowledgement waits for the bus.
                self.links.archive.error = str(exc)
        self.links.archive.error = None

    async def _write(self, cut: Cut) -> None:
        """Write *cut*; what can't be written now is tried again."""
        self._writing, self._writing_last = cut
        while True:
            async with anyio.create_task_group() as tasks:
                limit = anyio.Semaphore(_PARALLEL)
                for subject, messages in list(self._writing.items()):
                    tasks.start_soon(self._store, subject, messages, limit)
            if not self._writing:
                break
            await self.context.clock.sleep(_RETRY_SECONDS)
        self._flushes += 1
        self.links.tally.flushes += 1
        await self._note_position()

    async def _note_position(self) -> None:
        position = BusPosition(subjects.STREAM_TICKS, self._epoch, 0, self._writing_last)
        try:
            await anyio.to_thread.run_sync(write_position, self.links.layout, self.links.host, position)
        except StoreError as exc:
            # The segments are there. An older note only makes a power cut harder to notice.
            self.context.log.error("position not noted", error=str(exc))

    async def _store(self, subject: str, messages: list[TickMessage], limit: anyio.Semaphore) -> None:
        """Write the messages of one subject; what is written (or no ticks) leaves ``_writing``."""
        async with limit:
            try:
                dataset = subjects.dataset_of_ticks(subject)
                rows = await anyio.to_thread.run_sync(self._write_messages, dataset, messages)
            except IdentityError as exc:
                await anyio.to_thread.run_sync(self._reject, messages, str(exc))
                del self._writing[subject]
            except StoreError as exc:
                self.links.archive.error = str(exc)
                # Some periods of it may be on disk: the next try must look.
                self._recheck = max(self._recheck, messages[-1].seq)
                self.context.log.error("not written, tried again", subject=subject, error=str(exc))
            else:
                # At once, without a checkpoint in between: a stop must not write it a second time.
                del self._writing[subject]
                self.links.archive.rows += rows
                self.links.tally.stored[dataset.name] += rows
                self._count_written()
                self.links.stored(dataset)

    def _count_written(self) -> None:
        """Count what the threads have written since: they only append, so that no two of them count at once."""
        tally = self.links.tally
        while self._written:
            name, late, segments = self._written.popleft()
            tally.disk[name].add(*late)
            tally.segments += len(segments)
            tally.segment_bytes += sum(segment.bytes for segment in segments)

    def _write_messages(self, dataset: Dataset, messages: list[TickMessage]) -> int:
        """A thread's work: messages of one dataset become segments; return how many rows."""
        again = [message for message in messages if message.seq <= self._recheck]
        rows = 0
        if again:
            # After a crash: some of these are on disk, perhaps a part of one (its records may lie in two periods).
            rows += self._write_table(dataset, again, partial(unstored, self.links.store, dataset, self._epoch))
        if fresh := messages[len(again) :]:
            rows += self._write_table(dataset, fresh, partial(table_of, dataset))
        return rows

    def _write_table(
        self, dataset: Dataset, messages: list[TickMessage], make: Callable[[list[tuple[int, bytes]]], Any]
    ) -> int:
        messages = list(messages)
        while messages:
            try:
                table = make([(message.seq, message.data) for message in messages])
            except BadRecord as exc:
                # One that is no ticks must not keep the others from the disk, nor be lost.
                self._reject([messages.pop(exc.index)], str(exc))
                continue
            reader = self._reader
            assert reader is not None
            position = BusPosition(
                stream=reader.stream, epoch=self._epoch, first=messages[0].seq, last=messages[-1].seq
            )
            covered = covered_by(messages, self._floors.get(dataset.name))
            before = self._newest[dataset] if dataset in self._newest else self._newest_stored(dataset)
            segments = self._writer.write(dataset, table, bus=position, covered=covered, after=before)
            late = lags(table, self.links.clock.wall_ns(), LAGS, (dataset.span or 0) * NS)
            self._written.append((dataset.name, late, segments))
            known = [] if before in (None, _UNKNOWN) else [before]
            self._newest[dataset] = max([*(segment.last_ts for segment in segments), *known], default=before)
            return int(table.num_rows)
        return 0

    def _newest_stored(self, dataset: Dataset) -> int | None:
        """The newest row on disk (ns). Beside a damaged file nobody knows: a claim that relies on such a row doesn't
        count, and the rows themselves don't wait until somebody has mended it."""
        try:
            return self.links.store.last_ts(dataset)
        except CorruptFile:
            return _UNKNOWN

    def _reject(self, messages: list[TickMessage], why: str) -> None:
        """Keep what is no ticks where a person can look at it."""
        folder = self.links.data_path / ".dccd" / "rejected"
        folder.mkdir(parents=True, exist_ok=True)
        for message in messages:
            (folder / f"{message.seq}.json").write_bytes(message.data)
        self.links.archive.rejected += len(messages)
        self.context.log.error("no ticks", subject=messages[0].subject, kept=str(folder), error=why)

    # ------------------------------------------------------------ watching

    async def _watch_lag(self) -> None:
        """Ask how much is not on disk; the monitor makes an alarm of it."""
        assert self._reader is not None
        archive, clock = self.links.archive, self.context.clock
        acked, moved_at = -1, clock.wall_ns()
        while True:
            with contextlib.suppress(BusError):
                lag = await self._reader.lag()
                if lag.acked != acked or not lag.messages:
                    acked, moved_at = lag.acked, clock.wall_ns()
                archive.pending = lag.messages
                # A reader that is served nothing has taken nothing: then it counts since when nothing was acknowledged.
                times = [at for at in (self._oldest(), moved_at) if at is not None]
                archive.oldest = min(times) if lag.messages else None
            await clock.sleep(_LAG_SECONDS)

    def _oldest(self) -> int | None:
        """When the oldest message that is taken and not on disk was published (ns)."""
        times = [messages[0].at for cut in (self._writing, self._taken) for messages in cut.values() if messages]
        return min(times, default=None)

    async def _report_lost(self) -> None:
        """What fell off the stream unread is a hole in each stream of this host; it is forgotten once on record."""
        while self._lost:
            lost = self._lost[0]
            self.links.tally.lost_messages += lost.last - lost.first + 1
            reason = f"bus: messages {lost.first} to {lost.last} fell off the stream before they were stored"
            for dataset, newest in await anyio.to_thread.run_sync(self._streamed):
                start, end = self._bounds(dataset, lost, newest)
                self._floors[dataset.name] = lost.last, end
                await self.links.catalogue.ask(GapFound(dataset, start, max(end, start + 1), reason), timeout=None)
            self._lost.pop(0)

    def _bounds(self, dataset: Dataset, lost: LostRange, stored: int | None) -> tuple[int, int]:
        """The hole that a loss makes in *dataset*: from its newest record before to its first one after (ns).

        Both by the exchange's clock, as far as they are known: by ours, records of the first message that is lost may
        be older than when the one before it was published. *stored* is the newest record on disk.
        """
        subject = subjects.ticks(dataset)
        taken = [message for cut in (self._writing, self._taken) for message in cut.get(subject, ())]
        before = _times(dataset, [message for message in taken if message.seq < lost.first][-1:])
        after = _times(dataset, [message for message in taken if message.seq > lost.last][:1])
        end = min(after) + 1 if after else (lost.until or self.context.clock.wall_ns()) + _SKEW
        if before:
            # Trades come a little out of order: so much of the end a message leaves unclaimed.
            return max(before) - (LATE if dataset.data_type is DataType.TRADES else 0), end
        # After a start nobody knows when the messages before were published: all of them are on disk. While it runs,
        # what is on disk may be newer than the loss: a repair of a later hole.
        known = [at - _SKEW for at in (lost.since, stored) if at is not None]
        return min(known, default=end - self._max_age - 2 * _SKEW), end

    def _streamed(self) -> list[tuple[Dataset, int | None]]:
        """A thread's work: what this host streams, or has streamed by what is on disk, and its newest row (ns).

        When a daemon starts, no stream runs yet. What can't be read counts as streamed.
        """
        store, layout = self.links.store, self.links.layout
        running = {state.dataset for state in list(self.links.board.values())}
        found = []
        for dataset in sorted(running.union(store.datasets())):
            try:
                newest = layout.periods(dataset)[-1:]
                if dataset in running or any(store.stored_position(dataset, p, self._epoch) for p in newest):
                    found.append((dataset, store.last_ts(dataset)))
            except StoreError as exc:
                self.context.log.error("not readable", dataset=dataset.name, error=str(exc))
                found.append((dataset, None))
        return found

    def _now(self) -> float:
        return self.context.clock.now()


def covered_by(messages: list[TickMessage], floor: tuple[int, int] | None = None) -> IntervalSet | None:
    """Return what *messages* claim together, None when none of them says anything of that. Pure.

    *floor*: messages behind its first number claim nothing before its second (ns). A message that fell off the stream
    took its claims with it, but some of its last records would have been claimed by the next.
    """
    found: list[Interval] = []
    said = False
    for message in messages:
        if message.covered is None or (claims := subjects.parse_covered(message.covered)) is None:
            continue
        said = True
        low = floor[1] if floor is not None and message.seq > floor[0] else MIN_TS
        found += [(max(start, low), end) for start, end in claims]
    return IntervalSet(found) if said else None


def _times(dataset: Dataset, messages: list[TickMessage]) -> list[int]:
    """The times (ns) of the records in *messages*; none of what is no ticks."""
    decoder: msgspec.json.Decoder[list[Record]] = msgspec.json.Decoder(RECORD_TYPES[dataset.data_type])
    times: list[int] = []
    for message in messages:
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            times += [record.ts for record in decoder.decode(message.data)]
    return times
