"""What Binance's spot market offers."""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.symbols import DataType, parse_span

__all__ = ["CAPABILITIES", "DEFAULT_DEPTH", "DEPTHS", "MOST_DEPTH", "SPANS", "snapshot_limit"]

_LABELS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")
SPANS = tuple(map(parse_span, _LABELS))

DEFAULT_DEPTH = 1000
"""Levels a side of a book when the job names no depth."""
MOST_DEPTH = 5000
"""Levels a side that a REST snapshot has at most: deeper ones become known only as they change."""

DEPTHS = (100, 500, 1000, MOST_DEPTH)
"""Levels a side of a REST snapshot."""

CAPABILITIES = Capabilities(
    spot=Offer(
        live={
            DataType.TRADES: Capability(
                fields=("side", "tid"),
                note="aggregate trades: the fills of one taker order at one price are one trade",
            ),
            DataType.OHLC: Capability(fields=("quote_volume", "trades"), spans=SPANS),
            DataType.ORDERBOOK: Capability(depths=DEPTHS, note="every 100 ms"),
        },
        historical={
            DataType.TRADES: Capability(fields=("side", "tid"), note="aggregate trades, from the first one on"),
            DataType.OHLC: Capability(fields=("quote_volume", "trades"), spans=SPANS),
            DataType.ORDERBOOK: Capability(recent=0, note="the book of now; Binance keeps no past ones"),
        },
    )
)


def snapshot_limit(depth: int) -> int:
    """How many levels a REST snapshot is to have for a book of *depth* levels.

    Twice as many, since levels deeper than the snapshot's are unknown when those above them go. The request's weight
    is 5, 25, 50 or 250 of the 6,000 a minute that an address has (REST API, "Order book").
    """
    return next((limit for limit in DEPTHS if limit >= 2 * depth), MOST_DEPTH)
