"""Recordings of Binance: a recorded frame flows in, the stream that it is of and its payload flow out. Pure."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["identity", "read"]

_NAMES = {"depthUpdate": "depth@100ms", "24hrMiniTicker": "miniTicker", "24hrTicker": "ticker"}
_TYPES = (("trade", "trades"), ("aggTrade", "trades"), ("kline", "ohlc"), ("depth", "orderbook"))


def read(text: str) -> list[tuple[str, str]]:
    """(stream, payload) of a frame of a combined or a raw connection; nothing for answers. Raises ValueError."""
    frame = json.loads(text)
    if not isinstance(frame, dict):
        return []
    if "stream" in frame and "data" in frame:
        # The payload as it was, to the letter: what follows "data": up to the closing brace.
        return [(frame["stream"], text[text.index('"data":') + 7 : text.rindex("}")].strip())]
    return [(_raw_stream(frame), text)] if "e" in frame else []


def _raw_stream(payload: dict[str, Any]) -> str:
    """The stream that a raw payload is of; depth is taken to be the 100 ms one."""
    kind = str(payload["e"])
    name = f"kline_{payload.get('k', {}).get('i')}" if kind == "kline" else _NAMES.get(kind, kind)
    return f"{str(payload.get('s', '')).lower()}@{name}"


def identity(name: str) -> tuple[str, str]:
    """(symbol, data type) of a stream; the symbol as Binance writes it, since none is listed."""
    symbol, _, kind = name.partition("@")
    return next(((symbol.upper(), data_type) for mark, data_type in _TYPES if kind.startswith(mark)), ("", ""))
