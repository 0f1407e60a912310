"""What Kraken's spot market offers."""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.symbols import DataType, parse_span

__all__ = ["BARS", "CAPABILITIES", "DEFAULT_DEPTH", "DEPTHS", "REST_DEPTH", "SPANS"]

SPANS = tuple(map(parse_span, ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "15d"]))
"""1, 5, 15, 30, 60, 240, 1440, 10080 and 21600 minutes."""

DEPTHS = (10, 25, 100, 500, 1000)
"""Levels a side that a book can be subscribed with."""
DEFAULT_DEPTH = 100
"""Levels a side of a book when the job names no depth."""
REST_DEPTH = 500
BARS = 720
"""How many bars REST goes back, the open one included."""

CAPABILITIES = Capabilities(
    spot=Offer(
        live={
            DataType.TRADES: Capability(fields=("side", "tid")),
            DataType.OHLC: Capability(
                fields=("trades",), spans=SPANS, note="no bar for an interval without a trade; history has those"
            ),
            DataType.ORDERBOOK: Capability(depths=DEPTHS, note="checksums verified"),
        },
        historical={
            DataType.TRADES: Capability(fields=("side", "tid"), note="from the first one on"),
            DataType.OHLC: Capability(
                fields=("trades",),
                spans=SPANS,
                recent_bars=BARS,
                note=f"the newest {BARS} bars; older ones follow from the trades",
            ),
            DataType.ORDERBOOK: Capability(recent=0, note="the book of now; Kraken keeps no past ones"),
        },
    )
)
