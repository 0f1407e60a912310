"""What Bitfinex calls bars and channels: spans and market ids flow in, keys and topics flow out.

Market ids come from ccxt's markets, since they don't follow from the symbol: Bitfinex has names of three letters of its
own (USDT is UST, USDC is UDC, ALGO is ALG), and a colon where a name is longer (tBTCUST, but tDOGE:USD).
"""

from __future__ import annotations

from dccd.symbols import parse_span

__all__ = ["TIMEFRAMES", "candle_key", "topic_of"]

_LABELS = {
    "1m": "1m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1h",
    "3h": "3h",
    "6h": "6h",
    "12h": "12h",
    "1d": "1D",
    "1w": "7D",
    "2w": "14D",
}
TIMEFRAMES = {parse_span(ours): theirs for ours, theirs in _LABELS.items()}
"""Bitfinex's names of spans (in seconds). A month has none: it isn't always as long."""


def candle_key(market: str, span: int) -> str:
    """``trade:1m:tBTCUSD``."""
    return f"trade:{TIMEFRAMES[span]}:{market}"


def topic_of(channel: str, name: str) -> str:
    """``trades:tBTCUSD``, ``candles:trade:1m:tBTCUSD``: the channel, and the symbol or key subscribed with."""
    return f"{channel}:{name}"
