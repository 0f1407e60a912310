"""The past over REST: page requests flow in, bodies and pages of records flow out.

One :class:`Rest` an exchange and host, shared by all that ask it (so that its rate limit is); :func:`pages` performs
what a pager asks for, several requests at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import anyio
import msgspec

from dccd.errors import BadSymbol, ExchangeDown, NoCapability, ParseError, RateLimited
from dccd.exchanges import registry
from dccd.exchanges.base import HistoryPager, Market, Page, PageRequest
from dccd.feeds.limiter import Limiter
from dccd.feeds.progress import Progress
from dccd.feeds.rest_client import RestClient
from dccd.feeds.timing import Backoff, Clock, SystemClock
from dccd.symbols import Symbol, format_time

__all__ = ["Getter", "Rest", "RestOptions", "RestPool", "pages"]

_CLOSE_TIMEOUT = 2.0
_COOLING = Backoff(initial=5.0, maximum=60.0)
"""How long a failure to load an exchange's markets stands for all who ask: each of its streams and backfills does."""
_T = TypeVar("_T")


class RestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to ask an exchange. ``rest_url``: scheme, host and port instead of its own; seconds elsewhere."""

    rest_url: str | None = None
    rate_limit: bool = True
    """False for a server of one's own, as in benchmarks: exchanges ban whoever doesn't keep to theirs."""
    timeout: float = 15.0
    attempts: int = 6
    """Requests made for one answer, at most."""
    max_wait: float = 120.0
    """A longer Retry-After is an error at once: a ban lasts minutes to days."""
    in_flight: int = 16
    backoff: Backoff = Backoff(initial=0.5, maximum=30.0)


class Rest:
    """REST of one exchange. Nothing is opened before the first request."""

    def __init__(
        self,
        exchange: str,
        options: RestOptions | None = None,
        *,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.exchange = exchange
        self._options = options or RestOptions()
        self._clock: Clock = clock or SystemClock()
        self._chance = chance
        self._client: RestClient | None = None
        self._limiter: Limiter | None = None
        self._opening = asyncio.Lock()
        self._listing = asyncio.Lock()
        self._unlisted: tuple[float, ExchangeDown | RateLimited] | None = None  # until when it stands, and why
        self._unlisted_times = 0
        self._requests = self._retries = self._failures = self._limited = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"<Rest {self.exchange} requests={self._requests} retries={self._retries}>"

    def statistics(self) -> dict[str, Any]:
        """Requests, retries, failures, bytes, costs and waits since the start; ``used_weight`` as the exchange says."""
        client, limiter = self._client, self._limiter
        return {
            "requests": self._requests,
            "retries": self._retries,
            "failures": self._failures,
            "rate_limited": self._limited,
            "bytes": 0 if client is None else client.bytes,
            "used_weight": None if client is None else client.used_weight,
            **({} if limiter is None else limiter.statistics()),
        }

    async def get(self, request: PageRequest, *, urgent: bool = False) -> bytes:
        """Perform *request* and return the body as it came; *urgent* goes before all that isn't.

        Tries again, up to ``attempts``, when the exchange is down or says to wait, for as long as it says. Raises
        RateLimited, ExchangeDown, BadSymbol, ExchangeError.
        """
        client, limiter = await self._open()
        endpoint, params = request.endpoint, dict(request.params)
        if client.is_unified(endpoint):
            return await self._persist(limiter, lambda: client.get(endpoint, params))
        cost = client.cost(endpoint, params)

        async def once() -> bytes:
            async with limiter.turn(cost, urgent):
                self._requests += 1
                return await client.get(endpoint, params)

        return await self._persist(limiter, once)

    async def market(self, symbol: Symbol) -> Market:
        """What the exchange calls *symbol*: from the exchange's folder here, or from ccxt's markets.

        Those are asked for by one at a time, and a failure stands for a while for all others. Raises BadSymbol,
        ExchangeDown, RateLimited.
        """
        try:
            known = registry.get(self.exchange).market(symbol)
        except NoCapability:
            known = None
        if known is not None:
            return known
        client, limiter = await self._open()
        if client.at_hand(symbol):
            return await client.market(symbol, self._clock.wall_ns())
        async with self._listing:
            if self._unlisted is not None and self._unlisted[0] > self._clock.now():
                raise self._again(*self._unlisted)
            try:
                found = await self._persist(limiter, lambda: client.market(symbol, self._clock.wall_ns()))
            except (ExchangeDown, RateLimited) as exc:
                wait = _COOLING.delay(self._unlisted_times, self._chance())
                self._unlisted_times += 1
                self._unlisted = self._clock.now() + wait, exc
                raise
            except BadSymbol:
                self._unlisted_times = 0
                raise
            self._unlisted_times = 0
            return found

    async def client(self) -> RestClient:
        """The seam to ccxt, for what ccxt.pro does beside REST. Raises ExchangeDown."""
        return (await self._open())[0]

    async def turn(self, cost: float | None = None, urgent: bool = False) -> None:
        """Wait until a request of *cost* may be made that ccxt makes by itself."""
        if self._limiter is not None:
            self._requests += 1
            async with self._limiter.turn(1.0 if cost is None else cost, urgent):
                pass

    async def aclose(self) -> None:
        """Close; requests that wait for their turns are cancelled."""
        self._closed = True
        if self._limiter is not None:
            self._limiter.close()
        if self._client is not None:
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await self._client.aclose()

    def _again(self, until: float, told: ExchangeDown | RateLimited) -> ExchangeDown | RateLimited:
        """A failure that stands, for one more who asks."""
        left = until - self._clock.now()
        words = f"{told}; it is asked again in {left:.0f} s"
        return (
            RateLimited(self.exchange, words, left)
            if isinstance(told, RateLimited)
            else ExchangeDown(self.exchange, words)
        )

    async def _persist(self, limiter: Limiter, once: Callable[[], Awaitable[_T]]) -> _T:
        """Do *once* until it works, or has failed ``attempts`` times, or would have to wait for too long."""
        options, attempt = self._options, 0
        while True:
            if limiter.paused_for > options.max_wait:
                raise RateLimited(self.exchange, f"{self.exchange} asked us to stay away", limiter.paused_for)
            try:
                return await once()
            except (ExchangeDown, RateLimited) as exc:
                wait = options.backoff.delay(attempt, self._chance())
                if isinstance(exc, RateLimited):
                    self._limited += 1
                    # The limit counts by address: what one is told, all must do.
                    wait = wait if exc.retry_after is None else exc.retry_after
                    limiter.pause(wait)
                attempt += 1
                if attempt >= options.attempts or wait > options.max_wait:
                    self._failures += 1
                    raise
                self._retries += 1
            await self._clock.sleep(wait)

    async def _open(self) -> tuple[RestClient, Limiter]:
        if self._client is None or self._limiter is None:
            async with self._opening:
                if self._client is None or self._limiter is None:
                    options = self._options
                    client = await RestClient.open(
                        self.exchange, rest_url=options.rest_url, timeout=options.timeout, throttle=self.turn
                    )
                    period = client.period if options.rate_limit else 0.0
                    self._limiter = Limiter(period, self._clock, options.in_flight)
                    self._client = client
        if self._closed:
            raise ExchangeDown(self.exchange, "this Rest is closed")
        return self._client, self._limiter


class RestPool:
    """One :class:`Rest` for each exchange that is asked for, as *options* say."""

    def __init__(self, options: Mapping[str, RestOptions] | None = None, *, clock: Clock | None = None) -> None:
        self._options = dict(options or {})
        self._clock = clock
        self._rests: dict[str, Rest] = {}

    def get(self, exchange: str) -> Rest:
        """The one Rest of *exchange*."""
        if exchange not in self._rests:
            self._rests[exchange] = Rest(exchange, self._options.get(exchange), clock=self._clock)
        return self._rests[exchange]

    def change(self, exchange: str, options: RestOptions) -> Rest | None:
        """Ask *exchange* by *options* from now on. Returns the Rest that was there, to be closed when unused."""
        self._options[exchange] = options
        return self._rests.pop(exchange, None)

    def statistics(self) -> dict[str, Any]:
        """Each exchange's."""
        return {exchange: rest.statistics() for exchange, rest in self._rests.items()}

    async def aclose(self) -> None:
        """Close them all, at once."""
        async with anyio.create_task_group() as group:
            for rest in self._rests.values():
                group.start_soon(rest.aclose)


