"""Backfills and other runs: start, follow, list, cancel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypedDict, Unpack

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Message
from dccd.bus.history import RunHistory, hosts_there
from dccd.bus.kv import Bucket
from dccd.client.base import Requests, Time, bound, time_text
from dccd.client.since import Since, since_ns
from dccd.errors import BusUnavailable
from dccd.runs import ACTIVE, Run, RunState, Trigger, as_told, require_done

__all__ = ["RunEvent", "RunFilters", "RunRequests"]

RunEvent = m.RunStatus | m.RunProgress | m.RunFile | m.RunLog
"""What :meth:`Client.follow` yields."""


class RunFilters(TypedDict, total=False):
    """Which runs: of a *job* (``backfill.binance.ohlc.BTC-USDT.1m``), an *operation*, a *dataset*; in a *state*, or
    one of several; of a *host*; asked for by a *trigger*.

    *since*: those that have changed since (a time, or ``"2h"`` ago); *until*: those that were asked for before;
    *before* a run's id: those that changed before that one.
    """

    job: str | None
    operation: str | None
    dataset: str | None
    state: RunState | Sequence[RunState] | None
    host: str | None
    trigger: Trigger | None
    since: Since | None
    until: Since | None
    before: str | None


class RunRequests(Requests):
    """Backfills and other runs."""

    async def start_backfill(
        self,
        exchange: str,
        symbol: str,
        data_type: str = "ohlc",
        span: str | int | None = None,
        start: Time = "last",
        end: Time | None = None,
    ) -> m.BackfillStarted:
        """Start a backfill and return at once; the same one, already running, is returned as it is."""
        message = m.BackfillStart(
            exchange=exchange,
            symbol=symbol,
            data_type=data_type,
            span=span,
            start=time_text(start),
            end=bound(end),
        )
        return await self._ask("backfill.start", m.BackfillStarted, message)

    async def backfill(
        self,
        exchange: str,
        symbol: str,
        data_type: str = "ohlc",
        span: str | int | None = None,
        start: Time = "last",
        end: Time | None = None,
        *,
        wait: bool = True,
        on_progress: Callable[[m.RunProgress], object] | None = None,
    ) -> Run:
        """Fetch history from *start* (``last``: go on from what is stored; ``origin``; a time) to *end* (now).

        Returns the finished run, or with ``wait=False`` the one just started. A cancelled wait doesn't cancel the run.
        Raises RequestError when it is refused, RunFailed when it ends otherwise than done.
        """
        run = (await self.start_backfill(exchange, symbol, data_type, span, start, end)).run
        if not wait:
            return run
        async with aclosing(self.follow(run.run_id)) as events:
            async for event in events:
                if isinstance(event, m.RunStatus):
                    run = event.run
                elif isinstance(event, m.RunProgress) and on_progress is not None:
                    on_progress(event)
        require_done(run)
        return run

    async def follow(self, run_id: str, *, poll: float = 2.0, patience: float = 60.0) -> AsyncGenerator[RunEvent, None]:
        """Yield what a run reports: its state now, progress, log lines, and last the state in which it ended.

        Events may get lost with a connection, so the state is asked for when none came for *poll* seconds. Raises
        RequestError 404 for an unknown run, BusUnavailable when nobody has answered for *patience* seconds.
        """
        async with self._run_events(run_id) as arrived:
            # Asked for after subscribing, so that no change of state falls between the two.
            run = await self.run(run_id)
            async for event in self._follow(run, arrived, poll, patience):
                yield event

    async def migrate(
        self,
        *,
        dry_run: bool = True,
        symbols: Mapping[str, str] | None = None,
        datasets: Mapping[str, str] | None = None,
        remove_originals: bool = False,
    ) -> AsyncGenerator[RunEvent, None]:
        """Bring files of older releases in the daemon's ``data_path`` into this layout, or say what would be done.

        Yields what the run reports, as :meth:`follow` does, with a RunFile for each file. *symbols*: what pairs mean;
        *datasets*: what files or folders hold. Raises RequestError when it is refused.
        """
        message = m.StorageMigrate(
            dry_run=dry_run,
            symbols=dict(symbols or {}),
            datasets=dict(datasets or {}),
            remove_originals=remove_originals,
        )
        async with aclosing(self._start_and_follow("storage.migrate", message)) as events:
            async for event in events:
                yield event

    async def storage(
        self, message: m.StorageSync | m.StorageVerify | m.StorageRestore | m.StorageFold
    ) -> AsyncGenerator[RunEvent, None]:
        """Copy to the daemon's remotes, compare the copies, bring them back, or fold the store, as *message* says.

        Yields what the run reports, as :meth:`follow` does. Raises RequestError when it is refused.
        """
        operation = f"storage.{type(message).__name__.removeprefix('Storage').lower()}"
        async with aclosing(self._start_and_follow(operation, message)) as events:
            async for event in events:
                yield event

    async def _start_and_follow(self, operation: str, message: Any) -> AsyncGenerator[RunEvent, None]:
        # It may be over before anybody could ask for the events of a run whose id was told.
        async with self._run_events("*") as arrived:
            started = await self._ask(operation, m.RunStarted, message, timeout=30)
            async for event in self._follow(started.run, arrived, 2.0, 60.0):
                yield event

    @asynccontextmanager
    async def _run_events(self, run_id: str) -> AsyncIterator[asyncio.Queue[RunEvent]]:
        """What comes of run *run_id* (``*``: of all) while the block runs."""
        arrived: asyncio.Queue[RunEvent] = asyncio.Queue(1024)

        async def take(message: Message) -> None:
            try:
                event = msgspec.json.decode(message.data, type=RunEvent)
            except msgspec.DecodeError:  # of a newer daemon: the state is asked for all the same
                return
            await arrived.put(event)

        subscription = await self.bus.subscribe(subjects.run_event(run_id, ">"), take)
        try:
            yield arrived
        finally:
            await subscription.unsubscribe()

    async def _follow(
        self, run: Run, arrived: asyncio.Queue[RunEvent], poll: float, patience: float
    ) -> AsyncGenerator[RunEvent, None]:
        run_id = run.run_id
        yield m.RunStatus(at=run.updated, host=run.host, run=run)
        heard = time.monotonic()
        while run.state in ACTIVE:
            try:
                async with asyncio.timeout(poll):
                    event = await arrived.get()
            except TimeoutError:
                try:
                    latest = await self._ask("runs.get", Run, m.RunsGet(run_id=run_id), timeout=min(poll, 5.0))
                except BusUnavailable:
                    if time.monotonic() - heard > patience:
                        raise
                    continue
                event = m.RunStatus(at=latest.updated, host=latest.host, run=latest)
            if (event.run.run_id if isinstance(event, m.RunStatus) else event.run_id) != run_id:
                continue
            heard = time.monotonic()
            if isinstance(event, m.RunStatus):
                if event.run == run or event.run.updated < run.updated:
                    continue  # overtaken by a reply
                run = event.run
            yield event

    async def run(self, run_id: str) -> Run:
        """One run. Raises RequestError 404."""
        return await self._ask("runs.get", Run, m.RunsGet(run_id=run_id))

    async def runs(self, limit: int = 50, **filters: Unpack[RunFilters]) -> list[Run]:
        """The *limit* runs that changed last, without their logs: ``runs(10, state="failed", since="2h")``.

        Raises RequestError, IdentityError.
        """
        return await _pages(_query(filters), limit, lambda query: self._ask("runs.list", m.Runs, query, timeout=30))

    async def runs_on_record(self, limit: int = 50, **filters: Unpack[RunFilters]) -> list[Run]:
        """The same as the bus has them on record, for when no daemon answers: what hosts that aren't there were at is
        interrupted. Raises BusRefused for users who may not read the bucket."""
        history = RunHistory(Bucket(self.bus, subjects.BUCKET_RUNS))
        found = await _pages(_query(filters), limit, history.list)
        hosts = await hosts_there(self.bus)
        return [as_told(run, hosts) for run in found]

    async def run_on_record(self, run_id: str) -> Run:
        """One run in the same way. Raises RequestError 404."""
        run = await RunHistory(Bucket(self.bus, subjects.BUCKET_RUNS)).get(run_id)
        return as_told(run, await hosts_there(self.bus))

    async def cancel(self, run_id: str) -> Run:
        """Stop a backfill; what it stored is kept. Raises RequestError 404, or 409 when it is over."""
        return await self._ask("backfill.cancel", Run, m.BackfillCancel(run_id=run_id), timeout=30)


def _query(filters: RunFilters) -> m.RunsList:
    now = time.time_ns()
    asked: dict[str, Any] = {**filters}
    for name in ("since", "until"):
        if asked.get(name) is not None:
            asked[name] = since_ns(asked[name], now)
    if asked.get("state") is not None and not isinstance(asked["state"], str):
        asked["state"] = list(asked["state"]) or None
    return m.RunsList(**asked)


async def _pages(query: m.RunsList, limit: int, ask: Callable[[m.RunsList], Awaitable[m.Runs]]) -> list[Run]:
    """As many pages as it takes for *limit* runs: one may hold fewer than it might."""
    found: list[Run] = []
    while len(found) < limit:
        page = await ask(msgspec.structs.replace(query, limit=min(1000, limit - len(found))))
        found += page.runs
        if page.next is None:
            break
        query = msgspec.structs.replace(query, before=page.next)
    return found
