"""What a feed from the past leaves out."""

from __future__ import annotations

import pytest

from dccd.client import sieve as module
from dccd.client.sieve import Joint, Sieve, earliest
from dccd.records import Bar, BookDelta, Trade
from dccd.symbols import NS, Dataset, DataType

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = Dataset.parse("binance.ohlc.BTC-USDT.1m")
BOOK = Dataset.parse("binance.orderbook.BTC-USDT")


def trade(ts: int, tid: str | None) -> Trade:
    return Trade(ts=ts, price=1.0, amount=2.0, side="buy", tid=tid)


def bar(ts: int) -> Bar:
    return Bar(ts=ts, open=1, high=1, low=1, close=1, volume=1)


def test_a_bar_belongs_to_the_time_until_it_is_over() -> None:
    """One that is over at the beginning doesn't, one that isn't does; a trade counts by its own time."""
    assert earliest(TRADES, 100 * NS) == 100 * NS
    assert Sieve(100 * NS).keep(BARS, [bar(39 * NS), bar(40 * NS), bar(41 * NS)], 1) == [bar(41 * NS)]
    assert Sieve(5).keep(TRADES, [trade(4, "a"), trade(5, "b")], 1) == [trade(5, "b")]


def test_the_same_trade_comes_once() -> None:
    """By its id, of its dataset; trades without an id are all kept."""
    sieve = Sieve(None)
    other = Dataset.parse("kraken.trades.BTC-USD")
    assert sieve.keep(TRADES, [trade(1, "a"), trade(1, "a"), trade(2, None)], 1) == [trade(1, "a"), trade(2, None)]
    assert sieve.keep(TRADES, [trade(1, "a"), trade(2, None)], 2) == [trade(2, None)]
    assert sieve.keep(other, [trade(1, "a")], 3) == [trade(1, "a")]
    assert sieve.doubles == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest ids are, of trades and of messages, and the last rows of the store."""
    monkeypatch.setattr(module, "RECENT_TRADES", 2)
    monkeypatch.setattr(module, "RECENT_IDS", 2)
    monkeypatch.setattr(module, "STORED_KEYS", 2)
    sieve = Sieve(None)
    for number in range(5):
        sieve.keep(TRADES, [trade(1, str(number))], number)
        assert not sieve.is_double(str(number))
    assert sieve.keep(TRADES, [trade(1, "1"), trade(1, "3")], 9) == [trade(1, "1")]
    assert (sieve.is_double("3"), sieve.is_double("1"), sieve.is_double(None)) == (True, False, False)
    joint = Joint(100, 0)
    joint.read(DataType.TRADES, [trade(n, str(n)) for n in range(3)])
    assert [joint.drops(DataType.TRADES, trade(n, str(n)), 1) for n in range(3)] == [False, True, True]


def test_the_seam() -> None:
    """Up to the boundary what was on disk is left out, and what came there while it was read by its key; what is newer,
    or has come too late for the reading, stays."""
    joint = Joint(100, archived=5)
    joint.read(DataType.TRADES, [trade(90, "a"), trade(98, None)])
    sieve = Sieve(50, joint)
    assert sieve.keep(TRADES, [trade(90, "x"), trade(100, "y"), trade(120, "z")], 5) == [
        trade(100, "y"),
        trade(120, "z"),
    ]
    assert sieve.keep(TRADES, [trade(90, "a"), trade(98, None), trade(97, "late")], 6) == [trade(97, "late")]
    joint.until = 7
    assert sieve.keep(TRADES, [trade(98, None), trade(96, None)], 7) == [trade(96, None)]
    assert sieve.keep(TRADES, [trade(98, None)], 8) == [trade(98, None)]
    assert sieve.doubles == 4


def test_a_twin_on_the_other_side_of_the_seam() -> None:
    """A trade whose time a backfill has rounded to before the boundary isn't told again by its id."""
    joint = Joint(100, archived=5)
    joint.read(DataType.TRADES, [trade(99, "a")])
    assert Sieve(50, joint).keep(TRADES, [trade(100, "a"), trade(101, "b")], 6) == [trade(101, "b")]


def test_bars_and_books_have_keys() -> None:
    """Bars by their time, changes of a book by time and number."""
    joint = Joint(100, archived=0)
    joint.read(DataType.OHLC, [bar(60)])
    assert Sieve(1, joint).keep(Dataset.parse("binance.ohlc.BTC-USDT.1s"), [bar(60), bar(61)], 1) == [bar(61)]
    joint = Joint(100, archived=0)
    joint.read(DataType.ORDERBOOK, [BookDelta(ts=60, seq=1, bids=[], asks=[(1.0, 1.0)])])
    again, new = (BookDelta(ts=60, seq=n, bids=[], asks=[(1.0, 1.0)]) for n in (1, 2))
    assert Sieve(1, joint).keep(BOOK, [again, new], 1) == [new]
