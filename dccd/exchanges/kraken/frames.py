"""The WebSocket v2 frames of Kraken's spot market as types, and what a stream of one dataset makes of them.

Bytes flow in; trades, bars and books flow out through the subclasses.
https://docs.kraken.com/exchange/api-reference/spot-websocket
"""

from __future__ import annotations

from typing import ClassVar, Generic, Literal, TypeVar

import msgspec

from dccd.errors import ParseError
from dccd.exchanges.base import Refused, Router, Signal
from dccd.exchanges.kraken.symbols import ws_symbol
from dccd.exchanges.stream import FrameStream
from dccd.exchanges.wire import Amount, Count, Decoder, Id, Price, Traded, passes
from dccd.exchanges.wire import parse_error as _parse_error
from dccd.records import Side
from dccd.symbols import Dataset

__all__ = [
    "EXCHANGE",
    "BookData",
    "BookFrame",
    "BookLevel",
    "KrakenRouter",
    "KrakenStream",
    "OhlcFrame",
    "TradeFrame",
    "WrittenFrame",
    "WrittenLevel",
    "parse_error",
]

EXCHANGE = "kraken"

URL = "wss://ws.kraken.com/v2"
HEARTBEAT = 15.0
"""Kraken sends a heartbeat each second in which nothing else is sent."""

Kind = Literal["snapshot", "update"]


class TradeData(msgspec.Struct, gc=False):
    """One trade; ``side`` is the taker's."""

    symbol: str
    side: Side
    price: Price
    qty: Traded
    trade_id: Id
    timestamp: str


class TradeFrame(msgspec.Struct, gc=False, tag_field="channel", tag="trade"):
    """Channel ``trade``."""

    type: Kind
    data: list[TradeData]


class OhlcData(msgspec.Struct, gc=False):
    """The state of one bar; ``interval`` in minutes."""

    symbol: str
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    trades: Count
    interval_begin: str
    interval: int


class OhlcFrame(msgspec.Struct, gc=False, tag_field="channel", tag="ohlc"):
    """Channel ``ohlc``."""

    type: Kind
    data: list[OhlcData]


class BookLevel(msgspec.Struct, gc=False):
    """A price and its new amount."""

    price: Price
    qty: Amount


class BookData(msgspec.Struct, gc=False):
    """New amounts of bids and asks, and the checksum of the best ten a side after them. A snapshot has no time."""

    symbol: str
    bids: list[BookLevel]
    asks: list[BookLevel]
    checksum: Count
    timestamp: str | None = None


class BookFrame(msgspec.Struct, gc=False, tag_field="channel", tag="book"):
    """Channel ``book``."""

    type: Kind
    data: list[BookData]


class WrittenLevel(msgspec.Struct, gc=False):
    """The same as they are written: the checksum is over their digits, trailing zeros included."""

    price: msgspec.Raw
    qty: msgspec.Raw


class _WrittenData(msgspec.Struct, gc=False):
    bids: list[WrittenLevel]
    asks: list[WrittenLevel]


class WrittenFrame(msgspec.Struct, gc=False):
    """A frame of channel ``book``, its numbers not read."""

    data: list[_WrittenData]


class _Control(msgspec.Struct):
    """Whatever isn't a frame of our channel: heartbeat, status, an answer to a request, another channel."""

    channel: str | None = None
    method: str | None = None
    success: bool | None = None
    error: str | None = None
    req_id: int | None = None


_CONTROL: Decoder[_Control] = Decoder(EXCHANGE, _Control)
_F = TypeVar("_F")


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of Kraken."""
    return _parse_error(EXCHANGE, cause, sample)


class KrakenStream(FrameStream[_F], Generic[_F]):
    """One subscription. Subclasses name the frame's type and say what one means; the symbol they check themselves."""

    exchange = EXCHANGE
    frame: ClassVar[type[msgspec.Struct]]

    def __init__(self, dataset: Dataset, params: dict[str, str | int | bool]) -> None:
        self._symbol = ws_symbol(dataset.symbol)
        self._channel = str(self.frame.__struct_config__.tag)
        minutes = params.get("interval")
        topic = f"{self._channel}:{self._symbol}" + ("" if minutes is None else f":{minutes}")
        super().__init__(URL, topic, HEARTBEAT)
        self._params = {"channel": self._channel, "symbol": [self._symbol], **params}

    def _request_of(self, op: str) -> str:
        params = {key: value for key, value in self._params.items() if op == "subscribe" or key != "snapshot"}
        return msgspec.json.encode({"method": op, "params": params, "req_id": self._next_request()}).decode()

    def _is_ours(self, req_id: int | None) -> bool:
        """Whether an answer is one to this stream. Without an id it is to whoever waits for one."""
        return not self._confirmed if req_id is None else self._answers_us(req_id)

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """A frame that isn't one of our channel."""
        control = _CONTROL.decode(frame)
        if (control.error is not None or control.method is not None) and not self._is_ours(control.req_id):
            return None
        if control.error is not None and control.method in (None, "subscribe"):
            # Without an id it may answer another stream of the connection: whose it is shows when each asks again.
            return Refused(control.error, permanent=control.req_id is not None and not passes(control.error))
        if control.method == "subscribe" and control.success:
            # That of the subscription before this one, perhaps, while it is being renewed.
            late = control.req_id is not None and control.req_id < self._request
            return self._confirm() if self.confirms and not late else None
        if control.method is not None and (control.success is not None or control.method == "pong"):
            return None
        if control.channel is not None and control.channel != self._channel:
            return None  # heartbeat, status, or what somebody else subscribed to in a recording
        raise parse_error(cause, frame) from cause


class KrakenRouter(Router):
    """By channel, symbol and, for bars, interval. Frames begin with the channel, and are of one symbol as a rule."""

    def __repr__(self) -> str:
        return "<KrakenRouter>"

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of."""
        if not frame.startswith(_CHANNEL):
            return None
        end = frame.find(b'"', len(_CHANNEL))
        channel = frame[len(_CHANNEL) : end]
        if channel == b"heartbeat":
            return ""
        at = frame.find(_SYMBOL, end)
        if at < 0:
            return None
        begin = at + len(_SYMBOL)
        symbol = frame[begin : frame.find(b'"', begin)]
        # All of its items must be of that symbol, else it is for more than one.
        if frame.count(_SYMBOL, begin) != frame.count(_SYMBOL + symbol + b'"', begin):
            return None
        topic = channel + b":" + symbol
        if channel == b"ohlc":
            at = frame.find(_INTERVAL, end)
            begin = at + len(_INTERVAL)
            minutes = frame[begin : begin + 5].split(b",")[0].split(b"}")[0]
            if at < 0 or frame.count(_INTERVAL, begin) != frame.count(_INTERVAL + minutes, begin):
                return None
            topic += b":" + minutes
        return topic.decode("latin-1")


_CHANNEL = b'{"channel":"'
_SYMBOL = b'"symbol":"'
_INTERVAL = b'"interval":'
