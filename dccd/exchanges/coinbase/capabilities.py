"""What Coinbase's spot market offers."""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.symbols import DataType, parse_span

__all__ = ["CAPABILITIES", "DEFAULT_DEPTH", "DEPTHS", "GRANULARITIES", "LIVE_SPAN", "REST_DEPTH"]

GRANULARITIES = {
    parse_span("1m"): "ONE_MINUTE",
    parse_span("5m"): "FIVE_MINUTE",
    parse_span("15m"): "FIFTEEN_MINUTE",
    parse_span("30m"): "THIRTY_MINUTE",
    parse_span("1h"): "ONE_HOUR",
    parse_span("2h"): "TWO_HOUR",
    parse_span("4h"): "FOUR_HOUR",
    parse_span("6h"): "SIX_HOUR",
    parse_span("1d"): "ONE_DAY",
}
"""What REST calls a bar's span."""
LIVE_SPAN = parse_span("5m")
"""The only one that the WebSocket has."""

DEFAULT_DEPTH = 1000
"""Levels a side of a book when the job names no depth."""
DEPTHS = (100_000,)
"""Levels a side: all are sent (some 20,000 of BTC-USD's), of which any number can be given out."""
REST_DEPTH = 1000
"""Levels a side of a book by REST, at most."""

CAPABILITIES = Capabilities(
    spot=Offer(
        live={
            DataType.TRADES: Capability(fields=("side", "tid"), note="every 250 ms"),
            DataType.OHLC: Capability(spans=(LIVE_SPAN,), note="the state of each second; history's are final"),
            DataType.ORDERBOOK: Capability(
                depths=DEPTHS,
                note=f"all levels are sent; {DEFAULT_DEPTH} a side given out unless more are asked for",
            ),
        },
        historical={
            DataType.TRADES: Capability(
                fields=("side", "tid"),
                recent=365 * 86_400,
                note="Coinbase doesn't tell how far back it answers, and gives 100 of any second at most: what could "
                "not be had is left as missing",
            ),
            DataType.OHLC: Capability(spans=tuple(GRANULARITIES), note="no bar for an interval without a trade"),
            DataType.ORDERBOOK: Capability(
                recent=0, note=f"the book of now, {REST_DEPTH} levels a side; Coinbase keeps no past ones"
            ),
        },
    )
)
