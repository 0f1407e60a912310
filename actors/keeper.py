"""When copies are made, and what is purged here: the configuration's intervals, rules and the free space flow in;
orders for syncs flow out to the runner, and files leave the store that the remotes verifiably hold.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec

from actors.aside import Aside
from actors.links import Links
from actors.mail import StartWhole
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError
from dccd import subjects
from dccd.config import parse_duration
from dccd.errors import DccdError, RequestError, Stopped, StoreError
from dccd.messages import StoragePurged, StorageSync
from dccd.store.remote.base import Wait
from dccd.store.remote.local import Hashes
from dccd.store.retention import Purge, planned, purge

__all__ = ["Keeper"]

_RETRY = 30.0
_TICK = 1.0


class Keeper(Actor):
    """Orders a sync of each remote at its interval, and purges at that of retention."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._aside = Aside()
        self._purged = self._bytes = 0

    def __repr__(self) -> str:
        return f"<Keeper of {len(self.links.remotes)} remotes, {self._purged} periods purged>"

    def statistics(self) -> dict[str, Any]:
        return {"remotes": len(self.links.remotes), "purged": self._purged, "purged_bytes": self._bytes}

    async def run(self) -> None:
        await run_together(self._sync_now_and_then, self._purge_now_and_then)

    async def on_stop(self) -> None:
        """Wait for a purge under way, which ends between two periods."""
        await self._aside.stop()

    # ------------------------------------------------------------ copies

    async def _sync_now_and_then(self) -> None:
        clock = self.context.clock
        due: dict[str, float] = {}
        while True:
            # As they are configured now: a new one at once, one of a shorter interval sooner.
            now = clock.now()
            intervals = {name: state.interval for name, state in self.links.remotes.items() if state.interval}
            due = {name: min(due.get(name, now), now + interval) for name, interval in intervals.items()}
            await self._pause(max(min(due.values()) - now, _TICK) if due else None)
            names = [name for name, at in due.items() if at <= clock.now() and name in self.links.remotes]
            if not names:
                continue
            ordered = await self._order(names)
            for name in names:
                # From now: a sync that takes longer than the interval is followed by one, not by all that were due.
                due[name] = clock.now() + (intervals[name] if ordered else min(intervals[name], _RETRY))

    async def _pause(self, seconds: float | None) -> bool:
        """Wait for so long (None: for ever), or until the configuration changes; whether it has."""
        changed, woken, clock = self.links.changed, anyio.Event(), self.context.clock
        timer = None if seconds is None else clock.call_at(clock.now() + seconds, woken.set)

        async def watch() -> None:
            await changed.wait()
            woken.set()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                await woken.wait()
                group.cancel_scope.cancel()
        finally:
            if timer is not None:
                timer.cancel()
        return changed.is_set()

    async def _order(self, names: list[str]) -> bool:
        options = msgspec.to_builtins(StorageSync(remotes=names))
        try:
            await self.links.ask_runner(StartWhole(operation="storage.sync", options=options, trigger="job"))
        except (DccdError, TimeoutError, ActorError) as exc:
            if not (isinstance(exc, RequestError) and exc.code == 409):  # another sync is under way: after it
                self.context.log.error("sync not started", remotes=names, error=str(exc))
            return False
        return True

    # ------------------------------------------------------------ retention

    async def _purge_now_and_then(self) -> None:
        while True:
            retention = self.links.config.storage.retention
            interval = parse_duration(retention.interval) if retention.active else None
            if await self._pause(interval):
                continue
            try:
                await self._aside.run(self._purge)
            except (StoreError, Stopped) as exc:
                self.context.log.error("not purged", error=str(exc))

    def _purge(self, wait: Wait) -> None:
        """One look at what is to go, in a thread."""
        links = self.links
        found = planned(links.layout, links.rules, links.floor, links.clock.wall_ns())
        hashes = Hashes(links.layout)
        kept: list[str] = []
        remotes = [state.remote for state in links.remotes.values()]
        for one in found.going:
            wait(0)
            why = purge(links.layout, one.dataset, one.period, remotes, links.host, hashes=hashes, wait=wait)
            if why is not None:
                kept.append(f"{one.dataset} {one.period}: {why}")
                continue
            self._purged, self._bytes = self._purged + 1, self._bytes + one.bytes
            links.dirty.add(one.dataset.name)
            anyio.from_thread.run_sync(self._told, one)
        if found.going and remotes:
            hashes.save()
        links.retention.kept, links.retention.short = kept, found.short
        if kept:
            # Told each time, since what should leave the disk doesn't; of many the first, as the others are alike.
            self.context.log.warning("not purged", periods=len(kept), first=kept[0])

    def _told(self, one: Purge) -> None:
        self.context.log.info("purged", dataset=one.dataset.name, period=one.period, bytes=one.bytes, reason=one.reason)
        event = StoragePurged(
            at=self.links.clock.wall_ns(),
            host=self.links.host,
            dataset=one.dataset.name,
            period=one.period,
            bytes=one.bytes,
            reason=one.reason,
        )
        self.links.emit(subjects.storage_event("purged"), event)
