"""Backfills and other runs: start, follow, list, cancel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Message
from dccd.client.base import Requests, Time, bound, time_text
from dccd.errors import BusUnavailable
from dccd.runs import ACTIVE, Run, RunState, require_done

__all__ = ["RunEvent", "RunRequests"]

RunEvent = m.RunStatus | m.RunProgress | m.RunFile | m.RunLog
"""What :meth:`Client.follow` yields."""


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

    async def runs(
        self,
        limit: int = 50,
        *,
        dataset: str | None = None,
        state: RunState | None = None,
        host: str | None = None,
        before: str | None = None,
    ) -> list[Run]:
        """The newest runs, at most 1,000; *before* a run's id are those that were made before it."""
        query = m.RunsList(limit=limit, dataset=dataset, state=state, host=host, before=before)
        return (await self._ask("runs.list", m.Runs, query)).runs

    async def cancel(self, run_id: str) -> Run:
        """Stop a backfill; what it stored is kept. Raises RequestError 404, or 409 when it is over."""
        return await self._ask("backfill.cancel", Run, m.BackfillCancel(run_id=run_id), timeout=30)
