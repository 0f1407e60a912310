"""Configurations of dccd 3 as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dccd.config import (
    Alerts,
    Config,
    Job,
    RemoteConfig,
    RetentionConfig,
    RunsConfig,
    StorageConfig,
    Webhook,
    parse,
)
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
    assert config.runs == RunsConfig(keep="30d", keep_failed="90d")
    assert config.alerts == Alerts(failures=5, webhooks=[Webhook(url="https://example.org/hook", format="ntfy")])
    for field in ("ui_port", "ui_auth_token", "runs that failed", "webhook_url", "min_free_gb", "nas:crypto"):
        assert field in notes
    assert "jobs[3].span is left out" in notes
    assert "jobs[4], SOL/USDT, is left out: span" in notes


def test_remotes_and_purging_stand_there_as_comments() -> None:
    """A remote needs a folder of its own, and purging a remote: they are had by taking the comments away."""
    made = convert_config(OLD.read_text())
    assert parse(made.text).storage == StorageConfig()
    comments = [line.removeprefix("# ") for line in made.text.splitlines() if line.startswith("#")]
    storage = parse("\n".join(comments)).storage
    assert storage.remotes == [RemoteConfig(url="rclone:nas:crypto-dccd4", interval=7200)]
    assert storage.retention == RetentionConfig(free_space="5GiB")


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://hooks.slack.com/services/T0/B0/X", "slack"),
        ("https://eu.hooks.slack.com/services/T0/B0/X", "slack"),
        ("https://ntfy.sh/my-topic", "ntfy"),
        ("https://example.org/hooks.slack.com/x", "ntfy"),
    ],
)
def test_a_webhook_keeps_its_form(url: str, form: str) -> None:
    """Slack's for Slack, text with a title for all others; that it is told of more now is said, without the URL."""
    config, notes = converted(f"alerts: {{webhook_url: '{url}'}}")
    assert [(one.url, one.format) for one in config.alerts.webhooks] == [(url, form)]
    assert "alerts.webhook_url is in alerts.webhooks" in notes and url not in notes


@pytest.mark.parametrize("url", ["https://ntfy.sh", "no url", "5"])
def test_a_webhook_that_cannot_be_is_left_out(url: str) -> None:
    """And said to be, without what may be a password."""
    config, notes = converted(f"alerts: {{webhook_url: '{url}'}}")
    assert config.alerts == Alerts()
    assert "alerts.webhook_url is left out" in notes


@pytest.mark.parametrize(
    ("days", "keep", "failed"),
    [(30, "30d", "90d"), ("400", "400d", "400d"), (0, "36500d", "36500d"), (None, "90d", "90d")],
)
def test_runs_are_kept_as_long(days: Any, keep: str, failed: str) -> None:
    """As 3.x kept them, whose default is longer than ours, and whose 0 is for ever."""
    config, _ = converted("" if days is None else f"settings: {{runs_retention_days: {days}}}")
    assert config.runs == RunsConfig(keep=keep, keep_failed=failed)


@pytest.mark.parametrize(("failures", "ours"), [(3, 3), (5, 5), (0, 1), (5000, 1000)])
def test_failures_are_told_after_as_many(failures: int, ours: int) -> None:
    """What can't be is the nearest that can, and said to be."""
    config, notes = converted(f"alerts: {{max_consecutive_errors: {failures}}}")
    assert config.alerts.failures == ours
    assert ("max_consecutive_errors" in notes) == (failures != ours)


def test_a_remote_that_cannot_be_is_said_to_be() -> None:
    """The rest is converted all the same."""
    made = convert_config("storage: {remotes: [{remote: /mnt/copy}, {remote: 'nas:a'}], min_free_gb: 0.5}")
    assert "nor can copies beside it be made" in "\n".join(made.notes)
    assert "/mnt/copy" not in made.text and "# - url: rclone:nas:a-dccd4" in made.text.replace("#   -", "# -")
    assert "free_space: 536870912" in made.text


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


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "jobs: 5",
        "jobs: [5]",
        "settings: [1]",
        "{",
        "settings: {timezone: Mars}",
        "settings: {runs_retention_days: long}",
    ],
)
def test_what_is_no_configuration_is_refused(text: str) -> None:
    """With what was found."""
    with pytest.raises(ConfigError):
        convert_config(text)
