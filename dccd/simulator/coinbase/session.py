"""One connection to Coinbase's WebSocket: frames of a client flow in, numbered frames flow out, without I/O.

https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview: one channel a request, each
answered with all that the connection is subscribed to, after the snapshots; every frame but errors has the next number.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dccd.simulator.coinbase.formats import NUMBER, envelope, iso
from dccd.simulator.coinbase.streams import CHANNELS, CoinbaseStream
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Session, Stream
from dccd.symbols import NS

__all__ = ["CoinbaseSession"]

Maker = Callable[[str, str, int], CoinbaseStream | None]
"""(channel, product, now) → the stream subscribed to; ``None``: no such product."""


class CoinbaseSession(Session):
    """One connection. *make* gives the streams; *symbols*: product → symbol."""

    def __init__(self, opened_at: int, faults: FaultPlan, make: Maker, symbols: dict[str, str]) -> None:
        super().__init__(opened_at)
        self._faults = faults
        self._make = make
        self._symbols = symbols
        self._number = 0
        self._beat: int | None = None  # second of the last heartbeat; None: not subscribed
        self._beats = 0

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def wrap(self, stream: Stream, frames: list[str]) -> list[str]:
        """Number them."""
        return [self._numbered(frame) for frame in frames]

    def idle(self, now: int, sent: bool) -> list[str]:
        """A heartbeat each second, once subscribed to."""
        if self._beat is None or now // NS <= self._beat:
            return []
        self._beat = now // NS
        self._beats += 1
        moment = iso(now).replace("T", " ").replace("Z", " +0000 UTC")
        event = f'{{"current_time":"{moment}","heartbeat_counter":{self._beats}}}'
        return [self._numbered(envelope("heartbeats", now, event))]

    def receive(self, text: str, now: int) -> list[str]:
        """Take a request."""
        try:
            request = json.loads(text)
        except ValueError:
            return [_error("Malformed JSON")]
        if not isinstance(request, dict) or request.get("type") not in ("subscribe", "unsubscribe"):
            return [_error("Type has to be either subscribe or unsubscribe")]
        channel, products = request.get("channel"), request.get("product_ids") or []
        if channel not in CHANNELS and channel != "heartbeats":
            return [_error(f"{channel} is not a valid channel")]
        if not isinstance(products, list) or not all(isinstance(one, str) for one in products):
            return [_error("product_ids has to be a list")]
        if request["type"] == "unsubscribe":
            self._unsubscribe(channel, products)
            return [self._listing(now)]
        if channel == "heartbeats":
            self._beat = now // NS if self._beat is None else self._beat
            return [self._listing(now)]
        return self._subscribe(channel, products, now)

    def _subscribe(self, channel: str, products: list[str], now: int) -> list[str]:
        if not products:
            return [_error("product_ids has to have at least one product")]
        errors, snapshots = [], []
        for product in products:
            symbol, data_type = self._symbols.get(product, ""), CHANNELS[channel]
            refusal = self._faults.take(RefuseSubscription, "coinbase", symbol=symbol, data_type=data_type)
            stream = None if refusal else self._make(channel, product, now)
            if stream is None:
                words = refusal.message if refusal else ""
                errors.append(_error(words or f"{product} is not a valid product"))
            elif stream.name not in self.streams:
                self.streams[stream.name] = stream
                snapshots.append(self._numbered(stream.first(now)))
        return [*errors, *snapshots, self._listing(now)]

    def _unsubscribe(self, channel: str, products: list[str]) -> None:
        if channel == "heartbeats":
            self._beat = None
        for name in list(self.streams):
            of, _, product = name.partition(":")
            if of == channel and (not products or product in products):
                del self.streams[name]

    def _listing(self, now: int) -> str:
        """The answer."""
        found: dict[str, list[str]] = {} if self._beat is None else {"heartbeats": ["heartbeats"]}
        for name in self.streams:
            channel, _, product = name.partition(":")
            found.setdefault(channel, []).append(product)
        event = json.dumps({"subscriptions": found}, separators=(",", ":"))
        return self._numbered(envelope("subscriptions", now, event))

    def _numbered(self, frame: str) -> str:
        number, self._number = self._number, self._number + 1
        return frame.replace(NUMBER, str(number), 1)


def _error(message: Any) -> str:
    return json.dumps({"type": "error", "message": message}, separators=(",", ":"))
