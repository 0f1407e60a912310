"""Starts and stops live streams: datasets and options flow in, children of the ``streams`` supervisor flow out."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

import anyio

from actors.links import Links, StreamState
from actors.runtime.actor import Actor
from actors.runtime.exits import ChildNotFound
from actors.runtime.spec import Backoff, ChildSpec, RestartType
from dccd.errors import RequestError
from dccd.exchanges.base import StreamOptions
from dccd.exchanges.registry import get as get_exchange
from dccd.messages import StreamEntry
from dccd.symbols import Dataset

__all__ = ["StreamDesk"]

# A stream that crashes (its own reconnects are no crash) is tried again ever more rarely; the supervisor sets it aside
# when it crashes too often.
_BACKOFF = Backoff(initial=1.0, maximum=60.0, factor=2.0, jitter=0.5)
_SHUTDOWN = 5.0


class StreamDesk:
    """One stream a dataset; what each last said of itself is on ``links.board``."""

    def __init__(self, links: Links, make: Callable[[StreamState], Actor]) -> None:
        self.links, self.make = links, make
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def _turn(self, dataset: Dataset) -> anyio.Lock:
        """What is done to one stream is done in turn: else the board might show another than the one that runs."""
        return self._turns.setdefault(dataset.name, anyio.Lock())

    async def start(
        self, dataset: Dataset, options: StreamOptions, job: str | None = None, restart: RestartType = "permanent"
    ) -> bool:
        """Start the stream of *dataset*; False when it runs already. Raises NoCapability."""
        exchange = get_exchange(dataset.exchange)
        exchange.check(dataset, live=True)
        self.links.config.reach(exchange, dataset.symbol, live=True)
        async with self._turn(dataset):
            return await self._start(dataset, options, job, restart)

    async def _start(self, dataset: Dataset, options: StreamOptions, job: str | None, restart: RestartType) -> bool:
        status = {child.id: child.status for child in self.links.streams.nodes()}.get(dataset.name)
        if status is not None and status != "gave_up":
            return False
        if status == "gave_up":
            await self.links.streams.terminate_child(dataset.name)
        state = StreamState(dataset, options, job=job)
        self.links.board[dataset.name] = state
        make = self.make
        spec = ChildSpec(
            id=dataset.name, start=lambda: make(state), restart=restart, shutdown=_SHUTDOWN, backoff=_BACKOFF
        )
        try:
            await self.links.streams.start_child(spec)
        except BaseException:
            self.links.board.pop(dataset.name, None)
            raise
        self.links.halted.discard(dataset.name)
        return True

    async def stop(self, dataset: Dataset) -> None:
        """Stop the stream of *dataset*. Raises RequestError 404 when there is none."""
        async with self._turn(dataset):
            try:
                await self.links.streams.terminate_child(dataset.name)
            except ChildNotFound as exc:
                raise RequestError(
                    404, "no_stream", f"no stream {dataset} runs here; dccd.streams.list has them", "dataset"
                ) from exc
            self.links.board.pop(dataset.name, None)

    def list(self) -> list[StreamEntry]:
        """Every stream of this host, by name."""
        now = self.links.clock.wall_ns()
        children = {child.id: child for child in self.links.streams.nodes()}
        entries = []
        for name, state in sorted(self.links.board.items()):
            child = children.get(name)
            restarts, status = (child.restarts, child.status) if child else (0, "stopped")
            entries.append(state.entry(now, restarts, status, self.links.host))
        return entries
