"""What is asked of the hosts at each look; their replies flow out as a :class:`~dccd.cli.top.model.Snapshot`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

import msgspec

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
        self._listening: asyncio.Task[None] | None = None
        self._last = Snapshot(at=time.time_ns(), bus=client.url.rpartition("@")[2])

    def __repr__(self) -> str:
        return f"<Gatherer {len(self._last.hosts)} hosts, {len(self._progress)} runs under way>"

    async def __aenter__(self) -> Self:
        self._listening = asyncio.ensure_future(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listening is not None
        self._listening.cancel()
        await asyncio.wait({self._listening})

    async def _listen(self) -> None:
        """Keep what runs say last of how far they are; without that their records are shown, which are a second old."""
        with contextlib.suppress(DccdError):
            async with aclosing(self._client.events(kind="run.progress", follow=True)) as events:
                async for stored in events:
                    if isinstance(stored.event, RunProgress):
                        self._progress[stored.event.run_id] = stored.event
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
