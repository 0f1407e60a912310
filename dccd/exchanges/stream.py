"""What all live streams have, the state of one subscription: frames flow in, records and signals out of subclasses."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from dccd.exchanges.base import Broken, Signal, StreamProtocol, Subscribed
from dccd.exchanges.wire import DECODE_ERRORS, parse_error
from dccd.records import Record

__all__ = ["FrameStream", "TopicStream"]

_LANES = 10_000
"""More than the streams of a connection."""
_F = TypeVar("_F")


class TopicStream(StreamProtocol):
    """One subscription. Subclasses say how to subscribe and unsubscribe, and what frames mean."""

    lane = 1

    def __init__(self, url: str, topic: str, heartbeat: float) -> None:
        self.url = url
        self.topic = topic
        self.heartbeat = heartbeat
        self._confirmed = False
        self._request = 0  # the id of the last one

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.topic} confirmed={self._confirmed}>"

    def subscribe(self) -> list[str]:
        """One subscription."""
        self._confirmed = False
        return [self._request_of("subscribe")]

    def unsubscribe(self) -> list[str]:
        """The end of it."""
        return [self._request_of("unsubscribe")]

    def resubscribe(self) -> list[str]:
        """The same anew: where it begins with a snapshot, that mends a break."""
        return [*self.unsubscribe(), *self.subscribe()]

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        raise NotImplementedError

    def snapshot(self, body: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """No REST snapshot was asked for."""
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Time changes nothing."""
        return None

    def unresolved(self) -> list[Broken]:
        """None."""
        return []

    @property
    def confirms(self) -> bool:
        """Whether an answer that says so, or the frame just taken, shows that the subscription stands.

        Not where it begins with a snapshot: what comes without one is of nothing that is known. Should the snapshot
        never come, or not be readable, the time for the confirmation runs out.
        """
        return True

    def _confirm(self) -> Signal | None:
        """The subscription stands: an answer said so, or data, should that come first."""
        if self._confirmed:
            return None
        self._confirmed = True
        return Subscribed()

    def _request_of(self, op: str) -> str:
        """A request: ``subscribe`` or ``unsubscribe``."""
        raise NotImplementedError

    def _next_request(self) -> int:
        """The id of a new request. A stream's end with its lane, so that no other on the connection has them."""
        self._request = (self._request // _LANES + 1) * _LANES + self.lane if self._request else self.lane
        return self._request

    def _answers_us(self, request: int) -> bool:
        """Whether the answer to the request of that id is for this stream."""
        return request % _LANES == self.lane


class FrameStream(TopicStream, Generic[_F]):
    """One whose frames are of one type. Subclasses name it, and say which frames are theirs and what one means."""

    exchange: ClassVar[str]
    decoder: ClassVar[msgspec.json.Decoder[Any]]

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        try:
            found: _F = self.decoder.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        if not self._is_of_us(found):
            return None
        try:
            signal = self.take(found, recv_ts, out)
        except ValueError as exc:
            # Of what values mean: of times in text, of what doesn't fit together. ParseError isn't one.
            raise parse_error(self.exchange, exc, frame) from exc
        return signal if signal is not None or self._confirmed or not self.confirms else self._confirm()

    def take(self, found: _F, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame of ours. Raises ValueError or ParseError, nothing being changed."""
        raise NotImplementedError

    def _is_of_us(self, found: _F) -> bool:
        """Whether the frame is of what we are subscribed to."""
        return True

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """A frame that isn't of our type: an answer, or somebody else's. Raises ParseError from *cause* if neither."""
        raise NotImplementedError
