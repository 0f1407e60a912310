"""What OKX offers."""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.exchanges.okx.symbols import BARS
from dccd.symbols import DataType

__all__ = ["CAPABILITIES", "DEPTH", "DEPTHS", "INTEREST_PERIOD", "KEPT"]

DEPTH = 400
"""Levels a side of a book, over REST too."""
DEPTHS = (DEPTH,)
INTEREST_PERIOD = 300
"""Seconds between the values of the open interest's history."""

KEPT = 85 * 86_400
"""What OKX keeps of trades and funding rates for certain, in seconds: three months, which can be 89 days, and with room
for a run that waits for its turn."""
_VALUES = 1440
"""How many values of the open interest's history there are."""
_SPARE = 3600
"""How much less than those is in reach (s): the oldest has gone when a run's turn comes."""
_SPANS = tuple(BARS)

_LIVE = {
    DataType.TRADES: Capability(fields=("side", "tid"), note="each match by itself (trades-all)"),
    DataType.OHLC: Capability(fields=("quote_volume",), spans=_SPANS),
    DataType.ORDERBOOK: Capability(
        depths=DEPTHS, note="every 100 ms; sequence numbers checked, checksums where they are sent"
    ),
}
_HISTORICAL = {
    DataType.TRADES: Capability(fields=("side", "tid"), recent=KEPT, note="OKX keeps three months"),
    # Bars of a second are kept for three months; as many of a minute would be more than OKX is old.
    DataType.OHLC: Capability(
        fields=("quote_volume",), spans=_SPANS, recent_bars=KEPT, note="longer ones than 1s from the first one on"
    ),
    DataType.ORDERBOOK: Capability(recent=0, note="the book of now; OKX keeps no past ones"),
}
_INTEREST = Capability(fields=("open_interest_value",), note="the value is in USD, whatever the quote asset")
_PAST_INTEREST = Capability(
    fields=("open_interest_value",),
    recent=_VALUES * INTEREST_PERIOD - _SPARE,
    note=f"every 5 minutes, the newest {_VALUES} values; the value is in USD, whatever the quote asset",
)
_FUNDING = Capability(fields=("due_ts",))
_PAST_FUNDING = Capability(fields=("due_ts",), recent=KEPT, note="the rates that were paid; OKX keeps three months")

CAPABILITIES = Capabilities(
    spot=Offer(live=_LIVE, historical=_HISTORICAL),
    perp=Offer(
        live={**_LIVE, DataType.FUNDING: _FUNDING, DataType.OPEN_INTEREST: _INTEREST},
        historical={**_HISTORICAL, DataType.FUNDING: _PAST_FUNDING, DataType.OPEN_INTEREST: _PAST_INTEREST},
    ),
    dated=Offer(
        live={**_LIVE, DataType.OPEN_INTEREST: _INTEREST},
        historical={**_HISTORICAL, DataType.OPEN_INTEREST: _PAST_INTEREST},
    ),
)
