"""Bitfinex's events, and what a stream of one channel makes of them. Bytes flow in; records flow out of the subclasses.

Events are objects; all else is an array that begins with the id of a channel, which the event ``subscribed`` tells, and
ends with the message's number on its connection and its time, since :data:`FLAGS` ask for both.
https://docs.bitfinex.com/docs/ws-general
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Refused, Signal
from dccd.exchanges.bitfinex.symbols import topic_of
from dccd.exchanges.stream import TopicStream
from dccd.exchanges.wire import DECODE_ERRORS, Decoder, Id
from dccd.exchanges.wire import parse_error as _parse_error
from dccd.records import Record

__all__ = [
    "EVENT",
    "EXCHANGE",
    "FLAGS",
    "SEQ_ALL",
    "TIMESTAMP",
    "BitfinexStream",
    "Event",
    "Signed",
    "parse_error",
    "read_rows",
]

EXCHANGE = "bitfinex"

URL = "wss://api-pub.bitfinex.com/ws/2"
HEARTBEAT = 40.0
"""Each channel sends ``hb`` after 15 seconds in which nothing else is sent."""

TIMESTAMP, SEQ_ALL, _OB_CHECKSUM = 32768, 65536, 131072
FLAGS = TIMESTAMP | SEQ_ALL | _OB_CHECKSUM

Signed = Annotated[float, Meta(gt=-1e30, lt=1e30)]
"""An amount in base asset whose sign tells the side."""

# https://docs.bitfinex.com/docs/abbreviations-glossary#errorinfo-codes
_RESTART, _MAINTENANCE_ENDED = 20051, 20061
_UNKNOWN = {10000, 10001, 10302}
"""Unknown event, pair, channel. The code 10300 is of all that fails, "symbol: invalid" and passing troubles alike."""
_INVALID = re.compile(r"\binvalid\b", re.I)


class Event(msgspec.Struct):
    """Any event: ``subscribed``, ``unsubscribed``, ``error``, ``info``, ``conf``, ``pong``."""

    event: str
    channel: str | None = None
    chan: Id | None = msgspec.field(default=None, name="chanId")
    symbol: str | None = None
    key: str | None = None
    sub_id: int | str | None = msgspec.field(default=None, name="subId")
    msg: str | None = None
    code: int | None = None
    status: str | None = None
    flags: int | None = None

    @property
    def topic(self) -> str:
        """Of what the subscription was asked for."""
        return topic_of(self.channel or "", self.key or self.symbol or "")


class _Message(msgspec.Struct, array_like=True, gc=False):
    """An array of any channel: ``[17470,"hb",2,1574694478808]``."""

    chan: Id
    content: msgspec.Raw


EVENT: Decoder[Event] = Decoder(EXCHANGE, Event)
_MESSAGE: Decoder[_Message] = Decoder(EXCHANGE, _Message)
_T = TypeVar("_T")


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of Bitfinex."""
    return _parse_error(EXCHANGE, cause, sample)


def read_rows(decoder: Decoder[list[_T]], body: bytes) -> list[_T]:
    """The rows of an answer of REST. Raises ParseError, in Bitfinex's words if it is an error."""
    if body.startswith(b'["error"'):
        raise parse_error(body[:200].decode(errors="replace"), body)
    return decoder.decode(body)


class BitfinexStream(TopicStream):
    """One channel. Subclasses say what its arrays mean."""

    channel: ClassVar[str]
    beat = HEARTBEAT

    def __init__(self, params: dict[str, str]) -> None:
        super().__init__(URL, topic_of(self.channel, params.get("key") or params["symbol"]), HEARTBEAT)
        self._params = params
        self._chan: int | None = None
        """The channel's id; None until the subscription is confirmed, so that nothing is ours."""

    def subscribe(self) -> list[str]:
        """One subscription; its answer repeats ``subId``."""
        self._chan = None
        return super().subscribe()

    def unsubscribe(self) -> list[str]:
        """The end of it, of which only who saw it begin knows the id."""
        return [] if self._chan is None else [f'{{"event":"unsubscribe","chanId":{self._chan}}}']

    def resubscribe(self) -> list[str]:
        """The same anew, unless it is under way: to ask twice would be refused as a duplicate."""
        return [] if self._chan is None else super().resubscribe()

    def _request_of(self, op: str) -> str:
        request = {"event": op, "channel": self.channel, **self._params, "subId": self._next_request()}
        return msgspec.json.encode(request).decode()

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        if frame[:1] == b"{":
            return self._event(frame)
        try:
            return self.take(frame, recv_ts, out)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        except ValueError as exc:
            # Of what the values mean; msgspec's own errors are ValueErrors too, and ParseError isn't one.
            raise parse_error(exc, frame) from exc

    def take(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take an array of any channel. Raises what decoders do, or ValueError, nothing being changed."""
        raise NotImplementedError

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """An array that isn't what our channel sends."""
        message = _MESSAGE.decode(frame)
        if message.chan != self._chan or bytes(message.content) == b'"hb"':
            return None
        raise parse_error(cause, frame) from cause

    def _event(self, frame: bytes) -> Signal | None:
        event = EVENT.decode(frame)
        if event.event == "subscribed":
            return self._subscribed(event, frame) if self._is_ours(event) else None
        if event.event == "error":
            # Those with a channel's id answer an unsubscription.
            return self._refused(event) if event.chan is None and self._is_ours(event) else None
        if event.event == "conf" and event.status != "OK":
            return Refused(f"configuration {event.msg or event.status or 'refused'}", permanent=False)
        if event.event == "info" and event.code == _RESTART:
            return Broken(event.msg or "the server restarts", None, "reconnect")
        if event.event == "info" and event.code == _MAINTENANCE_ENDED and self._confirmed:
            # "It is advised to unsubscribe/subscribe again all channels"; until then nothing is heard of it.
            return Broken(event.msg or "maintenance", None, "resubscribe")
        return None

    def _subscribed(self, event: Event, frame: bytes) -> Signal | None:
        if event.chan is None:
            raise parse_error("a subscription without the channel's id", frame)
        self._chan = event.chan
        return self._confirm() if self.confirms else None

    def _is_ours(self, event: Event) -> bool:
        """Whether an answer is to our last subscription: by its id, else by what it names, if it names anything."""
        if event.sub_id is not None:
            return str(event.sub_id) == str(self._request)
        if self._confirmed:
            return False
        return event.topic in (self.topic, ":") or (event.topic == f"{self.channel}:")

    def _refused(self, event: Event) -> Refused:
        """In Bitfinex's words. One that names nobody may answer another stream: it shows when each asks again."""
        words = event.msg or "error"
        known = event.sub_id is not None or event.topic == self.topic
        permanent = known and (event.code in _UNKNOWN or _INVALID.search(words) is not None)
        return Refused(words if event.code is None else f"{words} (code {event.code})", permanent)
