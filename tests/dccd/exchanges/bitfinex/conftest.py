"""What Bitfinex's tests share: streams by name, with the market that ccxt would tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dccd.exchanges.base import Market, StreamOptions, StreamProtocol
from dccd.exchanges.bitfinex import Bitfinex
from dccd.symbols import Dataset

MARKET, PERP = Market("tBTCUSD"), Market("tBTCF0:USTF0")


@pytest.fixture(scope="session")
def stream() -> Callable[..., StreamProtocol]:
    """``stream("orderbook.BTC-USD", depth=25)``, of tBTCUSD; of tBTCF0:USTF0 if it is a perpetual."""

    def make(name: str, **options: object) -> StreamProtocol:
        dataset = Dataset.parse(f"bitfinex.{name}")
        market = PERP if dataset.symbol.contract else MARKET
        return Bitfinex().stream(dataset, StreamOptions(**options), market)  # type: ignore[arg-type]  # as a test has it

    return make
