"""Binance's futures streams: a path, a name and the time flow in, payloads flow out. Pure.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams: books and single trades
are under ``/public``, all else under ``/market``. A stream asked for on the other path is accepted, and stays silent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dccd.simulator.binance.futures_formats import FuturesFormats
from dccd.simulator.binance.streams import BookTickerStream, DepthStream, KlineStream, PartialDepthStream, TradeStream
from dccd.simulator.intervals import INTERVALS
from dccd.simulator.venue import Cursor, Listing, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.binance.rest import Binance

__all__ = ["FUTURES_INTERVALS", "MarkPriceStream", "make_futures_stream"]

FUTURES_INTERVALS = {name: interval for name, interval in INTERVALS.items() if name != "1s"}

_NAME = re.compile(
    r"([a-z0-9_]+)@(aggTrade|trade|bookTicker|markPrice(@1s)?|kline_(\w+)|depth(5|10|20)?(@100ms|@500ms)?)"
)
_PUBLIC = ("trade", "bookTicker", "depth")
_SPEEDS = {"@100ms": NS // 10, "@500ms": NS // 2, None: NS // 4}


class MarkPriceStream(Stream):
    """``markPrice``, every 3 seconds or every one, with the funding rate announced."""

    data_type = "funding"

    def __init__(self, name: str, listing: Listing, formats: FuturesFormats, now: int, every: int) -> None:
        self.name = name
        self.symbol = listing.symbol.human
        self._formats = formats
        self._every = every
        self._turn = now // every

    def __repr__(self) -> str:
        return f"<MarkPriceStream {self.name}>"

    def due(self, now: int) -> list[str]:
        """One frame for each turn since the last call."""
        first, self._turn = self._turn, now // self._every
        return [self._formats.mark_frame(turn * self._every) for turn in range(first + 1, self._turn + 1)]


def make_futures_stream(venue: Binance, path: str, name: str, now: int) -> Stream | None:
    """The stream called *name* under *path* (``public``, ``market``); ``None`` if there is none, or not there."""
    found = _NAME.fullmatch(name)
    listing = venue.contracts.get(found[1].upper()) if found else None
    if found is None or listing is None:
        return None
    formats = venue.futures_formats[listing.symbol.human]
    kind = found[2]
    if (path == "public") != kind.startswith(_PUBLIC):
        return None
    if kind in ("aggTrade", "trade"):
        return TradeStream(name, listing, formats, Cursor(venue, listing, now), single=kind == "trade")
    if kind == "bookTicker":
        return BookTickerStream(name, listing, formats, now)
    if kind.startswith("markPrice"):
        return MarkPriceStream(name, listing, formats, now, NS if found[3] else 3 * NS)
    if found[4]:
        interval = FUTURES_INTERVALS.get(found[4])
        return KlineStream(name, listing, formats, now, interval) if interval else None
    if found[5]:
        return PartialDepthStream(name, listing, formats, now, int(found[5]), _SPEEDS[found[6]])
    return DepthStream(name, listing, formats, now, _SPEEDS[found[6]])
