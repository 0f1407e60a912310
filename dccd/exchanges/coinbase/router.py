"""Whose a frame is on one connection to Coinbase: frames flow in, topics flow out, missing messages are noticed.

Each message of a connection has the number after the one before, answers and heartbeats too. A book has no numbers of
its own, so that a jump leaves no book of the connection whole.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview#sequence-numbers
"""

from __future__ import annotations

import re

from dccd.errors import MessagesLost
from dccd.exchanges.base import Router
from dccd.exchanges.coinbase.frames import EXCHANGE

__all__ = ["CoinbaseRouter"]

_CHANNEL = b'{"channel":"'
_NUMBER = b'"sequence_num":'
_PRODUCT = b'"product_id":"'
_HEAD = 200
"""Bytes within which a frame tells its number: channel, client and time are all that comes before."""
_SPACED = re.compile(rb'"sequence_num"\s*:\s*([0-9]{1,18})\s*,')


class CoinbaseRouter(Router):
    """By channel and product. Frames begin with the channel, and are of one product as a rule."""

    def __init__(self) -> None:
        self._last: int | None = None

    def __repr__(self) -> str:
        return f"<CoinbaseRouter last={self._last}>"

    def opening(self) -> list[str]:
        """Heartbeats: without, Coinbase closes a connection on which nothing happens for a minute."""
        return ['{"type":"subscribe","channel":"heartbeats"}']

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of. Raises MessagesLost."""
        if not frame.startswith(_CHANNEL):
            return self._spaced(frame)
        end = frame.find(b'"', len(_CHANNEL), _HEAD)
        channel = frame[len(_CHANNEL) : end]
        at = frame.find(_NUMBER, end, _HEAD)
        begin = at + len(_NUMBER)
        number = frame[begin : frame.find(b",", begin, begin + 20)]
        if end < 0 or at < 0 or not number.isdigit():
            return self._spaced(frame)
        if not frame.endswith(b"}]}"):
            return None  # cut short: to the next one it didn't come
        count = int(number)
        if self._last is not None and count == self._last + 1:
            self._last = count
        elif not self._is_next(count):
            return ""
        if channel == b"heartbeats":
            return ""
        first = frame.find(_PRODUCT, begin)
        if first < 0:
            return None
        first += len(_PRODUCT)
        stop = frame.find(b'"', first, first + 64)
        if stop < 0:
            return None
        product = frame[first:stop]
        # All of it must be of that product, else it is for more than one.
        if (second := frame.find(_PRODUCT, first)) > 0:
            ours = _PRODUCT + product + b'"'
            if frame.count(_PRODUCT, second) != frame.count(ours, second):
                return None
        return (channel + b":" + product).decode("latin-1")

    def _spaced(self, frame: bytes) -> str | None:
        """A layout that Coinbase doesn't have today; errors have no number."""
        found = _SPACED.search(frame, 0, 2 * _HEAD)
        if found is not None and frame.rstrip().endswith(b"}") and not self._is_next(int(found[1])):
            return ""
        return None

    def _is_next(self, number: int) -> bool:
        """Whether the message is new: one that comes twice is for nobody. Raises MessagesLost."""
        last, self._last = self._last, number
        if last is None or number == last + 1:
            return True
        if number == last:
            return False
        if number < last:
            raise MessagesLost(EXCHANGE, f"message {number} came after message {last}")
        which = f"message {last + 1} is" if number == last + 2 else f"messages {last + 1} to {number - 1} are"
        raise MessagesLost(EXCHANGE, f"{which} missing")
