"""The table of exchanges."""

from __future__ import annotations

import pytest

from dccd.errors import NoCapability
from dccd.exchanges.registry import EXCHANGES, get


def test_each_is_found_by_its_own_id() -> None:
    """As ccxt calls it."""
    assert {name: get(name).id for name in EXCHANGES} == {name: name for name in EXCHANGES}


def test_an_exchange_that_is_not_there() -> None:
    """The table says which there are."""
    with pytest.raises(NoCapability, match=r"binance.*kraken"):
        get("mtgox")
