"""What is refused, and in which words."""

from __future__ import annotations

import pytest

from dccd.errors import NoCapability
from dccd.exchanges.base import StreamOptions
from dccd.exchanges.capability import book_depth
from dccd.exchanges.registry import EXCHANGES, get
from dccd.symbols import Dataset, DataType


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
@pytest.mark.parametrize("live", [True, False])
def test_all_that_is_declared_can_be_had(exchange: str, live: bool) -> None:
    """Each data type and span of the capabilities has a protocol or pager."""
    found = get(exchange)
    table = found.capabilities.live if live else found.capabilities.historical
    assert set(table) == {DataType.TRADES, DataType.OHLC, DataType.ORDERBOOK}
    for data_type, capability in table.items():
        for span in capability.spans or (None,):
            dataset = Dataset.make(exchange, data_type, "BTC/USDT", span)
            found.check(dataset, live)
            if live:
                assert found.stream(dataset, StreamOptions()).subscribe()
            else:
                assert found.history(dataset, 0, 10**18, "BTCUSDT").requests(1)


@pytest.mark.parametrize(
    ("name", "live", "field", "said"),
    [
        ("binance.ohlc.BTC-USDT.7777s", True, "span", "1s, 1m, 3m"),
        ("kraken.ohlc.BTC-USD.3m", True, "span", "1m, 5m, 15m"),
        ("kraken.ohlc.BTC-USD.3m", False, "span", "in its history"),
        ("binance.funding.BTC-USDT", True, "data_type", "trades, ohlc, orderbook"),
        ("binance.trades.BTC-USDT_PERP", True, "symbol", "spot"),
        ("kraken.trades.BTC-USD_QUARTER", False, "symbol", "spot"),
    ],
)
def test_what_cannot_be_had(name: str, live: bool, field: str, said: str) -> None:
    """The error names the field and says what there is."""
    dataset = Dataset.parse(name)
    with pytest.raises(NoCapability, match=said) as caught:
        get(dataset.exchange).check(dataset, live)
    assert caught.value.field == field
    with pytest.raises(NoCapability):
        if live:
            get(dataset.exchange).stream(dataset, StreamOptions())
        else:
            get(dataset.exchange).history(dataset, 0, 10**18, "BTCUSDT")


def test_another_exchanges_dataset() -> None:
    """A dataset goes to its own exchange only."""
    with pytest.raises(NoCapability):
        get("binance").check(Dataset.parse("kraken.trades.BTC-USD"), live=True)


def test_depths() -> None:
    """A depth is what was asked for, or the default, or refused."""
    assert book_depth("kraken", StreamOptions(), 100, 1000) == 100
    assert book_depth("kraken", StreamOptions(depth=7), 100, 1000) == 7
    for depth in (0, -1, 1001):
        with pytest.raises(NoCapability, match="1 to 1000"):
            book_depth("kraken", StreamOptions(depth=depth), 100, 1000)
