"""Bitfinex, spot and perpetuals, WebSocket v2: https://docs.bitfinex.com/docs/ws-general"""

from dccd.exchanges.bitfinex.exchange import Bitfinex

__all__ = ["Bitfinex"]
