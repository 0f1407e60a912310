"""The WebSocket frames of Binance as types, and what a stream of one dataset makes of them: spot and futures alike.

Bytes flow in; trades, bars, books and funding rates flow out through the subclasses. Frames come wrapped with their
stream's name, as on ``/stream``, which tells whose they are; raw ones, as on ``/ws``, are understood too: recordings
have those. https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import field

from dccd.errors import ParseError
from dccd.exchanges.base import Market, Refused, Router, Signal
from dccd.exchanges.binance.symbols import stream_name, stream_url
from dccd.exchanges.stream import TopicStream
from dccd.exchanges.wire import DECODE_ERRORS, Amount, Count, Decoder, Id, Millis, Price, Rate, Traded, WireLevel
from dccd.exchanges.wire import parse_error as _parse_error
from dccd.records import Record
from dccd.symbols import Dataset

__all__ = [
    "EXCHANGE",
    "BinanceRouter",
    "BinanceStream",
    "DepthEvent",
    "KlineEvent",
    "MarkPriceEvent",
    "TradeEvent",
    "Wrapped",
    "parse_error",
]

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
    """``depthUpdate``: the new amounts of levels by the updates ``first`` to ``last``.

    Futures say with ``previous`` which update was the last one before, and have the matching engine's time beside that
    of the event: their updates are numbered with gaps, and spot's without.
    """

    symbol: str = field(name="s")
    event_ms: Millis = field(name="E")
    first: Id = field(name="U")
    last: Id = field(name="u")
    bids: list[WireLevel] = field(name="b")
    asks: list[WireLevel] = field(name="a")
    previous: Id | None = field(name="pu", default=None)
    engine_ms: Millis | None = field(name="T", default=None)

    @property
    def after(self) -> int:
        """The update that this event follows."""
        return self.first - 1 if self.previous is None else self.previous

    @property
    def ms(self) -> int:
        """The time, as near to the matching engine's as it is told."""
        return self.event_ms if self.engine_ms is None else self.engine_ms


class MarkPriceEvent(msgspec.Struct, gc=False, tag_field="e", tag="markPriceUpdate"):
    """``markPriceUpdate``: the funding rate to be paid at ``due_ms``. A dated contract has neither: ``""`` and 0."""

    symbol: str = field(name="s")
    ms: Millis = field(name="E")
    mark_price: Price = field(name="p")
    rate: Rate = field(name="r")
    due_ms: Millis = field(name="T")


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


class Wrapped(msgspec.Struct, Generic[_E], gc=False):
    """An event with the name of its stream."""

    stream: str
    data: _E


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of Binance."""
    return _parse_error(EXCHANGE, cause, sample)


class BinanceStream(TopicStream, Generic[_E]):
    """One stream. Subclasses name the event's type and say what one means; its symbol is checked here.

    A symbol that isn't listed is accepted all the same and stays silent: Binance refuses only what it can't read.
    """

    event: ClassVar[type[msgspec.Struct]]
    decoder: ClassVar[msgspec.json.Decoder[Any]]
    """Of ``Wrapped[event]``."""
    raw: ClassVar[msgspec.json.Decoder[Any]]
    """Of ``event``."""

    def __init_subclass__(cls) -> None:
        cls.decoder = msgspec.json.Decoder(Wrapped[cls.event], strict=False)  # type: ignore[name-defined]  # at run time
        cls.raw = msgspec.json.Decoder(cls.event, strict=False)

    def __init__(self, dataset: Dataset, market: Market, heartbeat: float) -> None:
        self._market = market.id
        super().__init__(stream_url(dataset), stream_name(dataset, market), heartbeat)

    def subscribe(self) -> list[str]:
        """One SUBSCRIBE: unlike a stream in the URL's path, it is answered."""
        return [f'{{"method":"SUBSCRIBE","params":["{self.topic}"],"id":{self.lane}}}']

    def unsubscribe(self) -> list[str]:
        """One UNSUBSCRIBE."""
        return [f'{{"method":"UNSUBSCRIBE","params":["{self.topic}"],"id":0}}']

    def resubscribe(self) -> list[str]:
        """Nothing: what a break needs here is a new REST snapshot or nothing at all."""
        return []

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        try:
            wrapped = self.decoder.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc, recv_ts, out)
        if wrapped.stream != self.topic:
            return None
        signal = self.take(wrapped.data, recv_ts, out)
        return signal if signal is not None or self._confirmed else self._confirm()

    def take(self, event: _E, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one event of our symbol. Raises ParseError."""
        raise NotImplementedError

    def _other(self, frame: bytes, cause: Exception, recv_ts: int, out: list[Record]) -> Signal | None:
        """A frame that isn't one of our events as they come wrapped."""
        control = _CONTROL.decode(frame)
        if control.error is not None or (control.msg is not None and control.code is not None):
            if control.id not in (None, self.lane) or (control.id is None and self._confirmed):
                return None
            error = control.error or _Error(control.msg or "", control.code)
            return _refused(error.msg, error.code, known=control.id is not None)
        if control.stream is not None:
            if control.stream != self.topic:
                return None
            raise parse_error(cause, frame) from cause
        if control.e is not None:
            return self._raw(frame, control.e, recv_ts, out)
        if control.result is None:
            return self._confirm() if control.id == self.lane else None
        raise parse_error(cause, frame) from cause

    def _raw(self, frame: bytes, kind: str, recv_ts: int, out: list[Record]) -> Signal | None:
        """An event that came without its stream's name."""
        if kind != self.event.__struct_config__.tag:
            return None  # an event of another kind, as serverShutdown
        try:
            event = self.raw.decode(frame)
        except DECODE_ERRORS as exc:
            raise parse_error(exc, frame) from exc
        return (self.take(event, recv_ts, out) or self._confirm()) if event.symbol == self._market else None


def _refused(message: str, code: int | None, known: bool) -> Refused:
    """In Binance's words. Codes 0 to 3 are requests that it can't read; asking again won't help those.

    Without the id of a request it isn't *known* whose was refused, which shows when each stream asks again.
    """
    words = message if code is None else f"{message} (code {code})"
    return Refused(words, permanent=known and "too many" not in message.lower())


class BinanceRouter(Router):
    """By the stream's name, which each frame begins with."""

    def __repr__(self) -> str:
        return "<BinanceRouter>"

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def route(self, frame: bytes) -> str | None:
        """The stream's name."""
        if not frame.startswith(_STREAM):
            return None
        return frame[len(_STREAM) : frame.find(b'"', len(_STREAM))].decode("latin-1")

    def alike(self, frame: bytes) -> bytes:
        """Up to the end of the stream's name."""
        return frame[: frame.find(b'"', len(_STREAM)) + 1] if frame.startswith(_STREAM) else b""


_STREAM = b'{"stream":"'
