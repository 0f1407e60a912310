"""What ccxt names and an exchange's data can't be had by: ids and methods flow in, the reason flows out.

Found by calling each method of each of ccxt's classes (4.5.90) without a key, as a test does with whatever ccxt is
installed.
"""

from __future__ import annotations

__all__ = ["WITHHELD", "withheld"]

_FILLS = "what ccxt gives are one user's own trades, not the market's"
_KEY = "it wants an API key"
_SPOT = "it has those of spot markets only"
_CONTRACTS = "it has those of contracts only"
_ABSENT = "ccxt names its method, but doesn't have it yet"
_START = "it wants a start, where dccd asks for the newest ones first"

WITHHELD: dict[tuple[str, str, str], str] = {
    ("alpaca", "", "watchOHLCV"): _KEY,
    ("alpaca", "", "watchOrderBook"): _KEY,
    ("alpaca", "", "watchTrades"): _KEY,
    ("backpack", "", "fetchOpenInterestHistory"): _ABSENT,
    ("bigone", "swap", "fetchOHLCV"): _SPOT,
    ("bigone", "swap", "fetchTrades"): _SPOT,
    ("bitrue", "swap", "fetchTrades"): _SPOT,
    ("bitrue", "spot", "watchOHLCV"): _CONTRACTS,
    ("bitrue", "spot", "watchTrades"): _CONTRACTS,
    ("cex", "", "fetchOHLCV"): "its bars are of bids or of asks, not of trades",
    ("cex", "", "watchOrderBook"): _KEY,
    ("coinbaseexchange", "", "watchOrderBook"): _KEY,
    ("coinspot", "", "fetchOrderBook"): _KEY,
    ("coinspot", "", "fetchTrades"): f"{_FILLS}, and {_KEY}",
    ("hyperliquid", "", "fetchTrades"): _FILLS,
    ("luno", "", "fetchOHLCV"): _KEY,
    ("luno", "", "watchOrderBook"): _KEY,
    ("luno", "", "watchTrades"): _KEY,
    ("modetrade", "", "fetchOHLCV"): _KEY,
    ("modetrade", "", "fetchOrderBook"): _KEY,
    ("p2b", "", "fetchTrades"): "it wants the id of the trade before the first",
    ("pacifica", "", "fetchOHLCV"): _START,
    ("woofipro", "", "fetchOHLCV"): _KEY,
    ("woofipro", "", "fetchOrderBook"): _KEY,
    ("zebpay", "spot", "fetchOHLCV"): _START,
}
"""(exchange, ccxt's kind of market or "" for all, ccxt's method): why."""


def withheld(exchange: str, kind: str, method: str) -> str | None:
    """Why *method* isn't offered of *exchange*'s markets of *kind*, though ccxt names it; ``None``: it is offered."""
    return WITHHELD.get((exchange, kind, method)) or WITHHELD.get((exchange, "", method))
