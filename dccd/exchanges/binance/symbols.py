"""What Binance calls a symbol and a stream, and where each is served.

Since April 2026 the futures' streams are apart: order books under ``/public``, all else that is used here under
``/market``. https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

from dccd.exchanges.base import Market
from dccd.symbols import Dataset, DataType, Symbol, span_label

__all__ = ["market", "stream_name", "stream_url"]

_SPOT = "wss://stream.binance.com:9443/stream"
_FUTURES_BOOKS = "wss://fstream.binance.com/public/stream"
_FUTURES = "wss://fstream.binance.com/market/stream"


def market(symbol: Symbol) -> Market | None:
    """``BTCUSDT``, spot and perpetual. The name of a dated contract has its date, which ccxt's markets tell."""
    return Market(symbol.base + symbol.quote) if symbol.contract in ("", "perp") else None


def stream_name(dataset: Dataset, market: Market) -> str:
    """``btcusdt@aggTrade``, ``btcusdt@kline_1m``, ``btcusdt@depth@100ms``, ``btcusdt@markPrice@1s``."""
    name = market.id.lower()
    if dataset.data_type is DataType.TRADES:
        return f"{name}@aggTrade"
    if dataset.data_type is DataType.FUNDING:
        return f"{name}@markPrice@1s"
    if dataset.span is not None:
        return f"{name}@kline_{span_label(dataset.span)}"
    return f"{name}@depth@100ms"


def stream_url(dataset: Dataset) -> str:
    """Where its stream is served."""
    if not dataset.symbol.contract:
        return _SPOT
    return _FUTURES_BOOKS if dataset.data_type is DataType.ORDERBOOK else _FUTURES
