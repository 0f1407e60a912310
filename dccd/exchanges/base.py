"""What an exchange implements: pure protocols between bytes and records.

An exchange folder never does I/O and never reads a clock; ``dccd.feeds`` performs what these decide. Three
sans-I/O machines are asked of it:

* :class:`StreamProtocol`, one per live stream: says where to connect and what to send, takes frames,
  appends records to a list and returns a :class:`Signal` when the session has something to do.
* :class:`Router`, one per connection, which many streams share: says which stream a frame is for, without decoding it.
* :class:`HistoryPager`, one per backfill: says which pages to ask for (several at once where their windows are
  known beforehand), takes each page's body, returns its records and the interval that the page covers.

``ops/add-an-exchange.md`` walks through all that a new one needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from dccd.exchanges import capability
from dccd.records import Record
from dccd.symbols import Dataset, DataType, Symbol

__all__ = [
    "Broken",
    "Capabilities",
    "Capability",
    "Connections",
    "Exchange",
    "HistoryPager",
    "Market",
    "Offer",
    "Page",
    "PageRequest",
    "Refused",
    "Router",
    "Signal",
    "SnapshotWanted",
    "StreamOptions",
    "StreamProtocol",
    "Subscribed",
]


class Market(msgspec.Struct, frozen=True):
    """What an exchange calls a symbol, and what one contract of it is.

    ``id`` is its name on REST. Amounts that are counted in contracts become base asset by :meth:`base`: one contract is
    ``contract`` of the base asset, or of the quote asset where it is ``inverse``. ``expires`` (ns): of a dated one.
    """

    id: str
    contract: float = 1.0
    inverse: bool = False
    expires: int | None = None

    def base(self, contracts: float, price: float) -> float:
        """How much of the base asset *contracts* contracts at *price* are. Raises ValueError when that is no amount."""
        if self.inverse:
            amount = contracts * self.contract / price
        else:
            per = _per(self.contract)
            amount = contracts / per if per else contracts * self.contract
        # A valid number of contracts at a valid price may come to none: to more than any amount is, or to nothing.
        if not 0.0 <= amount < 1e30 or (contracts and not amount):
            raise ValueError(f"{contracts:g} contracts at {price:g} are no amount")
        return amount

    @property
    def to_base(self) -> Callable[[float, float], float] | None:
        """:meth:`base`; ``None`` where amounts are in base asset already, so that nobody need ask at each of them."""
        return None if self.contract == 1.0 and not self.inverse else self.base


@lru_cache(maxsize=4096)
def _per(contract: float) -> float:
    """How many contracts are one of the base asset, 0 where one contract is that or more.

    3 contracts of 0.1, divided by that, are 0.3; multiplied they were 0.30000000000000004.
    """
    if not 1e-30 < contract < 1.0:
        return 0.0
    per = 1.0 / contract
    whole = float(round(per))  # of 0.00001 the quotient is 99999.99999999999
    return whole if abs(whole - per) < 1e-9 * per else per


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange offers of one data type, live or historical.

    ``fields``: of the record's optional fields those that it gives (the others are null). ``spans`` in seconds (ohlc),
    ``depths`` in levels a side that can be asked for (order book, ascending; other depths are cut from the next larger
    one, and the largest is the limit), ``recent`` how far back history goes in seconds, or ``recent_bars`` in bars
    (neither: to the beginning), ``note`` for people.
    """

    fields: tuple[str, ...] = ()
    spans: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    recent: int | None = None
    recent_bars: int | None = None
    note: str = ""

    def reach(self, span: int | None) -> int | None:
        """How far back history of bars of *span* seconds goes, in seconds; ``None``: to the beginning."""
        if self.recent_bars is not None and span is not None:
            return self.recent_bars * span
        return self.recent


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one kind of market; ``not_live``, ``not_historical``: why there isn't what one would expect."""

    live: dict[DataType, Capability] = {}
    historical: dict[DataType, Capability] = {}
    not_live: dict[DataType, str] = {}
    not_historical: dict[DataType, str] = {}


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange offers, declared once; shown as they are by ``dccd.exchanges``. ``None``: no such markets.

    ``dated``: ``:quarter`` and ``:next_quarter``.
    """

    spot: Offer | None = None
    perp: Offer | None = None
    dated: Offer | None = None

    def of(self, symbol: Symbol) -> Offer:
        """What there is of *symbol*'s kind of market; an empty offer where there are none."""
        offer = {"": self.spot, "perp": self.perp}.get(symbol.contract, self.dated)
        return offer or Offer()


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchange wants its WebSocket to be used; from its documentation, with some room.

    ``topics``: subscriptions on one connection. ``messages``: that a client may send in a second. ``opens``:
    connections in a minute, of which ``opens_per_second`` at once. ``by_address``: all connections together may send
    that many messages. ``ping``: the text frame that keeps a connection open where the exchange wants one of its
    own (its answer is for nobody), sent every ``ping_every`` seconds.
    """

    topics: int
    messages: float
    opens: float
    opens_per_second: float = 2.0
    by_address: bool = False
    ping: str = ""
    ping_every: float = 20.0


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A stream job's choices for an order book.

    ``depth`` levels a side (``None``: the exchange's default), ``snapshot_interval`` seconds between stored
    snapshots, ``book``: store deltas with periodic snapshots, or snapshots only.
    """

    depth: int | None = None
    snapshot_interval: float = 60.0
    book: Literal["deltas", "snapshots"] = "deltas"


# ---------------------------------------------------------------- live


class Subscribed(msgspec.Struct, frozen=True):
    """The exchange confirmed the subscription: what comes from now on is complete."""


