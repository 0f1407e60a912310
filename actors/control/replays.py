"""Replays over the bus: requests flow in, players are started and told what to do, what they are at flows out."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anyio
import msgspec

from actors.links import Links
from actors.mail import (
    GetReplay,
    PauseReplay,
    ReplayOrder,
    ResumeReplay,
    SeekReplay,
    SpeedReplay,
    StopReplay,
    YieldReplay,
)
from actors.playing import ReplayPlan, Source, ThreadSource
from actors.runtime.actor import Actor, ActorRef
from actors.runtime.exits import ActorError, AlreadyPresent, AlreadyStarted, MaxChildren
from actors.runtime.spec import ChildSpec
from dccd import messages as m
from dccd import subjects
from dccd.errors import IdentityError, NotStored, RequestError
from dccd.store.intervals import IntervalSet
from dccd.store.reader import Store
from dccd.store.recorded import Recorded, absences, bounds_of
from dccd.symbols import Dataset, format_time, parse_range, parse_time

__all__ = ["MAX_DATASETS", "MAX_REPLAYS", "ReplayDesk", "resolve"]

MAX_REPLAYS = 8
MAX_DATASETS = 64
"""Of all replays of a host together: each holds 10 to 25 MB of rows while it is read."""
_MISSING = 500
_ASK_SECONDS = 30.0
_SHUTDOWN = 10.0


class ReplayDesk:
    """Starts replays, at most MAX_REPLAYS at once, as children of ``links.replays``; *make* makes a player."""

    def __init__(self, links: Links, make: Callable[[ReplayPlan, Callable[[int], Source]], Actor]) -> None:
        self.links, self.make = links, make
        self._sizes: dict[str, int] = {}
        self._turn = anyio.Lock()

    async def start(self, request: m.ReplayStart) -> m.ReplayStarted:
        """Start one. Raises RequestError, IdentityError, NotStored, CorruptFile."""
        links = self.links
        prepared = partial(_prepared, links.store, request, links.clock.wall_ns())
        plan, missing, more = await anyio.to_thread.run_sync(prepared)

        def source(since: int) -> Source:
            return ThreadSource(Recorded(links.store, plan.datasets, since, plan.end, books=plan.books))

        spec = ChildSpec(id=plan.id, start=lambda: self.make(plan, source), restart="temporary", shutdown=_SHUTDOWN)
        async with self._turn:  # those that are asked for at once count, too
            player = await self._start(spec, len(plan.datasets))
        entry: m.ReplayEntry = await player.ask(GetReplay(), timeout=_ASK_SECONDS)
        return m.ReplayStarted(
            replay=entry, subject=subjects.replayed(plan.id), flow=plan.flow, missing=missing, missing_more=more
        )

    async def _start(self, spec: ChildSpec, size: int) -> ActorRef:
        """Start a player of *size* datasets, if there is room for it, or can be made. Raises RequestError."""
        while True:
            try:
                return await self._start_now(spec, size)
            except RequestError as exc:
                if exc.reason != "too_many" or not await self._make_room():
                    raise

    async def _make_room(self) -> bool:
        """End one that is over, or for which nobody is there: one whose client was killed would last an hour. Returns
        whether there was one."""
        replays = self.links.replays
        for child in replays.nodes():
            player = replays.whereis(child.id)
            with contextlib.suppress(ActorError):  # it has just ended
                if player is not None and await player.ask(YieldReplay(), timeout=_ASK_SECONDS):
                    await replays.terminate_child(child.id)
                    return True
        return False

    async def _start_now(self, spec: ChildSpec, size: int) -> ActorRef:
        replays = self.links.replays
        self._sizes = {id: size for id, size in self._sizes.items() if replays.whereis(id) is not None}
        if sum(self._sizes.values()) + size > MAX_DATASETS:
            told = f"the replays of this host have {sum(self._sizes.values())} datasets, of {MAX_DATASETS} at most"
            raise RequestError(503, "too_many", told)
        try:
            player = await replays.start_child(spec)
        except (AlreadyStarted, AlreadyPresent) as exc:
            raise RequestError(409, "taken", f"there is a replay {spec.id} already", "id") from exc
        except MaxChildren as exc:
            told = f"this host has {MAX_REPLAYS} replays, as many as it takes; dccd.replay.list has them"
            raise RequestError(503, "too_many", told) from exc
        self._sizes[spec.id] = size
        return player

    async def list(self) -> m.Replays:
        """Every replay of this host."""
        found = []
        for child in sorted(self.links.replays.nodes(), key=lambda child: child.id):
            player = self.links.replays.whereis(child.id)
            if player is not None:
                try:
                    found.append(await player.ask(GetReplay(), timeout=_ASK_SECONDS))
                except ActorError:
                    continue  # it has just ended
        return m.Replays(host=self.links.host, replays=found)

    async def pause(self, id: str) -> m.ReplayEntry:
        return await self._tell(id, PauseReplay())

    async def resume(self, id: str) -> m.ReplayEntry:
        return await self._tell(id, ResumeReplay())

    async def seek(self, request: m.ReplaySeek) -> m.ReplayEntry:
        return await self._tell(request.id, SeekReplay(parse_time(request.to, "to")))

    async def speed(self, request: m.ReplaySpeed) -> m.ReplayEntry:
        return await self._tell(request.id, SpeedReplay(_factor(request.speed)))

    async def stop(self, id: str) -> m.ReplayEntry:
        return await self._tell(id, StopReplay())

    async def _tell(self, id: str, order: ReplayOrder) -> m.ReplayEntry:
        """Have a player do something; raises the RequestError with which it refuses, 404 where there is none."""
        player = self.links.replays.whereis(id)
        answer: Any = None
        if player is not None:
            try:
                answer = await player.ask(order, timeout=_ASK_SECONDS)
            except ActorError:
                if player.alive:
                    raise
        if answer is None:
            raise RequestError(404, "no_replay", f"no replay {id} is here; dccd.replay.list has them", "id")
        if isinstance(answer, Exception):
            raise answer
        entry: m.ReplayEntry = answer
        return entry


def resolve(names: Sequence[str], stored: Sequence[Dataset]) -> list[Dataset]:
    """Return the *stored* datasets that *names* and patterns mean, in the order in which they are named, each once.

    Raises IdentityError for what is neither, NotStored for one of which there is nothing.
    """
    found: dict[Dataset, None] = {}
    for name in names:
        wild = "*" in name.split(".") or name.endswith(".>") or name == ">"
        if wild:
            meant = [dataset for dataset in stored if subjects.matches(name, dataset.name)]
        else:
            dataset = Dataset.parse(name)
            meant = [dataset] if dataset in stored else []
        if not meant:
            raise NotStored(name, f"nothing is stored of {name[:80]}")
        found.update(dict.fromkeys(meant))
    return [*found]


def _prepared(store: Store, request: m.ReplayStart, now: int) -> tuple[ReplayPlan, list[m.ReplayMissing], int]:
    """What *request* means of what is stored *now*, and what may be missing of it. Raises as resolve, RequestError."""
    try:
        datasets = resolve(request.datasets, store.datasets())
    except IdentityError as exc:
        raise IdentityError("datasets", str(exc)) from exc
    if len(datasets) > MAX_DATASETS:
        told = f"these are {len(datasets)} datasets; a replay takes {MAX_DATASETS}"
        raise RequestError(422, "too_many", told, "datasets")
    start, end = parse_range(request.start, request.end)
    first, last = bounds_of(store, datasets)
    start, end = first if start is None else start, last if end is None else end
    if start >= end:
        told = f"start {format_time(start)} is not before end {format_time(end)}"
        raise RequestError(422, "empty_range", told, "start")
    told_missing, more, holes = absences(store, datasets, start, end, _MISSING)
    plan = ReplayPlan(
        id=request.id or secrets.token_hex(6),
        datasets=tuple(datasets),
        start=start,
        end=end,
        speed=_factor(request.speed),
        created=now,
        start_paused=request.start_paused,
        # Nobody else can guess it, and say that messages had come.
        flow=subjects.flow(secrets.token_urlsafe(12)) if request.flow else None,
        blocks=request.blocks,
        books=request.books,
        holes=holes if request.skip_gaps else IntervalSet(),
    )
    return plan, [msgspec.convert(one, m.ReplayMissing, from_attributes=True) for one in told_missing], more


def _factor(speed: m.Speed) -> float:
    return 0.0 if isinstance(speed, str) else float(speed)
