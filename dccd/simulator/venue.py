"""What a simulated exchange is to the servers: requests and frames flow in, answers and frames flow out, without I/O.

A :class:`Venue` speaks one exchange's formats. Servers open a :class:`Session` for each WebSocket, hand it the
client's frames, and ask its :class:`Stream` objects, one a subscription, for what has become due. What a new exchange
has to implement is in :class:`Venue`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Protocol

import msgspec

from dccd.simulator.book import Book
from dccd.simulator.config import SimConfig
from dccd.simulator.derivatives import Derivative
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument
from dccd.simulator.market import DAY, Market, Run, plan
from dccd.symbols import NS, Symbol

__all__ = ["Answer", "Cursor", "Listing", "Maker", "Reader", "Session", "Stream", "Venue", "fixed", "picture"]


HOUR = 3600 * NS


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}
    content_type: str = "application/json"


class Listing:
    """One symbol on one exchange: its market, its book, and what only contracts have."""

    def __init__(
        self,
        instrument: Instrument,
        config: SimConfig,
        exchange: str,
        opened: int,
        funding_interval: int = 8 * HOUR,
        funding_accrues: bool = False,
    ) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self._config = config
        self._seed = f"{config.seed}:{exchange}"
        self._opened = opened
        self._funding_interval = funding_interval
        self._funding_accrues = funding_accrues

    def __repr__(self) -> str:
        return f"<Listing {self.symbol}>"

    # Made when first asked for: a simulator of many symbols starts at once.

    @cached_property
    def market(self) -> Market:
        """Its trades."""
        return Market(self.instrument, seed=self._seed, rate=self._config.rate, opened=self._opened)

    @cached_property
    def book(self) -> Book:
        """Its order book."""
        return Book(self.market, seed=self._seed, depth=self._config.book_depth)

    @cached_property
    def derivative(self) -> Derivative:
        """Its funding rates, mark price, index price and open interest. Raises ValueError for spot."""
        interval, accrues = self._funding_interval, self._funding_accrues
        return Derivative(self.market, seed=self._seed, interval=interval, accrues=accrues)


class Stream(ABC):
    """One subscription of one connection: knows what it has sent."""

    name: str
    """Any text that no other stream of the connection has: it is the key in ``Session.streams``."""
    symbol: str
    """As ``BTC/USDT`` or ``BTC/USDT:perp``; empty for what has none."""
    data_type: str
    """``trades``, ``ohlc``, ``orderbook``, ``funding``, ``open_interest``, or empty."""

    @abstractmethod
    def due(self, now: int) -> list[str]:
        """The frames that have become due since the last call."""

    def take(self, count: int) -> list[str]:
        """Benchmark mode: the next frames of numbered trades, whatever the time; empty when all have been sent."""
        return []


class Session(ABC):
    """One WebSocket connection of a client. How many subscriptions it may have is its own to limit."""

    def __init__(self, opened_at: int) -> None:
        self.opened_at = opened_at
        self.streams: dict[str, Stream] = {}
        """What is sent: each stream is asked in turn, so that who is added here is subscribed."""

    @abstractmethod
    def opening(self) -> list[str]:
        """Frames that the exchange sends by itself to a new connection."""

    @abstractmethod
    def receive(self, text: str, now: int) -> list[str]:
        """Take a frame of the client (a text ping, too, where the exchange has such); returns the answers."""

    def wrap(self, stream: Stream, frames: list[str]) -> list[str]:
        """Put a stream's frames into what this connection wraps them in.

        Frames that a fault then loses have been wrapped before: a number that it gives to each frame of the connection
        shows the loss. (Answers of ``receive`` and ``idle`` are not wrapped; they number themselves.)
        """
        return frames

    def idle(self, now: int, sent: bool) -> list[str]:
        """Called each time that frames may be due, *sent* saying whether there were any: returns heartbeats."""
        return []


class Cursor:
    """Which trades a subscription gets next: by the clock or, in benchmark mode, as fast as they are taken."""

    def __init__(self, venue: Venue, listing: Listing, now: int) -> None:
        self._market = listing.market
        self._total = venue.config.total
        self.next = self._market.index(now + 1 if self._total is None else venue.started)
        """Number of the next trade, counted from 0."""
        self._end = self.next + (self._total or 0)

    def until(self, now: int) -> Iterator[Run]:
        """For ``Stream.due``: the trades until *now* that haven't been had yet; none in benchmark mode."""
        if self._total is not None:
            return iter(())
        first, self.next = self.next, max(self.next, self._market.index(now + 1))
        return self._market.runs(first, self.next)

    def take(self, count: int) -> Iterator[Run]:
        """For ``Stream.take``: the next *count* of the benchmark's trades."""
        first, self.next = self.next, max(self.next, min(self.next + count, self._end))
        return self._market.runs(first, self.next)


Maker = Callable[[str, int], Stream | None]
"""(name, now) → the stream called so; ``None``: there is no such stream."""

Reader = Callable[[str], list[tuple[str, str]]]
"""A frame of a recording, those before it having been read → (stream, payload) of each payload in it."""


