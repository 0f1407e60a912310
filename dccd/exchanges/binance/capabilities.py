"""What Binance offers: spot, and futures margined in USDT and USDC."""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.symbols import DataType, parse_span

__all__ = [
    "CAPABILITIES",
    "DEFAULT_DEPTH",
    "DEPTHS",
    "FUTURES_DEFAULT",
    "FUTURES_DEPTHS",
    "FUTURES_SPANS",
    "MOST_DEPTH",
    "SPANS",
    "snapshot_limit",
]

_LABELS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")
SPANS = tuple(map(parse_span, _LABELS))
FUTURES_SPANS = SPANS[1:]

DEFAULT_DEPTH = 1000
"""Levels a side of a book when the job names no depth."""
MOST_DEPTH = 5000
"""Levels a side that a REST snapshot of spot has at most: deeper ones become known only as they change."""
DEPTHS = (100, 500, 1000, MOST_DEPTH)
"""Levels a side of a REST snapshot."""
FUTURES_DEPTHS = (100, 500, 1000)
FUTURES_DEFAULT = 500
"""Half of what a REST snapshot of futures has: a book of all its levels would be thin at once, and asked for again each
minute."""
_DAY = 86_400

_TRADES = Capability(
    fields=("side", "tid"), note="aggregate trades: the fills of one taker order at one price are one trade"
)
_BARS = ("quote_volume", "trades")
_PAST_BOOK = Capability(recent=0, note="the book of now; Binance keeps no past ones")

_FUTURES_TRADES = Capability(
    fields=("side", "tid"), note="aggregate trades: what fills within 100 ms at one price on one side is one trade"
)
_FUTURES_LIVE = {
    DataType.TRADES: _FUTURES_TRADES,
    DataType.OHLC: Capability(fields=_BARS, spans=FUTURES_SPANS),
    DataType.ORDERBOOK: Capability(depths=FUTURES_DEPTHS, note="every 100 ms"),
}
_FUTURES_PAST = {
    # Documented for "not older than one year" until 2025, for 24 hours since; requests for weeks ago are said to be
    # answered all the same. A year is asked for, and what Binance hasn't any more is left uncovered.
    DataType.TRADES: msgspec.structs.replace(
        _FUTURES_TRADES,
        recent=365 * _DAY,
        note=f"{_FUTURES_TRADES.note}; Binance promises the last 24 hours, and may have more, a year at most",
    ),
    DataType.OHLC: Capability(fields=_BARS, spans=FUTURES_SPANS),
    DataType.ORDERBOOK: _PAST_BOOK,
    DataType.OPEN_INTEREST: Capability(
        # An hour less than it documents: what was in reach when it was asked for still is when its turn comes.
        fields=("open_interest_value",),
        recent=30 * _DAY - 3600,
        note="every 5 minutes",
    ),
}

CAPABILITIES = Capabilities(
    spot=Offer(
        live={
            DataType.TRADES: _TRADES,
            DataType.OHLC: Capability(fields=_BARS, spans=SPANS),
            DataType.ORDERBOOK: Capability(depths=DEPTHS, note="every 100 ms"),
        },
        historical={
            DataType.TRADES: _TRADES,
            DataType.OHLC: Capability(fields=_BARS, spans=SPANS),
            DataType.ORDERBOOK: _PAST_BOOK,
        },
    ),
    perp=Offer(
        live={
            **_FUTURES_LIVE,
            DataType.FUNDING: Capability(
                fields=("mark_price", "due_ts"), note="the rate announced for the next payment, when it changes"
            ),
        },
        historical={
            **_FUTURES_PAST,
            DataType.FUNDING: Capability(fields=("mark_price", "due_ts"), note="no mark price before 2023"),
        },
    ),
    dated=Offer(live=_FUTURES_LIVE, historical=_FUTURES_PAST),
)


def snapshot_limit(depth: int, depths: tuple[int, ...] = DEPTHS) -> int:
    """How many levels a REST snapshot is to have for a book of *depth* levels, of those that *depths* offer.

    Twice as many, since levels deeper than the snapshot's are unknown when those above them go. The request's weight
    is 5, 25, 50 or 250 of the 6,000 a minute that an address has (REST API, "Order book"); of futures 5, 10 or 20 of
    2,400.
    """
    return next((limit for limit in depths if limit >= 2 * depth), depths[-1])
