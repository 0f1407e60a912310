"""What Binance calls a symbol and a stream."""

from __future__ import annotations

from dccd.symbols import Dataset, DataType, Symbol, span_label

__all__ = ["market_id", "stream_name"]


def market_id(symbol: Symbol) -> str:
    """``BTCUSDT``."""
    return symbol.base + symbol.quote


def stream_name(dataset: Dataset) -> str:
    """``btcusdt@aggTrade``, ``btcusdt@kline_1m``, ``btcusdt@depth@100ms``."""
    name = market_id(dataset.symbol).lower()
    if dataset.data_type is DataType.TRADES:
        return f"{name}@aggTrade"
    if dataset.span is not None:
        return f"{name}@kline_{span_label(dataset.span)}"
    return f"{name}@depth@100ms"