class Refused(msgspec.Struct, frozen=True):
    """The exchange refused the subscription, in its own words; ``permanent`` when asking again is no use."""

    message: str
    permanent: bool = True


class PageRequest(msgspec.Struct, frozen=True):
    """One REST request: a ccxt implicit endpoint (``publicGetKlines``) and its parameters.

    ``cursor`` is the pager's own: whatever it needs to know the page again.
    """

    endpoint: str
    params: dict[str, str | int]
    cursor: Any = None


class SnapshotWanted(msgspec.Struct, frozen=True):
    """The book needs a REST snapshot: perform ``request`` and hand the body to ``snapshot()``."""

    request: PageRequest


class Broken(msgspec.Struct, frozen=True):
    """The data has a hole from ``since`` (ns; the last good record) on: say so, and mend the feed by ``resync``.

    ``resubscribe``: send ``resubscribe()`` frames on the same socket; ``reconnect``: a new connection;
    ``none``: nothing to do (the feed goes on by itself; only the hole is to be recorded, ``until`` being its end).
    """

    reason: str
    since: int | None
    resync: Literal["resubscribe", "reconnect", "snapshot", "none"]
    until: int | None = None
    request: PageRequest | None = None


Signal: TypeAlias = Subscribed | Refused | SnapshotWanted | Broken


class StreamProtocol(Protocol):
    """One live stream of one dataset, without I/O. A new one is made for each subscription.

    It shares its connection with other streams of the exchange: it gets the frames of its topic, and those that the
    router gives to all.
    """

    url: str
    """The exchange's own URL, ``wss://…``; configuration may put another scheme, host and port before its path."""

    topic: str
    """What the router calls this stream's frames; no two streams of one connection have the same."""

    lane: int
    """This stream's number on its connection, from 1, unlike that of any other there: ids of requests are made from it.
    Set before :meth:`subscribe`."""

    heartbeat: float
    """Seconds without any frame on the connection after which it counts as dead (the exchange's, or a bound)."""

    beat: float | None = None
    """Seconds within which a frame of its topic always comes, whatever the market does; ``None``: unknown."""

    @property
    def held_since(self) -> int | None:
        """Time (ns) of the last record before a hole that isn't reported yet, since what is missing may only be late;
        ``None``: there is none."""
        return None

    def subscribe(self) -> list[str]:
        """Frames to send once connected."""
        ...

    def unsubscribe(self) -> list[str]:
        """Frames that end the subscription, the connection going on for others."""
        ...

    def resubscribe(self) -> list[str]:
        """Frames that mend a break on the same socket."""
        ...

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame received at *recv_ts* (ns); append its records to *out*.

        Raises ParseError for a frame that isn't what the exchange documents; state and *out* are then unchanged.
        """
        ...

    def snapshot(self, body: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the body of the REST snapshot asked for by SnapshotWanted."""
        ...

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Called about once a second with the time (ns) until which the connection has spoken: closes bars that time
        has closed, emits due snapshots."""
        ...

    def unresolved(self) -> list[Broken]:
        """The holes not reported yet, each with ``resync="none"``; asked when the connection has ended.

        A jump of trade ids is held open for a moment, since the missing trade may only be late. When the connection
        ends meanwhile it won't come any more, and that hole begins before the last record.
        """
        ...


class Router(Protocol):
    """Whose a frame is, for one connection; a new one is made for each. Quick: it sees every frame."""

    def opening(self) -> list[str]:
        """Frames to send on a new connection, before any subscription."""
        ...

    def route(self, frame: bytes) -> str | None:
        """The topic of the stream that *frame* is for; ``None``: it is for all (answers, errors, status, what can't be
        told); ``""``: it is for nobody (heartbeats, answers to pings, confirmations of what was opened).

        Raises MessagesLost where numbers of the connection's messages show that some are missing: it is then opened
        anew. Never raises anything else, whatever the bytes.
        """
        ...

    def alike(self, frame: bytes) -> bytes:
        """What every frame of *frame*'s topic begins with, and no other frame does: such needn't be routed one by one.

        Empty where a beginning doesn't tell, or where frames are numbered and each must be seen.
        """
        return b""


# ---------------------------------------------------------------- history


class Page(msgspec.Struct, frozen=True):
    """What one page held: records in time order, and the interval ``[start, end)`` in ns that is now covered.

    Records outside of the pager's range are left out of it already.
    """

    records: list[Record]
    start: int
    end: int


class HistoryPager(Protocol):
    """The pages of one dataset from ``start`` (inclusive) to ``end`` (exclusive), without I/O."""

    def requests(self, limit: int) -> list[PageRequest]:
        """Up to *limit* further requests that can be made now, concurrently; empty when none is known yet."""
        ...

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take the body that answers *request*. Raises ParseError."""
        ...

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        ...

    @property
    def position(self) -> int:
        """All before this time (ns) is covered: where a killed backfill resumes."""
        ...


class Exchange(Protocol):
    """One exchange with a folder of its own. All methods are pure."""

    id: str
    """As ccxt's."""
    closed: str = ""
    """When it ended, where it has (``BitMEX closed on …``): then only a server named in the configuration is asked."""
    capabilities: Capabilities
    connections: Connections
    consecutive_trade_ids: bool
    """Whether each trade id is the one before plus one, so that a jump is a hole."""

    def market(self, symbol: Symbol) -> Market | None:
        """*symbol*'s market where it follows from the name alone; ``None``: ccxt's markets tell it."""
        ...

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        ...

    def router(self) -> Router:
        """A new connection's router."""
        ...

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        ...

    def check(self, dataset: Dataset, live: bool) -> None:
        """Raise NoCapability, saying what is possible, when *dataset* can't be had."""
        capability.check(self.id, self.capabilities, dataset, live)
