"""Recordings of Bitfinex: recorded frames flow in, the streams that they are of flow out, subscriptions to such too."""

from __future__ import annotations

import json
from typing import Any

from dccd.simulator.bitfinex.session import Maker as BitfinexMaker
from dccd.simulator.bitfinex.streams import DATA_TYPES, BitfinexStream, Refused, stream_name
from dccd.simulator.venue import Maker, Reader, Stream

__all__ = ["identity", "maker", "reader"]

_TIMESTAMP, _SEQ_ALL = 32768, 65536


def reader() -> Reader:
    """(stream, message) of each array of a channel that is simulated; the recording's answers tell its channels.

    Numbers and times are left off: the session that plays it gives its own.
    """
    channels: dict[int, str] = {}
    flags = 0

    def read(text: str) -> list[tuple[str, str]]:
        nonlocal flags
        frame = json.loads(text)
        if isinstance(frame, dict):
            if frame.get("event") == "conf":
                flags = frame.get("flags", 0)
            elif frame.get("event") == "subscribed" and frame["channel"] in DATA_TYPES:
                channels[frame["chanId"]] = stream_name(frame)
            return []
        name = channels.get(frame[0])
        if name is None or frame[1] == "hb":
            return []
        content = text.removesuffix("]").split(",", 1)[1]
        for flag in (_TIMESTAMP, _SEQ_ALL):
            if flags & flag:
                content = content.rpartition(",")[0]
        # Of no time: that of its playing is told.
        return [(name, f"0 {content}")]

    return read


def identity(name: str) -> tuple[str, str]:
    """(symbol, as Bitfinex has it, and data type) of a stream."""
    channel, _, rest = name.partition(":")
    parts = {"candles": 2, "status": 1}.get(channel, 0)  # of a key, before the symbol
    return rest.split(":", parts)[-1], DATA_TYPES.get(channel, "")


class _TapedStream(BitfinexStream):
    """A tape's stream, acknowledged as the live one is; its snapshot is on the tape."""

    def __init__(self, played: Stream, request: dict[str, Any]) -> None:
        self.name, self.symbol, self.data_type = played.name, played.symbol, played.data_type
        self.result = {key: request[key] for key in ("symbol", "key", "prec", "freq", "len") if key in request}
        self._played = played

    def first(self, now: int) -> list[str]:
        """On the tape."""
        return []

    def due(self, now: int) -> list[str]:
        """The tape's."""
        return self._played.due(now)

    def take(self, count: int) -> list[str]:
        """The tape's."""
        return self._played.take(count)


def maker(tape: Maker) -> BitfinexMaker:
    """What a session makes its streams by, where they are on a tape."""

    def make(request: dict[str, Any], now: int) -> BitfinexStream:
        played = tape(stream_name(request), now)
        if played is None:
            raise Refused("symbol: invalid")
        return _TapedStream(played, request)

    return make
