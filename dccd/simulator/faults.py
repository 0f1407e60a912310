"""What shall go wrong: faults flow in (Python, JSON), decisions flow out, one for each frame, connection or request.

Pure: performing a fault (closing a socket, waiting) is the server's. A fault matches by exchange, symbol and data
type (empty: any), lets ``skip`` matching occasions pass, strikes ``count`` times (0: until lifted) and is then done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

import msgspec

from dccd.errors import IdentityError
from dccd.symbols import NS, Symbol

__all__ = [
    "BadChecksum",
    "Disconnect",
    "Drop",
    "Duplicate",
    "Fault",
    "FaultPlan",
    "HttpError",
    "HttpMalformed",
    "HttpReset",
    "HttpSlow",
    "Injected",
    "Malformed",
    "RefuseConnection",
    "RefuseSubscription",
    "Reorder",
    "SharedMillisecond",
    "Silence",
]


class Base(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """What all faults have: whom they strike (empty: anybody), after how many occasions, and how often."""

    exchange: str = ""
    symbol: str = ""
    """As ``BTC/USDT`` or ``BTC/USDT:perp``."""
    data_type: str = ""
    """``trades``, ``ohlc``, ``orderbook``, ``funding`` or ``open_interest``."""
    skip: int = 0
    count: int = 1


class Disconnect(Base, frozen=True):
    """Ends connections that have a matching subscription: all of them at once, or (``skip``) one before a frame.

    ``clean``: with a close frame of *code* and *reason*; else the TCP connection is reset.
    """

    clean: bool = True
    code: int = 1001
    reason: str = ""


class Silence(Base, frozen=True):
    """Sockets answer pings but send nothing else, for ``seconds`` of market time or until lifted. What is not sent is
    lost, as it is with a real exchange's stalled connection. ``connections``: only those open now.
    """

    seconds: float | None = None
    connections: Literal["all", "open"] = "all"


class RefuseConnection(Base, frozen=True):
    """The WebSocket handshake is answered with an HTTP error."""

    status: int = 503
    retry_after: float | None = None


class RefuseSubscription(Base, frozen=True):
    """A subscription is refused in the exchange's own words, or *message*."""

    message: str = ""


class Duplicate(Base, frozen=True):
    """A frame is sent twice."""


class Reorder(Base, frozen=True):
    """A frame comes after the next one of its stream."""


class Drop(Base, frozen=True):
    """A frame is not sent: a break in its sequence or ids, and in those that its connection gives to all frames."""


class Malformed(Base, frozen=True):
    """A frame is broken: cut off in the middle, text that is no JSON, or JSON with a wrong type in every number."""

    how: Literal["truncated", "garbage", "types"] = "truncated"


class BadChecksum(Base, frozen=True):
    """A book frame carries a wrong checksum. Frames that have none are no occasion."""


class HttpError(Base, frozen=True):
    """A REST request is answered with *status* (429, 418, 503 …) in the exchange's format. ``path``: its end."""

    status: int = 429
    retry_after: float | None = None
    path: str = ""


class HttpSlow(Base, frozen=True):
    """A REST request is answered after *seconds* of market time."""

    seconds: float = 1.0
    path: str = ""


class HttpReset(Base, frozen=True):
    """A REST request's connection is closed without an answer."""

    path: str = ""


class HttpMalformed(Base, frozen=True):
    """A REST request's answer is cut off in the middle of its JSON."""

    path: str = ""


class SharedMillisecond(Base, frozen=True):
    """``trades`` trades from number ``first`` on (or from the first one at or after ``at`` ns) share a millisecond.

    It changes the market itself, bars and ground truth with it, and can't be lifted. Needs ``exchange`` and ``symbol``.
    """

    trades: int = 10
    first: int | None = None
    at: int | None = None


Fault = (
    Disconnect
    | Silence
    | RefuseConnection
    | RefuseSubscription
    | Duplicate
    | Reorder
    | Drop
    | Malformed
    | BadChecksum
    | HttpError
    | HttpSlow
    | HttpReset
    | HttpMalformed
    | SharedMillisecond
)
"""Any of them; in JSON ``{"kind": "httperror", "status": 429, …}``."""

FRAME_FAULTS = (Duplicate, Reorder, Drop, Malformed, BadChecksum, Disconnect)

_F = TypeVar("_F", bound=Base)


