"""The alerts section: what is checked beyond types, and what is kept from logs."""

from __future__ import annotations

import pytest

from dccd.config import parse
from dccd.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{archiver_lag: soon}", "alerts.archiver_lag"),
        ("{settle: -1}", "alerts.settle"),
        ("{hole: 3x}", "alerts.hole"),
        ("{silence: {'binance.*': soon}}", "alerts.silence.binance.*"),
        ("{free_space: much}", "alerts.free_space"),
        ("{failures: -1}", "alerts.failures"),
        ("{webhooks: [{url: 'ftp://example.org/x'}]}", "alerts.webhooks[0].url"),
        ("{webhooks: [{url: 'https:///x'}]}", "alerts.webhooks[0].url"),
        ("{webhooks: [{url: 'https://example.org:99999/x'}]}", "alerts.webhooks[0].url"),
        ("{webhooks: [{url: 'https://example.org/a b'}]}", "alerts.webhooks[0].url"),
        ("{webhooks: [{url: 'https://ntfy.sh', format: ntfy}]}", "alerts.webhooks[0].url"),
        ("{webhooks: [{url: 'https://a.org/x', format: teams}]}", "alerts.webhooks[0].format"),
        ("{webhooks: [{url: 'https://a.org/x', rules: [streams]}]}", "alerts.webhooks[0].rules[0]"),
        ('{webhooks: [{url: "https://a.org/x", headers: {A: "b\\r\\nC: d"}}]}', "alerts.webhooks[0].headers"),
        ("{webhooks: [{url: 'https://a.org/x', headers: {'a b': c}}]}", "alerts.webhooks[0].headers"),
        ("{webhooks: [{url: 'https://a.org/x'}, {url: 'https://a.org/y'}]}", "alerts.webhooks[1].name"),
        ("{webhooks: [{url: 'https://a.org/x', name: 'a b'}]}", "alerts.webhooks[0].name"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(text: str, path: str) -> None:
    """The error names the field, and never has a webhook's URL in it."""
    with pytest.raises(ConfigError) as raised:
        parse(f"alerts: {text}")
    assert raised.value.path == path
    assert "a.org/x" not in str(raised.value)


def test_the_first_pattern_that_fits_says_when_a_dataset_is_stale() -> None:
    """Else the general silence does."""
    alerts = parse("alerts: {stream_silence: 10m, silence: {'*.trades.BTC-*': 1m, '*.trades.*': 0}}").alerts
    assert alerts.silence_of("kraken.trades.BTC-USD") == 60
    assert alerts.silence_of("kraken.trades.ETH-USD") == 0
    assert alerts.silence_of("kraken.ohlc.ETH-USD.1m") == 600


def test_a_webhook_is_called_by_its_name_or_its_host_and_shown_without_its_secret() -> None:
    """Its URL gets into no log by way of a traceback."""
    webhooks = parse(
        "alerts: {webhooks: [{url: 'https://hooks.slack.com/services/T/B/secret', format: slack}, "
        "{url: 'http://10.0.0.1:8080/x', name: pager, headers: {Authorization: secret}}]}"
    ).alerts.webhooks
    assert [one.id for one in webhooks] == ["hooks-slack-com", "pager"]
    assert "secret" not in repr(webhooks)
