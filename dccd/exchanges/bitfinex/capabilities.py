"""What Bitfinex offers: of perpetuals the same as of spot, and their open interest."""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.exchanges.bitfinex.symbols import TIMEFRAMES
from dccd.symbols import DataType

__all__ = ["CAPABILITIES", "DEFAULT_DEPTH", "DEPTHS", "REST_DEPTH", "SPANS"]

SPANS = tuple(TIMEFRAMES)

DEPTHS = (25, 100, 250)
"""Levels a side that a book is subscribed with. Bitfinex has 1, too: that is cut from 25, which the checksum is of."""
DEFAULT_DEPTH = 100
"""Levels a side of a book when the job names no depth."""
REST_DEPTH = 100

_GAPS = "no bar for an interval without a trade"

_SPOT = Offer(
    live={
        DataType.TRADES: Capability(fields=("side", "tid")),
        DataType.OHLC: Capability(spans=SPANS, note=_GAPS),
        DataType.ORDERBOOK: Capability(depths=DEPTHS, note="checksums and sequence numbers verified"),
    },
    historical={
        DataType.TRADES: Capability(fields=("side", "tid"), note="from the first one on"),
        DataType.OHLC: Capability(spans=SPANS, note=_GAPS),
        DataType.ORDERBOOK: Capability(
            recent=0, note=f"the book of now, {REST_DEPTH} levels; Bitfinex keeps no past ones"
        ),
    },
)

_INTEREST = Capability(note="whenever it changes; Bitfinex tells funding rates, too, but not whose payment's they are")

CAPABILITIES = Capabilities(
    spot=_SPOT,
    perp=Offer(
        live={**_SPOT.live, DataType.OPEN_INTEREST: _INTEREST},
        historical={**_SPOT.historical, DataType.OPEN_INTEREST: Capability(note="every minute or so")},
    ),
)
