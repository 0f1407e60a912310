"""What all live streams have, the state of one subscription: frames flow in, records and signals out of subclasses."""

from __future__ import annotations

from dccd.exchanges.base import Broken, Signal, StreamProtocol, Subscribed
from dccd.records import Record

__all__ = ["TopicStream"]


class TopicStream(StreamProtocol):
    """One subscription. Subclasses say how to subscribe and unsubscribe, and what frames mean."""

    lane = 1

    def __init__(self, url: str, topic: str, heartbeat: float) -> None:
        self.url = url
        self.topic = topic
        self.heartbeat = heartbeat
        self._confirmed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.topic} confirmed={self._confirmed}>"

    def resubscribe(self) -> list[str]:
        """The same anew: where it begins with a snapshot, that mends a break."""
        return [*self.unsubscribe(), *self.subscribe()]

    def snapshot(self, body: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """No REST snapshot was asked for."""
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Time changes nothing."""
        return None

    def unresolved(self) -> list[Broken]:
        """None."""
        return []

    def _confirm(self) -> Signal | None:
        """The subscription stands: an answer said so, or data, should that come first."""
        if self._confirmed:
            return None
        self._confirmed = True
        return Subscribed()
