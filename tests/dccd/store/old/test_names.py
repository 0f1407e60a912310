"""What a path of an older release is."""

from __future__ import annotations

import pytest

from dccd.errors import IdentityError
from dccd.store.old.names import recognise, split_pair


@pytest.mark.parametrize(
    ("path", "dataset", "in_place"),
    [
        ("binance/ohlc/BTC-USDT/1h/2024.parquet", "binance.ohlc.BTC-USDT.1h", True),
        ("kraken/ohlc/ETH-USD/600s/2024.parquet", "kraken.ohlc.ETH-USD.10m", False),
        ("kraken/trades/XBT-EUR/2024-03-01.parquet", "kraken.trades.BTC-EUR", False),
        ("binance/funding/BTC-USDT_PERP/2024.parquet", "binance.funding.BTC-USDT_PERP", True),
        ("binance/open_interest/BTC-USDT_PERP/5m/2024.parquet", "binance.open_interest.BTC-USDT_PERP", False),
        ("Binance/Data/Clean_Data/Half_Hourly/ETHUSDT/x.csv", "binance.ohlc.ETH-USDT.30m", False),
        ("GDAX/Data/Clean_Data/Daily/BTCUSD/x.xlsx", "coinbase.ohlc.BTC-USD.1d", False),
    ],
)
def test_a_path_says_what_its_rows_are(path: str, dataset: str, in_place: bool) -> None:
    """Of each layout, whether it lies where a base file of ours does."""
    found = recognise(path, {}, {})
    assert (found.dataset and found.dataset.name, found.in_place) == (dataset, in_place)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("bybit/ohlc/SOL-USDT/2592000s/2024.parquet", "bars of 2592000s can't be kept"),
        ("binance/trades/BTC-USDT/2024.parquet", "no period of trades"),
        ("binance/trades/BTC-USDT/1h/2024-03-01.parquet", "files of trades lie at {exchange}/trades/{PAIR}/PERIOD"),
        ("binance/ohlc/BTC.F-USDT/1h/2024.parquet", "--symbol BTC.F-USDT="),
        ("Binance/Data/Clean_Data/Hourly/BTCBUSD/x.csv", "BTC/BUSD or BTCB/USD: say which, as --symbol BTCBUSD="),
        ("dump/24.csv", "--dataset dump/24.csv="),
    ],
)
def test_what_cannot_be_told_says_how_to_tell(path: str, words: str) -> None:
    """Nothing is guessed, and the way out is named."""
    found = recognise(path, {}, {})
    assert found.dataset is None and not found.ignored
    assert found.problem is not None and words in found.problem


def test_what_is_said_counts() -> None:
    """A pair, a file, and all files of a folder mean what they are said to."""
    pair = recognise("Binance/Data/Clean_Data/Hourly/BTCBUSD/x.csv", {"BTCBUSD": "BTC/BUSD"}, {})
    file = recognise("dump/24.csv", {}, {"dump/24.csv": "okx.trades.BTC-USDT"})
    folder = recognise("dump/24.db", {}, {"dump": "okx.trades.BTC-USDT"})
    assert [one.dataset and one.dataset.name for one in (pair, file, folder)] == [
        "binance.ohlc.BTC-BUSD.1h",
        "okx.trades.BTC-USDT",
        "okx.trades.BTC-USDT",
    ]
    with pytest.raises(IdentityError):
        recognise("dump/24.csv", {}, {"dump/24.csv": "nonsense"})


@pytest.mark.parametrize("path", ["notes.txt", "binance/ohlc/BTC-USDT/1h/2024.parquet.tmp.12.34"])
def test_other_files_are_left_alone(path: str) -> None:
    """What holds no rows is nobody's problem."""
    assert recognise(path, {}, {}).ignored


@pytest.mark.parametrize(
    ("pair", "symbol"),
    [
        ("BTCUSDT", "BTC/USDT"),
        ("XBTUSD", "BTC/USD"),
        ("XXBTZEUR", "BTC/EUR"),
        ("XETHXXBT", "ETH/BTC"),
        ("btc_usdt", "BTC/USDT"),
    ],
)
def test_a_pair_without_a_separator_is_split(pair: str, symbol: str) -> None:
    """Where it can only mean one."""
    assert split_pair(pair).human == symbol


@pytest.mark.parametrize("pair", ["BTCBUSD", "BTCTUSD", "FOOBAR", "USDT"])
def test_a_pair_that_may_mean_several_is_refused(pair: str) -> None:
    """Or nothing that is known."""
    with pytest.raises(IdentityError, match=f"--symbol {pair}="):
        split_pair(pair)
