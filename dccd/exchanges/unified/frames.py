"""What a stream and ccxt.pro say to each other, as JSON. Both sides of ``dccd.feeds`` and this folder build on these.

A stream sends one :class:`Watch` and gets the others. ccxt.pro has no frames of its own to hand on: it handles those of
the exchange by itself, and these tell what it made of them.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from dccd.exchanges.base import Router
from dccd.exchanges.unified.rows import BarRow, BookRow, TradeRow
from dccd.exchanges.wire import DECODE_ERRORS

__all__ = ["Bars", "Book", "Frame", "NoRouter", "Refusal", "Sent", "Trades", "Watch", "watch_of"]


class Watch(msgspec.Struct, frozen=True):
    """Watch *symbol* by ccxt.pro's *method*; ``timeframe`` of bars, ``depth`` levels a side of a book at most."""

    method: str
    symbol: str
    timeframe: str | None = None
    depth: int | None = None


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """The subscription was sent to the exchange, or stands already."""


class Refusal(msgspec.Struct, frozen=True, tag="refused"):
    """ccxt refuses to watch that, or the exchange does, in these words."""

    message: str
    permanent: bool


class Trades(msgspec.Struct, frozen=True, tag="trades"):
    """New trades. ``dropped``: before them others may have been, and be gone."""

    trades: list[TradeRow]
    dropped: bool = False


class Bars(msgspec.Struct, frozen=True, tag="bars"):
    """The states of the bars that have changed, oldest first; ``dropped`` likewise."""

    bars: list[BarRow]
    dropped: bool = False


class Book(msgspec.Struct, frozen=True, tag="book"):
    """The book as it is now."""

    book: BookRow


Frame: TypeAlias = Sent | Refusal | Trades | Bars | Book

_WATCH = msgspec.json.Decoder(Watch)


def watch_of(frame: str) -> Watch | None:
    """What *frame* asks for; None for anything else."""
    try:
        return _WATCH.decode(frame)
    except DECODE_ERRORS:
        return None


class NoRouter(Router):
    """ccxt.pro routes by itself."""

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def route(self, frame: bytes) -> str | None:
        """For all."""
        return None