class Getter(Protocol):
    """What :func:`pages` asks of REST."""

    exchange: str

    async def get(self, request: PageRequest, *, urgent: bool = False) -> bytes:
        """Perform one request and return the body. Raises ExchangeError."""
        ...


async def pages(
    rest: Getter,
    pager: HistoryPager,
    concurrency: int = 4,
    *,
    clock: Clock | None = None,
    attempts: int = 3,
) -> AsyncGenerator[Page, None]:
    """Yield the pages of *pager* as they come, not always in order, with up to *concurrency* requests under way.

    ``pager.position`` is the time before which all is covered. A body that can't be parsed is asked for again, up to
    *attempts* times. Raises what the last failure was, after the pages that had come, with a note of what is covered;
    NoProgress when the exchange repeats itself.
    Close it (``contextlib.aclosing``) to stop early: requests under way are cancelled.
    """
    clock = clock or SystemClock()
    running: dict[asyncio.Task[bytes], tuple[PageRequest, int]] = {}
    progress = Progress(rest.exchange, pager.position)
    failure: Exception | None = None

    def start(request: PageRequest, attempt: int) -> None:
        running[asyncio.create_task(rest.get(request))] = (request, attempt)

    try:
        while True:
            if failure is None and len(running) < concurrency:
                for request in pager.requests(concurrency - len(running)):
                    start(request, 1)
            if not running:
                break
            alone = len(running) == 1
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task in done]:
                request, attempt = running.pop(task)
                try:
                    page = pager.receive(request, task.result(), clock.wall_ns())
                except ParseError as exc:
                    # Cut short on the way, perhaps. What is wrong each time is an error.
                    if attempt < attempts:
                        start(request, attempt + 1)
                    else:
                        failure = failure or exc
                except Exception as exc:
                    failure = failure or exc
                else:
                    yield page
                    failure = failure or progress.took(request, page, pager.position, alone=alone)
            if failure is not None:
                failure.add_note(f"covered until {format_time(pager.position)}")
                raise failure
        if not pager.done:
            raise RuntimeError(f"{type(pager).__name__} isn't done, but asks for no page")
    finally:
        for task in running:
            task.cancel()
        if running:
            with anyio.CancelScope(shield=True):
                done, _ = await asyncio.wait(running, timeout=_CLOSE_TIMEOUT)
            for task in done:
                if not task.cancelled():
                    task.exception()  # taken, so that a failure nobody waits for any more isn't reported
