"""The WebSocket frames of Bybit v5 as types, and what a stream of one dataset makes of them.

Bytes flow in; trades, bars, books, funding rates and open interest flow out through the subclasses.
https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import re
from typing import Annotated, Generic, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta, field

from dccd.errors import ParseError
from dccd.exchanges.base import Refused, Router, Signal
from dccd.exchanges.stream import FrameStream
from dccd.exchanges.wire import Amount, Decoder, Id, Millis, Price, Traded, WireLevel, passes
from dccd.exchanges.wire import parse_error as _parse_error

__all__ = [
    "EXCHANGE",
    "BookFrame",
    "BybitRouter",
    "BybitStream",
    "KlineFrame",
    "Rate",
    "TickerData",
    "TickerFrame",
    "TradeFrame",
    "TradeId",
    "parse_error",
]

EXCHANGE = "bybit"

HEARTBEAT = 60.0
"""Seconds in which three pings go unanswered: Bybit sends nothing by itself where nothing happens."""

Kind = Literal["snapshot", "delta"]
Rate = Annotated[float, Meta(gt=-1e3, lt=1e3)]
TradeId = Annotated[str, Meta(min_length=1, max_length=64)]
"""A UUID on linear contracts, a number on spot."""
_NONE = Literal[""]
"""What a field that doesn't apply holds."""


class TradeData(msgspec.Struct, gc=False):
    """One trade; ``side`` is the taker's, ``amount`` in base asset on spot and of linear contracts."""

    ms: Millis = field(name="T")
    symbol: str = field(name="s")
    side: Literal["Buy", "Sell"] = field(name="S")
    amount: Traded = field(name="v")
    price: Price = field(name="p")
    tid: TradeId = field(name="i")


class TradeFrame(msgspec.Struct, gc=False):
    """``publicTrade.{symbol}``; each trade names its symbol."""

    topic: str
    data: list[TradeData]


class KlineData(msgspec.Struct, gc=False):
    """The state of one bar. ``volume`` in base asset, ``turnover`` in quote asset."""

    start: Millis
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    turnover: Amount
    confirm: bool


class KlineFrame(msgspec.Struct, gc=False):
    """``kline.{interval}.{symbol}``."""

    topic: str
    data: list[KlineData]


class BookData(msgspec.Struct, gc=False):
    """New amounts of levels by update ``u``, which counts the frames of a topic."""

    bids: list[WireLevel] = field(name="b")
    asks: list[WireLevel] = field(name="a")
    u: Id


class BookFrame(msgspec.Struct, gc=False):
    """``orderbook.{depth}.{symbol}``. ``cts`` is the matching engine's time, as a trade's; ``ts`` when it was sent."""

    topic: str
    type: Kind
    ts: Millis
    data: BookData
    cts: Millis | None = None


class TickerData(msgspec.Struct, gc=False):
    """What we keep of a contract's ticker; a delta has only what changed."""

    rate: Rate | _NONE | None = field(name="fundingRate", default=None)
    due: Millis | _NONE | None = field(name="nextFundingTime", default=None)
    mark: Price | _NONE | None = field(name="markPrice", default=None)
    interest: Amount | _NONE | None = field(name="openInterest", default=None)
    value: Amount | _NONE | None = field(name="openInterestValue", default=None)


class TickerFrame(msgspec.Struct, gc=False):
    """``tickers.{symbol}``."""

    topic: str
    type: Kind
    ts: Millis
    data: TickerData


class _Control(msgspec.Struct):
    """Whatever isn't a frame of our topic: an answer to a request, a pong, another topic's frame."""

    topic: str | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str = ""
    req_id: str | None = None


class _Topical(Protocol):
    topic: str


_CONTROL: Decoder[_Control] = Decoder(EXCHANGE, _Control)
_NUMBER = re.compile("[0-9]{1,18}")
_TOPICS = re.compile(r"[A-Za-z]+\.[\w.-]+")
_F = TypeVar("_F", bound=_Topical)


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of Bybit."""
    return _parse_error(EXCHANGE, cause, sample)


class BybitStream(FrameStream[_F], Generic[_F]):
    """One subscription of *topic* on *url*. Subclasses name the frame's type and say what one means.

    Of several in one request Bybit refuses all when it refuses one.
    """

    exchange = EXCHANGE

    def __init__(self, url: str, topic: str) -> None:
        super().__init__(url, topic, HEARTBEAT)

    def _request_of(self, op: str) -> str:
        return f'{{"op":"{op}","args":["{self.topic}"],"req_id":"{self._next_request()}"}}'

    def _is_of_us(self, found: _F) -> bool:
        return found.topic == self.topic

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """A frame that isn't one of our topic."""
        control = _CONTROL.decode(frame)
        if control.topic is not None and control.topic != self.topic:
            return None
        if control.topic is not None or (control.success is None and control.op is None):
            raise parse_error(cause, frame) from cause
        if control.op in ("ping", "pong", "unsubscribe") or not self._is_ours(control):
            return None
        if control.success is False:
            # One that names nobody may answer another stream of the connection: it shows when each asks again.
            known = bool(control.req_id) or _TOPICS.search(control.ret_msg) is not None
            return Refused(control.ret_msg, permanent=known and not passes(control.ret_msg))
        if control.success and control.op == "subscribe":
            # That of the subscription before this one, perhaps, while it is being renewed.
            late = bool(control.req_id) and control.req_id != str(self._request)
            return self._confirm() if self.confirms and not late else None
        raise parse_error(cause, frame) from cause

    def _is_ours(self, control: _Control) -> bool:
        """Whether an answer is one to this stream.

        Without an id it is to the topic that its words name, as ``error:handler not found,topic:kline.1.BTCUSDX``; or
        to whoever waits for one.
        """
        if control.req_id:
            return _NUMBER.fullmatch(control.req_id) is not None and self._answers_us(int(control.req_id))
        named = _TOPICS.findall(control.ret_msg)
        return self.topic in named if named else not self._confirmed


class BybitRouter(Router):
    """By topic, which frames begin with."""

    def __init__(self) -> None:
        self._topics: dict[bytes, str] = {}

    def __repr__(self) -> str:
        return f"<BybitRouter topics={len(self._topics)}>"

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of."""
        if frame.startswith(_TOPIC):
            name = frame[len(_TOPIC) : frame.find(b'"', len(_TOPIC))]
            return self._topics.get(name) or self._read(name)
        return "" if any(pong in frame for pong in _PONGS) else None

    def alike(self, frame: bytes) -> bytes:
        """Up to the end of the topic."""
        return frame[: frame.find(b'"', len(_TOPIC)) + 1] if frame.startswith(_TOPIC) else b""

    def _read(self, name: bytes) -> str | None:
        if not name or b"\\" in name:
            return None
        topic = name.decode("latin-1")
        if len(self._topics) < _MOST_TOPICS:
            self._topics[name] = topic
        return topic


_TOPIC = b'{"topic":"'
_MOST_TOPICS = 10_000
"""More than there are on a connection; damaged frames may name any."""
# Spot and linear answer a ping with its own op, private connections with another.
_PONGS = (b'"op":"ping"', b'"op":"pong"')
