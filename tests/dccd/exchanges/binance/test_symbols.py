"""Binance's names."""

from __future__ import annotations

import pytest

from dccd.exchanges.base import Market
from dccd.exchanges.binance import Binance
from dccd.exchanges.binance.symbols import stream_name
from dccd.symbols import Dataset, Symbol


def test_market_id() -> None:
    """Base and quote without anything between."""
    assert Binance().market(Symbol.parse("BTC/USDT")) == Market("BTCUSDT")


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("binance.trades.BTC-USDT", "btcusdt@aggTrade"),
        ("binance.ohlc.ETH-BTC.1h", "ethbtc@kline_1h"),
        ("binance.ohlc.ETH-BTC.3d", "ethbtc@kline_3d"),
        ("binance.ohlc.ETH-BTC.1s", "ethbtc@kline_1s"),
        ("binance.orderbook.BTC-USDT", "btcusdt@depth@100ms"),
    ],
)
def test_stream_names(dataset: str, name: str) -> None:
    """Streams are named in lower case, intervals by Binance's labels."""
    assert stream_name(Dataset.parse(dataset)) == name
