"""One connection to BitMEX: frames of a client flow in, answers and partials flow out, without I/O.

https://www.bitmex.com/app/wsAPI: a welcome, ``{"op":"subscribe","args":["trade:XBTUSD"]}``, an answer for each topic,
which repeats the request. ``ping`` is answered by ``pong``.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dccd.simulator.bitmex.formats import dumps, iso
from dccd.simulator.bitmex.streams import TABLES, BitmexStream
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Maker, Session

__all__ = ["BitmexSession", "open_session"]

_REMAINING = 59  # of the connections an hour, after the first


class BitmexSession(Session):
    """One connection. *make* gives the streams."""

    def __init__(self, opened_at: int, faults: FaultPlan, make: Maker, topics: list[str]) -> None:
        super().__init__(opened_at)
        self._faults = faults
        self._make = make
        self._topics = topics  # those in the address

    def opening(self) -> list[str]:
        """The welcome, and what the address asks for."""
        welcome = {
            "info": "Welcome to the BitMEX Realtime API.",
            "version": "2.0.0",
            "timestamp": iso(self.opened_at),
            "docs": "https://www.bitmex.com/app/wsAPI",
            "heartbeatEnabled": False,
            "limit": {"remaining": _REMAINING},
        }
        request = {"op": "subscribe", "args": self._topics}
        return [dumps(welcome), *self._each("subscribe", self._topics, request, self.opened_at)]

    def receive(self, text: str, now: int) -> list[str]:
        """Answer a request."""
        if text == "ping":
            return ["pong"]
        try:
            request = json.loads(text)
        except ValueError:
            return [_error(400, 'Unrecognized request. See {"op":"help"}', text)]
        if not isinstance(request, dict):
            return [_error(400, 'Unrecognized request. See {"op":"help"}', request)]
        op, args = request.get("op"), request.get("args")
        topics = [args] if isinstance(args, str) else args
        if op not in ("subscribe", "unsubscribe"):
            return [_error(400, f"Unknown op: {op}", request)]
        if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
            return [_error(400, "Missing or invalid args", request)]
        return self._each(op, topics, request, now)

    def _each(self, op: str, topics: list[str], request: Any, now: int) -> list[str]:
        out: list[str] = []
        for topic in topics:
            out += self._subscribe(topic, request, now) if op == "subscribe" else self._unsubscribe(topic, request)
        return out

    def _subscribe(self, topic: str, request: Any, now: int) -> list[str]:
        if topic in self.streams:
            return [_error(400, f"You are already subscribed to this topic: {topic}", request)]
        stream = self._make(topic, now)
        pair = (stream.symbol, stream.data_type) if stream else ("", "")
        refusal = self._faults.take(RefuseSubscription, "bitmex", symbol=pair[0], data_type=pair[1])
        if refusal is not None:
            return [_error(400, refusal.message or f"Unknown or expired symbol in {topic}", request)]
        if stream is None:
            known = topic.partition(":")[0] in TABLES
            return [_error(400, f"Unknown {'or expired symbol' if known else 'table'}: {topic}", request)]
        self.streams[topic] = stream
        answer = dumps({"success": True, "subscribe": topic, "request": request})
        return [answer, *(stream.first() if isinstance(stream, BitmexStream) else [])]

    def _unsubscribe(self, topic: str, request: Any) -> list[str]:
        if self.streams.pop(topic, None) is None:
            return [_error(400, f"You are not subscribed to this topic: {topic}", request)]
        return [dumps({"success": True, "unsubscribe": topic, "request": request})]


def open_session(faults: FaultPlan, path: str, now: int, make: Maker) -> BitmexSession | None:
    """A connection to *path*; ``None`` when BitMEX has no such path."""
    url = urlsplit(path)
    if url.path.rstrip("/") != "/realtime":
        return None
    topics = [topic for value in parse_qs(url.query).get("subscribe", []) for topic in value.split(",") if topic]
    return BitmexSession(now, faults, make, topics)


def _error(status: int, words: str, request: Any) -> str:
    return dumps({"status": status, "error": words, "meta": {}, "request": request})
