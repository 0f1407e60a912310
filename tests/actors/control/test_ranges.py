"""What range a backfill is asked for."""

from __future__ import annotations

import pytest

from actors.control.ranges import resolve_range
from dccd.errors import RequestError
from dccd.exchanges.base import Capability
from dccd.symbols import NS, Dataset

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = Dataset.parse("kraken.ohlc.BTC-USD.1m")
BOOK = Dataset.parse("kraken.orderbook.BTC-USD")
NOW = 1_704_153_600 * NS  # 2024-01-02
DAY = 86_400 * NS
ALL = Capability()
RECENT = Capability(recent=43_200, note="720 bars")


@pytest.mark.parametrize(
    ("dataset", "asked", "stored", "start", "end"),
    [
        (TRADES, ("2024-01-01", None), None, NOW - DAY, NOW),
        (TRADES, ("2024-01-01", "2024-01-01T12:00:00Z"), None, NOW - DAY, NOW - DAY // 2),
        (TRADES, ("last", None), NOW - 5, NOW - 5, NOW),
        (TRADES, ("last", None), None, NOW - 3600 * NS, NOW),
        (BARS, ("last", None), None, NOW - 43_200 * NS, NOW),
        (TRADES, ("origin", None), NOW - 5, 0, NOW),
        (TRADES, (str(NOW - 7), str(NOW - 3)), None, NOW - 7, NOW - 3),
        (BOOK, ("last", None), None, NOW - 1, NOW),
    ],
)
def test_a_range_is_resolved(
    dataset: Dataset, asked: tuple[str, str | None], stored: int | None, start: int, end: int
) -> None:
    """last goes on from the stored end or a bounded default, origin is the beginning, times are themselves."""
    capability = RECENT if dataset is BARS else ALL
    assert resolve_range(dataset, asked, stored, NOW, capability)[:2] == (start, end)


def test_an_end_in_the_future_is_clamped_with_a_warning() -> None:
    """It ends now, and says so."""
    assert resolve_range(TRADES, ("2024-01-01", "2030-01-01"), None, NOW, ALL)[1:] == (
        NOW,
        "the end lies in the future: it ends now",
    )


def test_a_start_before_what_is_served_is_clamped_with_a_warning() -> None:
    """Never silently short."""
    start, _, warning = resolve_range(BARS, ("2023-01-01", None), None, NOW, RECENT)
    assert start == NOW - 43_200 * NS
    assert warning is not None
    assert "nothing before 2024-01-01T12:00:00Z" in warning


@pytest.mark.parametrize(
    ("dataset", "asked", "code", "reason", "field"),
    [
        (TRADES, ("soon", None), 400, "malformed", "start"),
        (TRADES, ("2024-01-01", "later"), 400, "malformed", "end"),
        (TRADES, ("2024-01-01", "2023-01-01"), 422, "empty_range", "start"),
        (TRADES, ("2025-01-01", None), 422, "empty_range", "start"),
        (BARS, ("2023-01-01", "2023-01-02"), 422, "no_capability", "end"),
    ],
)
def test_a_range_that_can_not_be_is_refused(
    dataset: Dataset, asked: tuple[str, str | None], code: int, reason: str, field: str
) -> None:
    """The error has a code, a token for scripts and the field."""
    with pytest.raises(RequestError) as caught:
        resolve_range(dataset, asked, None, NOW, RECENT if dataset is BARS else ALL)
    assert (caught.value.code, caught.value.reason, caught.value.field) == (code, reason, field)
