"""One connection to Bitfinex's WebSocket v2: frames of a client flow in, answers and messages flow out, without I/O.

https://docs.bitfinex.com/docs/ws-general: a greeting, subscriptions answered with the channel's id, flags that have all
messages numbered and timed, ``hb`` on each channel that was silent for 15 seconds.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from typing import Any

from dccd.simulator.bitfinex.formats import MS
from dccd.simulator.bitfinex.streams import BitfinexStream, Refused, stream_name
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Session, Stream
from dccd.symbols import NS

__all__ = ["BitfinexSession", "Maker"]

_TIMESTAMP, _SEQ_ALL, _OB_CHECKSUM = 32768, 65536, 131072
_MOST_CHANNELS = 25
_HEARTBEAT = 15 * NS

Maker = Callable[[dict[str, Any], int], BitfinexStream]
"""(request, now) → the stream subscribed to; raises Refused."""


class BitfinexSession(Session):
    """One connection. *make* gives the streams."""

    def __init__(self, opened_at: int, faults: FaultPlan, make: Maker) -> None:
        super().__init__(opened_at)
        self._faults = faults
        self._make = make
        self._flags = 0
        self._seq = 0
        self._now = opened_at
        draw = random.Random(opened_at)
        self._server = str(uuid.UUID(int=draw.getrandbits(128)))
        self._next_chan = draw.randrange(1, 300_000)
        self._spoke: dict[int, int] = {}  # channel → when its last message was sent

    def opening(self) -> list[str]:
        """The greeting."""
        return [f'{{"event":"info","version":2,"serverId":"{self._server}","platform":{{"status":1}}}}']

    def wrap(self, stream: Stream, frames: list[str]) -> list[str]:
        """Put the channel's id before each message, and its number and time behind, as the flags say."""
        assert isinstance(stream, BitfinexStream)
        self._spoke[stream.chan] = self._now
        return [self._array(stream.chan, *frame.split(" ", 1)) for frame in frames]

    def _array(self, chan: int, ms: str, content: str) -> str:
        tail = ""
        if self._flags & _SEQ_ALL:
            self._seq += 1
            tail = f",{self._seq}"
        if self._flags & _TIMESTAMP:
            tail += f",{ms if ms != '0' else self._now // MS}"
        return f"[{chan},{content}{tail}]"

    def idle(self, now: int, sent: bool) -> list[str]:
        """A heartbeat on each channel without a message for 15 seconds."""
        self._now = max(self._now, now)
        out: list[str] = []
        for stream in self.streams.values():
            assert isinstance(stream, BitfinexStream)
            if now - self._spoke[stream.chan] >= _HEARTBEAT:
                self._spoke[stream.chan] = now
                out.append(self._array(stream.chan, str(now // MS), '"hb"'))
        return out

    def receive(self, text: str, now: int) -> list[str]:
        """Answer a request."""
        self._now = max(self._now, now)
        try:
            request = json.loads(text)
        except ValueError:
            return [_event("error", msg="JSON: invalid", code=10000)]
        if not isinstance(request, dict):
            return [_event("error", msg="event: invalid", code=10000)]
        match request.get("event"):
            case "ping":
                return [_event("pong", ts=now // MS, cid=request.get("cid"))]
            case "conf":
                return [self._configure(request.get("flags", 0))]
            case "subscribe":
                return self._subscribe(request, now)
            case "unsubscribe":
                return [self._unsubscribe(request.get("chanId"))]
        return [_event("error", msg="event: invalid", code=10000)]

    def _configure(self, flags: Any) -> str:
        if isinstance(flags, bool) or not isinstance(flags, int):
            return _event("error", msg="flags: invalid", code=10000)
        self._flags = flags
        return _event("conf", status="OK", flags=flags)

    def _subscribe(self, request: dict[str, Any], now: int) -> list[str]:
        # What was asked for is repeated, refused or not.
        asked: dict[str, Any] = {key: request[key] for key in ("channel", "symbol", "key", "subId") if key in request}
        try:
            name = stream_name(request)
            if name in self.streams:
                raise Refused("subscribe: dup", 10301)
            if len(self.streams) >= _MOST_CHANNELS:
                raise Refused("subscribe: limit", 10305)
            stream = self._make(request, now)
            refusal = self._faults.take(
                RefuseSubscription, "bitfinex", symbol=stream.symbol, data_type=stream.data_type
            )
            if refusal is not None:
                raise Refused(refusal.message or "symbol: invalid")
        except Refused as exc:
            return [_event("error", **asked, msg=str(exc), code=exc.code)]
        stream.chan, self._next_chan = self._next_chan, self._next_chan + 7
        stream.checksums = lambda: bool(self._flags & _OB_CHECKSUM)
        self.streams[name] = stream
        self._spoke[stream.chan] = now
        sub_id = {"subId": asked["subId"]} if "subId" in asked else {}
        answer = _event("subscribed", channel=asked["channel"], chanId=stream.chan, **stream.result, **sub_id)
        return [answer, *self.wrap(stream, stream.first(now))]

    def _unsubscribe(self, chan: Any) -> str:
        for name, stream in self.streams.items():
            if isinstance(stream, BitfinexStream) and str(stream.chan) == str(chan):
                del self.streams[name]
                return _event("unsubscribed", status="OK", chanId=stream.chan)
        return _event("error", msg="unsubscribe: invalid", code=10400, chanId=chan)


def _event(event: str, **fields: Any) -> str:
    return json.dumps({"event": event, **fields}, separators=(",", ":"))
