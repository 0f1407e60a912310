"""The bus in the tree: the embedded server as a child, and the connection that everything after it stands on."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import structlog

from actors.links import Links
from actors.runtime.actor import Actor, run_together
from dccd import subjects
from dccd.auth.local import auth_folder, daemon_login, server_tls
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket
from dccd.bus.publisher import Publisher
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import TickLimits, ensure_streams, streams_made
from dccd.config import BusConfig, parse_duration, parse_size
from dccd.config_bus import exposed
from dccd.errors import AuthError, BusError, BusRefused
from dccd.symbols import NS

__all__ = ["BusLink", "NatsServer"]

_EVENTS_BUFFER = 8 << 20
_TAIL = len(subjects.TICKS) + 1
"""Where the dataset begins in a tick subject."""
_DISK_SECONDS = 2.0
_REFUSED_SECONDS = 2.0
_STREAMS_SECONDS = 5.0
_DISK_ROOM = 64 << 20


class NatsServer(Actor):
    """The embedded nats-server: ready when it answers; its death is this actor's crash, hence its restart.

    A server on the same folder takes the same port again, so that clients come back to the URL that they know.

    A stream whose disk was full refuses everything until its server is started anew, also when there is room again
    (nats-server 2.15): so that is done here. What was refused is published again; subscribers reconnect.
    """

    def __init__(self, links: Links) -> None:
        self.links = links
        self._server: EmbeddedServer | None = None
        self._not_written: str | None = None
        self._log = structlog.get_logger("dccd.bus.server")

    def __repr__(self) -> str:
        return f"<NatsServer {self._server}>"

    def statistics(self) -> dict[str, Any]:
        return {} if self._server is None else self._server.statistics()

    async def on_start(self) -> None:
        config = self.links.config.bus
        folder = self.links.data_path / ".dccd" / "nats"
        users = auth_folder(self.links.config)
        if problem := exposed(config, users.exists):
            raise problem
        if users.exists:
            users.refresh()  # permissions for the operations of this release
        elif config.auth is not None:
            raise AuthError(f"bus.auth: {users.path} has no users: `dccd auth init` makes them")
        tls = server_tls(self.links.config)
        server = EmbeddedServer(folder, config.host, config.port, auth=users.conf, tls=tls, on_log=self._heard)
        await server.start()
        self._server = server
        self.links.bus_url = server.url
        self._warn_of_little_room(folder)

    def _warn_of_little_room(self, folder: Path) -> None:
        """The server itself says nothing before its disk is full."""
        wanted = limits(self.links.config.bus)
        may_take = wanted.max_bytes + wanted.events_max_bytes
        there = taken(folder)
        free = shutil.disk_usage(folder).free
        if free + there < may_take:
            self._log.warning(
                "the bus may take more than the disk has: make bus.ticks_max_bytes smaller",
                may_take=may_take,
                has_taken=there,
                free=free,
            )

    async def run(self) -> None:
        await run_together(self._until_its_end, self._until_there_is_room_again)

    async def _until_its_end(self) -> None:
        assert self._server is not None
        code = await self._server.wait()
        raise BusError(f"nats-server ended by itself with code {code}")

    async def _until_there_is_room_again(self) -> None:
        while True:
            await self.context.clock.sleep(_DISK_SECONDS)
            if self._not_written is None:
                continue
            disk = shutil.disk_usage(self.links.data_path)
            if disk.free >= min(_DISK_ROOM, disk.total // 10):  # of a small disk there may never be so much
                raise BusError(f"nats-server could not write; it starts anew, since there is room: {self._not_written}")

    def _heard(self, level: str, text: str) -> None:
        """Take a line of the server's log; that the disk is full is said once, and not for each message."""
        if "failed to store" in text or "ritical write error" in text:
            first, self._not_written = self._not_written is None, text
            if not first:
                return
        # The server's routine is of interest only to who looks for a fault.
        getattr(self._log, "debug" if level == "info" else level)(text.strip())

    async def on_stop(self) -> None:
        if self._server is not None:
            await self._server.stop()


