"""A replay: store → bus. One actor a replay.

Blocks of stored records flow in; messages on ``dccd.replay.<id>.<dataset>`` flow out, each when its last record is due;
among them, on ``dccd.replay.<id>.status``, what the replay does. One loop decides and sends everything that has a
number, so that what follows an order is of after it; it holds a block and a step, whatever the datasets' sizes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import msgspec

from actors.links import Links
from actors.mail import (
    GetReplay,
    PauseReplay,
    ReplayOrder,
    ResumeReplay,
    SeekReplay,
    SpeedReplay,
    StopReplay,
    YieldReplay,
)
from actors.pace import Pace
from actors.playing import Outgoing, ReplayPlan, Source, messages_of
from actors.runtime.actor import Actor, run_together
from dccd import subjects
from dccd.bus.credit import CreditSender, heard_by_anybody
from dccd.errors import BusError, BusUnavailable, DccdError, RequestError
from dccd.messages import ReplayChanged, ReplayEntry, ReplayState
from dccd.store.interleave import Block, Part
from dccd.symbols import format_time

__all__ = ["Player"]

PLAIN_BYTES = 4 << 20
"""Bytes a second at most without flow control: as much as about any subscriber takes."""
LINGER = 60.0
"""Seconds for which one that has ended can be brought back by a seek."""
EXPIRY = 3600.0
"""Seconds without anybody after which it is stopped."""
IDLE = 60.0
"""Seconds without anybody after which it makes room for another one, where there is none."""
LOOK = 5.0
"""Seconds between two looks whether anybody is there, and between two events of progress."""
LOOK_WAITING = 0.25
_RECORDS = 4096
_TURN = 32 << 10
_MESSAGE = 1024
"""Bytes that are published before others have their turn, and what a message counts besides its own."""
_OVER = ("ended", "failed", "stopped", "expired")


class Player(Actor):
    """Plays *plan*. *source* opens what is stored from a time (ns) on."""

    def __init__(self, links: Links, plan: ReplayPlan, source: Callable[[int], Source]) -> None:
        self.links, self.plan = links, plan
        self._open = source
        self._source: Source | None = None
        self._news = asyncio.Event()
        self._orders: deque[tuple[ReplayOrder, asyncio.Future[ReplayEntry | DccdError]]] = deque()
        self._sender = CreditSender(links.bus, plan.flow, self._heard)
        self._encoder = msgspec.json.Encoder()
        self.state: ReplayState = "paused" if plan.start_paused else "waiting"
        self._error: str | None = None
        self._untold = True
        self._attended = False
        self._pace = Pace(plan.start, 0.0, plan.speed)
        self._sent_ts = plan.start  # of the last record that is out, or where it was sought to
        self._block = Block([])
        self._step: list[Part] = []
        self._out: deque[Outgoing] = deque()
        self._begun = False  # whether some of the step is out
        self._step_ts = plan.start
        self._steps = self._records = 0
        self._free_at = 0.0
        self._at_once = 0
        self._seen_at = self._ended_at = 0.0
        self._shown = plan.start

    def __repr__(self) -> str:
        return f"<Player {self.plan.id} {self.state} {self._records} records>"

    def statistics(self) -> dict[str, Any]:
        return {"state": self.state, "records": self._records, "messages": self._sender.number}

    # ---------------------------------------------------------------- life

    async def on_start(self) -> None:
        await self._sender.start()
        self._seen_at = self.context.clock.now()
        self._base(self.plan.start)

    async def run(self) -> None:
        try:
            await run_together(self._play, self._look, self.serve)
        except Exception as exc:
            self._end("failed", str(exc) or type(exc).__name__)
            raise

    async def on_stop(self) -> None:
        if self.state not in _OVER:
            self._end("stopped")
        with anyio.move_on_after(1.0):
            await self._tell()
        await self._close()
        await self._sender.stop()

    async def on_message(self, message: Any) -> Any:
        if isinstance(message, GetReplay):
            return self.entry()
        if isinstance(message, YieldReplay):
            return self._yields()
        done: asyncio.Future[ReplayEntry | DccdError] = asyncio.get_running_loop().create_future()
        self._orders.append((message, done))
        self._news.set()
        return await done

    def entry(self) -> ReplayEntry:
        """What it is at, for the bus."""
        plan, now = self.plan, self.context.clock.now()
        return ReplayEntry(
            id=plan.id,
            host=self.links.host,
            state=self.state,
            datasets=[dataset.name for dataset in plan.datasets],
            start=plan.start,
            end=plan.end,
            position=self._position(now),
            speed=self._pace.speed,
            created=plan.created,
            records=self._records,
            number=self._sender.number,
            acked=None if plan.flow is None else self._sender.acked,
            attended=self._attended,
            behind=round(self._pace.behind(self._step_ts, now), 3) if self.state == "playing" and self._out else 0.0,
            error=self._error,
        )

    # ---------------------------------------------------------------- the loop

    async def _play(self) -> None:
        clock = self.context.clock
        while True:
            self._news.clear()
            await self._take_orders()
            await self._tell()
            if self.state in ("stopped", "expired"):
                return
            if self.state in _OVER:
                if clock.now() >= self._ended_at + LINGER:
                    return
                await self._wait(self._ended_at + LINGER)
                continue
            if self.state == "waiting" and self._sender.heard:
                self._go("playing")
                continue
            if self.state != "playing":
                await self._wait(None)
                continue
            try:
                if not self._out and not await self._fill():
                    continue
            except DccdError as exc:
                self.context.log.error("a replay fails", replay=self.plan.id, error=str(exc))
                self._end("failed", str(exc))
                continue
            if self._orders:
                continue  # they came while it read
            due = self._free_at if self._begun else max(self._pace.due(self._step_ts), self._free_at)
            if due > clock.now():
                await self._wait(due)
            elif not self._sender.room:
                await self._wait(None)
            else:
                await self._publish()

    async def _fill(self) -> bool:
        """Make messages of the next step, or end; False when there is nothing to send now."""
        step = self._step = self._block.take(self._pace.quantum, _RECORDS, together=self.plan.blocks)
        if not step:
            if self._source is None:
                self._source = self._open(max(self._sent_ts, self.plan.start))
            parts = await self._source.next()
            if parts is None:
                if not self._orders:
                    self._end("ended")
                return False
            self._block = Block(parts)
            return False
        first = min(records[0].ts for _, records in step)
        self._step_ts = max(records[-1].ts for _, records in step)
        self._steps, self._begun = self._steps + 1, False
        self._out.extend(messages_of(self.plan.id, self.plan.datasets, step, self._steps, self._encoder))
        if self.plan.holes and first > self._sent_ts:
            self._pace = self._pace.jumped(self.plan.holes.within(self._sent_ts, first).length)
        return True

    async def _publish(self) -> None:
        message = self._out[0]
        try:
            await self._sender.send(message.subject, message.payload, message.headers)
        except BusUnavailable:
            return  # without flow control: it goes out when the bus is back
        except BusError as exc:
            self._end("failed", str(exc))
            return
        self._out.popleft()
        self._begun = True
        self._records += message.count
        self._sent_ts = max(self._sent_ts, message.ts)
        if self.plan.flow is None:
            now = self.context.clock.now()
            self._free_at = max(now, self._free_at) + len(message.payload) / PLAIN_BYTES
        self._at_once += len(message.payload) + _MESSAGE
        if self._at_once >= _TURN:
            # At full speed, too, everybody has a turn; not after each small message, which would be a write of its own.
            self._at_once = 0
            await asyncio.sleep(0)

    async def _wait(self, until: float | None) -> None:
        """Until something has happened, or that time of the clock has come."""
        timer = None if until is None else self.context.clock.call_at(until, self._news.set)
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _heard(self) -> None:
        self._seen_at = self.context.clock.now()
        self._news.set()

    # ---------------------------------------------------------------- orders

    async def _take_orders(self) -> None:
        while self._orders:
            order, done = self._orders.popleft()
            answer: ReplayEntry | DccdError
            try:
                await self._obey(order)
                await self._tell()
                answer = self.entry()
            except DccdError as exc:
                answer = exc
            if not done.done():
                done.set_result(answer)

    async def _obey(self, order: ReplayOrder) -> None:
        self._untold = True
        self._seen_at = self.context.clock.now()
        match order:
            case PauseReplay():
                self._go("paused")
            case ResumeReplay():
                self._go("playing")
            case SpeedReplay(speed):
                self._base(self._position(self.context.clock.now()), speed)
                if self._out and not self._begun:  # at another speed it is another step
                    self._out.clear()
                    self._block.put_back(self._step)
            case SeekReplay(to):
                await self._seek(to)
            case StopReplay():
                self._end("stopped")

    def _go(self, state: ReplayState) -> None:
        if self.state in _OVER:
            raise RequestError(409, "over", f"replay {self.plan.id} has {self.state}; seek to a time to play it again")
        if self.state != state:
            self._base(self._position(self.context.clock.now()))
            self.state, self._untold = state, True

    async def _seek(self, to: int) -> None:
        plan = self.plan
        if not plan.start <= to <= plan.end:
            told = f"{format_time(to)} is not within {format_time(plan.start)} and {format_time(plan.end)}"
            raise RequestError(422, "out_of_range", told, "to")
        await self._close()
        self._sent_ts = self._step_ts = to
        if self.state in _OVER:
            self.state, self._error = "playing", None
        self._base(to)

    def _end(self, state: ReplayState, error: str | None = None) -> None:
        self.state, self._error, self._untold = state, error, True
        self._ended_at = self.context.clock.now()
        if state == "ended":
            self._sent_ts = self.plan.end

    def _yields(self) -> bool:
        over = self.state in _OVER
        if self._attended or not (over or self.context.clock.now() >= self._seen_at + IDLE):
            return False
        if not over:
            self._end("expired")
            self._news.set()
        return True

    async def _close(self) -> None:
        """Forget what was read ahead."""
        self._out.clear()
        self._block = Block([])
        source, self._source = self._source, None
        if source is not None:
            await source.close()

    def _base(self, ts: int, speed: float | None = None) -> None:
        self._pace = Pace(ts, self.context.clock.now(), self._pace.speed if speed is None else speed)

    def _position(self, now: float) -> int:
        if self.state != "playing":
            return self._sent_ts if self.state in _OVER else max(self._pace.ts, self._sent_ts)
        reached = self._pace.position(now) if self._pace.speed else self._sent_ts
        return max(self._sent_ts, min(reached, self._step_ts if self._out else self.plan.end))

    # ---------------------------------------------------------------- what it says

    async def _tell(self) -> None:
        """Say what it does, among the messages and as an event, if that isn't said yet."""
        if not self._untold:
            return
        try:
            await self._sender.send(subjects.replay_status(self.plan.id), self._status())
        except BusUnavailable:
            return  # without flow control: when it is back
        self._untold = False
        self._event()

    def _status(self) -> bytes:
        return msgspec.json.encode(self._changed())

    def _event(self) -> None:
        self.links.emit(subjects.replay_event(self.plan.id), self._changed())
        self._shown = self._sent_ts

    def _changed(self) -> ReplayChanged:
        return ReplayChanged(at=self.context.clock.wall_ns(), host=self.links.host, replay=self.entry())

    async def _look(self) -> None:
        """See now and then whether anybody is there; who is gets a sign of life."""
        clock, subject = self.context.clock, subjects.replay_status(self.plan.id)
        while True:
            await clock.sleep(LOOK_WAITING if self.state == "waiting" else LOOK)
            self._attended = await heard_by_anybody(self.links.bus, subject, self._status())
            if self._attended:
                self._seen_at = clock.now()
                if self.state == "waiting" and self.plan.flow is None:
                    self._go("playing")
                    self._news.set()
            elif self.state not in _OVER and self.links.bus.connected and clock.now() > self._seen_at + EXPIRY:
                self._end("expired")
                self._news.set()
            if self.state == "playing" and self._sent_ts != self._shown:
                self._event()
