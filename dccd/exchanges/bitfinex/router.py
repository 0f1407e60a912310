"""Whose a frame of a Bitfinex connection is: frames flow in, topics flow out, gaps of their numbers raise.

The ids of channels are told by ``subscribed``, so the router remembers them. Events are few and are decoded; of arrays
only the ends are looked at.
"""

from __future__ import annotations

from dccd.errors import MessagesLost
from dccd.exchanges.base import Router
from dccd.exchanges.bitfinex.frames import EVENT, EXCHANGE, FLAGS, SEQ_ALL, TIMESTAMP
from dccd.exchanges.wire import DECODE_ERRORS

__all__ = ["BitfinexRouter"]

_MOST_DIGITS = 18


class BitfinexRouter(Router):
    """By the channel's id, which arrays begin with.

    With SEQ_ALL every array has its number, the first one 1: a jump is a loss, though nothing tells whose.
    """

    def __init__(self) -> None:
        self._topics: dict[bytes, str] = {}
        self._flags = 0
        self._seq = 0

    def __repr__(self) -> str:
        return f"<BitfinexRouter channels={len(self._topics)} seq={self._seq}>"

    def opening(self) -> list[str]:
        """Have arrays numbered and timed, and books' checksums sent."""
        return [f'{{"event":"conf","flags":{FLAGS}}}']

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of. Raises MessagesLost."""
        if frame[:1] != b"[":
            return self._event(frame)
        if self._flags & SEQ_ALL and not self._advance(frame):
            return ""
        comma = frame.find(b",")
        if frame[comma + 1 : comma + 5] == b'"hb"':
            return ""
        # Of a channel that isn't known, as when its unsubscription was confirmed already: in doubt to all.
        return self._topics.get(frame[1:comma])

    def _advance(self, frame: bytes) -> bool:
        """Take the number of an array; False when it was there before."""
        last = frame.rfind(b",")
        number = frame[frame.rfind(b",", 0, last) + 1 : last] if self._flags & TIMESTAMP else frame[last + 1 : -1]
        if frame[-1:] != b"]" or not number.isdigit() or len(number) > _MOST_DIGITS:
            return True  # damaged: the next one shows that this one is missing
        seq, expected = int(number), self._seq + 1
        if seq > expected:
            raise MessagesLost(EXCHANGE, f"messages {expected} to {seq - 1} of the connection are missing")
        if seq < expected:
            return False
        self._seq = seq
        return True

    def _event(self, frame: bytes) -> str | None:
        try:
            event = EVENT.raw.decode(frame)
        except DECODE_ERRORS:
            return None
        if event.event == "subscribed" and event.chan is not None:
            self._topics[b"%d" % event.chan] = event.topic
        elif event.event == "unsubscribed" and event.chan is not None:
            self._topics.pop(b"%d" % event.chan, None)
        elif event.event == "conf" and event.status == "OK":
            self._flags = FLAGS if event.flags is None else event.flags
            return ""
        elif event.event == "pong" or (event.event == "info" and event.code is None):
            return ""
        return None
