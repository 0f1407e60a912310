"""The bus in the tree: the embedded server as a child, and the connection that everything after it stands on."""

from __future__ import annotations

from typing import Any

import anyio

from actors.links import Links
from actors.runtime.actor import Actor
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket
from dccd.bus.publisher import Publisher
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import TickLimits, ensure_streams
from dccd.config import BusConfig, parse_duration, parse_size
from dccd.errors import BusError

__all__ = ["BusLink", "NatsServer"]

_EVENTS_BUFFER = 8 << 20


class NatsServer(Actor):
    """The embedded nats-server: ready when it answers; its death is this actor's crash, hence its restart.

    A server on the same folder takes the same port again, so that clients come back to the URL that they know.
    """

    def __init__(self, links: Links) -> None:
        self.links = links
        self._server: EmbeddedServer | None = None

    def __repr__(self) -> str:
        return f"<NatsServer {self._server}>"

    def statistics(self) -> dict[str, Any]:
        return {} if self._server is None else self._server.statistics()

    async def on_start(self) -> None:
        config = self.links.config.bus
        server = EmbeddedServer(self.links.data_path / ".dccd" / "nats", config.host, config.port)
        await server.start()
        self._server = server
        self.links.bus_url = server.url

    async def run(self) -> None:
        assert self._server is not None
        code = await self._server.wait()
        raise BusError(f"nats-server ended by itself with code {code}")

    async def on_stop(self) -> None:
        if self._server is not None:
            await self._server.stop()


def limits(config: BusConfig) -> TickLimits:
    """The streams' limits as configured."""
    return TickLimits(
        max_age=parse_duration(config.ticks_max_age),
        max_bytes=parse_size(config.ticks_max_bytes),
        events_max_age=parse_duration(config.events_max_age),
    )


class BusLink(Actor):
    """The connection, streams and buckets. Its crash restarts all that stands on it (``rest_for_one``)."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._bus: Bus | None = None
        self._publishers: list[Publisher] = []

    def __repr__(self) -> str:
        return f"<BusLink {self._bus}>"

    def statistics(self) -> dict[str, Any]:
        return {} if self._bus is None else self._bus.statistics()

    async def on_start(self) -> None:
        links, config = self.links, self.links.config.bus
        self._bus = bus = await Bus.open(
            links.bus_url,
            name=f"dccd {links.host}",
            user=config.user,
            password=config.password,
            credentials=config.credentials,
        )
        try:
            await ensure_streams(bus, limits(config))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await bus.aclose()
            raise
        links.bus = bus
        links.runs = Bucket(bus, subjects.BUCKET_RUNS)
        links.datasets = Bucket(bus, subjects.BUCKET_DATASETS)
        links.publisher = Publisher(
            bus, window=config.window, buffer_bytes=parse_size(config.buffer), on_overflow=self._overflow
        )
        links.events = Publisher(bus, stream=subjects.STREAM_EVENTS, buffer_bytes=_EVENTS_BUFFER)
        self._publishers = [links.publisher, links.events]

    async def run(self) -> None:
        assert self._bus is not None
        raise BusError(f"the connection to the bus was closed for good: {await self._bus.wait_closed()}")

    async def on_stop(self) -> None:
        for publisher in self._publishers:
            await publisher.aclose(timeout=2.0)
        if self._bus is not None:
            await self._bus.aclose()

    def _overflow(self, subject: str, count: int, first_ts: int, last_ts: int) -> None:
        """Leave a note for the collector: it reports the hole before it publishes anything else."""
        state = self.links.board.get(subject.removeprefix(f"{subjects.TICKS}."))
        if state is not None:
            earlier = state.overflow or (first_ts, last_ts)
            state.overflow = min(first_ts, earlier[0]), max(last_ts + 1, earlier[1])
