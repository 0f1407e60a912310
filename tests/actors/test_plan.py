"""What it takes to get from one configuration to another."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.plan import Plan, plan
from dccd.config import Alerts, BusConfig, Config, ExchangeConfig, Job, Settings, StorageConfig
from dccd.jobs import specs_of

replace = msgspec.structs.replace

PAIRS = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
streams = st.builds(
    Job,
    exchange=st.sampled_from(["binance", "kraken"]),
    pairs=st.lists(st.sampled_from(PAIRS), min_size=1, max_size=3, unique=True),
    data_type=st.just("orderbook"),
    trigger_kind=st.sampled_from([None, "supervised", "manual"]),
    depth=st.sampled_from([None, 10, 100]),
    restart=st.sampled_from([None, "transient"]),
)
backfills = st.builds(
    Job,
    exchange=st.sampled_from(["binance", "kraken"]),
    pairs=st.lists(st.sampled_from(PAIRS), min_size=1, max_size=3, unique=True),
    data_type=st.just("trades"),
    operation=st.just("backfill"),
    trigger_kind=st.just("interval"),
    every=st.sampled_from(["1h", 3600, "2h"]),
)


def no_job_twice(jobs: list[Job]) -> bool:
    names = [spec.name for spec in specs_of(Config(jobs=jobs))]
    return len(names) == len(set(names))


configs = st.builds(
    Config,
    settings=st.builds(
        Settings,
        timezone=st.sampled_from(["UTC", "Europe/Paris"]),
        log_level=st.sampled_from(["info", "debug"]),
        host=st.sampled_from([None, "a"]),
    ),
    bus=st.builds(BusConfig, port=st.sampled_from([0, 4222]), password=st.sampled_from([None, "p"])),
    exchanges=st.dictionaries(
        st.sampled_from(["binance", "kraken"]),
        st.builds(ExchangeConfig, ws_url=st.sampled_from([None, "ws://a"]), concurrency=st.sampled_from([4, 8])),
    ),
    storage=st.builds(StorageConfig, fold_interval=st.sampled_from(["1m", "2m"])),
    alerts=st.builds(Alerts, free_space=st.sampled_from(["1GiB", 0])),
    jobs=st.lists(st.one_of(streams, backfills), max_size=4).filter(no_job_twice),
)


def plan_of(old: Config, new: Config) -> Plan:
    return plan(old, new, specs_of(old), specs_of(new))


def done(what: Plan, config: Config) -> dict[str, Any]:
    """The streams that run after *what* was done to those of *config*: each with its job, and with what it connects."""
    running = {s.name: (s, config.exchanges.get(s.of.exchange, ExchangeConfig()).ws_url) for s in supervised(config)}
    for spec in (*what.stop, *what.restart):
        running.pop(spec.name, None)
    for spec in (*what.start, *what.restart):
        assert spec.name not in running
        running[spec.name] = (spec, what.running.exchanges.get(spec.of.exchange, ExchangeConfig()).ws_url)
    return running


def supervised(config: Config) -> list[Any]:
    return [spec for spec in specs_of(config) if spec.trigger_kind == "supervised"]


@given(configs, configs)
def test_a_plan_that_is_done_gives_what_was_wanted(old: Config, new: Config) -> None:
    """Whatever the two are: the streams that run are the new ones, as they are to run, and all else is as it should."""
    what = plan_of(old, new)
    there = done(what, old)
    assert there == {s.name: (s, new.exchanges.get(s.of.exchange, ExchangeConfig()).ws_url) for s in supervised(new)}
    assert list(what.specs) == specs_of(new)
    assert (what.running.settings.host, what.running.bus) == (old.settings.host, old.bus)
    back = replace(what.running, settings=replace(what.running.settings, host=new.settings.host), bus=new.bus)
    assert back == new
    assert {path.split(".")[0] for path in what.restart_required} <= {"bus", "settings"}
    assert plan_of(new, new) == Plan(running=new, specs=what.specs)


@given(configs, configs)
def test_what_is_the_same_is_left_alone(old: Config, new: Config) -> None:
    """A stream restarts only for its own job or its own exchange, a job is told of only when it has changed."""
    what = plan_of(old, new)
    before, after = {s.name: s for s in specs_of(old)}, {s.name: s for s in specs_of(new)}
    for spec in what.restart:
        assert before[spec.name] != spec or spec.of.exchange in what.exchanges
    for name in what.changed:
        assert before[name] != after[name]
    assert set(what.added) == after.keys() - before.keys()
    assert set(what.removed) == before.keys() - after.keys()


BASE = Config(jobs=[Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades")])


@pytest.mark.parametrize(
    ("new", "applied", "required"),
    [
        (replace(BASE, bus=BusConfig(port=1, url="nats://a:1")), (), ("bus.port", "bus.url")),
        (replace(BASE, settings=Settings(data_path="x", host="h")), (), ("settings.data_path", "settings.host")),
        (replace(BASE, settings=Settings(log_level="debug")), ("settings.log_level",), ()),
        (replace(BASE, exchanges={"kraken": ExchangeConfig(concurrency=9)}), ("exchanges.kraken.concurrency",), ()),
        (replace(BASE, exchanges={"kraken": ExchangeConfig()}), (), ()),
        (replace(BASE, storage=StorageConfig(flush_rows=100)), ("storage.flush_rows",), ()),
    ],
)
def test_what_can_be_taken_over_and_what_needs_a_restart(
    new: Config, applied: tuple[str, ...], required: tuple[str, ...]
) -> None:
    """Each field that has changed is told by its path, once."""
    what = plan_of(BASE, new)
    assert (what.applied, what.restart_required, what.exchanges) == (applied, required, ())
    assert (what.start, what.stop, what.restart) == ((), (), ())


@pytest.mark.parametrize("field", ["rest_url", "ws_url", "rate_limit"])
def test_another_server_restarts_the_streams_of_that_exchange(
    field: Literal["rest_url", "ws_url", "rate_limit"],
) -> None:
    """The streams of all others go on."""
    jobs = [*BASE.jobs, Job(exchange="kraken", pairs=["BTC/USD"], data_type="trades")]
    old = replace(BASE, jobs=jobs)
    values: dict[str, Any] = {"rest_url": "http://a:1", "ws_url": "ws://a:1", "rate_limit": False}
    new = replace(old, exchanges={"kraken": ExchangeConfig(**{field: values[field]})})
    what = plan_of(old, new)
    assert [spec.dataset for spec in what.restart] == ["kraken.trades.BTC-USD"]
    assert what.exchanges == ("kraken",)
    assert (what.added, what.changed, what.removed) == ((), (), ())


def test_where_a_job_stands_has_no_bearing() -> None:
    """A job that moves from the bus into the file goes on."""
    what = plan(BASE, BASE, specs_of(BASE, "request"), specs_of(BASE))
    assert (what.restart, what.changed) == ((), ())
    assert [spec.source for spec in what.specs] == ["file"]
