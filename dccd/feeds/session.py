"""One live stream: a dataset flows in, its records and what happened to the connection flow out.

Performs what :class:`dccd.feeds.machine.Machine` decides: joins a connection, sends, fetches REST snapshots beside the
frames (which go on being taken), leaves, waits, joins again. One batch per turn; a consumer that lags stops the turns,
hence the reading (and is cut off where it shares the connection with others that don't).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

import anyio

from dccd.errors import BadSymbol, ExchangeDown, ExchangeError, RateLimited, SocketClosed
from dccd.exchanges.base import Exchange, HistoryPager, Market, PageRequest, StreamOptions
from dccd.feeds.actions import Action, Drop, Fetch, Ping, Send
from dccd.feeds.holes import Holes
from dccd.feeds.items import Batch, Broke, Connected, Hole, Item, Live, Lost, Silent, Unparsed
from dccd.feeds.machine import Machine
from dccd.feeds.pool import AnyLine, Pool
from dccd.feeds.settings import SessionSettings
from dccd.feeds.silence import Probe
from dccd.feeds.timing import Clock, SystemClock
from dccd.records import Record
from dccd.symbols import Dataset, DataType, Symbol

__all__ = [
    "Batch",
    "Broke",
    "Connected",
    "Hole",
    "Item",
    "Live",
    "Lost",
    "Session",
    "SessionSettings",
    "Silent",
    "Snapshots",
    "Unparsed",
]

_TICK = 1.0
_PROBE_PAGES = 3


class Snapshots(Protocol):
    """What a session asks of REST; :class:`dccd.feeds.history.Rest` has it."""

    async def get(self, request: PageRequest, *, urgent: bool = False) -> bytes:
        """Perform one request and return the body. Raises ExchangeError."""
        ...

    async def market(self, symbol: Symbol) -> Market:
        """What the exchange calls *symbol*. Raises ExchangeError."""
        ...


class Session:
    """The live session of one dataset.

    *sockets*: the exchange's connections, shared with its other sessions. *since* (ns): there is a hole from there on
    already, as when the collector was not running; it is reported with the first record, or when none comes.
    """

    def __init__(
        self,
        exchange: Exchange,
        dataset: Dataset,
        options: StreamOptions | None = None,
        *,
        rest: Snapshots,
        sockets: Pool,
        clock: Clock | None = None,
        settings: SessionSettings | None = None,
        chance: Callable[[], float] = random.random,
        since: int | None = None,
    ) -> None:
        self.dataset = dataset
        self._exchange = exchange
        self._options = options or StreamOptions()
        self._rest = rest
        self._sockets = sockets
        self._clock: Clock = clock or SystemClock()
        holes = Holes(dataset, exchange.consecutive_trade_ids, since)
        self._machine = Machine(dataset, settings or SessionSettings(), chance, holes)
        self._changed = asyncio.Event()
        self._line: AnyLine | None = None
        self._market: Market | None = None
        self._fetch: asyncio.Task[bytes] | None = None
        self._probe: asyncio.Task[list[Record] | None] | None = None

    def __repr__(self) -> str:
        return f"<Session {self.dataset.name} live={self._machine.live} attempt={self._machine.attempt}>"

    @property
    def counts(self) -> dict[str, int]:
        """What is counted from the start on, as it grows: ``frames``, ``records``, ``unparsed`` and others."""
        return self._machine.counts

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, the state, and the present line's counters."""
        line = self._line
        return {**self._machine.statistics(), "line": None if line is None else line.statistics()}

    async def run(self) -> AsyncGenerator[Item, None]:
        """Yield what comes, for ever; reconnects by itself. Close it (``contextlib.aclosing``) to end the session.

        Raises SubscriptionRefused when the exchange refuses for good, NoCapability when it has no such stream,
        BadSymbol when it doesn't list the symbol.
        """
        clock, machine = self._clock, self._machine
        self._exchange.check(self.dataset, live=True)
        while True:
            try:
                market = await self._known_market()
                protocol = self._exchange.stream(self.dataset, self._options, market)
                self._changed.clear()
                line = await self._sockets.join(protocol, self._changed)
                async with contextlib.aclosing(self._converse(line, market.expires)) as items:
                    async for item in items:
                        yield item
            except SocketClosed as exc:
                reason, retry_after = str(exc), exc.retry_after
            except _Dropped as exc:
                reason, retry_after = exc.reason, exc.retry_after
            said, wait = machine.lost(reason, clock.now(), clock.wall_ns(), retry_after)
            for item in said:
                yield item
            await clock.sleep(wait)

    async def _known_market(self) -> Market:
        """The market that the symbol means now. Raises BadSymbol, and _Dropped when that can't be told."""
        known = before = self._market
        if known is None or (known.expires is not None and known.expires <= self._clock.wall_ns()):
            try:
                known = self._exchange.market(self.dataset.symbol) or await self._rest.market(self.dataset.symbol)
            except (ExchangeDown, RateLimited) as exc:
                raise _Dropped(f"the market can't be looked up: {exc}", getattr(exc, "retry_after", None)) from exc
            if before is not None and before.id != known.id:
                self._machine.market_changed()
            self._market = known
        return known

    async def _converse(self, line: AnyLine, expires: int | None) -> AsyncGenerator[Item, None]:
        """One connection, until it ends: raises SocketClosed or _Dropped."""
        clock, machine, changed = self._clock, self._machine, self._changed
        self._line = line
        timer = asyncio.create_task(self._wake(), name=f"timer of {self.dataset.name}")
        due = clock.now() + _TICK
        sending = False
        try:
            actions = machine.connected(line.protocol, clock.now(), clock.wall_ns())
            while True:
                for action in actions:
                    # Batches first: they are nearly all there is.
                    if isinstance(action, Batch):
                        yield action
                    elif isinstance(action, Send):
                        line.send(action.frames)
                        sending = True
                    elif isinstance(action, Fetch):
                        self._start_fetch(action.request)
                    elif isinstance(action, Probe):
                        self._start_probe(action)
                    elif isinstance(action, Ping):
                        line.ping()
                    elif isinstance(action, Drop):
                        if action.dead:
                            line.give_up(action.reason)
                        raise _Dropped(action.reason)
                    else:
                        yield action
                changed.clear()
                if sending and not line.unsent:
                    sending = False
                    machine.sent(clock.now())
                reads = line.take()
                now = clock.now()
                if reads:
                    actions = machine.received(reads, now, clock.wall_ns())
                elif self._fetch is not None and self._fetch.done():
                    actions = self._fetched(now)
                elif self._probe is not None and self._probe.done():
                    probe, self._probe = self._probe, None
                    actions = machine.probed(probe.result())
                elif now >= due:
                    actions = []
                else:
                    actions = []
                    await changed.wait()
                if now >= due:
                    due = now + _TICK
                    wall = clock.wall_ns()
                    actions += machine.timer(now, wall, line.last_read, line.last_frame, line.last_own, line.spoke_at)
                    if expires is not None and wall >= expires:
                        actions.append(Drop("the contract has expired"))
        finally:
            self._line = None
            tasks = [task for task in (timer, self._fetch, self._probe) if task is not None]
            self._fetch = self._probe = None
            for task in tasks:
                task.cancel()
            # Shielded, since the usual way out is a cancellation; bounded by the socket's own time-out.
            with anyio.CancelScope(shield=True):
                await line.aclose(unsubscribe=not machine.refused)
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _wake(self) -> None:
        while True:
            await self._clock.sleep(_TICK)
            self._changed.set()

    # ------------------------------------------------------------ REST beside the frames

    def _start_fetch(self, request: PageRequest) -> None:
        if self._fetch is not None:
            # What is asked for anew replaces what is under way: the protocol wants a later snapshot.
            self._fetch.cancel()
        self._fetch = asyncio.create_task(self._rest.get(request, urgent=True))
        self._fetch.add_done_callback(self._done)

    def _fetched(self, now: float) -> list[Action]:
        fetch, self._fetch = self._fetch, None
        assert fetch is not None
        try:
            body = fetch.result()
        except (ExchangeDown, RateLimited) as exc:
            # Rest has tried several times already. A new connection, after the backoff, starts afresh.
            return [Drop(f"no REST snapshot: {exc}")]
        return self._machine.snapshot(body, now, self._clock.wall_ns())

    def _start_probe(self, probe: Probe) -> None:
        if self._probe is None:
            self._probe = asyncio.create_task(self._records(probe))
            self._probe.add_done_callback(self._done)

    async def _records(self, probe: Probe) -> list[Record] | None:
        """What REST has of that time; None when that can't be had.

        Raises BadSymbol: some exchanges accept a symbol that they don't list.
        """
        found: list[Record] = []
        try:
            market = self._market or await self._rest.market(self.dataset.symbol)
            pager: HistoryPager = self._exchange.history(self.dataset, probe.since, probe.until, market)
            for _ in range(_PROBE_PAGES):
                for request in pager.requests(1):
                    body = await self._rest.get(request)
                    found += pager.receive(request, body, self._clock.wall_ns()).records
                if pager.done or (found and self.dataset.data_type is DataType.TRADES):
                    break
        except BadSymbol:
            raise
        except ExchangeError:
            # Unknown is not proof: the silence goes on being reported.
            return None
        return found

    def _done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # taken, so that a task whose result nobody wants any more isn't reported
        self._changed.set()


class _Dropped(Exception):
    """The machine gave the connection up, or there is none to be had yet, for this reason."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after
