"""Binance: spot, and futures margined in USDT or USDC.

https://developers.binance.com/docs/binance-spot-api-docs and
https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from dccd.exchanges.binance.exchange import Binance

__all__ = ["Binance"]
