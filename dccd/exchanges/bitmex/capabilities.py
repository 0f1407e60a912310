"""What BitMEX offered, until it closed."""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.symbols import DataType, parse_span

__all__ = ["CAPABILITIES", "DEFAULT_DEPTH", "DEPTHS", "SPANS", "THROTTLED_DEPTH"]

SPANS = tuple(map(parse_span, ["1m", "5m", "1h", "1d"]))

THROTTLED_DEPTH = 25
"""Levels a side of ``orderBookL2_25``; ``orderBookL2`` has the whole book."""
DEPTHS = (THROTTLED_DEPTH, 10_000)
"""Levels a side; the whole book is cut here."""
DEFAULT_DEPTH = 1000

_OPEN = "a bar's open is the close of the one before, as BitMEX has it, and may lie beyond its high or low"
_QUANTO = "none of contracts paid in a third asset, as ETH/USD: what one is in base asset isn't fixed"

_TRADES = Capability(fields=("side", "tid"), note="amounts as BitMEX gives them in base asset (homeNotional)")
_BARS = Capability(fields=("quote_volume", "trades"), spans=SPANS, note=_OPEN)
_LIVE = {
    DataType.TRADES: _TRADES,
    DataType.OHLC: _BARS,
    DataType.ORDERBOOK: Capability(depths=DEPTHS, note=f"up to {THROTTLED_DEPTH} levels: throttled; {_QUANTO}"),
    DataType.OPEN_INTEREST: Capability(fields=("open_interest_value",), note=_QUANTO),
}
_HISTORICAL = {
    DataType.TRADES: _TRADES,
    DataType.OHLC: _BARS,
    DataType.ORDERBOOK: Capability(recent=0, note=f"the book of now; BitMEX keeps no past ones; {_QUANTO}"),
}

# No spot: its sizes are in the smallest units of each asset, which markets don't tell. No past open interest: BitMEX
# published none.
CAPABILITIES = Capabilities(
    perp=Offer(
        live={
            **_LIVE,
            DataType.FUNDING: Capability(fields=("mark_price", "due_ts"), note="the rate of the next payment"),
        },
        historical={**_HISTORICAL, DataType.FUNDING: Capability(fields=("due_ts",), note="rates that were paid")},
    ),
    dated=Offer(live=_LIVE, historical=_HISTORICAL),
)
