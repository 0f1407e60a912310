"""Bybit, v5: spot, and linear contracts (perpetuals and dated ones in USDT or USDC): https://bybit-exchange.github.io/docs/v5/intro"""

from dccd.exchanges.bybit.exchange import Bybit

__all__ = ["Bybit"]
