"""Stand-ins for what feeds stand on: a clock that tests move, REST from a script, an exchange that speaks plain JSON.

Used by tests only.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Literal

import msgspec

from dccd.errors import BadSymbol, MessagesLost, NoCapability, ParseError
from dccd.exchanges.base import (
    Broken,
    Capabilities,
    Connections,
    HistoryPager,
    Market,
    Page,
    PageRequest,
    Refused,
    Router,
    Signal,
    SnapshotWanted,
    StreamOptions,
    StreamProtocol,
    Subscribed,
)
from dccd.records import BookDelta, BookSnapshot, Record, Trade
from dccd.symbols import NS, Dataset, DataType, Symbol

__all__ = ["START", "FakeClock", "FakeExchange", "FakeFrame", "FakePager", "FakeRest"]

START = 1_700_000_000 * NS
"""The wall time at which a FakeClock starts."""


class FakeClock:
    """Stands still until :meth:`advance`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._slept = asyncio.Event()
        self.sleeps: list[float] = []
        """Every sleep that was asked for, in order."""

    def now(self) -> float:
        """Seconds advanced so far."""
        return self._now

    def wall_ns(self) -> int:
        """START plus these."""
        return START + round(self._now * NS)

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by *seconds*."""
        self.sleeps.append(seconds)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        self._slept.set()
        await future

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return sum(not future.done() for *_, future in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake whose time has come."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    async def until_sleeping(self, count: int = 1) -> None:
        """Return once *count* sleep: what was to be done before time passes is then done."""
        while self.sleeping < count:
            self._slept.clear()
            await self._slept.wait()


class FakeRest:
    """REST whose answers are in *script*: bodies, exceptions, or futures of bodies, one a request, in order.

    With *answer*, a function of the request, instead.
    """

    exchange = "fake"

    def __init__(
        self,
        *script: bytes | Exception | asyncio.Future[bytes],
        answer: Callable[[PageRequest], bytes] | None = None,
    ) -> None:
        self._script = list(script)
        self._answer = answer
        self.requests: list[PageRequest] = []
        self.urgent: list[bool] = []
        self.markets: list[Market | Exception] = []
        self.asked = asyncio.Event()

    async def get(self, request: PageRequest, *, urgent: bool = False) -> bytes:
        """The script's next answer."""
        self.requests.append(request)
        self.urgent.append(urgent)
        self.asked.set()
        await asyncio.sleep(0)
        if self._answer is not None:
            return self._answer(request)
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else await answer

    async def market(self, symbol: Symbol) -> Market:
        """The next of ``markets``, or its token without the hyphen."""
        if self.markets:
            market = self.markets.pop(0)
            if isinstance(market, Exception):
                raise market
            return market
        if symbol.base == "NONE":
            raise BadSymbol("fake", f"fake doesn't list {symbol}")
        return Market(symbol.token.replace("-", ""))


