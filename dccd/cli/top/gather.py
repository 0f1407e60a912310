"""What is asked of the hosts at each look; their replies flow out as a :class:`~dccd.cli.top.model.Snapshot`."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import msgspec

from dccd import subjects
from dccd.bus.connection import Message, Subscription
from dccd.cli.top.model import HostView, Snapshot
from dccd.client import Client
from dccd.errors import DccdError
from dccd.messages import HostEntry, RunProgress
from dccd.runs import ACTIVE

__all__ = ["Gatherer"]

_PATIENCE = 3.0
_RUNS = 50
_HELD = 1000


class Gatherer:
    """Asks over *client*, which is connected; *host*: only that one. Use it as ``async with``."""

    def __init__(self, client: Client, host: str | None = None) -> None:
        self._client, self._host = client, host
        self._progress: dict[str, RunProgress] = {}
        self._subscription: Subscription | None = None
        self._last = Snapshot(at=time.time_ns(), bus=client.url.rpartition("@")[2])

    def __repr__(self) -> str:
        return f"<Gatherer {len(self._last.hosts)} hosts, {len(self._progress)} runs under way>"

    async def __aenter__(self) -> Self:
        self._subscription = await self._client.bus.subscribe(subjects.run_event("*", "progress"), self._take)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def _take(self, message: Message) -> None:
        try:
            event = msgspec.json.decode(message.data, type=RunProgress)
        except msgspec.DecodeError:  # of a newer daemon
            return
        self._progress[event.run_id] = event
        if len(self._progress) > _HELD:
            del self._progress[next(iter(self._progress))]

    async def look(self) -> Snapshot:
        """Return how things are; where nobody answers, how they were, with the ``problem``."""
        try:
            entries = {entry.id: entry for entry in await self._client.hosts()}
            names = [self._host] if self._host is not None else sorted(entries)
            views = await asyncio.gather(*(self._view(name, entries.get(name)) for name in names))
            going, over = await asyncio.gather(
                self._client.runs(1000, state=list(ACTIVE), host=self._host),
                self._client.runs(_RUNS, host=self._host),
            )
        except DccdError as exc:
            self._last = msgspec.structs.replace(self._last, problem=str(exc))
            return self._last
        runs = {run.run_id: run for run in (*over, *going)}
        self._last = Snapshot(
            at=time.time_ns(),
            bus=self._last.bus,
            hosts=list(views),
            runs=list(runs.values()),
            progress={key: event for key, event in self._progress.items() if key in runs},
        )
        return self._last

    async def _view(self, name: str, entry: HostEntry | None) -> HostView:
        async def ask(operation: str, message: Any = None) -> Any:
            return await self._client.request(operation, message, host=name, timeout=_PATIENCE)

        try:
            health, streams, tree, alerts = await asyncio.gather(
                ask("health"), ask("streams.list"), ask("tree"), ask("alerts.list", {"all": True, "limit": 200})
            )
        except DccdError as exc:
            return HostView(id=name, entry=entry, error=str(exc))
        return HostView(
            id=name,
            entry=entry,
            health=health,
            streams=streams.streams,
            tree=tree.root,
            incidents=alerts.incidents,
        )
