"""Remotes, retention and folds over the bus: requests flow in; runs, the remotes and what is to go flow out."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import msgspec

from actors.links import Links
from actors.mail import StartWhole
from dccd import messages as m
from dccd.config import parse_size
from dccd.errors import RequestError
from dccd.store.remote.base import waiting
from dccd.store.remote.local import Hashes, snapshot
from dccd.store.remote.manifest import Manifest
from dccd.store.remote.sync import last_synced
from dccd.store.retention import Purge, held_by, planned
from dccd.symbols import Dataset, is_under, parse_range

__all__ = ["fold", "remotes", "restore", "retention", "sync", "verify"]

_MOST = 1000


async def sync(links: Links, request: m.StorageSync) -> m.RunStarted:
    """Start a sync."""
    _known(links, request.remotes)
    return await _start(links, "storage.sync", request)


async def verify(links: Links, request: m.StorageVerify) -> m.RunStarted:
    """Start a look at the copies."""
    _known(links, request.remotes)
    return await _start(links, "storage.verify", request)


async def restore(links: Links, request: m.StorageRestore) -> m.RunStarted:
    """Start bringing back what is asked for."""
    _known(links, None if request.remote is None else [request.remote])
    parse_range(request.start, request.end)
    return await _start(links, "storage.restore", request)


async def fold(links: Links, request: m.StorageFold) -> m.RunStarted:
    """Start a fold of what is asked for."""
    if (prefix := request.dataset) is not None:
        stored = await anyio.to_thread.run_sync(links.layout.datasets)
        if not any(is_under(dataset.name, prefix) for dataset in stored):
            raise RequestError(404, "no_dataset", f"nothing is stored of {prefix}", "dataset")
    return await _start(links, "storage.fold", request)


def remotes(links: Links) -> m.Remotes:
    """What there is of remotes, and when they were last up to date."""
    listed = [
        m.RemoteEntry(
            name=name,
            url=state.remote.url,
            interval=state.interval,
            synced=last_synced(links.layout, state.remote),
            error=state.error,
        )
        for name, state in links.remotes.items()
    ]
    return m.Remotes(host=links.host, remotes=listed)


async def retention(links: Links) -> m.Retention:
    """What is to go now, and what of it can't."""
    plan = await anyio.to_thread.run_sync(planned, links.layout, links.rules, links.floor, links.clock.wall_ns())
    told = await anyio.to_thread.run_sync(_held, links, plan.going[:_MOST])
    return m.Retention(
        host=links.host,
        free=plan.free,
        floor=parse_size(links.config.storage.retention.free_space),
        short=plan.short,
        periods=len(plan.going),
        bytes=sum(one.bytes for one in plan.going),
        purge=told,
    )


def _held(links: Links, going: Sequence[Purge]) -> list[m.RetentionEntry]:
    """Say of each what keeps it here, by the manifests; before it is purged its copy is read, too."""
    wait, hashes, told = waiting(), Hashes(links.layout), []
    known: dict[tuple[str, Dataset, str], Manifest] = {}
    for one in going:
        kept = None
        if links.remotes:
            with snapshot(links.layout, links.host, one.dataset, one.period, hashes, wait) as files:
                entries = [file.entry for file in files]
            whys = (
                held_by(state.remote, links.host, one.dataset, one.period, entries, wait, read=False, known=known)
                for state in links.remotes.values()
            )
            kept = next((why for why in whys if why is not None), None)
        told.append(
            m.RetentionEntry(dataset=one.dataset.name, period=one.period, bytes=one.bytes, reason=one.reason, kept=kept)
        )
    return told


def _known(links: Links, names: Sequence[str] | None) -> None:
    """Raise RequestError where there are no remotes, or none of that name."""
    if not links.remotes:
        raise RequestError(422, "no_remotes", "the configuration has no storage.remotes")
    for name in names or ():
        if name not in links.remotes:
            known = ", ".join(links.remotes)
            raise RequestError(404, "no_remote", f"there is no remote {name}; there are {known}", "remotes")


async def _start(links: Links, operation: str, request: msgspec.Struct) -> m.RunStarted:
    if (dataset := getattr(request, "dataset", None)) is not None and dataset.count(".") > 1:
        Dataset.parse(dataset)  # else it is a prefix
    order = StartWhole(operation=operation, options=msgspec.to_builtins(request))
    started: m.RunStarted = await links.ask_runner(order)
    return started
