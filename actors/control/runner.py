"""Decides what backfills run: asks flow in, runs flow out, one actor each under the ``backfills`` supervisor.

All asks pass one mailbox, so that the same backfill asked for twice at once is one run.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import msgspec

from actors.control.ranges import resolve_range
from actors.control.runbook import RunBook
from actors.known import check_book
from actors.links import Links
from actors.mail import (
    AdoptRun,
    CancelBackfill,
    MoveRuns,
    RunEnded,
    RunIsAt,
    RunLost,
    RunSettled,
    StartBackfill,
    StartWhole,
)
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorGone, ChildNotFound
from actors.runtime.spec import Backoff, ChildSpec
from dccd.errors import BusUnavailable, DccdError, RequestError
from dccd.exchanges.registry import get as get_exchange
from dccd.messages import BackfillStarted, RunStarted
from dccd.runs import ACTIVE, Level, LogLine, Run, RunState, new_run_id, with_line

__all__ = ["Runner"]

T = TypeVar("T")
_BACKOFF = Backoff(initial=1.0, maximum=30.0)
_RETRY_SECONDS = 0.5


def _lane(run: Run) -> tuple[bool, bool]:
    """Runs of the same lane wait for each other."""
    return (run.trigger == "gap", not run.dataset)


class _Fill:
    """What the runner tells itself: try again to start what waits."""


class Runner(Actor):
    """Starts, queues, cancels and resumes backfills, and runs of the whole store: at most *parallel* at once, as many
    repairs of holes beside them, and as many of the whole store; the others wait their turn.

    *resume*: go on with what was interrupted as soon as it starts; else each run waits until it is asked for again.
    """

    mailbox_size = 1024

    def __init__(self, links: Links, make: Callable[[Run], Actor], *, resume: bool = True, parallel: int = 8) -> None:
        self.links, self.make, self.resume, self.parallel = links, make, resume, parallel
        self.book = RunBook(links)
        self._queue: deque[str] = deque()
        self._running: set[str] = set()
        self._held_up = asyncio.Event()  # something could start but for the bus

    def __repr__(self) -> str:
        return f"<Runner {len(self._running)} running, {len(self._queue)} queued>"

    def statistics(self) -> dict[str, Any]:
        return {"running": len(self._running), "queued": len(self._queue)}

    async def on_start(self) -> None:
        """Resume what a crash or a stop interrupted: the same runs, at their recorded positions."""
        here = set()
        for child in self.links.backfills.nodes():
            if child.status == "gave_up":
                await self.links.backfills.terminate_child(child.id)  # forgets it: its run may go on as a new child
            else:
                here.add(child.id)
        runs = [*(await self.book.unfinished()), *(await self.book.restored(self.links.active))]
        self.links.active.clear()
        for run_id in here.difference(run.run_id for run in runs):
            # It is over, or another host's by now, and its word of that came when this actor wasn't there.
            with contextlib.suppress(ChildNotFound):
                await self.links.backfills.terminate_child(run_id)
        waiting = []
        for run in runs:
            self.links.active[run.run_id] = run
            if run.run_id in here:  # this actor crashed, the backfill didn't
                self._running.add(run.run_id)
                continue
            waiting.append(run.run_id)
            if run.state != "interrupted":
                said = f"interrupted: nobody was at it when {self.links.host} started"
                await self._claim(run, "interrupted", "warning", said)
        if self.resume:
            for run_id in waiting:
                if run_id in self.links.active:
                    await self._enqueue_again(self.links.active[run_id])
        self.links.runner = self.context.ref

    async def run(self) -> None:
        await self._fill()
        await run_together(self._fill_again, self.serve)

    async def _fill_again(self) -> None:
        """What couldn't start with the bus away starts when it is back: nobody asks for it a second time."""
        while True:
            await self._held_up.wait()
            await self.context.clock.sleep(_RETRY_SECONDS)
            self._held_up.clear()
            await self.context.ref.tell(_Fill())

    async def on_message(self, message: Any) -> Any:
        match message:
            case StartBackfill():
                try:
                    return await self._start(message)
                except DccdError as exc:
                    return exc  # an answer, not a crash of this actor
            case StartWhole():
                try:
                    return await self._start_whole(message)
                except DccdError as exc:
                    return exc
            case MoveRuns(exchanges):
                await self._move(exchanges)
            case CancelBackfill(run_id):
                try:
                    return await self._cancel(run_id)
                except DccdError as exc:
                    return exc
            case RunEnded(run):
                await self._ended(run)
            case AdoptRun(run):
                await self._adopt(run)
            case RunLost(run_id):
                with contextlib.suppress(BusUnavailable):  # it will be told again
                    await self._lost(run_id)
            case _Fill():
                await self._fill()
        return None

    async def _start(self, ask: StartBackfill) -> BackfillStarted:
        dataset = ask.dataset
        exchange = get_exchange(dataset.exchange)
        exchange.check(dataset, live=False)
        self.links.config.reach(exchange, dataset.symbol, live=False)
        check_book(dataset, self.links.board)
        asked = (str(ask.start), None if ask.end is None else str(ask.end))
        for run in list(self.links.active.values()):
            if run.dataset == dataset.name and run.asked == asked:
                waits = run.run_id not in self._running and run.run_id not in self._queue
                if waits and not await self._enqueue_again(run):
                    continue
                await self._fill()
                return BackfillStarted(run_id=run.run_id, already_running=not waits, run=self._now(run))
        now = self.context.clock.wall_ns()
        stored = None
        if ask.start == "last":
            stored = await anyio.to_thread.run_sync(self.links.store.resume, dataset)
        start, end, warning = resolve_range(
            dataset, asked, stored, now, exchange.capabilities.of(dataset.symbol).historical[dataset.data_type]
        )
        run = Run(
            run_id=new_run_id(now, secrets.randbits(74)),
            dataset=dataset.name,
            state="queued",
            trigger=ask.trigger,
            reason=ask.reason,
            host=self.links.host,
            created=now,
            updated=now,
            asked=asked,
            start=start,
            end=end,
            position=start,
            warning=warning,
        )
        await self.book.create(run)
        self._queue.append(run.run_id)
        await self._fill()
        return BackfillStarted(run_id=run.run_id, already_running=False, run=self._now(run))

    async def _start_whole(self, ask: StartWhole) -> RunStarted:
        """A run of the whole store: one of its kind at a time. One that was interrupted, and was asked for otherwise,
        is over."""
        for run in [run for run in self.links.active.values() if run.operation == ask.operation]:
            waits = run.run_id not in self._running and run.run_id not in self._queue
            if run.options == ask.options:
                if waits:
                    if not await self._enqueue_again(run):
                        continue
                    await self._fill()
                return RunStarted(run_id=run.run_id, already_running=not waits, run=self._now(run))
            if not waits:
                told = f"run {run.run_id} is under way with other options; wait for it, or cancel it"
                raise RequestError(409, "busy", told)
            await self._over(run, "cancelled")
        now = self.context.clock.wall_ns()
        run = Run(
            run_id=new_run_id(now, secrets.randbits(74)),
            operation=ask.operation,
            options=ask.options,
            state="queued",
            trigger=ask.trigger,
            host=self.links.host,
            created=now,
            updated=now,
            start=0,
            end=0,
            position=0,
        )
        await self.book.create(run)
        self._queue.append(run.run_id)
        await self._fill()
        return RunStarted(run_id=run.run_id, already_running=False, run=self._now(run))

    def _now(self, run: Run) -> Run:
        """*run* as it is by now, if it is still here."""
        return self.links.active.get(run.run_id, run)

    async def _enqueue_again(self, run: Run, *, surely: bool = False) -> bool:
        """An interrupted run goes on: the same run, from its recorded position; *surely*: once the bus is there. False
        when somebody else was first."""
        said = f"goes on where it was: {run.rows:,} rows so far"
        claim = partial(self._claim, run, "queued", "info", said, resumed=run.resumed + 1)
        claimed = await (self._surely(run, claim) if surely else claim())
        if claimed:
            self._queue.append(run.run_id)
        return claimed

    async def _claim(self, run: Run, state: RunState, level: Level, said: str, **fields: Any) -> bool:
        """Write *run* as one of this host in *state*, and why; it is forgotten here when it is over, or another's."""
        line = LogLine(self.context.clock.wall_ns(), level, said)
        claimed = msgspec.structs.replace(with_line(run, line), state=state, updated=line.at, **fields)
        if await self.book.claim(claimed, run.host, line):
            return True
        self.book.forget(run.run_id)
        return False

    async def _fill(self) -> None:
        """Start what waits, as far as there is room."""
        for run_id in list(self._queue):
            run = self.links.active[run_id]
            if not self._has_room(run):
                continue
            try:
                is_ours = await self._changed(run, "running")
            except BusUnavailable as exc:
                self.context.log.warning("what waits its turn waits for the bus", run_id=run_id, error=str(exc))
                self._held_up.set()
                return
            self._queue.remove(run_id)
            if not is_ours:
                continue
            self._running.add(run_id)
            start = partial(self._made, run_id)
            spec = ChildSpec(id=run_id, start=start, restart="transient", shutdown=20.0, backoff=_BACKOFF)
            await self.links.backfills.start_child(spec)

    def _has_room(self, run: Run) -> bool:
        """Repairs have their own places, since exchanges forget what they wait for while years are fetched; so has
        what is of the whole store, which waits for no exchange."""
        active = self.links.active
        alike = sum(_lane(active[id]) == _lane(run) for id in self._running if id in active)
        return alike < self.parallel

    def _made(self, run_id: str) -> Actor:
        """A backfiller of the run as it is on record now: after a crash it goes on from there."""
        return self.make(self.links.active[run_id])

    async def _cancel(self, run_id: str) -> Run | RunIsAt:
        run = await self.book.get(run_id)
        if run_id in self._queue:
            self._queue.remove(run_id)
            return await self._surely_over(run, "cancelled") or await self._cancel(run_id)
        if run_id in self.links.active and run_id not in self._running:
            # Interrupted, and not gone on with.
            return await self._over(run, "cancelled") or await self._cancel(run_id)
        if run.state in ACTIVE and run.host != self.links.host:
            return await self._cancel_left(run) if run.state == "interrupted" else RunIsAt(run.host)
        if run_id not in self._running:
            raise RequestError(409, "not_running", f"run {run_id} is over: {run.state}", "run_id")
        try:
            # The backfiller writes what it holds and its position while it stops.
            await self.links.backfills.terminate_child(run_id)
        except ChildNotFound as exc:
            # It has ended by itself; its word of that waits behind this request.
            raise RequestError(409, "not_running", f"run {run_id} has just ended", "run_id") from exc
        self._running.discard(run_id)
        over = await self._surely_over(self.links.active[run_id], "cancelled")
        await self._fill()
        return over or await self._cancel(run_id)

    async def _cancel_left(self, run: Run) -> Run | RunIsAt:
        """Cancel what a host that is gone was at; if it is back, or another was first, that decides anew."""
        now = self.context.clock.wall_ns()
        over = msgspec.structs.replace(run, state="cancelled", updated=now, finished=now)
        if not await self.book.close(over):
            return await self._cancel(run.run_id)
        await self._tell_settled(over)
        return over

    async def _move(self, exchanges: tuple[str, ...]) -> None:
        """Begin the backfills of *exchanges* that are under way again, where they are: the same runs, in their turn."""
        active = self.links.active
        moved = [id for id in self._running if id in active and active[id].dataset.split(".")[0] in exchanges]
        for run_id in moved:
            try:
                await self.links.backfills.terminate_child(run_id)
            except ChildNotFound:
                continue  # it has ended by itself; its word of that waits behind this message
            self._running.discard(run_id)
            await self._enqueue_again(active[run_id], surely=True)
        await self._fill()

    async def _adopt(self, run: Run) -> None:
        """A run whose host is gone, and whose rows are here, goes on as one of this host."""
        if not self.resume or run.run_id in self.links.active:
            return
        if await self._enqueue_again(run, surely=True):
            await self._fill()

    async def _lost(self, run_id: str) -> None:
        """Leave a run to whoever has gone on with it, or ended it, while this host passed for gone."""
        run = self.links.active.get(run_id)
        if run is None or await self.book.say_again(run_id):
            return  # known, or it is ours again
        with contextlib.suppress(ValueError):
            self._queue.remove(run_id)
        with contextlib.suppress(ChildNotFound):
            await self.links.backfills.terminate_child(run_id)
        self._running.discard(run_id)
        self._forget(run)
        await self._fill()

    async def _ended(self, run: Run) -> None:
        if run.run_id not in self._running:
            return  # cancelled meanwhile
        await self._surely_over(run, run.state)
        self._running.discard(run.run_id)
        with contextlib.suppress(ChildNotFound):
            # Of one that was set aside the run's record tells; kept on, it would make the daemon unhealthy for ever.
            await self.links.backfills.terminate_child(run.run_id)
        await self._fill()

    async def _over(self, run: Run, state: RunState) -> Run | None:
        over = await self._changed(run, state, finished=self.context.clock.wall_ns())
        if over is not None:
            await self._tell_settled(over)
        return over

    async def _tell_settled(self, run: Run) -> None:
        if run.dataset:
            with contextlib.suppress(ActorGone):  # while it restarts: it finds by itself what no run fetches
                await self.links.catalogue.tell(RunSettled(run))
            self.links.tell_scheduler(RunSettled(run))

    async def _surely_over(self, run: Run, state: RunState) -> Run | None:
        """The same, once the bus is there: nobody tells it a second time, and nobody is at the run any more."""
        return await self._surely(run, partial(self._over, run, state))

    async def _surely(self, run: Run, put: Callable[[], Awaitable[T]]) -> T:
        """Do what puts *run* on record, as soon as the bus is there: half of it done, nobody would do the rest."""
        while True:
            try:
                return await put()
            except BusUnavailable as exc:
                self.context.log.warning("what becomes of a run waits for the bus", run_id=run.run_id, error=str(exc))
                await self.context.clock.sleep(_RETRY_SECONDS)

    async def _changed(self, run: Run, state: RunState, **fields: Any) -> Run | None:
        """Put *run* on record in *state*; None, and it is forgotten here, when it is over by now, or another host's."""
        now = self.context.clock.wall_ns()
        if state == "running" and run.started is None:
            fields["started"] = now
        run = msgspec.structs.replace(run, state=state, updated=now, **fields)
        if await self.book.save(run):
            return run
        self._forget(run)
        return None

    def _forget(self, run: Run) -> None:
        told = "this host passed for gone: others have gone on with a run, or ended it"
        self.context.log.warning(told, run_id=run.run_id)
        self.book.forget(run.run_id)
