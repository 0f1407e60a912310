"""A live stream: feed → bus. One actor a stream.

Items of a :class:`~dccd.feeds.session.Session` flow in; tick messages flow out to the bus, holes to the catalogue, and
what the stream says of itself to the board. Nothing that comes after a hole is published before the hole is on record:
then, whatever is killed, the last message on the bus says where the next hole starts.
"""

from __future__ import annotations

import contextlib

import anyio
import msgspec

from actors.claimed import Claimed
from actors.links import Links, StreamState
from actors.mail import GapFound
from actors.runtime.actor import Actor
from actors.runtime.exits import ActorGone
from dccd import subjects
from dccd.bus.streams import last_message
from dccd.errors import BusUnavailable, StoreError, SubscriptionRefused
from dccd.exchanges.capability import depth_warning
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.holes import LATE
from dccd.feeds.items import Batch, Broke, Connected, Hole, Item, Live, Lost, Silent, Unparsed
from dccd.feeds.session import Session
from dccd.messages import StreamChanged, StreamSample
from dccd.records import RECORD_TYPES, Record
from dccd.store.intervals import Interval
from dccd.subjects import COVERED, covered_header, parse_covered
from dccd.symbols import NS, DataType

__all__ = ["Collector", "claimed_until", "hole_since", "split", "stood_at"]

MAX_PAYLOAD = 900_000
"""Bytes of one tick message: below the server's ``max_payload`` of 1 MiB, with room for headers."""

_AHEAD = 60 * NS
_BACK = 86_400 * NS
"""So much earlier at most a hole begins where the last message's claims end."""
_DOUBTED = (DataType.TRADES, DataType.OHLC)
"""What is held back or unclaimed after it came; of all else the newest record is the last that is certain."""
_RETRY_SECONDS = 0.5


def hole_since(data_type: DataType, last_ts: int | None, claimed: int | None = None) -> int | None:
    """Return where the hole of a stream that starts (again) begins, from its newest record on the bus or on disk.

    For trades a little before that record, since others may come late; where *claimed* is earlier, up to which the last
    message claims that all is there, from there on: what was doubtful when the process was killed (a jump in the trade
    ids, a bar) must be inside. None when there is nothing yet.
    """
    if last_ts is None:
        return None
    since = last_ts - LATE if data_type is DataType.TRADES else last_ts
    if claimed is None or data_type not in _DOUBTED:
        return since
    # Anybody may publish there: no header has everything fetched again.
    return min(since, max(claimed, since - _BACK))


def claimed_until(covered: str | None) -> int | None:
    """Return where the claims of a message with this header end (ns); None where it doesn't say."""
    claims = None if covered is None else parse_covered(covered)
    return max((end for _, end in claims or ()), default=0) or None


def stood_at(stored: int | None, last: list[Record], now: int) -> int | None:
    """Return the time (ns) of a stream's newest record, from that on disk and those of its *last* message on the bus.

    One that is ahead of when it came is wrong, or the exchange's clock is: the hole must not begin there. So is one on
    disk that is a little ahead of the bus, through which it came; one that is much later was fetched.
    """
    times = [record.ts if record.recv_ts is None else min(record.ts, record.recv_ts) for record in last]
    published = max(times, default=None)
    if stored is not None:
        stored = min(stored, now)
    if stored is None or published is None:
        return stored if published is None else published
    return published if stored <= published + _AHEAD else stored


def split(records: list[Record], encode: msgspec.json.Encoder) -> list[tuple[bytes, list[Record]]]:
    """Return *records* as JSON arrays that a message can hold, each with its records."""
    payload = encode.encode(records)
    if len(payload) <= MAX_PAYLOAD or len(records) == 1:
        return [(payload, records)]
    half = len(records) // 2
    return split(records[:half], encode) + split(records[half:], encode)