def taken(folder: Path) -> int:
    """Bytes of the messages that a server has in *folder*, about: it runs, and removes files and folders meanwhile."""
    there = 0
    for at, _, names in os.walk(folder):  # passes over what is gone, as Path.rglob doesn't
        for name in names:
            if name.endswith(".blk"):
                with contextlib.suppress(FileNotFoundError):
                    there += os.stat(os.path.join(at, name)).st_size
    return there


def limits(config: BusConfig) -> TickLimits:
    """The streams' limits as configured."""
    return TickLimits(
        max_age=parse_duration(config.ticks_max_age),
        max_bytes=parse_size(config.ticks_max_bytes),
        events_max_age=parse_duration(config.events_max_age),
        # The server sets aside what all streams may hold: who allows little for ticks has little room for events.
        events_max_bytes=min(TickLimits().events_max_bytes, parse_size(config.ticks_max_bytes))
        if config.events_max_bytes is None
        else parse_size(config.events_max_bytes),
    )


class BusLink(Actor):
    """The connection, streams and buckets. Its crash restarts all that stands on it (``rest_for_one``)."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._bus: Bus | None = None
        self._made: dict[str, str] = {}
        self._publishers: list[Publisher] = []

    def __repr__(self) -> str:
        return f"<BusLink {self._bus}>"

    def statistics(self) -> dict[str, Any]:
        return {} if self._bus is None else self._bus.statistics()

    async def on_start(self) -> None:
        links, config = self.links, self.links.config.bus
        self._bus = bus = await self._open()
        try:
            await ensure_streams(bus, limits(config))
            self._made = await streams_made(bus)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await bus.aclose()
            raise
        links.bus = bus
        links.runs = Bucket(bus, subjects.BUCKET_RUNS)
        links.jobs = Bucket(bus, subjects.BUCKET_JOBS)
        links.configs = Bucket(bus, subjects.BUCKET_CONFIG)
        links.datasets = Bucket(bus, subjects.BUCKET_DATASETS)
        links.hosts = Bucket(bus, subjects.BUCKET_HOSTS)
        links.alerts = Bucket(bus, subjects.BUCKET_ALERTS)
        links.publisher = Publisher(
            bus,
            window=config.window,
            buffer_bytes=parse_size(config.buffer),
            on_overflow=self._overflow,
            on_ack=self._acked,
        )
        links.events = Publisher(bus, stream=subjects.STREAM_EVENTS, buffer_bytes=_EVENTS_BUFFER)
        self._publishers = [links.publisher, links.events]

    async def _open(self) -> Bus:
        """Connect with the credentials as they are now. At the first time a refusal is an error; later on it may be
        that they are being changed: then it is tried again, and what the streams have is a gap meanwhile."""
        links = self.links
        while True:
            try:
                return await Bus.open(links.bus_url, name=f"dccd {links.host}", login=daemon_login(links.config))
            except BusRefused as exc:
                if not hasattr(links, "bus"):
                    raise
                self.context.log.error("the bus doesn't let this daemon in; trying again", error=str(exc))
                await self.context.clock.sleep(_REFUSED_SECONDS)

    async def run(self) -> None:
        await run_together(self._until_closed, self._until_streams_are_others)

    async def _until_closed(self) -> None:
        assert self._bus is not None
        raise BusError(f"the connection to the bus was closed for good: {await self._bus.wait_closed()}")

    async def _until_streams_are_others(self) -> None:
        """A server that has lost its store, or somebody who deletes streams, takes away what all here stand on: it is
        made anew, and all begin on it."""
        assert self._bus is not None
        while True:
            await self.context.clock.sleep(_STREAMS_SECONDS)
            try:
                made = await streams_made(self._bus)
                others = [name for name, at in self._made.items() if made.get(name) != at]
                if others:
                    await ensure_streams(self._bus, limits(self.links.config.bus))  # for what is kept in memory
            except BusError as exc:
                self.context.log.debug("streams not looked at", error=str(exc))
                continue
            if others:
                raise BusError(f"{', '.join(others)}: deleted, or made anew by others; all begins on new ones")

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

    def _acked(self, subject: str, first_ts: int) -> None:
        """Count how long after the exchange's time of it a message was safe on the bus."""
        state = self.links.board.get(subject[_TAIL:])
        if state is not None:
            late = self.links.clock.wall_ns() - first_ts - state.shift
            if late >= 0 or not state.shift:  # else a bar that is open yet
                state.acked.observe(late / NS)
