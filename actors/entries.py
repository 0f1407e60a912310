"""The entries of ``dccd_datasets``: in memory at once, in KV as soon as the bus takes them.

Entries flow in as often as anything is looked at; what has changed of them flows into KV, several at a time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from actors.links import Links
from actors.runtime.actor import ActorContext
from dccd import subjects
from dccd.errors import BusError
from dccd.messages import DatasetEntry
from dccd.store.hosts import hosts_of

__all__ = ["Entries"]

_AGAIN = 0.5
_AT_ONCE = 16


class Entries:
    """What the catalogue keeps of each dataset; ``all`` is shared (``Links.entries``)."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.all = links.entries
        self._kept: dict[str, DatasetEntry] = {}  # as KV has them
        self._due: dict[str, None] = {}  # in the order of their changes
        self._changed = anyio.Event()
        self._writing: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._waits = False

    def __repr__(self) -> str:
        return f"<Entries {len(self.all)}, {len(self._due)} to write>"

    def statistics(self) -> dict[str, Any]:
        """How many there are, and how many the bus doesn't have yet."""
        return {"datasets": len(self.all), "to_write": len(self._due)}

    async def open(self, context: ActorContext) -> list[DatasetEntry]:
        """Take over what KV has of this host, and of those that had its ``data_path`` before or have it, too; return
        it. Raises BusError, StoreError."""
        self.context, host = context, self.links.host
        others = await anyio.to_thread.run_sync(hosts_of, self.links.layout)
        for other in sorted(others - {host}):
            for entry in await self._found(other):
                self.all[entry.dataset] = msgspec.structs.replace(entry, host=host)
        for entry in await self._found(host):
            self.all[entry.dataset] = self._kept[entry.dataset] = entry
        return list(self.all.values())

    async def _found(self, host: str) -> list[DatasetEntry]:
        """What KV has of *host*: what another one stores, and misses, is nothing that is here."""
        found = await self.links.datasets.find(subjects.dataset_key(host, ""))
        return [msgspec.json.decode(item.value, type=DatasetEntry) for item in found]

    def put(self, entry: DatasetEntry) -> None:
        """Remember *entry* here; into KV it comes soon, if it says anything new."""
        self.all[entry.dataset] = entry
        if self._kept.get(entry.dataset) != entry:
            self._due[entry.dataset] = None
            self._changed.set()

    async def keep(self, entry: DatasetEntry) -> None:
        """Remember *entry*, here and in KV; with the bus away, wait until it is back."""
        self.put(entry)
        await self._write(entry.dataset)

    async def write(self) -> None:
        """Write what the bus doesn't have yet; with the bus away, wait until it is back."""
        while self._due:
            async with anyio.create_task_group() as tasks:
                for name in list(self._due)[:_AT_ONCE]:
                    tasks.start_soon(self._write, name)

    async def write_now_and_then(self) -> None:
        """Write what has changed, whenever something has."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            await self.write()

    async def _write(self, name: str) -> None:
        while not await self._written(name):
            await self.context.clock.sleep(_AGAIN)

    async def _written(self, name: str) -> bool:
        # One at a time, and what holds now: an attempt that waited for the bus must not bring back an entry from
        # before a hole was found.
        async with self._writing[name]:
            latest = self.all[name]
            if latest != self._kept.get(name):
                key = subjects.dataset_key(self.links.host, name)
                try:
                    await self.links.datasets.put(key, msgspec.json.encode(latest))
                except BusError as exc:
                    if not self._waits:  # else a line each half a second and dataset
                        self.context.log.warning("catalogue waits for the bus", error=str(exc))
                    self._waits = True
                    return False
                self._waits = False
                self._kept[name] = latest
            if self.all[name] == latest:
                self._due.pop(name, None)
            return True