class Injected:
    """A fault at work: how often it has struck, and the means to wait for it and to lift it."""

    def __init__(self, id: int, fault: Fault, injected_at: int) -> None:
        self.id = id
        self.fault = fault
        self.injected_at = injected_at
        self.occasions = 0
        self.hits = 0
        self.struck_at: int | None = None
        """When it struck a frame, a handshake or a request last (ns)."""
        self._struck = asyncio.Event()
        self._done = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Injected {self.id} {self.fault} hits={self.hits}{' done' if self.done else ''}>"

    @property
    def done(self) -> bool:
        """Whether it strikes no more."""
        return self._done.is_set()

    def strike(self) -> None:
        """Count a hit."""
        self.hits += 1
        self._struck.set()
        if self.fault.count and self.hits >= self.fault.count:
            self._done.set()

    def lift(self) -> None:
        """End it."""
        self._done.set()

    async def struck(self) -> None:
        """Wait until it has struck once."""
        await self._struck.wait()

    async def finished(self) -> None:
        """Wait until it strikes no more."""
        await self._done.wait()


class FaultPlan:
    """The faults at work. ``performers`` are called with each new one, for what has to happen at once."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._last_id = 0
        self._active: list[Injected] = []
        self.performers: list[Callable[[Injected], None]] = []

    def __repr__(self) -> str:
        return f"<FaultPlan {self.active}>"

    @property
    def active(self) -> list[Injected]:
        """Those that may still strike."""
        if any(one.done for one in self._active):
            self._active = [one for one in self._active if not one.done]
        return self._active

    def inject(self, fault: Fault) -> Injected:
        """Put *fault* to work. Raises ValueError when it makes no sense."""
        if fault.skip < 0 or fault.count < 0:
            raise ValueError("skip and count can't be negative")
        self._last_id += 1
        injected = Injected(self._last_id, fault, self._now())
        self._active.append(injected)
        try:
            for perform in self.performers:
                perform(injected)
        except ValueError:
            injected.lift()
            raise
        return injected

    def lift(self, id: int | None = None) -> int:
        """End the fault *id*, or all; returns how many were at work."""
        found = [one for one in self.active if id is None or one.id == id]
        for one in found:
            one.lift()
        return len(found)

    # ------------------------------------------------------------ decisions

    def has(self, kinds: type[Base] | tuple[type[Base], ...]) -> bool:
        """Whether any of *kinds* is at work: the quick question before each batch of frames."""
        return any(isinstance(one.fault, kinds) for one in self.active)

    def take(
        self,
        kinds: type[_F] | tuple[type[_F], ...],
        exchange: str,
        *,
        symbol: str = "",
        data_type: str = "",
        path: str = "",
    ) -> _F | None:
        """This is an occasion for *kinds*: returns the fault that strikes, if one does."""
        for one in self.active:
            fault = one.fault
            if not isinstance(fault, kinds) or not matches(fault, exchange, symbol, data_type):
                continue
            if not path.endswith(getattr(fault, "path", "")):
                continue
            one.occasions += 1
            if one.occasions > fault.skip:
                one.struck_at = self._now()
                one.strike()
                return fault
        return None

    def silent(self, exchange: str, symbols: Iterable[tuple[str, str]], opened_at: int) -> bool:
        """Whether a connection opened at *opened_at* with these (symbol, data type) subscriptions sends nothing."""
        pairs = list(symbols)
        for one in self.active:
            fault = one.fault
            if not isinstance(fault, Silence):
                continue
            if fault.seconds is not None and self._now() >= one.injected_at + fault.seconds * NS:
                one.lift()
                continue
            if fault.connections == "open" and opened_at > one.injected_at:
                continue
            if any(matches(fault, exchange, *pair) for pair in pairs or [("", "")]):
                one.hits += 1
                one._struck.set()
                return True
        return False


def matches(fault: Base, exchange: str, symbol: str, data_type: str) -> bool:
    """Whether *fault* is meant for this."""
    return (
        fault.exchange in ("", exchange)
        and fault.data_type in ("", data_type)
        and (not fault.symbol or _spelt(fault.symbol) == _spelt(symbol))
    )


def _spelt(symbol: str) -> str:
    """One spelling of ``BTC/USDT``, ``BTC-USDT`` and (of a recording) ``BTCUSDT``."""
    try:
        symbol = Symbol.parse(symbol).human
    except IdentityError:
        pass
    return symbol.replace("/", "")
