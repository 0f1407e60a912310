"""One live stream: a dataset flows in, its records and what happened to the connection flow out.

Performs what :class:`dccd.feeds.machine.Machine` decides: connects, sends, fetches REST snapshots beside the frames
(which go on being taken), closes, waits, connects again. One batch per turn; a consumer that lags stops the turns,
hence the reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import anyio

from dccd.errors import ExchangeDown, ParseError, RateLimited, SocketClosed
from dccd.exchanges.base import Exchange, HistoryPager, Market, PageRequest, StreamOptions
from dccd.feeds.holes import Holes
from dccd.feeds.items import Batch, Broke, Connected, Hole, Item, Live, Lost, Silent, Unparsed
from dccd.feeds.machine import Action, Drop, Fetch, Machine, Ping, Probe, Send, SessionSettings
from dccd.feeds.socket import Socket, connect
from dccd.feeds.timing import Clock, SystemClock
from dccd.symbols import Dataset, Symbol

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

    *ws_url* is the base (scheme, host, port) that the stream's path is put after. *since* (ns): there is a hole from
    there on already, as when the collector was not running; it is reported with the first record, or when none comes.
    """

    def __init__(
        self,
        exchange: Exchange,
        dataset: Dataset,
        options: StreamOptions | None = None,
        *,
        rest: Snapshots,
        ws_url: str | None = None,
        clock: Clock | None = None,
        settings: SessionSettings | None = None,
        chance: Callable[[], float] = random.random,
        since: int | None = None,
    ) -> None:
        self.dataset = dataset
        self._exchange = exchange
        self._options = options or StreamOptions()
        self._rest = rest
        self._ws_url = ws_url
        self._clock: Clock = clock or SystemClock()
        holes = Holes(dataset, exchange.consecutive_trade_ids, since)
        self._machine = Machine(dataset, settings or SessionSettings(), chance, holes)
        self._changed = asyncio.Event()
        self._socket: Socket | None = None
        self._fetch: asyncio.Task[bytes] | None = None
        self._probe: asyncio.Task[bool] | None = None

    def __repr__(self) -> str:
        return f"<Session {self.dataset.name} live={self._machine.live} attempt={self._machine.attempt}>"

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, the state, and the present socket's counters."""
        socket = self._socket
        return {**self._machine.statistics(), "socket": None if socket is None else socket.statistics()}

    async def run(self) -> AsyncGenerator[Item, None]:
        """Yield what comes, for ever; reconnects by itself. Close it (``contextlib.aclosing``) to end the session.

        Raises SubscriptionRefused when the exchange refuses for good, NoCapability when it has no such stream.
        """
        clock, machine = self._clock, self._machine
        while True:
            market = self._exchange.market(self.dataset.symbol) or await self._rest.market(self.dataset.symbol)
            protocol = self._exchange.stream(self.dataset, self._options, market)
            retry_after = None
            try:
                self._changed.clear()
                self._socket = await connect(self._url(protocol.url), changed=self._changed, clock=clock)
                actions = machine.connected(protocol, clock.now(), clock.wall_ns())
                async with contextlib.aclosing(self._converse(self._socket, actions)) as items:
                    async for item in items:
                        yield item
            except SocketClosed as exc:
                reason, retry_after = str(exc), exc.retry_after
            except _Dropped as exc:
                reason = str(exc)
            said, wait = machine.lost(reason, clock.now(), clock.wall_ns(), retry_after)
            for item in said:
                yield item
            await clock.sleep(wait)

    def _url(self, url: str) -> str:
        if self._ws_url is None:
            return url
        parts = urlsplit(url)
        return self._ws_url.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")

    async def _converse(self, socket: Socket, actions: list[Action]) -> AsyncGenerator[Item, None]:
        """One connection, until it ends: raises SocketClosed or _Dropped."""
        clock, machine, changed = self._clock, self._machine, self._changed
        timer = asyncio.create_task(self._wake(), name=f"timer of {self.dataset.name}")
        due = clock.now() + _TICK
        try:
            while True:
                for action in actions:
                    # Batches first: they are nearly all there is.
                    if isinstance(action, Batch):
                        yield action
                    elif isinstance(action, Send):
                        for frame in action.frames:
                            await socket.send(frame)
                    elif isinstance(action, Fetch):
                        self._start_fetch(action.request)
                    elif isinstance(action, Probe):
                        self._start_probe(action)
                    elif isinstance(action, Ping):
                        socket.ping()
                    elif isinstance(action, Drop):
                        raise _Dropped(action.reason)
                    else:
                        yield action
                changed.clear()
                reads = socket.take()
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
                    actions += machine.timer(now, clock.wall_ns(), socket.last_read)
        finally:
            self._socket = None
            tasks = [task for task in (timer, self._fetch, self._probe) if task is not None]
            self._fetch = self._probe = None
            for task in tasks:
                task.cancel()
            # Shielded, since the usual way out is a cancellation; bounded by the socket's own time-out.
            with anyio.CancelScope(shield=True):
                await socket.aclose()
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
            self._probe = asyncio.create_task(self._has_records(probe))
            self._probe.add_done_callback(self._done)

    async def _has_records(self, probe: Probe) -> bool:
        """Raises BadSymbol and the like: a symbol that isn't listed is accepted by some exchanges all the same."""
        try:
            market = await self._rest.market(self.dataset.symbol)
            pager: HistoryPager = self._exchange.history(self.dataset, probe.since, probe.until, market)
            for _ in range(_PROBE_PAGES):
                for request in pager.requests(1):
                    body = await self._rest.get(request)
                    if pager.receive(request, body, self._clock.wall_ns()).records:
                        return probe.decisive
                if pager.done:
                    break
        except (ExchangeDown, RateLimited, ParseError):
            # Unknown is not proof: the silence goes on being reported.
            return False
        return False

    def _done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # taken, so that a task whose result nobody wants any more isn't reported
        self._changed.set()


class _Dropped(Exception):
    """The machine gave the connection up, for this reason."""
