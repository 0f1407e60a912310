"""Any exchange that ccxt knows, in ccxt's unified terms: https://docs.ccxt.com/

For those that have no folder here. ``dccd.feeds`` calls ccxt's methods and hands on what they return as JSON; here it
becomes records. What the unified form lacks is null.
"""

from dccd.exchanges.unified.exchange import Unified
from dccd.exchanges.unified.features import Features

__all__ = ["Features", "Unified"]
