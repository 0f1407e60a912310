"""A book without end, of every exchange: it is a break, and not held in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

import dccd.exchanges.book
from dccd.exchanges.base import Broken, Exchange, Market, StreamOptions
from dccd.exchanges.registry import EXCHANGES, get
from dccd.exchanges.unified.exchange import Unified
from dccd.exchanges.unified.features import Features
from dccd.records import Record
from dccd.symbols import NS, Dataset

NOW = 1_696_436_740 * NS
REST_BOOK = b'{"lastUpdateId":160,"bids":[["16541.25","1.0"],["16541.24","10.0"]],"asks":[["16541.26","100.0"]]}'
BOOKS = {
    "anywhere": ("unified", "BTC-USDT", Market("BTC/USDT")),
    "binance": ("binance", "BTC-USDT", Market("BTCUSDT")),
    "bitfinex": ("bitfinex", "BTC-USD", Market("tBTCUSD")),
    "bitmex": ("bitmex", "BTC-USD_PERP", Market("XBTUSD", inverse=True)),
    "bybit": ("bybit", "BTC-USDT_PERP", Market("BTCUSDT")),
    "coinbase": ("coinbase", "BTC-USD", Market("BTC-USD")),
    "kraken": ("kraken", "BTC-USD", Market("XXBTZUSD")),
    "krakenfutures": ("krakenfutures", "BTC-USD_PERP", Market("PF_XBTUSD")),
    "okx": ("okx", "BTC-USDT", Market("BTC-USDT")),
}
FRAMES = Path(__file__).parents[2] / "frames"


def exchange_of(name: str) -> Exchange:
    if name != "anywhere":
        return get(name)
    return Unified(Features(id=name, kinds=frozenset({"spot"}), methods=frozenset({"watchOrderBook"})))


def breaks(exchange: str) -> list[Broken]:
    """The breaks in the first frames of *exchange*, which hold a book of some levels."""
    folder, symbol, market = BOOKS[exchange]
    dataset = Dataset.parse(f"{exchange}.orderbook.{symbol}")
    options = StreamOptions(depth=10 if exchange == "kraken" else None)  # what its frames are of
    protocol = exchange_of(exchange).stream(dataset, options, market)
    out: list[Record] = []
    signals = []
    for n, frame in enumerate((FRAMES / folder / "book.jsonl").read_bytes().splitlines()):
        signals.append(protocol.receive(frame, NOW + n, out))
        if n == 2 and exchange == "binance":
            protocol.snapshot(REST_BOOK, NOW + n, out)
    return [signal for signal in signals if isinstance(signal, Broken)]


def test_all_exchanges_are_here() -> None:
    """A new one is not forgotten."""
    assert set(EXCHANGES) == set(BOOKS) - {"anywhere"}


@pytest.mark.parametrize("exchange", BOOKS)
def test_a_book_without_end(exchange: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the levels that any real book has it is broken, and says so."""
    assert not breaks(exchange)
    monkeypatch.setattr(dccd.exchanges.book, "MOST_LEVELS", 1)
    first, *_ = breaks(exchange)
    assert "has more than 1 levels a side" in first.reason
