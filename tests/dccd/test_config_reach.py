"""What can be told of a backfill before it runs."""

from __future__ import annotations

import pytest

from dccd.config import parse
from dccd.config_reach import beyond_reach
from dccd.symbols import parse_time

NOW = parse_time("2026-03-01T12:00:00", "now")


def told(job: str) -> list[str]:
    """Of one job, at noon."""
    return beyond_reach(parse(f"jobs: [{{pairs: [BTC/USD], operation: backfill, {job}}}]"), NOW)


BARS = "exchange: kraken, data_type: ohlc, span: 1m"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (f"{BARS}, start: 2024-01-01", "jobs[0].start: kraken serves ohlc of BTC/USD no further than 720 bars back"),
        (f"{BARS}, start: '2026-02-28T23:59:00'", "which is 12h: 2026-02-28T23:59:00 is beyond"),
        (f"{BARS}, start: origin", "origin is beyond, and a run starts at 2026-03-01T00:00:00Z or later"),
        (f"{BARS}, trigger_kind: interval, every: 1d", "with up to 1d from one run to the next, some of it is never"),
        (f"{BARS}, trigger_kind: cron, cron: '0 1,5 * * *'", "with up to 20h from one run to the next"),
        ("exchange: coinbase, data_type: trades, start: origin", "no further than 365d back: origin is beyond"),
        (f"{BARS}, start: '2026-03-01T00:00:00'", ""),
        (f"{BARS}, start: last", ""),
        (f"{BARS}, trigger_kind: interval, every: 12h", ""),
        (f"{BARS}, trigger_kind: cron, cron: '0 */6 * * *'", ""),
        ("exchange: kraken, data_type: trades, start: origin", ""),
        ("exchange: kraken, data_type: orderbook", ""),
        ("exchange: kucoin, data_type: trades, start: origin", ""),
    ],
)
def test_what_lies_beyond_is_told_and_nothing_else(job: str, words: str) -> None:
    """By the reach of the exchange's history: at the start, and from one run to the next."""
    if not words:
        assert told(job) == []
        return
    (warning,) = told(job)
    assert words in warning


def test_each_dataset_has_its_own() -> None:
    """Streams have none."""
    stream = "{pairs: [BTC/USD], exchange: kraken, data_type: trades}"
    text = f"jobs: [{stream}, {{pairs: [BTC/USD, ETH/USD], operation: backfill, {BARS}, start: origin}}]"
    first, second = beyond_reach(parse(text), NOW)
    assert first.startswith("jobs[1].start: ") and "BTC/USD" in first and "ETH/USD" in second
