"""BitMEX, perpetuals and dated contracts: https://www.bitmex.com/app/wsAPI and /app/restAPI.

BitMEX closed for good on 2026-09-23 at 04:00 UTC (https://www.bitmex.com/blog/bitmex-closure), and ccxt has dropped it
since. What is here speaks with servers that the configuration names: those that replay what was recorded of it, and the
simulated exchange.
"""

from dccd.exchanges.bitmex.exchange import Bitmex

__all__ = ["Bitmex"]
