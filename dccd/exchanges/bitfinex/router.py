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


class BitfinexRouter(Router):
    """By the channel's id, which arrays begin with.

    With SEQ_ALL every array has its number, the first one 1: a jump is a loss, though nothing tells whose. So is the
    answer to ``conf``, which comes before any array: without it nobody would know that arrays are numbered.
    """

    def __init__(self) -> None:
        self._topics: dict[bytes, str] = {}
        self._asked = False  # for numbers, without an answer yet
        self._numbered = self._timed = False
        self._seq = 0

    def __repr__(self) -> str:
        return f"<BitfinexRouter channels={len(self._topics)} seq={self._seq}>"

    def opening(self) -> list[str]:
        """Have arrays numbered and timed, and books' checksums sent."""
        self._asked = True
        return [f'{{"event":"conf","flags":{FLAGS}}}']

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of. Raises MessagesLost."""
        if frame[:1] != b"[":
            return self._event(frame)
        if self._asked:
            raise MessagesLost(EXCHANGE, "the answer to conf is missing")
        # What is damaged isn't counted: the next one shows that it is missing.
        if self._numbered and frame[-1:] == b"]":
            last = frame.rfind(b",")
            try:
                seq = int(frame[frame.rfind(b",", 0, last) + 1 : last] if self._timed else frame[last + 1 : -1])
            except ValueError:
                pass
            else:
                if seq != self._seq + 1:
                    return self._jumped(seq)
                self._seq = seq
        comma = frame.find(b",")
        if frame[comma + 1 : comma + 5] == b'"hb"':
            # Its channel's sign of life.
            return self._topics.get(frame[1:comma], "")
        # Of a channel that isn't known, as when its unsubscription was confirmed already: in doubt to all.
        return self._topics.get(frame[1:comma])

    def _jumped(self, seq: int) -> str:
        """A number that isn't the next one: nobody's message if it was there before."""
        if seq <= self._seq:
            return ""
        raise MessagesLost(EXCHANGE, f"messages {self._seq + 1} to {seq - 1} of the connection are missing")

    def _event(self, frame: bytes) -> str | None:
        try:
            event = EVENT.raw.decode(frame)
        except DECODE_ERRORS:
            return None
        if event.event == "subscribed" and event.chan is not None:
            self._topics[b"%d" % event.chan] = event.topic
        elif event.event == "unsubscribed" and event.chan is not None:
            self._topics.pop(b"%d" % event.chan, None)
        elif event.event == "conf":
            self._asked = False
            if event.status != "OK":
                return None
            flags = FLAGS if event.flags is None else event.flags
            self._numbered, self._timed = bool(flags & SEQ_ALL), bool(flags & TIMESTAMP)
            return ""
        elif event.event == "pong" or (event.event == "info" and event.code is None):
            return ""
        return None
