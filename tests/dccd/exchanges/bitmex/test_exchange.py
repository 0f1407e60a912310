"""What BitMEX offered."""

from __future__ import annotations

import pytest

from dccd.errors import NoCapability
from dccd.exchanges.base import Market, Offer, StreamOptions
from dccd.exchanges.bitmex import Bitmex
from dccd.store.schema import REQUIRED, SCHEMAS
from dccd.symbols import Dataset, DataType, Symbol

MARKET = Market("XBTUSDT", 1e-6, expires=2 * 10**18)
SYMBOLS = {"spot": "BTC/USDT", "perp": "BTC/USDT:perp", "dated": "BTC/USDT:quarter"}


@pytest.mark.parametrize("kind", sorted(SYMBOLS))
@pytest.mark.parametrize("live", [True, False])
def test_all_that_is_declared_can_be_had(kind: str, live: bool) -> None:
    """Each data type and span has a protocol or pager, all others have none; fields are those of records."""
    exchange = Bitmex()
    offer = getattr(exchange.capabilities, kind) or Offer()
    table = offer.live if live else offer.historical
    for data_type in DataType:
        capability = table.get(data_type)
        spans = capability.spans or (None,) if capability else ((60,) if data_type is DataType.OHLC else (None,))
        for span in spans:
            dataset = Dataset.make("bitmex", data_type, SYMBOLS[kind], span)
            if capability is None:
                with pytest.raises(NoCapability):
                    exchange.check(dataset, live)
            elif live:
                assert exchange.stream(dataset, StreamOptions(), MARKET).topic.endswith(":XBTUSDT")
            else:
                assert exchange.history(dataset, 1_600_000_000 * 10**9, 10**18 * 17 // 10, MARKET).requests(1)
        if capability is not None:
            assert set(capability.fields) <= set(SCHEMAS[data_type].names) - set(REQUIRED[data_type])


def test_markets() -> None:
    """Only of XBTUSD the name tells what a contract is."""
    exchange = Bitmex()
    assert exchange.market(Symbol.parse("XBT/USD:perp")) == Market("XBTUSD", inverse=True)
    assert exchange.market(Symbol.parse("BTC/USDT:perp")) is None
    assert exchange.market(Symbol.parse("BTC/USD:quarter")) is None
