"""One connection to Kraken Futures' WebSocket v1: frames of a client flow in, answers and snapshots flow out.

https://docs.kraken.com/exchange/guides/futures/websockets. Where the real exchange's words differ from its
documentation's (an invalid product is told by an alert, which names it), they are the real one's.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.krakenfutures.names import MS
from dccd.simulator.krakenfutures.streams import FEEDS, FuturesStream
from dccd.simulator.venue import Maker, Session, Stream
from dccd.symbols import NS

__all__ = ["FuturesSession"]

_BEAT = 5 * NS
_HEARTBEAT = "heartbeat"


class FuturesSession(Session):
    """One connection. *make* gives the streams, by ``feed:product``."""

    def __init__(self, opened_at: int, faults: FaultPlan, make: Maker) -> None:
        super().__init__(opened_at)
        self._faults = faults
        self._make: Callable[[str, int], Stream | None] = make
        self._beat: int | None = None

    def opening(self) -> list[str]:
        """The version."""
        return ['{"event":"info","version":1}']

    def idle(self, now: int, sent: bool) -> list[str]:
        """Heartbeats, once subscribed to."""
        if self._beat is None or now - self._beat < _BEAT:
            return []
        self._beat = now
        return [f'{{"feed":"heartbeat","time":{now // MS}}}']

    def receive(self, text: str, now: int) -> list[str]:
        """Answer a request; snapshots follow the answer."""
        try:
            request = json.loads(text)
        except ValueError:
            return [_told("error", "Json Error")]
        if not isinstance(request, dict):
            return [_told("error", "Json Error")]
        event, feed, products = request.get("event"), request.get("feed"), request.get("product_ids")
        if event == "ping":
            return ['{"event":"pong"}']
        if event not in ("subscribe", "unsubscribe"):
            return [_told("error", "Bad request")]
        if feed == _HEARTBEAT:
            self._beat = now if event == "subscribe" else None
            return [_answer(event, _HEARTBEAT, [])]
        if feed not in FEEDS:
            return [_told("alert", f"Couldn't {event} {'to' if event == 'subscribe' else 'from'} invalid feed")]
        if not isinstance(products, list) or not products or not all(isinstance(one, str) for one in products):
            return [_told("error", "Invalid product id")]
        return self._subscribe(feed, products, now) if event == "subscribe" else self._unsubscribe(feed, products)

    def _subscribe(self, feed: str, products: list[str], now: int) -> list[str]:
        """Of several products all are refused when one is. What is subscribed to is sent its snapshot again."""
        found: list[Stream] = []
        for product in products:
            name = f"{feed}:{product}"
            stream = self.streams.get(name)
            if stream is None:
                stream = self._make(name, now)
                pair = {"symbol": stream.symbol, "data_type": stream.data_type} if stream else {}
                refusal = stream and self._faults.take(RefuseSubscription, "krakenfutures", **pair)
                if stream is None or refusal:
                    words = refusal.message if refusal else ""
                    return [_told("alert", words or f"Couldn't subscribe to invalid product `{product}`")]
            found.append(stream)
        new = {stream.name: stream for stream in found if stream.name not in self.streams}
        self.streams |= new
        answer = _answer("subscribe", feed, products) if new else _told("alert", _AGAIN)
        return [answer, *[text for stream in found if isinstance(stream, FuturesStream) for text in stream.first(now)]]

    def _unsubscribe(self, feed: str, products: list[str]) -> list[str]:
        gone = [self.streams.pop(f"{feed}:{product}", None) for product in products]
        return [_answer("unsubscribe", feed, products) if any(gone) else _told("alert", "Not subscribed to feed")]


_AGAIN = "Already subscribed to feed, re-requesting"


def _answer(event: str, feed: str, products: list[str]) -> str:
    answer: dict[str, object] = {"event": f"{event}d", "feed": feed}
    return json.dumps(answer | ({"product_ids": products} if products else {}), separators=(",", ":"))


def _told(event: str, words: str) -> str:
    return json.dumps({"event": event, "message": words}, separators=(",", ":"))
