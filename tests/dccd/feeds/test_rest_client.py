from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from dccd.feeds.rest_client import rebase, retry_after


def test_a_base_url_replaces_scheme_host_and_port_in_the_whole_table() -> None:
    """Each URL keeps its own path, templates of hosts and nested tables included; what is no HTTP URL stays."""
    table = {
        "public": "https://api.binance.com/api/v3",
        "nested": {"spot": "https://{hostname}/v5", "ws": "wss://stream.binance.com/ws"},
        "version": 3,
    }
    assert rebase(table, "http://127.0.0.1:8080") == {
        "public": "http://127.0.0.1:8080/api/v3",
        "nested": {"spot": "http://127.0.0.1:8080/v5", "ws": "wss://stream.binance.com/ws"},
        "version": 3,
    }
    assert rebase("https://api.kraken.com", "http://proxy:1/kraken/") == "http://proxy:1/kraken"


@pytest.mark.parametrize(("value", "seconds"), [("17", 17.0), (None, None), ("", None), ("soon", None)])
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    """A number is seconds; what is neither a number nor a date says nothing."""
    assert retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    """A date is the time until then, and never negative."""
    wait = retry_after(formatdate(time.time() + 60, usegmt=True))
    assert wait is not None
    assert 55 < wait <= 60
    assert retry_after(formatdate(0, usegmt=True)) == 0.0
