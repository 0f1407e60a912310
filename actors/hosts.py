"""Which hosts are there: this one announces itself in ``dccd_hosts`` each second, and looks at who else does.

Entries in the bucket run out by the bus's own clock, so that a host that says nothing is gone within seconds for all.
``up`` and ``down`` flow out as events, each once: a host says its own, up when it answers requests; the ``down`` of
one that fell silent says whichever host notices first, or the one itself when it starts again.

Two daemons that go by one id notice each other: each finds that somebody else has written its entry.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import anyio
import msgspec

from actors.links import Links
from actors.runtime.actor import Actor, run_together
from dccd import subjects
from dccd.bus.streams import HOSTS_TTL, host_events, last_message, publish_once
from dccd.errors import BusError, Conflict
from dccd.messages import HostChanged, HostEntry

__all__ = ["Hosts", "last_up", "silent"]

_BEAT_SECONDS = 1.0
_CALM_BEATS = 3
"""So many own beats in a row: nobody else writes our entry."""
_AGAIN_SECONDS = 60.0
_STOP_SECONDS = 2.0


def silent(known: Iterable[str], here: Iterable[str], steady: float, ttl: float) -> list[str]:
    """Those of *known* that aren't *here*: only once the bus has answered us for *ttl* seconds without a break
    (*steady*), since after it was away the others need a moment to come back as we do."""
    return sorted(set(known) - set(here)) if steady >= ttl else []


def last_up(events: Iterable[HostChanged]) -> dict[str, str]:
    """The instance of each host whose last event is that it came up."""
    found: dict[str, str] = {}
    for event in events:
        if event.change == "up":
            found[event.id] = event.instance
        elif found.get(event.id) == event.instance:
            del found[event.id]
    return found


class Hosts(Actor):
    """Says each *beat* seconds that this host is there; whoever doesn't for *ttl* seconds, the bucket's, is gone."""

    def __init__(self, links: Links, *, beat: float = _BEAT_SECONDS, ttl: float = HOSTS_TTL) -> None:
        self.links, self._every, self._ttl = links, beat, ttl
        self._revision: int | None = None
        self._calm = self._beats = 0
        self._before: str | None = None
        self._unsure = False
        self._reason: Literal["started", "back"] = "started"
        self._steady_since: float | None = None
        self._told_at = float("-inf")

    def __repr__(self) -> str:
        return f"<Hosts {self.links.host} beside {len(self.links.neighbours.known)}>"

    def statistics(self) -> dict[str, Any]:
        return {"beats": self._beats, "others": len(self.links.neighbours.known)}

    async def on_start(self) -> None:
        neighbours = self.links.neighbours
        if not neighbours.announced:
            seen = [event for stored in await host_events(self.links.bus) if (event := _event(stored.data))]
            neighbours.known |= last_up(seen)
            # One of ours that said no goodbye. Whether it has ended, its entry tells, if that is still there.
            self._before = neighbours.known.pop(self.links.host, None)
        await self._beat()

    async def run(self) -> None:
        await run_together(self._work, self.serve)

    async def on_stop(self) -> None:
        """Say goodbye when the whole daemon stops, and not when only this actor does."""
        links = self.links
        if not links.stopping:
            return
        with anyio.move_on_after(_STOP_SECONDS):
            try:
                if links.neighbours.announced == links.neighbours.instance:
                    await self._say("down", links.host, links.neighbours.instance, "stopped")
                    links.neighbours.announced = ""
                # The last beat may have been written, and its answer not waited for: the revision is asked for.
                key = subjects.host_key(links.host)
                found = await links.hosts.get(key)
                mine = None if found is None else _host(found[0])
                if found is not None and mine is not None and mine.instance == links.neighbours.instance:
                    await links.hosts.delete(key, found[1])
            except BusError as exc:  # another goes by our id, or the bus is gone: then we fall silent
                self.context.log.info("no goodbye", error=str(exc))

    async def _work(self) -> None:
        clock, away = self.context.clock, False
        while True:
            await clock.sleep(self._every)
            try:
                await self._beat()
                if self.links.service is not None and (not self._unsure or self._calm >= _CALM_BEATS):
                    await self._announce()
                await self._look()
            except BusError as exc:
                self._steady_since = None
                if not away:
                    self.context.log.warning("this host can't announce itself", error=str(exc))
                away = True
            else:
                away = False
                if self._steady_since is None:
                    self._steady_since = clock.now()

    # ------------------------------------------------------------ this host

    def _entry(self) -> HostEntry:
        links = self.links
        return HostEntry(
            id=links.host,
            instance=links.neighbours.instance,
            version=links.version,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            data_path=str(links.data_path.absolute()),
            started=links.started,
            at=links.clock.wall_ns(),
            streams=len(links.board),
            backfills=len(links.active),
        )

    async def _beat(self) -> None:
        """Write our entry, which nobody else does: else there is another daemon of this id."""
        bucket, key, neighbours = self.links.hosts, subjects.host_key(self.links.host), self.links.neighbours
        value = msgspec.json.encode(self._entry())
        self._beats += 1
        try:
            if self._revision is None:
                self._revision = await bucket.create(key, value)
            else:
                self._revision = await bucket.update(key, value, self._revision)
        except Conflict:
            pass
        else:
            self._calm += 1
            if self._calm >= _CALM_BEATS and neighbours.double is not None:
                neighbours.double = None
                # The other may have said that this id is down: a new instance says that it is up.
                neighbours.instance, self._reason = secrets.token_hex(8), "back"
                self.context.log.info("no other daemon goes by this host's id any more", host=self.links.host)
            return
        found = await bucket.get(key)
        try:
            if found is None:
                # It ran out, while the bus was away or this process stood still: we may have been told dead.
                neighbours.instance, self._reason = secrets.token_hex(8), "back"
                self._revision = await bucket.create(key, msgspec.json.encode(self._entry()))
                return
            self._meet(_host(found[0]))
            self._revision = found[1]
            self._revision = await bucket.update(key, value, found[1])
        except Conflict:
            pass  # somebody was faster: the next beat meets them

    def _meet(self, other: HostEntry | None) -> None:
        """Our entry was written by *other*: by us, before a restart of this actor, or by one that goes by our id."""
        if other is not None and other.instance == self.links.neighbours.instance:
            return
        if self._revision is None:
            # Of the daemon that ran here before, and was killed a moment ago; or of one that runs: soon we know.
            self._before, self._unsure = (None if other is None else other.instance), True
            return
        self._calm, self._unsure, self._before = 0, False, None
        who = "something else" if other is None else f"process {other.pid} on {other.hostname}, of {other.data_path},"
        text = f"{who} goes by this host's id, too: {self.links.host}; give one of them another settings.host"
        self.links.neighbours.double = text
        if self.context.clock.now() - self._told_at >= _AGAIN_SECONDS:
            self._told_at = self.context.clock.now()
            self.context.log.error("two daemons with one id", host=self.links.host, other=text)

    async def _announce(self) -> None:
        """Say once that we are up; before that, that the one before us is down, if nobody has."""
        neighbours = self.links.neighbours
        if neighbours.announced == neighbours.instance:
            return
        if self._before is not None:
            await self._say_silent(self.links.host, self._before)
            self._before = None
        await self._say("up", self.links.host, neighbours.instance, self._reason)
        neighbours.announced = neighbours.instance

    # ------------------------------------------------------------ the others

    async def _look(self) -> None:
        known = self.links.neighbours.known
        entries = await self.links.hosts.all(subjects.host_key("*"))
        here = {host.id: host for entry in entries if (host := _host(entry.value)) and host.id != self.links.host}
        known |= _instances(here)
        now = self.context.clock.now()
        steady = 0.0 if self._steady_since is None else now - self._steady_since
        for id in silent(known, here, steady, self._ttl):
            if await self._say_silent(id, known[id]):
                del known[id]

    async def _say_silent(self, id: str, instance: str) -> bool:
        """Say that it is down, unless somebody has: False while another is about to."""
        last = await last_message(self.links.bus, subjects.host_event(id, "down"))
        if last is not None and (event := _event(last.data)) and event.instance == instance:
            return True
        try:
            # Who listens live would hear it of each host. The note runs out, in case its writer doesn't come to say it.
            await self.links.hosts.create(f"down.{instance}", self.links.host.encode())
        except Conflict:
            return False
        await self._say("down", id, instance, "silent")
        self.context.log.error("a host fell silent", silent=id, instance=instance)
        return True

    async def _say(
        self,
        change: Literal["up", "down"],
        id: str,
        instance: str,
        reason: Literal["started", "back", "stopped", "silent"],
    ) -> None:
        event = HostChanged(
            at=self.links.clock.wall_ns(), host=self.links.host, id=id, instance=instance, change=change, reason=reason
        )
        subject = subjects.host_event(id, change)
        await publish_once(self.links.bus, subject, msgspec.json.encode(event), f"host.{instance}.{change}")


def _instances(hosts: Mapping[str, HostEntry]) -> dict[str, str]:
    return {id: host.instance for id, host in hosts.items()}


def _host(data: bytes) -> HostEntry | None:
    """What the entry says; None of one that isn't ours, or of a format to come."""
    try:
        return msgspec.json.decode(data, type=HostEntry)
    except msgspec.DecodeError:
        return None


def _event(data: bytes) -> HostChanged | None:
    try:
        return msgspec.json.decode(data, type=HostChanged)
    except msgspec.DecodeError:
        return None
