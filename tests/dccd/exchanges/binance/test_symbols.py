"""Binance's names."""

from __future__ import annotations

import pytest

from dccd.exchanges.base import Market
from dccd.exchanges.binance import Binance
from dccd.exchanges.binance.symbols import stream_name, stream_url
from dccd.symbols import Dataset, Symbol


def test_market() -> None:
    """Base and quote without anything between, spot and perpetual alike; a dated one's name has a date."""
    assert Binance().market(Symbol.parse("BTC/USDT")) == Market("BTCUSDT")
    assert Binance().market(Symbol.parse("BTC/USDT:perp")) == Market("BTCUSDT")
    assert Binance().market(Symbol.parse("BTC/USDT:quarter")) is None


@pytest.mark.parametrize(
    ("dataset", "market", "name", "path"),
    [
        ("binance.trades.BTC-USDT", "BTCUSDT", "btcusdt@aggTrade", "stream.binance.com:9443/stream"),
        ("binance.ohlc.ETH-BTC.1h", "ETHBTC", "ethbtc@kline_1h", "stream.binance.com:9443/stream"),
        ("binance.ohlc.ETH-BTC.3d", "ETHBTC", "ethbtc@kline_3d", "stream.binance.com:9443/stream"),
        ("binance.ohlc.ETH-BTC.1s", "ETHBTC", "ethbtc@kline_1s", "stream.binance.com:9443/stream"),
        ("binance.orderbook.BTC-USDT", "BTCUSDT", "btcusdt@depth@100ms", "stream.binance.com:9443/stream"),
        ("binance.orderbook.BTC-USDT_PERP", "BTCUSDT", "btcusdt@depth@100ms", "fstream.binance.com/public/stream"),
        ("binance.funding.BTC-USDT_PERP", "BTCUSDT", "btcusdt@markPrice@1s", "fstream.binance.com/market/stream"),
        ("binance.ohlc.BTC-USDT_PERP.1m", "BTCUSDT", "btcusdt@kline_1m", "fstream.binance.com/market/stream"),
        (
            "binance.trades.BTC-USDT_QUARTER",
            "BTCUSDT_261225",
            "btcusdt_261225@aggTrade",
            "fstream.binance.com/market/stream",
        ),
    ],
)
def test_streams(dataset: str, market: str, name: str, path: str) -> None:
    """Streams are named in lower case, intervals by Binance's labels; the futures' books are apart from the rest."""
    found = Dataset.parse(dataset)
    assert stream_name(found, Market(market)) == name
    assert stream_url(found) == f"wss://{path}"
