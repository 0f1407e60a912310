"""Recordings of Kraken: a recorded frame flows in, the stream that it is of flows out; subscriptions to such. Pure."""

from __future__ import annotations

import json
from typing import Any

from dccd.simulator.kraken.session import Maker as KrakenMaker
from dccd.simulator.kraken.streams import CHANNELS, KrakenStream, Refused, stream_name
from dccd.simulator.venue import Maker, Stream

__all__ = ["identity", "maker", "read"]

_TYPES = {"trade": "trades", "ohlc": "ohlc", "book": "orderbook"}


def read(text: str) -> list[tuple[str, str]]:
    """(stream, frame); nothing for answers, heartbeats and status. Raises ValueError."""
    frame = json.loads(text)
    if not isinstance(frame, dict) or frame.get("channel") not in CHANNELS:
        return []
    data = frame.get("data")
    first: dict[str, Any] = data[0] if isinstance(data, list) and data else {}
    params = {"channel": frame["channel"], "interval": first.get("interval")}
    return [(stream_name(params, str(first.get("symbol", ""))), text)]


def identity(name: str) -> tuple[str, str]:
    """(symbol, data type) of a stream."""
    channel, _, rest = name.partition(":")
    return (rest.partition(":")[0], _TYPES[channel]) if channel in _TYPES else ("", "")


class _TapedStream(KrakenStream):
    """A tape's stream, acknowledged as the live one is; its snapshot is on the tape."""

    def __init__(self, played: Stream, params: dict[str, Any]) -> None:
        super().__init__()
        self.name, self.symbol, self.data_type = played.name, played.symbol, played.data_type
        self.result = {key: params[key] for key in ("depth", "interval") if params.get(key) is not None}
        self._played = played

    def due(self, now: int) -> list[str]:
        """The tape's."""
        return self._played.due(now)

    def take(self, count: int) -> list[str]:
        """The tape's."""
        return self._played.take(count)


def maker(tape: Maker) -> KrakenMaker:
    """What a session makes its streams by, where they are on a tape."""

    def make(params: dict[str, Any], symbol: str, now: int) -> KrakenStream:
        played = tape(stream_name(params, symbol), now)
        if played is None:
            raise Refused(f"Currency pair not supported {symbol}")
        return _TapedStream(played, params)

    return make
