"""What a simulated exchange is to the servers: requests and frames flow in, answers and frames flow out, without I/O.

A :class:`Venue` speaks one exchange's formats. Servers open a :class:`Session` for each WebSocket, hand it the
client's frames, and ask its :class:`Stream` objects, one a subscription, for what has become due.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Protocol

import msgspec

from dccd.simulator.book import Book
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument
from dccd.simulator.market import DAY, Market, plan
from dccd.symbols import Symbol

__all__ = ["Answer", "Listing", "Session", "Stream", "Venue", "fixed", "picture"]


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}
    content_type: str = "application/json"


class Listing:
    """One symbol on one exchange: its market and its book."""

    def __init__(self, instrument: Instrument, config: SimConfig, exchange: str, opened: int) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self._config = config
        self._seed = f"{config.seed}:{exchange}"
        self._opened = opened

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


class Stream(ABC):
    """One subscription of one connection: knows what it has sent."""

    name: str
    """As the exchange calls it."""
    symbol: str
    """As ``BTC/USDT``; empty for what has none."""
    data_type: str
    """``trades``, ``ohlc``, ``orderbook``, or empty."""

    @abstractmethod
    def due(self, now: int) -> list[str]:
        """The frames that have become due since the last call."""

    def take(self, count: int) -> list[str]:
        """Benchmark mode: the next frames of numbered trades, whatever the time; empty when all have been sent."""
        return []


class Session(ABC):
    """One WebSocket connection of a client."""

    def __init__(self, opened_at: int) -> None:
        self.opened_at = opened_at
        self.streams: dict[str, Stream] = {}

    @abstractmethod
    def opening(self) -> list[str]:
        """Frames that the exchange sends by itself to a new connection."""

    @abstractmethod
    def receive(self, text: str, now: int) -> list[str]:
        """Take a frame of the client; returns the answers."""

    def wrap(self, stream: Stream, frames: list[str]) -> list[str]:
        """Put a stream's frames into what this connection wraps them in."""
        return frames

    def idle(self, now: int, sent: bool) -> list[str]:
        """Called each time that frames may be due, *sent* saying whether there were any: returns heartbeats."""
        return []


class Venue(ABC):
    """One exchange."""

    id: str
    resolution: int
    """Its trades' times are multiples of this many ns."""
    first_id: int
    """Id of the market's first trade; each further one's is one more."""
    ping_interval: float | None = None
    """Seconds between the ping frames that the exchange sends, if it does."""
    message_limit: int | None = None
    """Messages of a client a second, at which the exchange ends the connection (when limits are on)."""

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
            self.listings[symbol.human] = Listing(self.instrument(symbol), config, self.id, self.opened)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self.listings)}>"

    def listed(self) -> Iterable[str]:
        """The symbols that it has markets of."""
        return self.config.symbols

    @abstractmethod
    def instrument(self, symbol: Symbol) -> Instrument:
        """How this exchange lists *symbol*."""

    @abstractmethod
    def open(self, path: str, now: int) -> Session | None:
        """A client connects to *path* (with query); ``None``: no such path."""

    @abstractmethod
    def get(self, path: str, query: dict[str, str], now: int, client: str) -> Answer:
        """Answer a GET request of *client* (its address, which limits are counted by)."""

    @abstractmethod
    def error(self, status: int, retry_after: float | None) -> Answer:
        """An HTTP error in this exchange's format, for faults."""


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
