"""What Bybit calls a symbol, and which it has."""

from __future__ import annotations

import pytest

from dccd.errors import NoCapability
from dccd.exchanges.base import Market
from dccd.exchanges.bybit import Bybit
from dccd.symbols import Dataset, Symbol


@pytest.mark.parametrize(
    ("symbol", "market"),
    [
        ("BTC/USDT", "BTCUSDT"),
        ("ETH/BTC", "ETHBTC"),
        ("BTC/USDT:perp", "BTCUSDT"),
        ("BTC/USDC:perp", "BTCPERP"),
        ("BTC/USDT:quarter", None),
        ("BTC/USD:perp", None),
    ],
)
def test_names(symbol: str, market: str | None) -> None:
    """Spot's and perpetuals' follow from the symbol; the name of a dated contract has its day."""
    assert Bybit().market(Symbol.parse(symbol)) == (None if market is None else Market(market))


@pytest.mark.parametrize("live", [True, False])
def test_contracts_in_usd(live: bool) -> None:
    """Inverse contracts are another category, which isn't collected."""
    with pytest.raises(NoCapability, match="USDT and USDC") as caught:
        Bybit().check(Dataset.parse("bybit.trades.BTC-USD_PERP"), live)
    assert caught.value.field == "symbol"


def test_dated_contracts_pay_no_funding() -> None:
    """But have open interest."""
    Bybit().check(Dataset.parse("bybit.open_interest.BTC-USDT_QUARTER"), live=True)
    with pytest.raises(NoCapability, match="no funding of dated contracts"):
        Bybit().check(Dataset.parse("bybit.funding.BTC-USDT_QUARTER"), live=True)
