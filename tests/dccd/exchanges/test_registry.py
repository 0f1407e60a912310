"""The table of exchanges."""

from __future__ import annotations

import pytest

from dccd.errors import NoCapability
from dccd.exchanges import registry
from dccd.exchanges.base import Exchange
from dccd.exchanges.registry import EXCHANGES, get, knows, look_elsewhere
from dccd.exchanges.unified import Features, Unified


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks elsewhere, whatever ran before."""
    monkeypatch.setattr(registry, "_elsewhere", None)


def test_each_is_found_by_its_own_id() -> None:
    """As ccxt calls it."""
    assert {name: get(name).id for name in EXCHANGES} == {name: name for name in EXCHANGES}


def test_an_exchange_that_is_not_there() -> None:
    """The table says which there are; whether there are others isn't known."""
    with pytest.raises(NoCapability, match=r"binance.*kraken"):
        get("mtgox")
    assert knows("binance") and not knows("mtgox")


def test_others_are_looked_for_elsewhere() -> None:
    """One without a folder comes from there; one with a folder never does."""

    def find(exchange: str) -> Exchange:
        assert exchange not in EXCHANGES
        return Unified(Features(id=exchange, methods=frozenset(), kinds=frozenset()))

    look_elsewhere(find)
    assert get("mtgox").id == "mtgox" and knows("anything")
    assert get("kraken") is EXCHANGES["kraken"]
