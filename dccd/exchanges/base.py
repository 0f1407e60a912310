"""What an exchange implements: pure protocols between bytes and records.

An exchange folder never does I/O and never reads a clock; ``dccd.feeds`` performs what these decide. Two
sans-I/O machines are asked of it:

* :class:`StreamProtocol`, one per live stream: says where to connect and what to send, takes frames,
  appends records to a list and returns a :class:`Signal` when the session has something to do.
* :class:`HistoryPager`, one per backfill: says which pages to ask for (several at once where their windows are
  known beforehand), takes each page's body, returns its records and the interval that the page covers.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from dccd.records import Record
from dccd.symbols import Dataset, DataType, Symbol

__all__ = [
    "Broken",
    "Capabilities",
    "Capability",
    "Exchange",
    "HistoryPager",
    "Page",
    "PageRequest",
    "Refused",
    "Signal",
    "SnapshotWanted",
    "StreamOptions",
    "StreamProtocol",
    "Subscribed",
]


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange offers of one data type, live or historical.

    ``spans`` in seconds (ohlc), ``depths`` in levels a side (order book; empty where any is fine), ``recent`` how far
    back history goes in seconds, or ``recent_bars`` in bars (neither: to the beginning), ``note`` for people.
    """

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


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange offers, declared once; shown as they are by ``dccd.exchanges``."""

    live: dict[DataType, Capability]
    historical: dict[DataType, Capability]


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
    """One live stream of one dataset, without I/O. A new one is made for each connection."""

    path: str
    """Path and query of the WebSocket URL, as ``/ws/btcusdt@aggTrade``; the base comes from configuration."""

    heartbeat: float
    """Seconds without any frame after which the connection counts as dead (the exchange's heartbeat, or a bound)."""

    def subscribe(self) -> list[str]:
        """Frames to send once connected."""
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
        """Called about once a second with the time (ns): closes bars that time has closed, emits due snapshots."""
        ...

    def unresolved(self) -> list[Broken]:
        """The holes not reported yet, each with ``resync="none"``; asked when the connection has ended.

        A jump of trade ids is held open for a moment, since the missing trade may only be late. When the connection
        ends meanwhile it won't come any more, and that hole begins before the last record.
        """
        ...


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
    ws_url: str
    """Base of its public WebSocket: scheme, host and port."""
    rest_url: str
    """Base of its public REST API: scheme, host and port."""
    capabilities: Capabilities
    consecutive_trade_ids: bool
    """Whether each trade id is the one before plus one, so that a jump is a hole."""

    def market_id(self, symbol: Symbol) -> str:
        """The REST name of *symbol* where it follows from the name alone; else ccxt's markets tell it."""
        ...

    def stream(self, dataset: Dataset, options: StreamOptions) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        ...

    def history(self, dataset: Dataset, start: int, end: int, market_id: str) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        ...

    def check(self, dataset: Dataset, live: bool) -> None:
        """Raise NoCapability, saying what is possible, when *dataset* can't be had."""
        ...
