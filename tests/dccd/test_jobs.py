"""Jobs one by one: what a configuration means, however it is written."""

from __future__ import annotations

import msgspec
import pytest

from dccd.config import Config, parse
from dccd.jobs import JobSpec, JobState, job_of, specs_of

FILE = """
settings: {timezone: Europe/Paris}
jobs:
  - {exchange: binance, pairs: [BTC/USDT, XBT/USDC], data_type: trades}
  - {exchange: kraken, pairs: [BTC/USD], data_type: orderbook, depth: 10, snapshot_interval: 1m, restart: transient}
  - {exchange: binance, pairs: [BTC/USDT], data_type: ohlc, span: 3600, operation: backfill,
     trigger_kind: interval, every: 90m, start: origin}
  - {exchange: binance, pairs: [BTC/USDT:perp], data_type: funding, operation: backfill,
     trigger_kind: cron, cron: '5 0 * * *'}
  - {exchange: binance, pairs: [BTC/USDT], data_type: trades, operation: backfill,
     trigger_kind: cron, cron: '5 0 * * *', timezone: Asia/Tokyo, jitter: 2m, missed: skip}
"""


def test_each_dataset_of_each_job_is_one_spec() -> None:
    """A job of two pairs is two specs, with one spelling of each name and seconds for every duration."""
    specs = specs_of(parse(FILE))
    assert [spec.name for spec in specs] == [
        "stream.binance.trades.BTC-USDT",
        "stream.binance.trades.BTC-USDC",
        "stream.kraken.orderbook.BTC-USD",
        "backfill.binance.ohlc.BTC-USDT.1h",
        "backfill.binance.funding.BTC-USDT_PERP",
        "backfill.binance.trades.BTC-USDT",
    ]
    book, hourly, daily, japanese = specs[2:]
    assert (book.trigger_kind, book.depth, book.snapshot_interval, book.restart) == (
        "supervised",
        10,
        60.0,
        "transient",
    )
    assert (hourly.trigger_kind, hourly.every, hourly.start, hourly.restart) == ("interval", 5400.0, "origin", None)
    assert (daily.cron, daily.timezone, daily.missed) == ("5 0 * * *", "Europe/Paris", "once")
    assert (japanese.timezone, japanese.jitter, japanese.missed) == ("Asia/Tokyo", 120.0, "skip")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("operation: stream, restart: permanent", "trigger_kind: supervised"),
        (
            "operation: backfill, trigger_kind: interval, every: 1h",
            "operation: backfill, trigger_kind: interval, every: 3600",
        ),
    ],
)
def test_specs_are_equal_when_they_mean_the_same(one: str, other: str) -> None:
    """What is written out, and what is left to its default, is the same job."""
    first, second = (
        specs_of(parse(f"jobs: [{{exchange: binance, pairs: [BTC/USDT], data_type: trades, {text}}}]"))
        for text in (one, other)
    )
    assert first == second


def test_another_time_zone_changes_cron_jobs_only() -> None:
    """Streams and intervals don't restart for a setting that has no bearing on them."""
    here, there = specs_of(parse(FILE)), specs_of(parse(FILE.replace("Europe/Paris", "UTC")))
    changed = [a.name for a, b in zip(here, there, strict=True) if a != b]
    assert changed == ["backfill.binance.funding.BTC-USDT_PERP"]


def test_a_spec_leads_back_to_a_job_of_the_configuration() -> None:
    """A spec written as an entry of a file is read as the same spec."""
    config = parse(FILE)
    specs = specs_of(config)
    assert specs_of(Config(settings=config.settings, jobs=[job_of(spec) for spec in specs])) == specs


def test_specs_and_states_travel_as_json() -> None:
    """What is put into the bucket is what comes out of it."""
    for spec in specs_of(parse(FILE), "request"):
        assert msgspec.json.decode(msgspec.json.encode(spec), type=JobSpec) == spec
    state = JobState(last_run_id="01J", last_started=5, last_state="failed", failures=2, next_run=7)
    assert msgspec.json.decode(msgspec.json.encode(state), type=JobState) == state
