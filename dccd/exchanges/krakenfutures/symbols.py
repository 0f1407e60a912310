"""What Kraken Futures calls bars: spans flow in, names flow out; and what it counts in.

``PF_`` and ``FF_`` are linear, one contract being 1 of the base asset; ``PI_`` and ``FI_`` inverse, one being 1 USD.
"""

from __future__ import annotations

from dccd.symbols import parse_span

__all__ = ["RESOLUTIONS"]

RESOLUTIONS = {parse_span(name): name for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w")}
"""Names of bars, by span in seconds."""
