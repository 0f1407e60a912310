"""The WebSocket frames of Binance's spot market as types, and what a stream of one dataset makes of them.

Bytes flow in; trades, bars and books flow out through the subclasses. Frames come raw, as on ``/ws``, or wrapped with
their stream's name, as on ``/stream``: recordings have those.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import field

from dccd.errors import ParseError
from dccd.exchanges.base import Refused, Router, Signal
from dccd.exchanges.binance.symbols import market_id, stream_name
from dccd.exchanges.stream import TopicStream
from dccd.exchanges.wire import DECODE_ERRORS, Amount, Count, Decoder, Id, Millis, Price, Traded, WireLevel
from dccd.exchanges.wire import parse_error as _parse_error
from dccd.records import Record
from dccd.symbols import Dataset

__all__ = ["EXCHANGE", "BinanceRouter", "BinanceStream", "DepthEvent", "KlineEvent", "TradeEvent", "parse_error"]

EXCHANGE = "binance"


class TradeEvent(msgspec.Struct, gc=False, tag_field="e", tag="aggTrade"):
    """``aggTrade``; ``maker``: the buyer was the maker, so the taker sold."""

    symbol: str = field(name="s")
    tid: Id = field(name="a")
    price: Price = field(name="p")
    amount: Traded = field(name="q")
    ms: Millis = field(name="T")
    maker: bool = field(name="m")


class Kline(msgspec.Struct, gc=False):
    """The state of a bar; ``ms`` is when it opened."""

    interval: str = field(name="i")
    ms: Millis = field(name="t")
    open: Price = field(name="o")
    high: Price = field(name="h")
    low: Price = field(name="l")
    close: Price = field(name="c")
    volume: Amount = field(name="v")
    quote_volume: Amount = field(name="q")
    trades: Count = field(name="n")
    closed: bool = field(name="x")


class KlineEvent(msgspec.Struct, gc=False, tag_field="e", tag="kline"):
    """``kline``."""

    symbol: str = field(name="s")
    kline: Kline = field(name="k")


class DepthEvent(msgspec.Struct, gc=False, tag_field="e", tag="depthUpdate"):
    """``depthUpdate``: the new amounts of levels by the updates ``first`` to ``last``."""

    symbol: str = field(name="s")
    ms: Millis = field(name="E")
    first: Id = field(name="U")
    last: Id = field(name="u")
    bids: list[WireLevel] = field(name="b")
    asks: list[WireLevel] = field(name="a")


class _Error(msgspec.Struct):
    msg: str
    code: int | None = None


class _Control(msgspec.Struct):
    """Whatever isn't an event of ours: an answer to a request, an error, a wrapped event, somebody else's event."""

    id: Any = None
    result: Any = msgspec.UNSET
    error: _Error | None = None
    code: int | None = None
    msg: str | None = None
    e: str | None = None
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_CONTROL: Decoder[_Control] = Decoder(EXCHANGE, _Control)
_E = TypeVar("_E")


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of Binance."""
    return _parse_error(EXCHANGE, cause, sample)


class BinanceStream(TopicStream, Generic[_E]):
    """One stream. Subclasses name the event's type and say what one means; its symbol is checked here.

    A symbol that isn't listed is accepted all the same and stays silent: Binance refuses only what it can't read.
    """

    event: ClassVar[type[msgspec.Struct]]
    decoder: ClassVar[msgspec.json.Decoder[Any]]

    def __init__(self, dataset: Dataset, heartbeat: float) -> None:
        self._market = market_id(dataset.symbol)
        self._stream = stream_name(dataset)
        super().__init__("wss://stream.binance.com:9443/ws", self._stream, heartbeat)

    def subscribe(self) -> list[str]:
        """One SUBSCRIBE: unlike a stream in the URL's path, it is answered."""
        return [f'{{"method":"SUBSCRIBE","params":["{self._stream}"],"id":{self.lane}}}']

    def unsubscribe(self) -> list[str]:
        """One UNSUBSCRIBE."""
        return [f'{{"method":"UNSUBSCRIBE","params":["{self._stream}"],"id":0}}']

    def resubscribe(self) -> list[str]:
        """Nothing: what a break needs here is a new REST snapshot or nothing at all."""
        return []

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        try:
            event = self.decoder.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc, recv_ts, out)
        if event.symbol != self._market:
            return None
        return self.take(event, recv_ts, out) or self._confirm()

    def take(self, event: _E, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one event of our symbol. Raises ParseError."""
        raise NotImplementedError

    def _other(self, frame: bytes, cause: Exception, recv_ts: int, out: list[Record]) -> Signal | None:
        """A frame that isn't one of our events as they come raw."""
        control = _CONTROL.decode(frame)
        if control.error is not None:
            return _refused(control.error.msg, control.error.code)
        if control.stream is not None:
            if control.stream != self._stream:
                return None
            try:
                event = self.decoder.decode(control.data)
            except DECODE_ERRORS as exc:
                raise parse_error(exc, frame) from exc
            return self.take(event, recv_ts, out) or self._confirm()
        if control.result is None:
            return self._confirm() if control.id == self.lane else None
        if control.msg is not None and control.code is not None:
            return _refused(control.msg, control.code)
        if control.e is not None and control.e != self.event.__struct_config__.tag:
            return None  # an event of another kind, as serverShutdown
        raise parse_error(cause, frame) from cause


def _refused(message: str, code: int | None) -> Refused:
    """In Binance's words. Codes 0 to 3 are requests that it can't read; asking again won't help those."""
    words = message if code is None else f"{message} (code {code})"
    return Refused(words, permanent="too many" not in message.lower())


class BinanceRouter(Router):
    """All frames go to all streams."""

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def route(self, frame: bytes) -> str | None:
        """To all."""
        return None
