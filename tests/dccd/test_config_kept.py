"""What of a configuration stands in no file, and comes back at the next start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.config import Alerts, Config, ExchangeConfig, Job, Settings
from dccd.config_kept import Kept, merged, split
from dccd.errors import ConfigError
from dccd.jobs import specs_of

JOBS = [
    Job(exchange="binance", pairs=["BTC/USDT", "ETH/USDT"], data_type="trades"),
    Job(exchange="kraken", pairs=["BTC/USD"], data_type="orderbook", depth=10),
    Job(exchange="kraken", pairs=["ETH/USD"], data_type="trades"),
]
configs = st.builds(
    Config,
    settings=st.builds(Settings, timezone=st.sampled_from(["UTC", "Europe/Paris"])),
    alerts=st.builds(Alerts, free_space=st.sampled_from(["1GiB", 0, "5GiB"])),
    exchanges=st.dictionaries(
        st.sampled_from(["binance", "kraken"]),
        st.builds(ExchangeConfig, rest_url=st.sampled_from([None, "http://a:1"]), concurrency=st.sampled_from([4, 8])),
    ),
    jobs=st.lists(st.sampled_from(JOBS), max_size=3, unique_by=lambda job: job.exchange + job.data_type),
)


def meaning(config: Config) -> Any:
    return msgspec.structs.replace(config, jobs=[]), sorted(specs_of(config), key=lambda spec: spec.name)


@given(configs, configs)
def test_what_is_kept_makes_what_was_wanted(base: Config, wanted: Config) -> None:
    """Also after it was JSON; and nothing is kept where nothing differs."""
    kept = msgspec.json.decode(msgspec.json.encode(split(base, wanted)), type=Kept)
    assert meaning(merged(base, kept, file=False)) == meaning(wanted)
    assert not split(base, base)


def test_a_file_says_more_than_what_is_kept() -> None:
    """A job that both have is as the file has it, and its other settings are the file's alone."""
    file = Config(jobs=[JOBS[1]])
    other = msgspec.structs.replace(JOBS[1], depth=25, pairs=["BTC/USD", "ETH/USD"])
    found = merged(file, Kept({"alerts": {"free_space": 5}}, [other, JOBS[2]]), file=True)
    assert found.alerts == Alerts()
    assert {spec.name: spec.depth for spec in specs_of(found)} == {
        "stream.kraken.orderbook.BTC-USD": 10,
        "stream.kraken.orderbook.ETH-USD": 25,
        "stream.kraken.trades.ETH-USD": None,
    }


def test_what_is_impossible_by_now_is_an_error() -> None:
    """What was kept by another version, or beside another file, is checked like any configuration."""
    with pytest.raises(ConfigError, match=r"alerts\.free_space"):
        merged(Config(), Kept({"alerts": {"free_space": "much"}}), file=False)
