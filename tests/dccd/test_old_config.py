"""Configurations of dccd 3 as ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd.config import Config, Job, parse
from dccd.errors import ConfigError
from dccd.old_config import convert_config

OLD = Path(__file__).parent.parent / "frames" / "old" / "dccd3" / "config.yml"


def converted(text: str) -> tuple[Config, str]:
    made = convert_config(text)
    return parse(made.text), "\n".join(made.notes)


def test_a_whole_file() -> None:
    """Jobs with 3.x's defaults, in our words; what 3.8.1 took is valid here."""
    config, notes = converted(OLD.read_text())
    assert config.settings.data_path == "./data"
    assert config.settings.timezone == "Europe/Paris"
    assert config.jobs == [
        Job(
            exchange="binance", pairs=["BTC/USDT", "ETH/USDT"], data_type="ohlc", operation="backfill", span="1h",
            trigger_kind="interval", every=3600, start="2024-01-01",
        ),
        Job(
            exchange="binance", pairs=["BTC/USDT"], data_type="trades", operation="stream", trigger_kind="supervised"
        ),
        Job(
            exchange="kraken", pairs=["BTC/USD"], data_type="orderbook", operation="stream", trigger_kind="supervised",
            depth=100, book="snapshots", snapshot_interval=60,
        ),
        Job(
            exchange="binance", pairs=["BTC/USDT:perp"], data_type="open_interest", operation="backfill",
            trigger_kind="cron", cron="5 * * * *", start="last",
        ),
    ]  # fmt: skip
    for field in (
        "ui_port",
        "ui_auth_token",
        "runs_retention_days",
        "webhook_url",
        "max_consecutive_errors",
        "min_free_gb",
    ):
        assert field in notes
    assert "{url: 'rclone:nas:crypto-dccd4', interval: 7200}" in notes
    assert "jobs[3].span is left out" in notes
    assert "jobs[4], SOL/USDT, is left out: span" in notes


def test_defaults_that_differ_are_written_out() -> None:
    """A job of dccd 3 without more is a backfill of bars, each span; and its times were local."""
    config, notes = converted("jobs: [{exchange: Kraken, pairs: [XBT/USD], span: 60}]")
    (job,) = config.jobs
    assert (job.exchange, job.operation, job.data_type, job.every, job.start) == (
        "kraken",
        "backfill",
        "ohlc",
        60,
        "last",
    )
    assert config.settings.data_path == "./data/crypto"
    assert "it is UTC now" in notes


def test_only_the_pair_that_is_refused_is_left_out() -> None:
    """The others of its job stay."""
    config, notes = converted("jobs: [{exchange: binance, pairs: [BTC/USDT, 'ETH/', BTC/USDT], span: 60}]")
    assert config.jobs[0].pairs == ["BTC/USDT"]
    assert "jobs[0], ETH/, is left out" in notes and "jobs[0], BTC/USDT, is left out" in notes


def test_a_stream_at_an_interval_is_supervised() -> None:
    """And said to be."""
    config, notes = converted("jobs: [{exchange: binance, pairs: [BTC/USDT], data_type: trades, operation: stream}]")
    assert config.jobs[0].trigger == "supervised"
    assert "jobs[0].trigger_kind was interval" in notes


@pytest.mark.parametrize("text", ["- a", "jobs: 5", "jobs: [5]", "settings: [1]", "{", "settings: {timezone: Mars}"])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    """With what was found."""
    with pytest.raises(ConfigError):
        convert_config(text)
