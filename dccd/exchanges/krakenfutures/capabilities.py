"""What Kraken Futures offers.

No live bars: its documentation has no such feed (https://docs.kraken.com/exchange/api-reference/futures-websocket).
"""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.exchanges.krakenfutures.symbols import RESOLUTIONS
from dccd.symbols import DataType

__all__ = ["CAPABILITIES", "DEFAULT_DEPTH", "DEPTHS", "INTEREST_PERIOD", "KEPT_RATES"]

DEPTHS = (10_000,)
"""Levels a side; the feed has the whole book, which is cut here."""
DEFAULT_DEPTH = 1000
INTEREST_PERIOD = 300
"""Seconds between values of the open interest's history."""
KEPT_RATES = 365 * 86_400
"""How far back funding rates go (s), as seen in 2026: a rolling year."""

_SPANS = tuple(RESOLUTIONS)
_TRADES = Capability(fields=("side", "tid"))
_INVERSE = "none of inverse contracts, of which it tells dollars only"
_LIVE = {
    DataType.TRADES: _TRADES,
    DataType.ORDERBOOK: Capability(depths=DEPTHS, note="the whole book, each change numbered"),
    DataType.OPEN_INTEREST: Capability(note="looked at each second; its value only of inverse contracts"),
}
_HISTORICAL = {
    DataType.TRADES: _TRADES,
    DataType.ORDERBOOK: Capability(recent=0, note="the book of now; Kraken keeps no past ones"),
}

CAPABILITIES = Capabilities(
    perp=Offer(
        live={
            **_LIVE,
            DataType.FUNDING: Capability(
                fields=("mark_price", "due_ts"), note="the fraction per hour that is paid until due_ts"
            ),
        },
        historical={
            **_HISTORICAL,
            DataType.OHLC: Capability(spans=_SPANS, note=_INVERSE),
            DataType.FUNDING: Capability(
                recent=KEPT_RATES, note="the fraction per hour, at the hour's beginning; Kraken keeps them for a year"
            ),
            DataType.OPEN_INTEREST: Capability(
                note=f"the first value of each 5 minutes; Kraken has them since 2023; {_INVERSE}"
            ),
        },
    ),
    dated=Offer(
        live=_LIVE,
        historical={
            **_HISTORICAL,
            DataType.OHLC: Capability(
                spans=_SPANS, note=f"{_INVERSE}; of some contracts Kraken has trades and no bars at all"
            ),
        },
    ),
)