class FakeFrame(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A frame of the fake exchange: what it is, in one field; times in ns.

    ``to``: whose it is, a topic (``BTC/USD``), empty for nobody, null for all. ``lost``: the router finds a loss.
    """

    to: str | None = None
    lost: bool = False
    ok: bool = False
    refused: str = ""
    permanent: bool = True
    trades: list[int] = []
    book: list[int] = []
    want: bool = False
    broken: Literal["", "resubscribe", "reconnect", "snapshot", "none"] = ""
    since: int | None = None
    until: int | None = None
    doubt: tuple[int, int] | None = None

    def encode(self) -> str:
        """As sent."""
        return msgspec.json.encode(self).decode()


_SNAPSHOT = PageRequest("publicGetDepth", {"symbol": "FAKE"})


class _FakeProtocol:
    """Says in frames what it is to do; see FakeFrame. Emits what it does into the records' sizes and ids."""

    url = "wss://fake.example/fake?a=1"
    lane = 1
    heartbeat = 30.0

    def __init__(self, exchange: FakeExchange, topic: str) -> None:
        self.beat = exchange.beat
        self._exchange = exchange
        self._doubt = (0, 0)
        self.topic = topic

    @property
    def held_since(self) -> int | None:
        return self._doubt[0] or None

    def subscribe(self) -> list[str]:
        return [f"subscribe {self.topic}"]

    def unsubscribe(self) -> list[str]:
        return [f"unsubscribe {self.topic}"]

    def resubscribe(self) -> list[str]:
        return [*self.unsubscribe(), *self.subscribe()]

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        try:
            told = msgspec.json.decode(frame, type=FakeFrame)
        except msgspec.DecodeError as exc:
            raise ParseError("fake", f"no fake frame: {exc}", frame) from exc
        out.extend(Trade(ts, 1.0, 1.0, None, str(ts), recv_ts) for ts in told.trades)
        out.extend(BookDelta(ts, ts, [], [], recv_ts) for ts in told.book)
        if told.doubt:
            self._doubt = told.doubt
        if told.ok:
            return Subscribed()
        if told.refused:
            return Refused(told.refused, told.permanent)
        if told.want:
            return SnapshotWanted(_SNAPSHOT)
        if told.broken:
            request = _SNAPSHOT if told.broken == "snapshot" else None
            return Broken("a gap", told.since, told.broken, told.until, request)
        return None

    def snapshot(self, body: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        if not body.isdigit():
            raise ParseError("fake", "no fake snapshot", body)
        out.append(BookSnapshot(int(body), int(body), [], [], recv_ts))
        return None

    def unresolved(self) -> list[Broken]:
        since, until = self._doubt
        return [Broken("ids jumped", since, "none", until)] if since else []

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        self._exchange.ticks.append(now)
        return None


class FakePager:
    """*count* pages of one trade each, a second apart from *start*; *window*: how many may be asked for at once."""

    def __init__(self, start: int, count: int, window: int = 64) -> None:
        self._start, self._count, self._window = start, count, window
        self._asked = 0
        self._got: set[int] = set()

    def requests(self, limit: int) -> list[PageRequest]:
        """The next ones."""
        last = min(self._asked + limit, self._count, len(self._got) + self._window)
        first, self._asked = self._asked, max(last, self._asked)
        return [PageRequest("publicGetPage", {"n": n}, n) for n in range(first, last)]

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Bodies are the page's number; an empty one is an empty page."""
        if body and body != str(request.cursor).encode():
            raise ParseError("fake", "no fake page", body)
        self._got.add(request.cursor)
        start = self._start + request.cursor * NS
        return Page([Trade(start, 1.0, 1.0, None, str(request.cursor))] if body else [], start, start + NS)

    @property
    def done(self) -> bool:
        """Whether all came."""
        return len(self._got) == self._count

    @property
    def position(self) -> int:
        """The end of the first pages that came without one missing between them."""
        return self._start + NS * next(n for n in itertools.count() if n not in self._got)


class _FakeRouter:
    def __init__(self, opening: tuple[str, ...]) -> None:
        self._opening = opening

    def opening(self) -> list[str]:
        return list(self._opening)

    def alike(self, frame: bytes) -> bytes:
        return b""

    def route(self, frame: bytes) -> str | None:
        try:
            told = msgspec.json.decode(frame, type=FakeFrame)
        except msgspec.DecodeError:
            return None
        if told.lost:
            raise MessagesLost("fake", "messages 5 to 7 are missing")
        return told.to


class FakeExchange:
    """An exchange whose frames are FakeFrames and whose history is FakePagers.

    *opening*: what each connection sends first. *named*: whether it names markets by itself, or leaves it to REST.
    """

    id = "fake"
    closed = ""
    capabilities = Capabilities()
    consecutive_trade_ids = False
    beat: float | None = None

    def __init__(
        self, connections: Connections | None = None, *, opening: tuple[str, ...] = (), named: bool = True
    ) -> None:
        self.connections = connections or Connections(topics=100, messages=1e9, opens=1000.0, opens_per_second=1000.0)
        self._opening = opening
        self._named = named
        self.protocols = 0
        self.ticks: list[int] = []

    def market(self, symbol: Symbol) -> Market | None:
        """As FakeRest's."""
        return Market(symbol.token.replace("-", "")) if self._named else None

    def router(self) -> Router:
        """By what frames say."""
        return _FakeRouter(self._opening)

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """A new protocol."""
        self.check(dataset, live=True)
        self.protocols += 1
        return _FakeProtocol(self, dataset.symbol.human)

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """One page."""
        return FakePager(start, 1)

    def check(self, dataset: Dataset, live: bool) -> None:
        """No funding here."""
        if dataset.data_type is DataType.FUNDING:
            raise NoCapability("fake", "fake has no funding", "data_type")
