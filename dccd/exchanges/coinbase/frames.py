"""The WebSocket frames of Coinbase Advanced Trade as types, and what a stream of one dataset makes of them.

Bytes flow in; trades, bars and books flow out through the subclasses.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from __future__ import annotations

import re
from typing import ClassVar, Generic, Literal, TypeVar

import msgspec

from dccd.errors import ParseError
from dccd.exchanges.base import Refused, Signal
from dccd.exchanges.coinbase.symbols import feed_id
from dccd.exchanges.stream import FrameStream
from dccd.exchanges.wire import Amount, Decoder, Id, Price, Seconds, Traded, passes
from dccd.exchanges.wire import parse_error as _parse_error
from dccd.records import Side
from dccd.symbols import Dataset

__all__ = [
    "EXCHANGE",
    "TAKER",
    "Candle",
    "CandleFrame",
    "CoinbaseStream",
    "Level2Frame",
    "Level2Update",
    "MakerSide",
    "TradeFrame",
    "WireTrade",
    "parse_error",
]

EXCHANGE = "coinbase"

URL = "wss://advanced-trade-ws.coinbase.com"
HEARTBEAT = 15.0
"""The channel ``heartbeats``, which each connection subscribes to, has a frame each second."""

Kind = Literal["snapshot", "update"]

MakerSide = Literal["BUY", "SELL", "UNKNOWN_ORDER_SIDE"]
"""Of a trade Coinbase tells the side of the order that was in the book, on the WebSocket and on REST alike."""
TAKER: dict[str, Side | None] = {"BUY": "sell", "SELL": "buy", "UNKNOWN_ORDER_SIDE": None}
"""By the maker's side."""


class WireTrade(msgspec.Struct, gc=False):
    """One trade."""

    product_id: str
    trade_id: Id
    price: Price
    size: Traded
    side: MakerSide
    time: str


class TradeEvent(msgspec.Struct, gc=False):
    """Trades, newest first: the recent ones (``snapshot``), or those of the last 250 ms."""

    type: Kind
    trades: list[WireTrade]


class TradeFrame(msgspec.Struct, gc=False, tag_field="channel", tag="market_trades"):
    """Channel ``market_trades``."""

    events: list[TradeEvent]


class Candle(msgspec.Struct, gc=False):
    """The state of one bar of five minutes."""

    product_id: str
    start: Seconds
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount


class CandleEvent(msgspec.Struct, gc=False):
    """States of bars."""

    type: Kind
    candles: list[Candle]


class CandleFrame(msgspec.Struct, gc=False, tag_field="channel", tag="candles"):
    """Channel ``candles``."""

    events: list[CandleEvent]


class Level2Update(msgspec.Struct, gc=False):
    """One level's new amount, 0 where it is gone. ``offer`` is the ask side."""

    side: Literal["bid", "offer"]
    event_time: str
    price_level: Price
    new_quantity: Amount


class Level2Event(msgspec.Struct, gc=False):
    """All levels of one product, or those that changed."""

    type: Kind
    product_id: str
    updates: list[Level2Update]


class Level2Frame(msgspec.Struct, gc=False, tag_field="channel", tag="l2_data"):
    """Channel ``level2``, whose frames call themselves ``l2_data``; ``timestamp`` is when it was sent."""

    timestamp: str
    events: list[Level2Event]


class _Listing(msgspec.Struct):
    subscriptions: dict[str, list[str]]


class _Control(msgspec.Struct):
    """Whatever isn't a frame of our channel: an answer to a request, an error, heartbeats, another channel."""

    channel: str | None = None
    type: str | None = None
    message: str = ""
    reason: str = ""
    events: msgspec.Raw = msgspec.Raw()


_CONTROL: Decoder[_Control] = Decoder(EXCHANGE, _Control)
_LISTINGS: Decoder[list[_Listing]] = Decoder(EXCHANGE, list[_Listing])
_PRODUCT = re.compile(r"\b[A-Z0-9]{1,20}-[A-Z0-9]{1,20}\b")
_F = TypeVar("_F")


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of Coinbase."""
    return _parse_error(EXCHANGE, cause, sample)


class CoinbaseStream(FrameStream[_F], Generic[_F]):
    """One subscription. Subclasses name the frame's type and say what one means.

    Frames are numbered over the whole connection, which the router watches.
    """

    exchange = EXCHANGE
    frame: ClassVar[type[msgspec.Struct]]
    channel: ClassVar[str]
    """As subscribed to."""

    def __init__(self, dataset: Dataset) -> None:
        self._product = feed_id(dataset.symbol)
        self._channel = str(self.frame.__struct_config__.tag)
        super().__init__(URL, f"{self._channel}:{self._product}", HEARTBEAT)

    def _request_of(self, op: str) -> str:
        return f'{{"type":"{op}","product_ids":["{self._product}"],"channel":"{self.channel}"}}'

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """A frame that isn't one of our channel."""
        control = _CONTROL.decode(frame)
        if control.type == "error":
            return self._refused(": ".join(filter(None, (control.message, control.reason))) or "error")
        if control.channel == "subscriptions":
            # All that this connection is subscribed to, whosever request it answers.
            listings = _LISTINGS.decode(bytes(control.events))
            ours = any(self._product in one.subscriptions.get(self.channel, ()) for one in listings)
            return self._confirm() if ours and self.confirms else None
        if control.channel is not None and control.channel != self._channel:
            return None  # heartbeats, or what somebody else subscribed to in a recording
        raise parse_error(cause, frame) from cause

    def _refused(self, words: str) -> Signal | None:
        """Errors don't tell what they answer. One that names no product may be another stream's: asking again helps."""
        named = _PRODUCT.findall(words)
        if self._confirmed or (named and self._product not in named):
            return None
        return Refused(words, permanent=bool(named) and not passes(words))
