"""Recordings of OKX: a recorded frame flows in, the stream that it is of flows out; subscriptions to such. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable

from dccd.simulator.okx.streams import DATA_TYPES
from dccd.simulator.venue import Maker, Stream

__all__ = ["identity", "maker", "read"]


def read(text: str) -> list[tuple[str, str]]:
    """(stream, frame); nothing for answers and pongs. Raises ValueError."""
    frame = {} if text == "pong" else json.loads(text)
    if not isinstance(frame, dict) or "data" not in frame:
        return []
    return [(f"{frame['arg']['channel']}:{frame['arg']['instId']}", text)]


def identity(name: str) -> tuple[str, str]:
    """(instrument, data type) of a stream."""
    channel, _, inst = name.partition(":")
    return inst, "ohlc" if channel.startswith("candle") else DATA_TYPES.get(channel, "")


def maker(tape: Maker) -> Callable[[str, str, int], Stream | None]:
    """What a session makes its streams by, where they are on a tape.

    Tapes made before there was ``trades-all`` have the same trades as ``trades``.
    """

    def make(channel: str, inst: str, now: int) -> Stream | None:
        played = tape(f"{channel}:{inst}", now)
        return tape(f"trades:{inst}", now) if played is None and channel == "trades-all" else played

    return make
