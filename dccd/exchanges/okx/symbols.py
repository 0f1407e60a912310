"""What OKX calls symbols and spans: ours flow in, OKX's names flow out."""

from __future__ import annotations

from dccd.symbols import Symbol, parse_span

__all__ = ["BARS", "spot_id"]

_NAMES = {
    # From 6 hours on there are two of each: those that begin at multiples counted from 16:00 UTC, and these.
    **{label: label for label in ("1s", "1m", "3m", "5m", "15m", "30m")},
    **{label: label.upper() for label in ("1h", "2h", "4h")},
    **{label: f"{label.upper()}utc" for label in ("6h", "12h", "1d", "2d", "3d", "1w")},
}
BARS = {parse_span(label): name for label, name in _NAMES.items()}
"""What OKX calls a bar of so many seconds, in ascending order."""


def spot_id(symbol: Symbol) -> str:
    """``BTC-USDT``. Contracts have a size that their name doesn't tell."""
    return f"{symbol.base}-{symbol.quote}"
