"""The WebSocket frames of BitMEX as types, and what a stream of one table makes of them.

A subscription is to a table of one symbol. First comes its ``partial``, the rows there are; then rows are inserted,
updated and deleted. What comes before the partial is to be dropped. https://www.bitmex.com/app/wsAPI
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec

from dccd.errors import ParseError
from dccd.exchanges.base import Market, Refused, Router, Signal
from dccd.exchanges.stream import TopicStream
from dccd.exchanges.wire import DECODE_ERRORS, Decoder, passes
from dccd.exchanges.wire import parse_error as _parse_error
from dccd.records import Record

__all__ = ["EXCHANGE", "Action", "BitmexRouter", "BitmexStream", "Row", "parse_error"]

EXCHANGE = "bitmex"

_URL = "wss://ws.bitmex.com/realtime"
_HEARTBEAT = 60.0
"""An answer to our ping comes more often."""

Action = Literal["partial", "insert", "update", "delete"]


class Row(Protocol):
    """A row of a table."""

    symbol: str


_R = TypeVar("_R", bound=Row)


class Frame(msgspec.Struct, Generic[_R], gc=False):
    """Rows of one table."""

    table: str
    action: Action
    data: list[_R]


class _Request(msgspec.Struct):
    """What a client had sent; a single argument need not be in an array."""

    op: str | None = None
    args: list[Any] | str | None = None


class _Control(msgspec.Struct):
    """Whatever isn't rows of our table: the welcome, an answer, an error, another table."""

    table: str | None = None
    info: str | None = None
    success: bool | None = None
    error: str | None = None
    status: int | None = None
    request: _Request | None = None


_CONTROL: Decoder[_Control] = Decoder(EXCHANGE, _Control)


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of BitMEX."""
    return _parse_error(EXCHANGE, cause, sample)


class BitmexStream(TopicStream, Generic[_R]):
    """One subscription. Subclasses name the type of their rows and say what rows mean."""

    decoder: ClassVar[msgspec.json.Decoder[Any]]

    def __init__(self, table: str, market: Market) -> None:
        super().__init__(_URL, f"{table}:{market.id}", _HEARTBEAT)
        self._table = table
        self._symbol = market.id

    def unsubscribe(self) -> list[str]:
        """The end of it: without a partial no rows count any more."""
        self._confirmed = False
        return super().unsubscribe()

    def _request_of(self, op: str) -> str:
        return f'{{"op":"{op}","args":["{self.topic}"]}}'

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        try:
            found = self.decoder.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        if found.table != self._table:
            return None
        partial = found.action == "partial"
        if not (partial or self._confirmed):
            return None
        rows = [row for row in found.data if row.symbol == self._symbol]
        if partial and not rows and found.data:
            return None  # somebody else's
        try:
            return self.take(found.action, rows, recv_ts, out) or (self._confirm() if partial else None)
        except ValueError as exc:
            # From reading times, or of what doesn't fit together; ParseError isn't one.
            raise parse_error(exc, frame) from exc

    def take(self, action: Action, rows: list[_R], recv_ts: int, out: list[Record]) -> Signal | None:
        """Take rows of our symbol; nothing may have changed when it raises ParseError or ValueError."""
        raise NotImplementedError

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """A frame that isn't rows as ours are."""
        if frame == b"pong":
            return None
        control = _CONTROL.decode(frame)
        if control.error is not None:
            return self._refusal(control.error, control.status, control.request)
        if control.table is not None and control.table != self._table:
            return None
        if control.table is None and (control.info is not None or control.success is not None):
            return None  # an answer: rows follow it, and only with those it begins
        raise parse_error(cause, frame) from cause

    def _refusal(self, words: str, status: int | None, request: _Request | None) -> Signal | None:
        """An error answers whoever's topic is in the request.

        One without is for who still waits; it may answer another stream, which shows when each asks again.
        """
        if request is None or request.args is None:
            return None if self._confirmed else Refused(words, permanent=False)
        topics = [request.args] if isinstance(request.args, str) else request.args
        if request.op != "subscribe" or self.topic not in topics:
            return None
        passing = status is None or status == 429 or status >= 500 or passes(words)
        return Refused(words, permanent=not passing)


class BitmexRouter(Router):
    """By table and symbol. A partial names its symbol in its filter, other frames in each row."""

    def __repr__(self) -> str:
        return "<BitmexRouter>"

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of."""
        if not frame.startswith(_TABLE):
            return "" if frame == b"pong" or frame.startswith(_WELCOME) else None
        end = frame.find(b'"', len(_TABLE))
        table = frame[len(_TABLE) : end]
        if frame.startswith(_PARTIAL, end):
            begin = frame.find(_FILTER, end)
            if begin < 0:
                return None
            begin += len(_FILTER)
            symbol = frame[begin : frame.find(b'"', begin)]
        else:
            at = frame.find(_SYMBOL, end)
            if at < 0:
                return None
            begin = at + len(_SYMBOL)
            symbol = frame[begin : frame.find(b'"', begin)]
            # All of its rows must be of that symbol, else it is for more than one.
            if frame.count(_SYMBOL, begin) != frame.count(_SYMBOL + symbol + b'"', begin):
                return None
        return (table + b":" + symbol).decode("latin-1")


_TABLE = b'{"table":"'
_WELCOME = b'{"info":"'
_PARTIAL = b'","action":"partial"'
_FILTER = b'"filter":{"symbol":"'
_SYMBOL = b'"symbol":"'
