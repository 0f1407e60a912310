"""What Bitfinex's tests share: streams by name, with the market that ccxt would tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dccd.exchanges.base import Market, StreamOptions, StreamProtocol
from dccd.exchanges.bitfinex import Bitfinex
from dccd.symbols import Dataset

MARKET = Market("tBTCUSD")


@pytest.fixture(scope="session")
def stream() -> Callable[..., StreamProtocol]:
    """``stream("orderbook.BTC-USD", depth=25)``, of the market tBTCUSD."""

    def make(name: str, **options: object) -> StreamProtocol:
        dataset = Dataset.parse(f"bitfinex.{name}")
        return Bitfinex().stream(dataset, StreamOptions(**options), MARKET)  # type: ignore[arg-type]  # as a test has it

    return make