class Venue(ABC):
    """One exchange: a folder ``dccd/simulator/<id>/``, and a line in ``dccd.simulator.venues``.

    A new one sets

    * ``id``, ``resolution``, ``first_id``, and of the further attributes below what differs;
    * ``kinds``: which kinds of contracts it lists. :meth:`listed` picks them from ``config.symbols`` and
      ``config.contracts``, and may be overridden to leave more out. ``listings`` has each by ``Symbol.human``.

    and implements

    * :meth:`instrument`: decimals, contract sizes (see ``dccd.simulator.instruments``);
    * :meth:`open`: a :class:`Session` for a path. All WebSocket addresses of an exchange share a port here, and all of
      its REST addresses another: they are told apart by their paths;
    * :meth:`get` and :meth:`error`: REST, with the exchange's own errors.

    Where it applies: :meth:`trade_id` (ids that are no numbers), :meth:`spoil` (checksums), and for recordings
    :meth:`reader`, :meth:`identity` and ``metadata``.

    What is sent comes from a listing: ``market`` (trades through a :class:`Cursor`, bars by ``aggregate``), ``book``
    (``changes`` step by step, or ``levels`` and ``dccd.simulator.book.difference``) and ``derivative``. A
    subscription is first offered to ``faults.take(RefuseSubscription, id, symbol=…, data_type=…)``.
    """

    id: str
    resolution: int
    """Its trades' times are multiples of this many ns."""
    first_id: int
    """Number of the market's first trade; each further one's is one more, and :meth:`trade_id` makes ids of them."""
    kinds: frozenset[str] = frozenset({""})
    """What it lists: values of ``Symbol.contract``, ``""`` being spot."""
    funding_interval: int = 8 * HOUR
    """Time between payments of funding (ns), at multiples of it since 1970."""
    funding_accrues: bool = False
    """Whether an interval's rate is known when it begins, and history has it at that time."""
    ping_interval: float | None = None
    """Seconds between the ping frames that the exchange sends, if it does."""
    message_limit: int | None = None
    """Messages of a client a second, at which the exchange ends the connection (when limits are on)."""
    first_message_within: float | None = None
    """Seconds within which a client must have sent something, or the exchange ends the connection (with limits on)."""
    lifetime: float = 86_400.0
    """Seconds after which it ends connections."""
    metadata: tuple[str, ...] = ()
    """Beginnings of the REST paths that are about the exchange itself (time, symbols): a replay has them answered."""

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        plan(config.rate)  # raises now, and not when the first client comes
        self.config = config
        self.faults = faults
        self.started = started
        opened = config.opened if config.opened is not None else started - round(config.history * DAY)
        self.opened = opened - opened % DAY
        self.listings: dict[str, Listing] = {}
        for text in self.listed():
            symbol = Symbol.parse(text)
            funding = self.funding_interval, self.funding_accrues
            listing = Listing(self.instrument(symbol), config, self.id, self.opened, *funding)
            self.listings[symbol.human] = listing

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self.listings)}>"

    def listed(self) -> Iterable[str]:
        """The symbols that it has markets of."""
        offered = (*self.config.symbols, *self.config.contracts)
        return [text for text in offered if Symbol.parse(text).contract in self.kinds]

    @abstractmethod
    def instrument(self, symbol: Symbol) -> Instrument:
        """How this exchange lists *symbol*."""

    def trade_id(self, number: int) -> str:
        """The id on the wire of the trade with that number (from ``first_id`` on)."""
        return str(number)

    def trade_ids(self, symbol: str) -> Callable[[int], str]:
        """What makes the ids of *symbol*'s trades, where those of spot and of contracts differ: :meth:`trade_id`."""
        return self.trade_id

    @abstractmethod
    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """A client connects to *path* (with query); ``None``: no such path.

        *tape*: of a replay; the session answers as ever, but gets its streams there, by the names that :meth:`reader`
        gives them.
        """

    @abstractmethod
    def get(self, path: str, query: dict[str, str], now: int, client: str) -> Answer:
        """Answer a GET request of *client* (its address, which limits are counted by)."""

    @abstractmethod
    def error(self, status: int, retry_after: float | None) -> Answer:
        """An HTTP error in this exchange's format, for faults."""

    def spoil(self, frame: str) -> str | None:
        """*frame* with a wrong checksum; ``None`` if it has none (see ``dccd.simulator.wire.spoil_checksum``)."""
        return None

    # ------------------------------------------------------------ recordings

    @classmethod
    def reader(cls) -> Reader:
        """Takes the frames of one recording in turn, and says which streams they are of.

        What a session gives by itself (answers, heartbeats, status) is of none. A payload is what ``Session.wrap``
        makes the frame from again. Raises ValueError (or what looking into it raises) when a frame can't be read.
        """
        raise ValueError(f"recordings of {cls.id} can't be replayed")

    @classmethod
    def identity(cls, name: str) -> tuple[str, str]:
        """(symbol, data type) of the stream called *name*, for faults; the symbol may stay as the exchange has it."""
        return "", ""


def picture(decimals: int, shown: int | None = None) -> str:
    """The ``%`` format of a whole number of ``10**-decimals`` given as ``divmod(number, 10**decimals)``.

    *shown*: how many decimals are written (at least *decimals*).
    """
    padding = "0" * ((decimals if shown is None else shown) - decimals)
    if decimals:
        return f"%d.%0{decimals}d{padding}"
    # %.0s takes the remainder, which is 0, and writes nothing.
    return f"%d.{padding}%.0s" if padding else "%d%.0s"


class Encoder(Protocol):
    """Text of a price or amount."""

    def __call__(self, value: int) -> str: ...


def fixed(decimals: int, shown: int | None = None) -> Encoder:
    """A function from a whole number of ``10**-decimals`` to text with *shown* decimals.

    It remembers what it has written: prices and amounts of trades come again and again.
    """
    unit, form = 10**decimals, picture(decimals, shown)
    known: dict[int, str] = {}

    def encode(value: int) -> str:
        text = known.get(value)
        if text is None:
            if len(known) > 100_000:
                known.clear()
            text = known[value] = form % divmod(value, unit)
        return text

    return encode
