"""Kraken, spot, WebSocket v2: https://docs.kraken.com/exchange/api-reference/spot-websocket"""

from dccd.exchanges.kraken.exchange import Kraken

__all__ = ["Kraken"]
