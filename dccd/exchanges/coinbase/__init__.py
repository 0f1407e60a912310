"""Coinbase, spot, Advanced Trade: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/overview"""

from dccd.exchanges.coinbase.exchange import Coinbase

__all__ = ["Coinbase"]
