"""Listings: familiar pairs at familiar prices, unknown ones at prices of their own."""

from __future__ import annotations

import pytest

from dccd.simulator.book import Book
from dccd.simulator.instruments import instrument
from dccd.simulator.market import DAY, Market
from dccd.symbols import NS, Symbol


def test_known_pairs_have_the_usual_decimals() -> None:
    """BTC/USDT as Binance lists it, BTC/USD as Kraken does."""
    binance = instrument(Symbol.parse("BTC/USDT"), digits=7)
    assert (binance.price_decimals, binance.amount_decimals, binance.price) == (2, 5, 6_400_000)
    kraken = instrument(Symbol.parse("BTC/USD"), digits=6, amount_decimals=8)
    assert (kraken.price_decimals, kraken.amount_decimals, kraken.price) == (1, 8, 640_000)


def test_any_pair_fits_into_eight_decimals() -> None:
    """Whatever the pair, prices are far above a tick, and price times amount has at most eight decimals."""
    for text in ("DOGE/BTC", "PEPE/USDT", "BTC/EUR", "A1/B2", "USDC/USDT"):
        pair = instrument(Symbol.parse(text), digits=7)
        assert pair.price > 100
        assert pair.price_decimals + pair.amount_decimals <= 8
        assert pair.lots >= 2
        assert pair == instrument(Symbol.parse(text), digits=7)


OPENED = 1_700_006_400 * NS


@pytest.mark.parametrize(("decimals", "contract"), [(2, 1), (4, 10), (0, 1)])
def test_trades_and_books_are_of_whole_contracts(decimals: int, contract: int) -> None:
    """Contracts of 0.01 BTC, of 0.001 and of 1: every size is a multiple, and the truth has it in base asset."""
    of = instrument(Symbol.parse("BTC/USDT:perp"), 6, decimals, contract=contract)
    market = Market(of, seed="1", rate=5, opened=OPENED)
    lots = [tick.lots for run in market.runs(0, 2000) for tick in run.ticks]
    assert all(lot > 0 and lot % contract == 0 for lot in lots)
    assert [trade.amount for trade in market.numbered(0, 2000)] == [lot / 10**decimals for lot in lots]
    book = Book(market, seed="1", depth=100)
    for step in range(1000, 1100):
        sides = *book.levels(step, 100), *book.changes(step)
        assert all(lot % contract == 0 for side in sides for _, lot in side)
        assert any(side for side in sides[2:])
    assert of.contract_size == contract / 10**decimals


def test_inverse_contracts_are_counted_in_quote_asset() -> None:
    """Trades, books and bars have what the contracts were worth in base asset; a bar has both volumes."""
    of = instrument(Symbol.parse("BTC/USD:perp"), 6, 0, contract=100, inverse=True)
    market = Market(of, seed="1", rate=5, opened=OPENED)
    assert of.contract_size == 100
    trades = market.trades(OPENED + DAY, OPENED + DAY + 300 * NS)
    assert all(round(trade.amount * trade.price, 6) % 100 == 0 for trade in trades)
    (bar,) = market.bars(300, OPENED + DAY, OPENED + DAY + 1)
    assert bar.volume == pytest.approx(sum(trade.amount for trade in trades), rel=1e-5)
    assert bar.quote_volume == pytest.approx(sum(trade.amount * trade.price for trade in trades), rel=1e-12)
    quiet = Market(of, seed="1", rate=0.01, opened=OPENED).bars(1, OPENED + DAY, OPENED + DAY + 60 * NS)
    assert any(bar.trades == 0 and bar.volume == bar.quote_volume == 0 for bar in quiet)
    shown = Book(market, seed="1", depth=50).snapshot(OPENED + DAY, 10)
    assert all(round(price * amount, 6) % 100 == 0 for price, amount in shown.bids + shown.asks)
