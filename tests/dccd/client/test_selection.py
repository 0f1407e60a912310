"""Which ticks are meant."""

from __future__ import annotations

import pytest

from dccd.client.selection import Selection
from dccd.errors import IdentityError
from dccd.symbols import Dataset, DataType


@pytest.mark.parametrize(
    ("parts", "pattern", "kind"),
    [
        (("binance", "trades", "btc/usdt", None), "binance.trades.BTC-USDT", DataType.TRADES),
        (("binance", "trades", "*", None), "binance.trades.*", DataType.TRADES),
        (("*", "trades", "XBT/USD", None), "*.trades.BTC-USD", DataType.TRADES),
        (("*", "ohlc", "*", "60"), "*.ohlc.*.1m", DataType.OHLC),
        (("kraken", "ohlc", "BTC/USD", "*"), "kraken.ohlc.BTC-USD.*", DataType.OHLC),
    ],
)
def test_parts(parts: tuple[str, str, str, str | None], pattern: str, kind: DataType) -> None:
    """What is named is brought into its form, a * stays."""
    found = Selection.make(*parts)
    assert (str(found), found.subject, found.data_type) == (pattern, f"dccd.ticks.{pattern}", kind)
    assert (found.dataset is None) == ("*" in pattern)
    assert Selection.parse(pattern) == found


@pytest.mark.parametrize(
    ("pattern", "kind"), [(">", None), ("*.*.BTC-USD", None), ("binance.>", None), ("*.funding.>", DataType.FUNDING)]
)
def test_patterns(pattern: str, kind: DataType | None) -> None:
    """As the bus matches; the data type is known where it is named."""
    found = Selection.parse(f"dccd.ticks.{pattern}")
    assert (found.pattern, found.dataset, found.data_type) == (pattern, None, kind)


@pytest.mark.parametrize(
    "wrong",
    [
        "binance", "binance.*", "binance.candles.*", "binance.trades.BTC-*", "Binance.trades.*", "binance.trades.*.1m",
        "binance.ohlc.*", "*.ohlc.*.soon", "a.b.c.d.e", "binance.trades.*.*.*", "binance.>.x", "binance.*.*.*.>", "",
    ],
)  # fmt: skip
def test_no_patterns(wrong: str) -> None:
    """What can't match anything is refused."""
    with pytest.raises(IdentityError):
        Selection.parse(wrong)


@pytest.mark.parametrize(
    "parts",
    [
        ("*", "*", "BTC/USD"), ("*", "candles", "BTC/USD"), ("Bad exchange", "trades", "*"),
        ("*", "trades", "nonsense"), ("*", "trades", "*", "1m"), ("*", "ohlc", "*"),
    ],
)  # fmt: skip
def test_no_parts(parts: tuple[str, ...]) -> None:
    """Each part is checked as it is for one dataset."""
    with pytest.raises(IdentityError):
        Selection.make(*parts)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("binance.trades.*", "binance.trades.BTC-USDT_PERP", True),
        ("binance.trades.*", "kraken.trades.BTC-USD", False),
        ("*.trades.BTC-USD", "kraken.trades.BTC-USD", True),
        ("*.*.BTC-USD", "kraken.ohlc.BTC-USD.1m", False),
        ("kraken.>", "kraken.ohlc.BTC-USD.1m", True),
        (">", "kraken.ohlc.BTC-USD.1m", True),
        ("kraken.ohlc.BTC-USD.>", "kraken.ohlc.BTC-USD.1m", True),
        ("kraken.trades.BTC-USD", "kraken.trades.BTC-USD", True),
    ],
)
def test_matching(pattern: str, name: str, matches: bool) -> None:
    """A * is one part, a > at least one."""
    assert Selection.parse(pattern).matches(Dataset.parse(name)) is matches
