"""Kraken Futures, perpetual and dated contracts in USD: https://docs.kraken.com/exchange/guides/futures/introduction"""

from dccd.exchanges.krakenfutures.exchange import KrakenFutures

__all__ = ["KrakenFutures"]
