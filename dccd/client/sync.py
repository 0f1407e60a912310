"""The client for programs without an event loop: plain calls flow in, and run in a thread that has one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

from dccd import messages as m
from dccd.client.feeds import TickOptions
from dccd.client.sync_replay import SyncReplay
from dccd.client.ticks import Batch, Ticks, TickSet
from dccd.errors import BusError
from dccd.runs import Run, require_done
from dccd.symbols import Dataset

if TYPE_CHECKING:
    import polars as pl

    from dccd.client.books import BookFrame
    from dccd.client.client import Client, RunEvent, Time
    from dccd.client.events import StoredEvent
    from dccd.client.rows import Rows
    from dccd.client.runs import RunFilters
    from dccd.client.since import Since

__all__ = ["SyncClient", "SyncRows", "SyncTicks"]

R = TypeVar("R")


class SyncRows:
    """The same rows as :class:`~dccd.client.rows.Rows`, without await; ``rows`` is that, and says what they are."""

    def __init__(self, rows: Rows, call: Callable[..., Any]) -> None:
        self.rows, self._call = rows, call

    def __repr__(self) -> str:
        return repr(self.rows).replace("Rows", "SyncRows", 1)

    def __enter__(self) -> SyncRows:
        self._call(self.rows.__aenter__)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self.rows.aclose)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        frames = self.rows.__aiter__()
        try:
            while True:
                try:
                    yield self._call(frames.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            self._call(self.rows.aclose)


class SyncTicks:
    """The same ticks as :class:`~dccd.client.ticks.Ticks` or TickSet, without await; ``ticks`` is that, and has its
    ``position``, ``begins`` and counters."""

    def __init__(self, ticks: Ticks[Any] | TickSet[Any], client: SyncClient) -> None:
        self.ticks, self._client = ticks, client

    def __repr__(self) -> str:
        return repr(self.ticks).replace("<", "<Sync", 1)

    def __enter__(self) -> SyncTicks:
        self._client._call(self.ticks.open)
        return self

    def __exit__(self, *_: object) -> None:
        self._client._call(self.ticks.aclose)

    def __iter__(self) -> Iterator[Any]:
        # Batches come over to this thread, not records.
        several = isinstance(self.ticks, TickSet)
        for batch in self.batches():
            for record in self.ticks.each(batch):
                yield (batch.dataset, record) if several else record

    def batches(self) -> Iterator[Batch[Any]]:
        """See :meth:`Ticks.batches`."""
        return self._client._each(self.ticks.batches())

    def frames(self, every: str | float | None = "1s", rows: int = 100_000) -> Iterator[pl.DataFrame]:
        """See :meth:`Ticks.frames`."""
        return self._client._each(self.ticks.frames(every, rows))


class SyncClient:
    """The same client without await, for scripts and notebooks: ``with dccd.connect() as client``.

    Its connection lives in a thread of its own. Callbacks (*on_progress*) are called in that thread.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._exit = ExitStack()
        self._running: BlockingPortal | None = None

    def __enter__(self) -> SyncClient:
        with ExitStack() as stack:
            self._running = stack.enter_context(start_blocking_portal())
            stack.enter_context(self._running.wrap_async_context_manager(self._client))
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._running = None
        self._exit.__exit__(*exc_info)

    def __repr__(self) -> str:
        return repr(self._client).replace("Client", "SyncClient", 1)

    def _call(self, function: Callable[..., Coroutine[Any, Any, R]], *args: Any, **kwargs: Any) -> R:
        async def call() -> R:
            return await function(*args, **kwargs)

        if self._running is None:
            raise BusError("the client isn't connected: use it inside `with dccd.connect() as client:`")
        return self._running.call(call)

    def request(
        self, operation: str, message: Any = None, *, host: str | None = None, timeout: float | None = None
    ) -> Any:
        """See :meth:`Client.request`."""
        return self._call(self._client.request, operation, message, host=host, timeout=timeout)

    def backfill(
        self,
        exchange: str,
        symbol: str,
        data_type: str = "ohlc",
        span: str | int | None = None,
        start: Time = "last",
        end: Time | None = None,
        *,
        wait: bool = True,
        on_progress: Callable[[m.RunProgress], object] | None = None,
    ) -> Run:
        """See :meth:`Client.backfill`."""
        return self._call(
            self._client.backfill, exchange, symbol, data_type, span, start, end, wait=wait, on_progress=on_progress
        )

    def run(self, run_id: str) -> Run:
        """See :meth:`Client.run`."""
        return self._call(self._client.run, run_id)

    def runs(self, limit: int = 50, **filters: Unpack[RunFilters]) -> list[Run]:
        """See :meth:`Client.runs`."""
        return self._call(self._client.runs, limit, **filters)

    def run_on_record(self, run_id: str) -> Run:
        """See :meth:`Client.run_on_record`."""
        return self._call(self._client.run_on_record, run_id)

    def runs_on_record(self, limit: int = 50, **filters: Unpack[RunFilters]) -> list[Run]:
        """See :meth:`Client.runs_on_record`."""
        return self._call(self._client.runs_on_record, limit, **filters)

    def journal(self, ask: m.Journal) -> m.JournalPage:
        """See :meth:`Client.journal`."""
        return self._call(self._client.journal, ask)

    def logs(self, run_id: str, *, last: int | None = None, follow: bool = False) -> Iterator[m.RunLog | m.RunStatus]:
        """See :meth:`Client.logs`."""
        return self._each(self._client.logs(run_id, last=last, follow=follow))

    def cancel(self, run_id: str) -> Run:
        """See :meth:`Client.cancel`."""
        return self._call(self._client.cancel, run_id)

    def migrate(
        self,
        *,
        dry_run: bool = True,
        symbols: Mapping[str, str] | None = None,
        datasets: Mapping[str, str] | None = None,
        remove_originals: bool = False,
    ) -> list[RunEvent]:
        """Wait for a migration to end and return what it reported, see :meth:`Client.migrate`."""

        async def collected() -> list[RunEvent]:
            events = self._client.migrate(
                dry_run=dry_run, symbols=symbols, datasets=datasets, remove_originals=remove_originals
            )
            return [event async for event in events]

        return self._call(collected)

    def read(
        self,
        dataset: str | Dataset,
        start: Time | None = None,
        end: Time | None = None,
        *,
        columns: list[str] | None = None,
        limit: int | None = None,
        newest: bool = False,
        source: str | None = None,
    ) -> pl.DataFrame:
        """See :meth:`Client.read`."""
        return self._call(
            self._client.read, dataset, start, end, columns=columns, limit=limit, newest=newest, source=source
        )

    def rows(
        self, dataset: str | Dataset, start: Time | None = None, end: Time | None = None, **terms: Any
    ) -> SyncRows:
        """See :meth:`Client.rows`; to be used as ``with client.rows(…) as rows: for frame in rows``."""
        return SyncRows(self._client.rows(dataset, start, end, **terms), self._call)

    def doctor(self, dataset: str | None = None, *, set_aside: bool = False) -> list[m.DoctorLine]:
        """See :meth:`Client.doctor`; what was found, without the progress."""

        async def found() -> list[m.DoctorLine]:
            return [line async for line in self._client.doctor(dataset, set_aside=set_aside) if line.kind == "finding"]

        return self._call(found)

    def book(self, dataset: str | Dataset, at: Time | None = None, *, depth: int | None = None) -> m.BookReply:
        """See :meth:`Client.book`."""
        return self._call(self._client.book, dataset, at, depth=depth)

    def books(
        self,
        dataset: str | Dataset,
        every: str | float = "1s",
        start: Time | None = None,
        end: Time | None = None,
        *,
        depth: int | None = 10,
        wide: bool = False,
    ) -> BookFrame:
        """See :meth:`Client.books`."""
        return self._call(self._client.books, dataset, every, start, end, depth=depth, wide=wide)

    def book_parts(
        self,
        dataset: str | Dataset,
        every: str | float = "1s",
        start: Time | None = None,
        end: Time | None = None,
        *,
        depth: int | None = 10,
        wide: bool = False,
    ) -> Iterator[BookFrame]:
        """See :meth:`Client.book_parts`."""
        return self._each(self._client.book_parts(dataset, every, start, end, depth=depth, wide=wide))

    def ticks(
        self,
        exchange: str | None = None,
        symbol: str | None = None,
        data_type: str = "trades",
        span: str | int | None = None,
        *,
        pattern: str | None = None,
        **how: Unpack[TickOptions],
    ) -> SyncTicks:
        """See :meth:`Client.ticks`: ``for trade in client.ticks("binance", "BTC/USDT")``."""
        ask: Callable[..., Ticks[Any] | TickSet[Any]] = self._client.ticks
        return SyncTicks(ask(exchange, symbol, data_type, span, pattern=pattern, **how), self)

    def batches(
        self, exchange: str, symbol: str, data_type: str = "trades", span: str | int | None = None
    ) -> Iterator[list[Any]]:
        """The batches of :meth:`ticks`: one list for what one read of the exchange's socket held."""
        return self.ticks(exchange, symbol, data_type, span).batches()

    def drop_group(self, group: str) -> bool:
        """See :meth:`Client.drop_group`."""
        return self._call(self._client.drop_group, group)

    def replay(
        self,
        datasets: str | Dataset | Iterable[str | Dataset],
        start: Time | None = None,
        end: Time | None = None,
        **how: Any,
    ) -> SyncReplay:
        """See :meth:`Client.replay`; ``with client.replay(…) as replay: for dataset, record in replay``."""
        return SyncReplay(self._client.replay(datasets, start, end, **how), self._call, self._each)

    def replays(self, *, host: str | None = None) -> list[m.ReplayEntry]:
        """See :meth:`Client.replays`."""
        return self._call(self._client.replays, host=host)

    def start_replay(self, message: m.ReplayStart, *, host: str | None = None) -> m.ReplayStarted:
        """See :meth:`Client.start_replay`."""
        return self._call(self._client.start_replay, message, host=host)

    def change_replay(
        self, operation: str, message: m.ReplayOf | m.ReplaySeek | m.ReplaySpeed, *, host: str | None = None
    ) -> m.ReplayEntry:
        """See :meth:`Client.change_replay`."""
        return self._call(self._client.change_replay, operation, message, host=host)

    def _each(self, items: AsyncGenerator[R, None]) -> Iterator[R]:
        """Iterate over *items*, and close them when nobody wants more."""
        try:
            while True:
                try:
                    yield self._call(items.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            if self._running is not None:
                self._call(items.aclose)

    def events(
        self,
        *,
        run: str | None = None,
        stream: str | None = None,
        kind: str | Sequence[str] | None = None,
        since: Since | None = None,
        after: int | None = None,
        last: int | None = None,
        follow: bool = False,
    ) -> Iterator[StoredEvent]:
        """See :meth:`Client.events`: ``for event in client.events(since="1h", follow=True)``."""
        return self._each(
            self._client.events(run=run, stream=stream, kind=kind, since=since, after=after, last=last, follow=follow)
        )

    def inventory(self, dataset: str | None = None) -> list[m.DatasetEntry]:
        """See :meth:`Client.inventory`."""
        return self._call(self._client.inventory, dataset)

    def holder(self, dataset: str | Dataset) -> str | None:
        """See :meth:`Client.holder`."""
        return self._call(self._client.holder, dataset)

    def coverage(
        self, dataset: str | Dataset, start: str | int | None = None, end: str | int | None = None
    ) -> m.Coverage:
        """See :meth:`Client.coverage`."""
        return self._call(self._client.coverage, dataset, start, end)

    def repair(
        self,
        dataset: str | None = None,
        start: str | int | None = None,
        end: str | int | None = None,
        *,
        unavailable: bool = False,
        dry_run: bool = False,
    ) -> m.Repaired:
        """See :meth:`Client.repair`."""
        return self._call(self._client.repair, dataset, start, end, unavailable=unavailable, dry_run=dry_run)

    def streams(self) -> list[m.StreamEntry]:
        """See :meth:`Client.streams`."""
        return self._call(self._client.streams)

    def start_stream(
        self, exchange: str, symbol: str, data_type: str = "trades", span: str | int | None = None, **options: Any
    ) -> m.StreamStarted:
        """See :meth:`Client.start_stream`."""
        return self._call(self._client.start_stream, exchange, symbol, data_type, span, **options)

    def stop_stream(
        self, exchange: str, symbol: str, data_type: str = "trades", span: str | int | None = None
    ) -> m.StreamStopped:
        """See :meth:`Client.stop_stream`."""
        return self._call(self._client.stop_stream, exchange, symbol, data_type, span)

    def storage(self, message: m.StorageSync | m.StorageVerify | m.StorageRestore | m.StorageFold) -> Run:
        """See :meth:`Client.storage`; returns the run as it ended. Raises RunFailed when that isn't done."""

        async def ended() -> Run:
            run = None
            async for event in self._client.storage(message):
                if isinstance(event, m.RunStatus):
                    run = event.run
            assert run is not None  # the first event is the run's state
            return run

        run = self._call(ended)
        require_done(run)
        return run

    def remotes(self) -> list[m.RemoteEntry]:
        """See :meth:`Client.remotes`."""
        return self._call(self._client.remotes)

    def retention(self) -> m.Retention:
        """See :meth:`Client.retention`."""
        return self._call(self._client.retention)

    def jobs(self, **filters: Any) -> list[m.JobEntry]:
        """See :meth:`Client.jobs`."""
        return self._call(self._client.jobs, **filters)

    def run_job(self, name: str) -> m.JobStarted:
        """See :meth:`Client.run_job`."""
        return self._call(self._client.run_job, name)

    def config(self, *, yaml: bool = False) -> m.ConfigReply:
        """See :meth:`Client.config`."""
        return self._call(self._client.config, yaml=yaml)

    def put_config(self, config: dict[str, Any] | str, revision: str, *, dry_run: bool = False) -> m.ConfigApplied:
        """See :meth:`Client.put_config`."""
        return self._call(self._client.put_config, config, revision, dry_run=dry_run)

    def create_job(
        self,
        exchange: str,
        pairs: str | list[str],
        data_type: str = "trades",
        span: str | int | None = None,
        **fields: Any,
    ) -> m.ConfigApplied:
        """See :meth:`Client.create_job`."""
        return self._call(self._client.create_job, exchange, pairs, data_type, span, **fields)

    def update_job(self, name: str, **fields: Any) -> m.ConfigApplied:
        """See :meth:`Client.update_job`."""
        return self._call(self._client.update_job, name, **fields)

    def delete_job(self, name: str) -> m.ConfigApplied:
        """See :meth:`Client.delete_job`."""
        return self._call(self._client.delete_job, name)

    def run_jobs(self, **filters: Any) -> list[m.JobOutcome]:
        """See :meth:`Client.run_jobs`."""
        return self._call(self._client.run_jobs, **filters)

    def exchanges(self, exchange: str | None = None, *, all: bool = False) -> dict[str, list[m.CapabilityEntry]]:
        """See :meth:`Client.exchanges`."""
        return self._call(partial(self._client.exchanges, exchange, all=all))

    def alerts(self, *, all: bool = False, limit: int = 1000) -> m.AlertsListed:
        """See :meth:`Client.alerts`."""
        return self._call(partial(self._client.alerts, all=all, limit=limit))

    def test_webhooks(self, webhook: str | None = None) -> list[m.WebhookTried]:
        """See :meth:`Client.test_webhooks`."""
        return self._call(self._client.test_webhooks, webhook)

    def health(self) -> m.Health:
        """See :meth:`Client.health`."""
        return self._call(self._client.health)

    def metrics(self, prefix: str | None = None, *, host: str | None = None) -> m.Metrics:
        """See :meth:`Client.metrics`."""
        return self._call(self._client.metrics, prefix, host=host)

    def tree(self) -> m.Tree:
        """See :meth:`Client.tree`."""
        return self._call(self._client.tree)

    def hosts(self) -> list[m.HostEntry]:
        """See :meth:`Client.hosts`."""
        return self._call(self._client.hosts)

    def operations(self) -> list[m.OperationEntry]:
        """See :meth:`Client.operations`."""
        return self._call(self._client.operations)
