"""The configuration's owner: requests, edits of the file and what the bus keeps flow in; the streams that are to run,
the jobs for the scheduler and the settings that all others read flow out.

What is wanted, and where that stands, is :class:`~actors.control.config.ConfigBook`'s; what it takes to get there is
decided by :func:`~actors.plan.plan`. It is saved before anything is done: whatever is killed, the next start finds what
was wanted. The bucket's entries of jobs are what others read, and follow.
"""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import msgspec

from actors.control.config import CantWrite, Change, ConfigBook
from actors.control.streams import StreamDesk
from actors.links import Links, RemoteState
from actors.log import set_level
from actors.mail import MoveRuns, Reload, SetJobs
from actors.plan import Plan, plan
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError
from actors.settings import remotes_of, rest_options
from dccd import config_file, subjects
from dccd import messages as m
from dccd.config import Config
from dccd.errors import BusError, DccdError, RemoteError, RequestError
from dccd.feeds.history import Rest
from dccd.feeds.pool import Pool
from dccd.jobs import JobSpec
from dccd.symbols import Dataset

__all__ = ["Reconciler"]

_LOOK_SECONDS = 2.0
_AT_ONCE = 16
"""Streams that are started or stopped at the same time."""
_LOGGED = ("started", "stopped", "restarted", "jobs_added", "jobs_changed", "jobs_removed", "applied",
           "restart_required")  # fmt: skip


