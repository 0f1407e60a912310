"""Where a live stream has a hole."""

from __future__ import annotations

from actors.holes import Hole, HoleFinder
from dccd.records import Bar, Trade
from dccd.symbols import NS, Dataset

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = Dataset.parse("binance.ohlc.BTC-USDT.1m")
T = 1_700_000_000 * NS


def trade(number: int, ts: int) -> Trade:
    return Trade(ts, 1.0, 1.0, "buy", str(number))


def bar(ts: int, closed: bool = True) -> Bar:
    return Bar(ts, 1, 1, 1, 1, 1, closed=closed)


def test_the_first_start_of_a_stream_is_no_hole() -> None:
    """What was before a dataset's first record was never asked for."""
    finder = HoleFinder(TRADES, None, None, True)
    finder.live(T)
    assert finder.records([trade(1, T)]) is None


def test_a_disconnect_is_a_hole_from_the_last_record_to_the_next() -> None:
    """Both ends are records of the exchange, and both of their times lie inside."""
    finder = HoleFinder(TRADES, None, None, True)
    finder.records([trade(1, T), trade(2, T + 5)])
    finder.lost("closed by the exchange")
    finder.live(T + 50)
    assert finder.records([trade(9, T + 90), trade(10, T + 95)]) == Hole(T + 5, T + 91, "closed by the exchange")
    assert finder.records([trade(11, T + 99)]) is None


def test_consecutive_ids_prove_that_nothing_was_lost() -> None:
    """A reconnect after which the next id follows is no hole."""
    finder = HoleFinder(TRADES, None, None, True)
    finder.records([trade(2, T)])
    finder.lost("closed")
    assert finder.records([trade(3, T + 90)]) is None


def test_without_consecutive_ids_a_reconnect_is_a_hole() -> None:
    """Where ids prove nothing, only the times do."""
    finder = HoleFinder(TRADES, None, None, False)
    finder.records([trade(2, T)])
    finder.lost("closed")
    assert finder.records([trade(3, T + 90)]) == Hole(T, T + 91, "closed")


def test_a_restart_starts_where_the_bus_stopped() -> None:
    """The time since the last record on the bus is a hole, and a little before it: what a dead parser had not told."""
    for last in (trade(7, T), None):
        hole = HoleFinder(TRADES, last, T, True).records([trade(8, T + 9)])
        assert hole == Hole(T - 5 * NS, T + 10, "not running")


def test_a_jump_in_ids_just_before_a_disconnect_is_inside_the_hole() -> None:
    """The parser was still waiting for a late frame: ids that go on afterwards prove nothing of it."""
    finder = HoleFinder(TRADES, None, None, True)
    finder.records([trade(1, T)])
    finder.records([trade(5, T + NS), trade(6, T + 2 * NS)])
    finder.lost("closed")
    assert finder.records([trade(7, T + 3 * NS)]) == Hole(T, T + 3 * NS + 1, "closed")


def test_a_second_loss_before_any_record_keeps_the_first_start() -> None:
    """Two losses without a record between them are one hole."""
    finder = HoleFinder(TRADES, None, None, True)
    finder.records([trade(1, T)])
    finder.lost("first")
    finder.live(T + 10)
    finder.lost("second")
    assert finder.records([trade(5, T + 90)]) == Hole(T, T + 91, "first")


def test_a_quiet_market_closes_a_hole_by_the_clock() -> None:
    """Live for a while and no trade: the hole ends where the subscription was confirmed."""
    finder = HoleFinder(TRADES, None, T, False)
    finder.live(T + NS)
    assert finder.quiet(T + 5 * NS) is None
    assert finder.quiet(T + 12 * NS) == Hole(T - 5 * NS, T + NS, "not running")
    assert finder.quiet(T + 99 * NS) is None


def test_bars_between_the_last_and_the_one_in_progress_are_lost() -> None:
    """The bar in progress is told whole by its later updates."""
    minute = 60 * NS
    finder = HoleFinder(BARS, None, None, False)
    finder.records([bar(T)])
    finder.lost("closed")
    assert finder.records([bar(T + minute, closed=False)]) is None
    finder.lost("closed")
    assert finder.records([bar(T + 5 * minute, closed=False)]) == Hole(T + minute, T + 5 * minute, "closed")
    assert finder.records([bar(T + 5 * minute)]) is None


def test_losing_the_connection_during_the_first_bar_is_a_hole_once_it_is_over() -> None:
    """A bar seen open only, and then missed, is a hole too."""
    minute = 60 * NS
    finder = HoleFinder(BARS, None, None, False)
    finder.records([bar(T, closed=False)])
    finder.lost("closed")
    assert finder.records([bar(T + minute, closed=False)]) == Hole(T, T + minute, "closed")