class Collector(Actor):
    """Collects one dataset until it is stopped. Crashes when the exchange refuses the subscription for good."""

    def __init__(self, links: Links, state: StreamState) -> None:
        self.links, self.state = links, state
        self.dataset = state.dataset
        self.exchange = get_exchange(self.dataset.exchange)
        self.subject = subjects.ticks(self.dataset)
        self._encoder = msgspec.json.Encoder()
        self._claimed = Claimed()

    def __repr__(self) -> str:
        return f"<Collector {self.dataset} {self.state.state} {self.state.records} records>"

    async def _stood_at(self) -> tuple[int | None, int | None]:
        """Return where the stream stood: the newest record in the bus's last message of it, or on disk; and up to where
        that message claims that all is there, None where it doesn't say or what is on disk is of later.

        Waits while the bus is away: a stream must not be set aside for that. Nor for a corrupt file: what comes now
        has nothing to do with it.
        """
        stored: int | None = None
        last: list[Record] = []
        claimed: int | None = None
        try:
            stored = await anyio.to_thread.run_sync(self.links.store.last_ts, self.dataset)
        except StoreError as exc:
            self.context.log.error("where the stream stood on disk isn't known", error=str(exc))
        while True:
            try:
                found = await last_message(self.links.bus, self.subject)
                break
            except BusUnavailable as exc:
                self.state.error = str(exc)
                await self.context.clock.sleep(_RETRY_SECONDS)
        if found is not None:
            # Anybody may publish there: what is no ticks says nothing, and what is on disk is then known to be older.
            with contextlib.suppress(msgspec.MsgspecError):
                last = msgspec.json.decode(found.data, type=RECORD_TYPES[self.dataset.data_type])
                claimed = claimed_until(found.headers.get(COVERED))
        now = self.context.clock.wall_ns()
        stood = stood_at(stored, last, now)
        return stood, claimed if stood == stood_at(None, last, now) else None

    async def run(self) -> None:
        self.state.state = "connecting"
        if (warning := depth_warning(self.exchange.capabilities, self.dataset, self.state.options)) is not None:
            self.context.log.warning(warning, dataset=self.dataset.name)
        since = hole_since(self.dataset.data_type, *await self._stood_at())
        self._claimed = Claimed(since, bars=self.dataset.span is not None)
        session = Session(
            self.exchange,
            self.dataset,
            self.state.options,
            rest=self.links.rest.get(self.exchange.id),
            sockets=self.links.sockets.get(self.exchange),
            clock=self.context.clock,
            since=since,
        )
        self.state.follow(session.counts)
        try:
            async with contextlib.aclosing(session.run()) as items:
                async for item in items:
                    if isinstance(item, Batch):
                        await self._publish(item)
                    else:
                        await self._note(item)
        except Exception as exc:
            # The board keeps why, for streams.list; the supervisor decides what follows.
            if isinstance(exc, SubscriptionRefused):
                self.state.state = "refused"
            self.state.error = str(exc) or type(exc).__name__
            raise

    async def on_stop(self) -> None:
        if self.state.state != "refused":
            self.state.state = "stopped"

    async def _publish(self, batch: Batch) -> None:
        state, publisher = self.state, self.links.publisher
        state.saw(batch.records, batch.recv_ts)
        if state.overflow is not None:
            # The publisher had no room for a while, and has it again: first the hole, then what follows it.
            hole, doubted = self._claimed.dropped(*state.overflow)
            await self._report(*hole, "overflow: the bus was away for longer than the buffer holds", doubted)
            state.overflow = None
        due = self._claimed.batch(batch.records[0].ts, batch.certain)
        parts = split(batch.records, self._encoder)
        taken = True
        for number, (payload, records) in enumerate(parts, 1):
            # What the batch makes certain is in all of its messages: the last one claims it.
            covered = covered_header((number == len(parts) and due) or self._claimed.stand(due))
            if publisher.offer(self.subject, payload, len(records), records[0].ts, records[-1].ts, covered=covered):
                state.messages += 1
                state.published += len(payload)
            else:
                taken = False
        if not taken:
            self._claimed.undo(due)
        await publisher.room()

    async def _note(self, item: Item) -> None:
        state, now = self.state, self.context.clock.wall_ns()
        match item:
            case Connected():
                state.state = "connecting"
            case Live(at):
                state.state, state.connected_since, state.error = "live", at, None
                self._status("live")
            case Lost(reason=reason):
                state.state, state.error, state.connected_since = "reconnecting", reason, None
                state.reconnects += 1
                self._status("reconnecting", reason)
            case Hole(since, until, reason):
                doubted = self._claimed.hole(since, until)
                await self._report(since, until, reason, doubted)
            case Broke(reason=reason, resync=resync):
                self._status(f"resync by {resync}", reason)
            case Silent(since=since):
                self._status("silent", f"no record for {(now - since) / NS:.0f} s")
            case Unparsed(error, sample, count):
                state.unparsed += count
                self.context.log.warning("frames not parsed", dataset=self.dataset.name, count=count, error=error)
                text = sample.decode("utf-8", "replace")
                event = StreamSample(
                    at=now, host=self.links.host, dataset=self.dataset.name, error=error, sample=text, count=count
                )
                self.links.emit(subjects.stream_event(self.dataset, "sample"), event)

    async def _report(self, start: int, end: int, reason: str, doubted: Interval | None = None) -> None:
        """Put a hole on record, and come back only then. *doubted*: what of it had been claimed."""
        self.state.gaps += 1
        self.state.gap_seconds += (end - start) / NS
        while True:
            try:
                await self.links.catalogue.ask(
                    GapFound(self.dataset, start, end, reason, doubted=doubted), timeout=None
                )
                return
            except ActorGone:
                # It restarts, and is another one then. This stream has no part in that.
                await self.context.clock.sleep(_RETRY_SECONDS)

    def _status(self, status: str, reason: str | None = None) -> None:
        self.context.log.info(
            "stream", dataset=self.dataset.name, status=status, **({"reason": reason} if reason else {})
        )
        event = StreamChanged(
            at=self.context.clock.wall_ns(),
            host=self.links.host,
            dataset=self.dataset.name,
            state=status,
            reason=reason,
        )
        self.links.emit(subjects.stream_event(self.dataset, "status"), event)