class Reconciler(Actor):
    """Makes so what is wanted. *enabled*: else it only tells what that is."""

    mailbox_size = 256

    def __init__(self, links: Links, desk: StreamDesk, enabled: bool = True) -> None:
        self.links, self.desk, self.enabled = links, desk, enabled
        self.book = ConfigBook(links)
        self._turn = anyio.Lock()
        self._restart_required: tuple[str, ...] = ()
        self._mirrored = False

    def __repr__(self) -> str:
        return f"<Reconciler of {self.links.config_path or 'no file'}, {len(self.links.specs)} jobs>"

    def statistics(self) -> dict[str, Any]:
        return {"jobs": len(self.links.specs), "restart_required": list(self._restart_required)}

    async def on_start(self) -> None:
        """Read what is wanted, and set what others read when they start; streams are started by :meth:`run`."""
        links, book = self.links, self.book
        await book.load()
        if self.enabled:
            begun = self._plan(book.now)
            remotes = links.remotes
            try:
                remotes = await self._remotes(begun.running)
            except RequestError as exc:
                self.context.log.error("remotes not opened", error=str(exc))
            # This actor alone may have crashed, in the middle of it.
            await self._stop([spec.of for spec in (*begun.stop, *begun.restart)])
            await self._close(self._swap(begun))
            self._settle(begun, remotes)
        else:
            links.specs = {spec.name: spec for spec in book.specs(book.now)}
        links.reconciler = self.context.ref

    async def run(self) -> None:
        if not self.enabled:
            await self.serve()
            return
        async with self._turn:
            # This actor alone may have been restarted.
            done = {child.id for child in self.links.streams.nodes()} | self.links.halted
            specs = self.links.specs.values()
            await self._start([s for s in specs if s.trigger_kind == "supervised" and s.dataset not in done])
            await self._mirror()
        await run_together(self.serve, self._watch)

    async def on_message(self, message: Any) -> Any:
        async with self._turn:
            try:
                match message:
                    case m.ConfigGet():
                        return await self.book.reply(message, list(self._restart_required))
                    case Reload():
                        return await self._take_edit()
                if not self.enabled:
                    raise RequestError(409, "no_jobs", "this daemon was started for one command, and has no jobs")
                match message:
                    case m.ConfigPut():
                        return await self._change(await self.book.put(message), message.dry_run)
                    case m.JobCreate():
                        return await self._change(await self.book.create(message))
                    case m.JobUpdate():
                        return await self._change(await self.book.update(message))
                    case m.JobDelete():
                        return await self._change(await self.book.delete(message))
            except DccdError as exc:
                return exc  # an answer, not a crash of this actor
        return None

    async def _watch(self) -> None:
        """Take over edits of the file; one that is still being written isn't one yet."""
        path = self.links.config_path
        waiting: config_file.Mark | None = None
        while True:
            await self.context.clock.sleep(_LOOK_SECONDS)
            async with self._turn:
                if not self._mirrored:
                    await self._mirror()
                if path is None:
                    continue
                now = await anyio.to_thread.run_sync(config_file.mark, path)
                settled, waiting = now == waiting, now
                if now != self.book.seen and settled:
                    await self._take_edit()

    # ------------------------------------------------------------ what is to be done

    async def _take_edit(self) -> None:
        """Make what the file says so, if it has changed and has no error."""
        if self.links.config_path is None or not self.enabled:
            return
        change = await self.book.edited()
        if change is None:
            return
        try:
            await self._reconcile(change)
        except RequestError as exc:  # a remote that can't be opened
            self.book.reject(str(exc))

    async def _change(self, change: Change, dry_run: bool = False) -> m.ConfigApplied:
        """Save *change* and make it so; a dry run only says what that would be."""
        found = self._plan(change)
        if self.links.config_path is None and found.restart_required:
            paths = ", ".join(found.restart_required)
            told = f"{paths}: to be set in a configuration file before the start, and this daemon has none"
            raise RequestError(422, "needs_file", told, found.restart_required[0])
        await self._remotes(found.running)  # what can't be opened is told before anything is saved
        if dry_run:
            return self._applied(change, found, {}, dry_run=True)
        self._mirrored = False  # whatever comes of it, what the bus has is looked at again
        try:
            await self.book.save(change)
        except CantWrite:
            if change.instead is None:
                raise
            change = change.instead
            await self.book.save(change)
        return await self._reconcile(change)

    def _plan(self, change: Change) -> Plan:
        links = self.links
        return plan(links.config, change.wanted, links.specs.values(), self.book.specs(change))

    # ------------------------------------------------------------ doing it

    async def _reconcile(self, change: Change) -> m.ConfigApplied:
        """Make *change* so, and say what that took."""
        found, links = self._plan(change), self.links
        remotes = await self._remotes(found.running)
        by_hand = self._by_hand(found)
        await self._stop([spec.of for spec in (*self._ending(found), *found.restart)])
        await self._stop([dataset for dataset, *_ in by_hand])
        old = self._swap(found)
        self._settle(found, remotes)
        self.book.wanted = change.wanted
        failed = await self._start([*found.start, *found.restart])
        for dataset, options, job in by_hand:
            try:
                await self.desk.start(dataset, options, job)
            except (DccdError, ActorError) as exc:
                self.context.log.error("stream not started", dataset=dataset.name, error=str(exc))
        if found.exchanges:
            try:
                await links.ask_runner(MoveRuns(found.exchanges))
            except (DccdError, ActorError, TimeoutError) as exc:
                self.context.log.warning("backfills not moved yet", exchanges=found.exchanges, error=str(exc))
            await self._close(old)
        if found.added or found.changed or found.removed:
            await self._tell_scheduler()
        await self._mirror()
        reply = self._applied(change, found, failed)
        shown = {field: value for field in _LOGGED if (value := getattr(reply, field))}
        self.context.log.info("configuration taken over", revision=reply.revision, **shown)
        return reply

    def _ending(self, found: Plan) -> list[JobSpec]:
        """What is to stop. A stream that was started by hand has nothing to do with a job that only runs by hand."""
        board = self.links.board
        jobs = {name: state.job for name, state in board.items()}
        return [s for s in found.stop if s.trigger_kind == "supervised" or jobs.get(s.dataset) == s.name]

    def _by_hand(self, found: Plan) -> list[tuple[Dataset, Any, str | None]]:
        """Streams of changed exchanges that run though no job has them run, each with its options and job."""
        known = {spec.dataset for spec in (*found.stop, *found.restart)}
        states = [state for name, state in self.links.board.items() if name not in known]
        return [(s.dataset, s.options, s.job) for s in states if s.dataset.exchange in found.exchanges]

    def _swap(self, found: Plan) -> list[Rest | Pool]:
        """From now on the exchanges that have changed are asked anew; returns what was open to them before."""
        links, old = self.links, list[Rest | Pool | None]()
        for exchange in found.exchanges:
            section = found.running.exchanges.get(exchange)
            old.append(links.sockets.change(exchange, None if section is None else section.ws_url))
            old.append(links.rest.change(exchange, rest_options(section)))
        return [one for one in old if one is not None]

    async def _close(self, old: list[Rest | Pool]) -> None:
        for one in old:
            await one.aclose()

    def _settle(self, found: Plan, remotes: dict[str, RemoteState]) -> None:
        """Set what all others read."""
        links = self.links
        before, links.config = links.config, found.running
        self._restart_required = found.restart_required
        links.specs = {spec.name: spec for spec in found.specs}
        if links.config.settings.log_level != before.settings.log_level:
            set_level(links.config.settings.log_level)
        links.change_remotes(remotes)
        links.tell_changed()

    async def _remotes(self, config: Config) -> dict[str, RemoteState]:
        """The remotes of *config*; nothing is asked of them. Raises RequestError 422 for one that can't be opened."""
        links = self.links
        if config.storage.remotes == links.config.storage.remotes:
            return links.remotes
        try:
            return await anyio.to_thread.run_sync(remotes_of, config, links.config, links.remotes)
        except RemoteError as exc:
            raise RequestError(422, "bad_config", str(exc), "storage.remotes") from exc

    async def _stop(self, datasets: list[Dataset]) -> None:
        limit = anyio.Semaphore(_AT_ONCE)

        async def one(dataset: Dataset) -> None:
            async with limit:
                with contextlib.suppress(RequestError, ActorError):  # it has ended by itself
                    await self.desk.stop(dataset)

        async with anyio.create_task_group() as group:
            for dataset in datasets:
                group.start_soon(one, dataset)

    async def _start(self, specs: list[JobSpec]) -> dict[str, str]:
        """Start streams; return those that can't be, and why."""
        failed: dict[str, str] = {}
        limit = anyio.Semaphore(_AT_ONCE)

        async def one(spec: JobSpec) -> None:
            async with limit:
                try:
                    await self._start_one(spec)
                except (DccdError, ActorError) as exc:
                    failed[spec.dataset] = str(exc)
                    self.context.log.error("stream not started", dataset=spec.dataset, error=str(exc))

        async with anyio.create_task_group() as group:
            for spec in specs:
                group.start_soon(one, spec)
        return failed

    async def _start_one(self, spec: JobSpec) -> None:
        """Start a stream. One that runs by request as the job wants it goes on, and is the job's from now on."""
        restart = spec.restart or "permanent"
        if await self.desk.start(spec.of, spec.options, spec.name, restart):
            return
        state = self.links.board.get(spec.dataset)
        if state is not None and state.options == spec.options and restart == "permanent":
            state.job = spec.name
            return
        with contextlib.suppress(RequestError):
            await self.desk.stop(spec.of)
        await self.desk.start(spec.of, spec.options, spec.name, restart)

    async def _tell_scheduler(self) -> None:
        if self.links.scheduler is None:
            return
        specs = tuple(spec for spec in self.links.specs.values() if spec.operation == "backfill")
        # It is being restarted: then it takes them from the links.
        with contextlib.suppress(ActorError, TimeoutError):
            await self.links.scheduler.ask(SetJobs(specs), timeout=30.0)

    async def _mirror(self) -> None:
        """Bring the bucket's entries of jobs up to date; what can't be written now is written later."""
        bucket, prefix = self.links.jobs, subjects.job_key(self.links.host, "")
        wanted = {f"{prefix}{name}": msgspec.json.encode(spec) for name, spec in self.links.specs.items()}
        self._mirrored = False
        try:
            await self.book.keep()
            there = {entry.key: entry.value for entry in await bucket.find(prefix)}
            for key, value in wanted.items():
                if there.get(key) != value:
                    await bucket.put(key, value)
            for key in there.keys() - wanted.keys():
                await bucket.remove(key)
        except BusError as exc:
            self.context.log.warning("jobs aren't on the bus yet", error=str(exc))
            return
        self._mirrored = True

    def _applied(self, change: Change, found: Plan, failed: dict[str, str], dry_run: bool = False) -> m.ConfigApplied:
        return m.ConfigApplied(
            host=self.links.host,
            revision=self.book.revision,
            dry_run=dry_run,
            saved=change.saved,
            started=[spec.dataset for spec in found.start if spec.dataset not in failed],
            stopped=[spec.dataset for spec in found.stop],
            restarted=[spec.dataset for spec in found.restart if spec.dataset not in failed],
            failed=failed,
            jobs_added=list(found.added),
            jobs_changed=list(found.changed),
            jobs_removed=list(found.removed),
            applied=list(found.applied),
            restart_required=list(found.restart_required),
            warnings=[*change.warnings, *change.wanted.warnings],
        )
