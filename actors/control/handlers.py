"""What each operation does: a request in, a reply out; orders go to the actors that own the thing.

The table in :mod:`dccd.operations` says which request and reply belong to which name; :class:`Handlers` has a method
for each of them, and refuses to be made when one is missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import anyio
import msgspec

from actors.control import alerts, books, coverage, doctor, hosts, jobs, metrics, reading, storage
from actors.control.cancelling import cancel
from actors.control.chunks import in_threads
from actors.control.kept import Kept
from actors.control.listing import check_listed, streams_of
from actors.control.refusals import as_request_errors
from actors.control.replays import ReplayDesk
from actors.control.runbook import RunBook
from actors.control.streams import StreamDesk
from actors.links import Links
from actors.mail import GetHealth, GetInventory, StartBackfill, StartWhole
from dccd import messages as m
from dccd.errors import RequestError
from dccd.exchanges.base import Capability, Exchange, StreamOptions
from dccd.exchanges.capability import check_any, check_options, depth_warning
from dccd.exchanges.registry import EXCHANGES
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds import elsewhere
from dccd.operations import OPERATIONS, Operation, entry
from dccd.runs import Run
from dccd.symbols import Dataset, DataType, Symbol, span_label

__all__ = ["Handlers"]

_ASK_SECONDS = 30.0

Body = bytes | AsyncIterator[bytes]


class Handlers:
    """Answers requests. Every foreign error becomes a RequestError here, so that a bad request harms no actor."""

    def __init__(self, links: Links, desk: StreamDesk, replays: ReplayDesk) -> None:
        self.links, self.desk, self.replays = links, desk, replays
        self.book, self.kept = RunBook(links), Kept(links)
        self._methods: dict[str, Callable[[Any], Awaitable[Any]]] = {
            name: getattr(self, f"do_{name.replace('.', '_')}") for name in OPERATIONS
        }

    def handler(self, operation: Operation) -> Callable[[bytes], Awaitable[Body]]:
        """Return what the service calls for *operation*: bytes in, bytes (or chunks) out; raises RequestError."""
        decoder = msgspec.json.Decoder(operation.request)
        return partial(self._answer, self._methods[operation.name], decoder)

    async def _answer(self, method: Callable[[Any], Awaitable[Any]], decoder: Any, payload: bytes) -> Body:
        request = _decode(decoder, payload)
        with as_request_errors():
            reply = await method(request)
        return reply if isinstance(reply, AsyncIterator) else msgspec.json.encode(reply)

    # ------------------------------------------------------------ the daemon

    async def do_operations(self, request: m.Empty) -> m.Operations:
        listed = [entry(name) for name in OPERATIONS]
        return m.Operations(host=self.links.host, version=self.links.version, operations=listed)

    async def do_health(self, request: m.Empty) -> m.Health:
        health: m.Health = await self.links.monitor.ask(GetHealth(), timeout=_ASK_SECONDS)
        return health

    async def do_alerts_list(self, request: m.AlertsList) -> m.AlertsListed:
        return await alerts.listed(self.links, request)

    async def do_alerts_test(self, request: m.AlertsTest) -> m.AlertsTested:
        return await alerts.tested(self.links, request)

    async def do_tree(self, request: m.Empty) -> m.Tree:
        return m.Tree(host=self.links.host, root=self.links.tree())

    async def do_hosts(self, request: m.Empty) -> m.Hosts:
        return await hosts.hosts(self.links)

    async def do_exchanges(self, request: m.ExchangesList) -> m.Exchanges:
        names: Iterable[str] = [request.exchange] if request.exchange is not None else sorted(EXCHANGES)
        if request.all and request.exchange is None:
            names = await anyio.to_thread.run_sync(elsewhere.names)
        await elsewhere.learn(*names)
        if request.exchange is not None:
            check_any(request.exchange, get_exchange(request.exchange).capabilities)
        return m.Exchanges(exchanges={name: _capabilities(get_exchange(name)) for name in names})

    async def do_metrics(self, request: m.MetricsGet) -> m.Metrics:
        return await metrics.metrics(self.links, request)

    async def do_follow(self, request: m.Follow) -> m.Followed:
        return await self.kept.follow(request)

    async def do_journal(self, request: m.Journal) -> m.JournalPage:
        return await self.kept.journal(request)

    # ------------------------------------------------------------ backfills and runs

    async def do_backfill_start(self, request: m.BackfillStart) -> m.BackfillStarted:
        dataset = request.resolve()
        await elsewhere.learn(dataset.exchange)
        order = StartBackfill(dataset=dataset, start=request.start, end=request.end, trigger="request")
        started: m.BackfillStarted = await self.links.ask_runner(order)
        return started

    async def do_backfill_status(self, request: m.BackfillStatus) -> Run:
        return await self.book.get(request.run_id)

    async def do_backfill_cancel(self, request: m.BackfillCancel) -> Run:
        return await cancel(self.links, request)

    async def do_runs_list(self, request: m.RunsList) -> m.Runs:
        return await self.book.list(request)

    async def do_runs_get(self, request: m.RunsGet) -> Run:
        return await self.book.get(request.run_id)

    async def do_storage_migrate(self, request: m.StorageMigrate) -> m.RunStarted:
        for name in request.datasets.values():
            Dataset.parse(name)
        for symbol in request.symbols.values():
            Symbol.parse(symbol)
        order = StartWhole(operation="storage.migrate", options=msgspec.to_builtins(request))
        started: m.RunStarted = await self.links.ask_runner(order)
        return started

    async def do_storage_sync(self, request: m.StorageSync) -> m.RunStarted:
        return await storage.sync(self.links, request)

    async def do_storage_verify(self, request: m.StorageVerify) -> m.RunStarted:
        return await storage.verify(self.links, request)

    async def do_storage_restore(self, request: m.StorageRestore) -> m.RunStarted:
        return await storage.restore(self.links, request)

    async def do_storage_fold(self, request: m.StorageFold) -> m.RunStarted:
        return await storage.fold(self.links, request)

    async def do_storage_remotes(self, request: m.Empty) -> m.Remotes:
        return storage.remotes(self.links)

    async def do_storage_retention(self, request: m.Empty) -> m.Retention:
        return await storage.retention(self.links)

    # ------------------------------------------------------------ streams and jobs

    async def do_streams_list(self, request: m.Empty) -> m.Streams:
        return m.Streams(host=self.links.host, streams=self.desk.list())

    async def do_streams_start(self, request: m.StreamStart) -> m.StreamStarted:
        dataset = request.resolve()
        await elsewhere.learn(dataset.exchange)
        options = StreamOptions(depth=request.depth, snapshot_interval=request.snapshot_interval, book=request.book)
        check_options(dataset, options)
        await check_listed(self.links, [dataset])
        started = await self.desk.start(dataset, options)
        warning = depth_warning(get_exchange(dataset.exchange).capabilities, dataset, options)
        return m.StreamStarted(dataset=dataset.name, already_running=not started, warning=warning)

    async def do_streams_stop(self, request: m.StreamStop) -> m.StreamStopped:
        dataset = request.resolve()
        await self.desk.stop(dataset)
        self.links.halted.add(dataset.name)
        return m.StreamStopped(dataset=dataset.name)

    async def do_jobs_list(self, request: m.JobsList) -> m.Jobs:
        return await jobs.listing(self.links, request)

    async def do_jobs_run(self, request: m.JobRun) -> m.JobStarted:
        return await jobs.run(self.links, self.desk, request.name)

    async def do_jobs_run_all(self, request: m.JobRunAll) -> m.JobsStarted:
        return await jobs.run_all(self.links, self.desk, request)

    # ------------------------------------------------------------ the configuration

    async def do_config_get(self, request: m.ConfigGet) -> m.ConfigReply:
        reply: m.ConfigReply = await self.links.ask_reconciler(request)
        return reply

    async def do_config_put(self, request: m.ConfigPut) -> m.ConfigApplied:
        return await self._changed(request)

    async def do_jobs_create(self, request: m.JobCreate) -> m.ConfigApplied:
        await elsewhere.learn(request.exchange)
        await check_listed(self.links, streams_of(request))
        return await self._changed(request)

    async def do_jobs_update(self, request: m.JobUpdate) -> m.ConfigApplied:
        return await self._changed(request)

    async def do_jobs_delete(self, request: m.JobDelete) -> m.ConfigApplied:
        return await self._changed(request)

    async def _changed(self, request: m.ConfigPut | m.JobCreate | m.JobUpdate | m.JobDelete) -> m.ConfigApplied:
        reply: m.ConfigApplied = await self.links.ask_reconciler(request)
        return reply

    # ------------------------------------------------------------ data

    async def do_inventory(self, request: m.InventoryList) -> m.Inventory:
        asked = GetInventory(request.dataset or "", request.after or "", request.limit, self.links.page)
        inventory: m.Inventory = await self.links.catalogue.ask(asked, timeout=_ASK_SECONDS)
        return inventory

    async def do_coverage(self, request: m.CoverageGet) -> m.Coverage:
        return await coverage.coverage(self.links, request)

    async def do_repair(self, request: m.Repair) -> m.Repaired:
        return await coverage.repair(self.links, request)

    async def do_read(self, request: m.Read) -> m.ReadReply | AsyncIterator[bytes]:
        if request.format == "arrow":
            return in_threads(await reading.read_arrow(self.links, request))
        return await reading.read_json(self.links, request)

    async def do_book(self, request: m.Book) -> m.BookReply:
        return await books.book(self.links, request)

    async def do_books(self, request: m.Books) -> m.BooksReply | AsyncIterator[bytes]:
        if request.format == "arrow":
            return in_threads(await books.books_arrow(self.links, request))
        return await books.books_json(self.links, request)

    async def do_doctor(self, request: m.Doctor) -> m.DoctorLine | AsyncIterator[bytes]:
        return in_threads(doctor.lines(self.links, request))

    # ------------------------------------------------------------ replays

    async def do_replay_start(self, request: m.ReplayStart) -> m.ReplayStarted:
        return await self.replays.start(request)

    async def do_replay_list(self, request: m.Empty) -> m.Replays:
        return await self.replays.list()

    async def do_replay_pause(self, request: m.ReplayOf) -> m.ReplayEntry:
        return await self.replays.pause(request.id)

    async def do_replay_resume(self, request: m.ReplayOf) -> m.ReplayEntry:
        return await self.replays.resume(request.id)

    async def do_replay_seek(self, request: m.ReplaySeek) -> m.ReplayEntry:
        return await self.replays.seek(request)

    async def do_replay_speed(self, request: m.ReplaySpeed) -> m.ReplayEntry:
        return await self.replays.speed(request)

    async def do_replay_stop(self, request: m.ReplayOf) -> m.ReplayEntry:
        return await self.replays.stop(request.id)


def _decode(decoder: Any, payload: bytes) -> Any:
    """Return the request in *payload*. Raises RequestError 400 that names the field."""
    try:
        return decoder.decode(payload or b"{}")
    except msgspec.ValidationError as exc:
        text, _, where = str(exc).partition(" - at `$")
        field = where.strip("`.") or None
        if field is None and "`" in text and "field" in text:
            field = text.split("`")[1]
        raise RequestError(400, "malformed", str(exc), field) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RequestError(400, "malformed", f"not JSON: {exc}") from exc


def _capabilities(exchange: Exchange) -> list[m.CapabilityEntry]:
    return [
        _capability(exchange, market, data_type, mode, capability)
        for market in ("spot", "perp", "dated")
        if (offer := getattr(exchange.capabilities, market)) is not None
        for mode, offered in (("live", offer.live), ("historical", offer.historical))
        for data_type, capability in offered.items()
    ]


def _capability(
    exchange: Exchange, market: Any, data_type: DataType, mode: Any, capability: Capability
) -> m.CapabilityEntry:
    return m.CapabilityEntry(
        market=market,
        data_type=data_type,
        mode=mode,
        fields=list(capability.fields),
        spans=[span_label(span) for span in capability.spans],
        depths=list(capability.depths),
        recent=capability.recent,
        recent_bars=capability.recent_bars,
        closed=exchange.closed,
        note=capability.note,
    )
