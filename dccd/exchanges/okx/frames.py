"""The WebSocket frames of OKX as types, and what a stream of one dataset makes of them.

Bytes flow in; records flow out through the subclasses.
https://www.okx.com/docs-v5/en/#overview-websocket-subscribe
"""

from __future__ import annotations

import re
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import field

from dccd.errors import ParseError
from dccd.exchanges.base import Market, Refused, Router, Signal
from dccd.exchanges.stream import FrameStream
from dccd.exchanges.wire import Decoder
from dccd.exchanges.wire import parse_error as _parse_error

__all__ = ["BUSINESS", "EXCHANGE", "PUBLIC", "Arg", "OkxRouter", "OkxStream", "PushFrame", "parse_error"]

EXCHANGE = "okx"
PUBLIC = "wss://ws.okx.com:8443/ws/v5/public"
BUSINESS = "wss://ws.okx.com:8443/ws/v5/business"
HEARTBEAT = 60.0
"""OKX sends nothing by itself on a quiet connection, but answers our pings."""

_PASSING = {"50001", "50004", "50011", "50013", "50026", "60014", "60023", "63999"}
"""Codes of errors that pass: too many requests, busy, maintenance, time out, internal error."""
_NAMED = re.compile(r"channel:([\w-]+),\s*instId:([\w-]+)")
_T = TypeVar("_T")


class Arg(msgspec.Struct, gc=False):
    """What a frame is of."""

    channel: str
    inst: str = field(name="instId", default="")


class PushFrame(msgspec.Struct, Generic[_T], gc=False):
    """A frame with data."""

    arg: Arg
    data: list[_T]


class _Control(msgspec.Struct):
    """Whatever isn't a frame with our data: an answer, an error, a notice, another channel."""

    event: str | None = None
    arg: Arg | None = None
    id: str | None = None
    code: str | None = None
    msg: str = ""


_CONTROL: Decoder[_Control] = Decoder(EXCHANGE, _Control)


class _Pushed(Protocol):
    """What all frames with data have."""

    arg: Arg


_F = TypeVar("_F", bound=_Pushed)


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of OKX."""
    return _parse_error(EXCHANGE, cause, sample)


class OkxStream(FrameStream[_F], Generic[_F]):
    """One subscription. Subclasses name the frame's decoder and say what a frame means."""

    exchange = EXCHANGE

    def __init__(self, url: str, channel: str, market: Market) -> None:
        super().__init__(url, f"{channel}:{market.id}", HEARTBEAT)
        self._channel = channel
        self._market = market
        self._inst = market.id

    def _request_of(self, op: str) -> str:
        args = [{"channel": self._channel, "instId": self._inst}]
        return msgspec.json.encode({"id": str(self._next_request()), "op": op, "args": args}).decode()

    def _is_of_us(self, found: _F) -> bool:
        return found.arg.inst == self._inst and found.arg.channel == self._channel

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """A frame that isn't one with our data."""
        if frame == b"pong":
            return None
        control = _CONTROL.decode(frame)
        if control.event is None:
            if control.arg is None or (control.arg.channel == self._channel and control.arg.inst == self._inst):
                raise parse_error(cause, frame) from cause
            return None
        number = int(control.id) if control.id is not None and re.fullmatch("[0-9]{1,18}", control.id) else None
        if control.event == "error":
            if not self._is_ours(control, number):
                return None
            words = control.msg if control.code is None else f"{control.msg} (code {control.code})"
            # One that names nobody may answer another stream of the connection: it shows when each asks again.
            known = number is not None or self._named(control) is not None
            return Refused(words, permanent=known and control.code not in _PASSING)
        if control.event == "subscribe" and control.arg is not None:
            ours = control.arg.channel == self._channel and control.arg.inst == self._inst
            # That of the subscription before this one, perhaps, while it is being renewed.
            late = number is not None and number < self._request
            return self._confirm() if ours and not late and self.confirms else None
        return None  # the end of a subscription, a notice that the service is about to be restarted

    def _is_ours(self, control: _Control, number: int | None) -> bool:
        """Whether an error is for this stream; one that names nobody is for whoever isn't confirmed yet."""
        if number is not None:
            return self._answers_us(number)
        named = self._named(control)
        return not self._confirmed if named is None else named == (self._channel, self._inst)

    def _named(self, control: _Control) -> tuple[str, str] | None:
        """Channel and instrument that an error names."""
        if (found := _NAMED.search(control.msg)) is not None:
            return found[1], found[2]
        return None if control.arg is None else (control.arg.channel, control.arg.inst)


class OkxRouter(Router):
    """By channel and instrument: frames with data begin with both."""

    def __init__(self) -> None:
        self._topics: dict[bytes, str] = {}  # by what frames begin with

    def __repr__(self) -> str:
        return f"<OkxRouter topics={len(self._topics)}>"

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of."""
        return self._topics.get(frame[: frame.find(b"}", 0, _LONGEST)]) or self._read(frame)

    def alike(self, frame: bytes) -> bytes:
        """Up to the end of ``arg``."""
        return frame[: frame.find(b"}", 0, _LONGEST) + 1] if frame.startswith(_BEGIN) else b""

    def _read(self, frame: bytes) -> str | None:
        if not frame.startswith(_BEGIN):
            return "" if frame == b"pong" else None
        # {"arg":{"channel":"books","instId":"BTC-USDT"},…: of one instrument, always.
        parts = frame[len(_BEGIN) : len(_BEGIN) + 96].split(b'"', 5)
        if len(parts) < 6 or parts[1] != b"," or parts[2] != b"instId" or parts[3] != b":" or parts[5][:1] != b"}":
            return None
        # What recordings have as `trades` is taken by the stream of `trades-all`.
        channel = b"trades-all" if parts[0] == b"trades" else parts[0]
        topic = (channel + b":" + parts[4]).decode("latin-1")
        if b"}" not in parts[0] + parts[4] and len(self._topics) < _MOST_TOPICS:
            self._topics[_BEGIN + parts[0] + b'","instId":"' + parts[4] + b'"'] = topic
        return topic


_BEGIN = b'{"arg":{"channel":"'
_MOST_TOPICS = 10_000
"""More than there are on a connection; damaged frames may name any."""
_LONGEST = 128
"""Bytes within which a frame tells its channel and instrument."""
