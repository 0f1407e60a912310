"""Jobs changed and removed in a list of entries that may have several pairs."""

from __future__ import annotations

import msgspec
import pytest

from dccd.config import Job
from dccd.errors import ConfigError
from dccd.job_edits import changed, entry_of, removed

BOTH = Job(exchange="binance", pairs=["BTC/USDT", "ETH/USDT"], data_type="trades")
HOURLY = Job(
    exchange="binance", pairs=["BTC/USDT"], data_type="ohlc", span="1m", operation="backfill",
    trigger_kind="interval", every="1h",
)  # fmt: skip
JOBS = [BOTH, HOURLY]
replace = msgspec.structs.replace


def test_one_of_several_pairs_becomes_an_entry_of_its_own() -> None:
    """The others stay as they are."""
    name = "stream.binance.trades.ETH-USDT"
    assert entry_of(JOBS, name) == 0
    assert changed(JOBS, name, {"restart": "transient"}) == [
        replace(BOTH, pairs=["BTC/USDT"]),
        replace(BOTH, pairs=["ETH/USDT"], restart="transient"),
        HOURLY,
    ]
    assert removed(JOBS, name) == [replace(BOTH, pairs=["BTC/USDT"]), HOURLY]


def test_a_field_may_be_the_default_again() -> None:
    """None takes it out; fields that aren't named stay."""
    name = "backfill.binance.ohlc.BTC-USDT.1m"
    changes = {"trigger_kind": "cron", "every": None, "cron": "5 * * * *"}
    assert changed(JOBS, name, changes) == [
        BOTH, replace(HOURLY, trigger_kind="cron", every=None, cron="5 * * * *"),
    ]  # fmt: skip
    assert removed(JOBS, name) == [BOTH]


def test_what_is_not_there_cannot_be_changed() -> None:
    """An unknown name is a KeyError, a wrong type a ConfigError with the field's path."""
    assert entry_of(JOBS, "stream.kraken.trades.BTC-USD") is None
    with pytest.raises(KeyError):
        removed(JOBS, "stream.kraken.trades.BTC-USD")
    with pytest.raises(ConfigError, match=r"jobs\[0\].depth"):
        changed(JOBS, "stream.binance.trades.BTC-USDT", {"depth": 0})
