"""The async client: one method an operation of the bus, typed as ``dccd.messages`` has them."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus, Message
from dccd.bus.transfer import receive
from dccd.client.books import BookFrame, in_parts, joined
from dccd.client.rows import Rows
from dccd.client.sync import SyncClient
from dccd.client.target import Target, find_target
from dccd.client.ticks import Ticks
from dccd.errors import BusError, BusUnavailable
from dccd.operations import OPERATIONS
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Trade
from dccd.runs import ACTIVE, Run, RunState, require_done
from dccd.symbols import Dataset

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Client", "RunEvent", "Time"]

Time = str | int | date | datetime
"""ns since 1970, an ISO date or time, or a date or datetime; UTC when it names no zone."""

RunEvent = m.RunStatus | m.RunProgress | m.RunFile | m.RunLog
"""What :meth:`Client.follow` yields."""

_NO_DAEMON = "Is a daemon running? `dccd start` starts one; --bus or DCCD_BUS_URL name another bus"

R = TypeVar("R")


class Client:
    """A client of the daemons on one bus; ``async with`` opens and closes its connection, ``with`` a SyncClient's.

    *target* is a URL (``nats://host:4222``; several, separated by commas, for a cluster), or nothing for what
    :func:`find_target` says. *timeout* is how long a request waits for its reply, in seconds.
    """

    def __init__(self, target: str | Target | None = None, *, timeout: float = 10.0) -> None:
        self._target = Target(url=target) if isinstance(target, str) else target
        self.timeout = timeout
        self._bus: Bus | None = None
        self._sync: SyncClient | None = None

    # ---------------------------------------------------------------- life

    async def __aenter__(self) -> Client:
        target = self._target = self._target or find_target()
        try:
            self._bus = await Bus.open(
                target.url,
                f"dccd client {os.getpid()}",
                timeout=min(self.timeout, 5.0),
                user=target.user,
                password=target.password,
                credentials=target.credentials,
            )
        except BusUnavailable as exc:
            raise BusUnavailable(f"{exc}. {_NO_DAEMON}") from exc
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection; iterators over ticks end. Safe to repeat."""
        if self._bus is not None:
            await self._bus.aclose()

    def __enter__(self) -> SyncClient:
        self._sync = SyncClient(self)
        return self._sync.__enter__()

    def __exit__(self, *exc_info: Any) -> None:
        if self._sync is not None:
            self._sync.__exit__(*exc_info)

    @property
    def bus(self) -> Bus:
        """The connection, for what has no method here. Raises BusError outside of ``async with``."""
        if self._bus is None:
            raise BusError("the client isn't connected: use it inside `async with dccd.connect() as client:`")
        return self._bus

    @property
    def url(self) -> str:
        """Where it connects to; empty before it knows."""
        return self._target.url if self._target else ""

    def __repr__(self) -> str:
        state = "not connected" if self._bus is None else "connected" if self._bus.connected else "away"
        return f"<Client {self.url.rpartition('@')[2]} {state}>"

    # ---------------------------------------------------------------- requests

    async def request(
        self, operation: str, message: Any = None, *, host: str | None = None, timeout: float | None = None
    ) -> Any:
        """Ask for *operation* (``backfill.start``) with *message*, a struct of ``dccd.messages`` or a mapping.

        Returns the operation's reply struct, or plain JSON values for an operation that this version doesn't know.
        *host* asks that host, where otherwise any may answer. Raises RequestError, BusUnavailable.
        """
        body = await self.request_raw(
            operation, b"" if message is None else msgspec.json.encode(message), host=host, timeout=timeout
        )
        known = OPERATIONS.get(operation)
        return _decode(body, known.reply if known else Any, operation)

    async def request_raw(
        self, operation: str, payload: bytes = b"", *, host: str | None = None, timeout: float | None = None
    ) -> bytes:
        """As :meth:`request` with the bytes of request and reply as they are."""
        subject = subjects.host_request(host, operation) if host else subjects.request(operation)
        try:
            return await self.bus.request(subject, payload, self.timeout if timeout is None else timeout)
        except BusUnavailable as exc:
            raise self._unavailable(exc) from exc

    def _unavailable(self, exc: BusUnavailable) -> BusUnavailable:
        return BusUnavailable(f"{exc} at {self.url.rpartition('@')[2]}. {_NO_DAEMON}")

    async def _ask(self, operation: str, kind: type[R], message: Any = None, timeout: float | None = None) -> R:
        payload = b"" if message is None else msgspec.json.encode(message)
        reply: R = _decode(await self.request_raw(operation, payload, timeout=timeout), kind, operation)
        return reply

    async def operations(self) -> list[m.OperationEntry]:
        """Every operation of the daemon with its request and reply schema."""
        return (await self._ask("operations", m.Operations)).operations

    async def health(self) -> m.Health:
        """Whether the daemon does what it should."""
        return await self._ask("health", m.Health)

    async def tree(self) -> m.Tree:
        """The daemon's supervision tree with restarts and mailboxes."""
        return await self._ask("tree", m.Tree)

    async def exchanges(self, exchange: str | None = None, *, all: bool = False) -> dict[str, list[m.CapabilityEntry]]:
        """What can be collected, by exchange: of those with a folder in dccd, of *all*, or of one."""
        return (await self._ask("exchanges", m.Exchanges, m.ExchangesList(all=all, exchange=exchange))).exchanges

    async def jobs(self) -> list[m.JobEntry]:
        """The jobs of the daemon's configuration, a dataset each."""
        return (await self._ask("jobs.list", m.Jobs)).jobs

    async def inventory(self, dataset: str | None = None) -> list[m.DatasetEntry]:
        """What is stored; *dataset* may be a prefix, as ``binance.trades``."""
        found: list[m.DatasetEntry] = []
        after: str | None = None
        while True:
            asked = m.InventoryList(dataset=dataset, after=after)
            page = await self._ask("inventory", m.Inventory, asked, timeout=60)
            found += page.datasets
            if page.next is None:
                return found
            after = page.next

    async def coverage(
        self, dataset: str | Dataset, start: str | int | None = None, end: str | int | None = None
    ) -> m.Coverage:
        """What is there of *dataset*'s time between *start* and *end*, and what isn't and why, all of it."""
        name = str(dataset)
        asked = m.CoverageGet(dataset=name, start=start, end=end)
        found = await self._ask("coverage", m.Coverage, asked, timeout=60)
        intervals, following = list(found.intervals), found.next
        while following is not None:
            asked = m.CoverageGet(dataset=name, start=following, end=found.end)
            part = await self._ask("coverage", m.Coverage, asked, timeout=60)
            intervals += part.intervals
            following = part.next
        return msgspec.structs.replace(found, intervals=intervals, next=None)

    async def repair(
        self,
        dataset: str | None = None,
        start: str | int | None = None,
        end: str | int | None = None,
        *,
        unavailable: bool = False,
        dry_run: bool = False,
    ) -> m.Repaired:
        """Have what is missing asked for, of all datasets or those under the prefix *dataset*; see the runs for how it
        goes on. *unavailable*: also what the exchange didn't serve before; *dry_run*: only tell."""
        asked = m.Repair(dataset=dataset, start=start, end=end, unavailable=unavailable, dry_run=dry_run)
        return await self._ask("repair", m.Repaired, asked, timeout=90)

    # ---------------------------------------------------------------- streams

    async def streams(self) -> list[m.StreamEntry]:
        """The live streams with rates and last prices."""
        return (await self._ask("streams.list", m.Streams)).streams

    async def start_stream(
        self,
        exchange: str,
        symbol: str,
        data_type: str = "trades",
        span: str | int | None = None,
        *,
        depth: int | None = None,
        snapshot_interval: float = 60.0,
        book: Literal["deltas", "snapshots"] = "deltas",
    ) -> m.StreamStarted:
        """Start a live stream until it is stopped or the daemon ends. The last three are for order books."""
        message = m.StreamStart(
            exchange=exchange,
            symbol=symbol,
            data_type=data_type,
            span=span,
            depth=depth,
            snapshot_interval=snapshot_interval,
            book=book,
        )
        return await self._ask("streams.start", m.StreamStarted, message)

    async def stop_stream(
        self, exchange: str, symbol: str, data_type: str = "trades", span: str | int | None = None
    ) -> m.StreamStopped:
        """Stop a live stream; a job's starts again with the daemon."""
        message = m.StreamStop(exchange=exchange, symbol=symbol, data_type=data_type, span=span)
        return await self._ask("streams.stop", m.StreamStopped, message)

    # ---------------------------------------------------------------- backfills and runs

    async def start_backfill(
        self,
        exchange: str,
        symbol: str,
        data_type: str = "ohlc",
        span: str | int | None = None,
        start: Time = "last",
        end: Time | None = None,
    ) -> m.BackfillStarted:
        """Start a backfill and return at once; the same one, already running, is returned as it is."""
        message = m.BackfillStart(
            exchange=exchange,
            symbol=symbol,
            data_type=data_type,
            span=span,
            start=_time(start),
            end=_bound(end),
        )
        return await self._ask("backfill.start", m.BackfillStarted, message)

    async def backfill(
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
        """Fetch history from *start* (``last``: go on from what is stored; ``origin``; a time) to *end* (now).

        Returns the finished run, or with ``wait=False`` the one just started. A cancelled wait doesn't cancel the run.
        Raises RequestError when it is refused, RunFailed when it ends otherwise than done.
        """
        run = (await self.start_backfill(exchange, symbol, data_type, span, start, end)).run
        if not wait:
            return run
        async with aclosing(self.follow(run.run_id)) as events:
            async for event in events:
                if isinstance(event, m.RunStatus):
                    run = event.run
                elif isinstance(event, m.RunProgress) and on_progress is not None:
                    on_progress(event)
        require_done(run)
        return run

    async def follow(self, run_id: str, *, poll: float = 2.0, patience: float = 60.0) -> AsyncGenerator[RunEvent, None]:
        """Yield what a run reports: its state now, progress, log lines, and last the state in which it ended.

        Events may get lost with a connection, so the state is asked for when none came for *poll* seconds. Raises
        RequestError 404 for an unknown run, BusUnavailable when nobody has answered for *patience* seconds.
        """
        async with self._run_events(run_id) as arrived:
            # Asked for after subscribing, so that no change of state falls between the two.
            run = await self.run(run_id)
            async for event in self._follow(run, arrived, poll, patience):
                yield event

    async def migrate(
        self,
        *,
        dry_run: bool = True,
        symbols: Mapping[str, str] | None = None,
        datasets: Mapping[str, str] | None = None,
        remove_originals: bool = False,
    ) -> AsyncGenerator[RunEvent, None]:
        """Bring files of older releases in the daemon's ``data_path`` into this layout, or say what would be done.

        Yields what the run reports, as :meth:`follow` does, with a RunFile for each file. *symbols*: what pairs mean;
        *datasets*: what files or folders hold. Raises RequestError when it is refused.
        """
        message = m.StorageMigrate(
            dry_run=dry_run,
            symbols=dict(symbols or {}),
            datasets=dict(datasets or {}),
            remove_originals=remove_originals,
        )
        async with aclosing(self._start_and_follow("storage.migrate", message)) as events:
            async for event in events:
                yield event

    async def storage(
        self, message: m.StorageSync | m.StorageVerify | m.StorageRestore
    ) -> AsyncGenerator[RunEvent, None]:
        """Copy to the daemon's remotes, compare the copies, or bring them back, as *message* says.

        Yields what the run reports, as :meth:`follow` does. Raises RequestError when it is refused.
        """
        operation = f"storage.{type(message).__name__.removeprefix('Storage').lower()}"
        async with aclosing(self._start_and_follow(operation, message)) as events:
            async for event in events:
                yield event

    async def remotes(self) -> list[m.RemoteEntry]:
        """The daemon's remotes, and when each was last up to date."""
        return (await self._ask("storage.remotes", m.Remotes)).remotes

    async def retention(self) -> m.Retention:
        """What retention would purge now; nothing is purged."""
        return await self._ask("storage.retention", m.Retention, timeout=300)

    async def _start_and_follow(self, operation: str, message: Any) -> AsyncGenerator[RunEvent, None]:
        # It may be over before anybody could ask for the events of a run whose id was told.
        async with self._run_events("*") as arrived:
            started = await self._ask(operation, m.RunStarted, message, timeout=30)
            async for event in self._follow(started.run, arrived, 2.0, 60.0):
                yield event

    @asynccontextmanager
    async def _run_events(self, run_id: str) -> AsyncIterator[asyncio.Queue[RunEvent]]:
        """What comes of run *run_id* (``*``: of all) while the block runs."""
        arrived: asyncio.Queue[RunEvent] = asyncio.Queue(1024)

        async def take(message: Message) -> None:
            try:
                event = msgspec.json.decode(message.data, type=RunEvent)
            except msgspec.DecodeError:  # of a newer daemon: the state is asked for all the same
                return
            await arrived.put(event)

        subscription = await self.bus.subscribe(subjects.run_event(run_id, ">"), take)
        try:
            yield arrived
        finally:
            await subscription.unsubscribe()

    async def _follow(
        self, run: Run, arrived: asyncio.Queue[RunEvent], poll: float, patience: float
    ) -> AsyncGenerator[RunEvent, None]:
        run_id = run.run_id
        yield m.RunStatus(at=run.updated, host=run.host, run=run)
        heard = time.monotonic()
        while run.state in ACTIVE:
            try:
                async with asyncio.timeout(poll):
                    event = await arrived.get()
            except TimeoutError:
                try:
                    latest = await self._ask("runs.get", Run, m.RunsGet(run_id=run_id), timeout=min(poll, 5.0))
                except BusUnavailable:
                    if time.monotonic() - heard > patience:
                        raise
                    continue
                event = m.RunStatus(at=latest.updated, host=latest.host, run=latest)
            if (event.run.run_id if isinstance(event, m.RunStatus) else event.run_id) != run_id:
                continue
            heard = time.monotonic()
            if isinstance(event, m.RunStatus):
                if event.run == run or event.run.updated < run.updated:
                    continue  # overtaken by a reply
                run = event.run
            yield event

    async def run(self, run_id: str) -> Run:
        """One run. Raises RequestError 404."""
        return await self._ask("runs.get", Run, m.RunsGet(run_id=run_id))

    async def runs(
        self,
        limit: int = 50,
        *,
        dataset: str | None = None,
        state: RunState | None = None,
        host: str | None = None,
        before: str | None = None,
    ) -> list[Run]:
        """The newest runs, at most 1,000; *before* a run's id are those that were made before it."""
        query = m.RunsList(limit=limit, dataset=dataset, state=state, host=host, before=before)
        return (await self._ask("runs.list", m.Runs, query)).runs

    async def cancel(self, run_id: str) -> Run:
        """Stop a backfill; what it stored is kept. Raises RequestError 404, or 409 when it is over."""
        return await self._ask("backfill.cancel", Run, m.BackfillCancel(run_id=run_id), timeout=30)

    # ---------------------------------------------------------------- data

    async def read(
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
        """Return the stored rows of *dataset* in ``[start, end)``, in time order, ``TS`` in ns first.

        *limit* rows at most: the first, or with *newest* the last. *source* is for bars: ``stored``, or what they are
        to be made of, ``trades`` or the span of smaller bars; by default stored ones, and where there are none, made of
        what there is, with a warning (:class:`DerivedBars`). Raises RequestError: 404 for a dataset that isn't stored,
        422 for a column or a source that can't be. :meth:`rows` is for what doesn't fit into memory.
        """
        import polars as pl  # half a second that only readers pay

        terms: dict[str, Any] = {"columns": columns, "limit": limit, "newest": newest, "source": source}
        async with self.rows(dataset, start, end, **terms) as rows:
            if source is None:
                rows.warn()
            frames = [frame async for frame in rows]
            return pl.concat([pl.DataFrame(pl.from_arrow(rows.schema.empty_table())), *frames])

    def rows(
        self,
        dataset: str | Dataset,
        start: Time | None = None,
        end: Time | None = None,
        *,
        columns: list[str] | None = None,
        limit: int | None = None,
        newest: bool = False,
        source: str | None = None,
    ) -> Rows:
        """Return the same rows as they come, some thousand at a time, in bounded memory: ``async for frame in rows``.

        ``rows.derived_from`` says what bars were made of.
        """
        message = m.Read(
            dataset=str(dataset),
            start=_bound(start),
            end=_bound(end),
            columns=columns,
            limit=limit,
            newest=newest,
            format="arrow",
            source="auto" if source is None else source,
        )
        return Rows(partial(self._chunks, "read", message))

    async def _chunks(self, operation: str, message: Any, timeout: float = 30.0) -> AsyncGenerator[bytes, None]:
        """The pieces of a reply of any size; *timeout* seconds is for each."""
        subject, payload = subjects.request(operation), msgspec.json.encode(message)
        try:
            async with aclosing(receive(self.bus, subject, payload, timeout)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except BusUnavailable as exc:
            raise self._unavailable(exc) from exc

    async def doctor(
        self, dataset: str | None = None, *, set_aside: bool = False
    ) -> AsyncGenerator[m.DoctorLine, None]:
        """Have every file read whole, or those of datasets that begin with *dataset*; yield progress and what is
        wrong.

        *set_aside* moves damaged files out of the way and notes their intervals as missing.
        """
        message = m.Doctor(dataset=dataset, set_aside=set_aside)
        async with aclosing(self._chunks("doctor", message, timeout=120.0)) as chunks:
            async for chunk in chunks:
                for line in chunk.splitlines():
                    yield _decode(line, m.DoctorLine, "doctor")

    async def book(self, dataset: str | Dataset, at: Time | None = None, *, depth: int | None = None) -> m.BookReply:
        """Return the order book at *at* (default: the newest row's time), the best *depth* levels a side.

        Everything that had come up to *at*, inclusive, is in it; ``ts`` and ``stale`` say how old the last of that is.
        Raises RequestError 404 ``book_unknown`` where changes may be missing.
        """
        message = m.Book(dataset=str(dataset), at=_bound(at), depth=depth)
        return await self._ask("book", m.BookReply, message, timeout=60)

    async def books(
        self,
        dataset: str | Dataset,
        every: str | float = "1s",
        start: Time | None = None,
        end: Time | None = None,
        *,
        depth: int | None = 10,
        wide: bool = False,
    ) -> BookFrame:
        """Return the order books at *start* and each *every* after it (seconds, or as ``100ms``), before *end*.

        A frame with a row a level, or *wide*, a row a book; books that aren't known are left out of it, and its
        ``unknown`` tells when. Default: all there is, at multiples of *every*. :meth:`book_parts` is for what doesn't
        fit into memory.
        """
        import polars as pl

        async with aclosing(self.book_parts(dataset, every, start, end, depth=depth, wide=wide)) as parts:
            found = [part async for part in parts]
        unknown = [one for part in found for one in part.unknown]
        return BookFrame(pl.concat([part.frame for part in found]), joined(unknown))

    async def book_parts(
        self,
        dataset: str | Dataset,
        every: str | float = "1s",
        start: Time | None = None,
        end: Time | None = None,
        *,
        depth: int | None = 10,
        wide: bool = False,
    ) -> AsyncGenerator[BookFrame, None]:
        """As :meth:`books`, a part after the other."""
        request = m.Books(
            dataset=str(dataset),
            every=every,
            start=_bound(start),
            end=_bound(end),
            depth=depth,
            shape="wide" if wide else "long",
        )

        async def ask(message: m.Books) -> m.BooksReply:
            return await self._ask("books", m.BooksReply, message, timeout=60)

        async def read(message: m.Books) -> pl.DataFrame:
            return await self._frame("books", message)

        async with aclosing(in_parts(ask, read, request)) as parts:
            async for part in parts:
                yield part

    async def _frame(self, operation: str, message: Any) -> pl.DataFrame:
        """The rows of a reply in Arrow."""
        import polars as pl  # half a second that only readers pay

        stream = io.BytesIO()
        async with aclosing(self._chunks(operation, message)) as chunks:
            async for chunk in chunks:
                stream.write(chunk)
        stream.seek(0)
        return await asyncio.to_thread(pl.read_ipc_stream, stream)

    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["trades"] = "trades", span: None = None
    ) -> Ticks[Trade]: ...
    @overload
    def ticks(self, exchange: str, symbol: str, data_type: Literal["ohlc"], span: str | int) -> Ticks[Bar]: ...
    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["orderbook"], span: None = None
    ) -> Ticks[BookSnapshot | BookDelta]: ...
    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["funding"], span: None = None
    ) -> Ticks[FundingRate]: ...
    @overload
    def ticks(
        self, exchange: str, symbol: str, data_type: Literal["open_interest"], span: None = None
    ) -> Ticks[OpenInterest]: ...
    @overload
    def ticks(self, exchange: str, symbol: str, data_type: str, span: str | int | None = None) -> Ticks[Any]: ...

    def ticks(self, exchange: str, symbol: str, data_type: str = "trades", span: str | int | None = None) -> Ticks[Any]:
        """Return the live feed of a dataset, to iterate over. Raises IdentityError."""
        return Ticks(lambda: self.bus, Dataset.make(exchange, data_type, symbol, span))


def _time(value: Time) -> str | int:
    """*value* as a request says it."""
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return value.isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _bound(value: Time | None) -> str | int | None:
    """The same of an end that may be left open."""
    return None if value is None else _time(value)


def _decode(body: bytes, kind: Any, operation: str) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as exc:
        raise BusError(
            f"the reply to {operation} isn't what this version of dccd expects ({exc}): "
            "is the daemon of another version? dccd.health says which"
        ) from exc
