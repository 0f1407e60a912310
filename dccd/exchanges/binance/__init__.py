"""Binance, spot: https://developers.binance.com/docs/binance-spot-api-docs"""

from dccd.exchanges.binance.exchange import Binance

__all__ = ["Binance"]
