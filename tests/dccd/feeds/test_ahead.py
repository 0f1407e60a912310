"""What records whose times are ahead of our clock are good for."""

from __future__ import annotations

from dccd.feeds.ahead import SLACK, Clocks, TooFar
from dccd.symbols import NS

NOW = 1_700_000_000 * NS
DAY = 86_400 * NS


def test_one_time_that_is_ahead_moves_nothing() -> None:
    """It is believed as far as our clock goes; how far clocks may differ at most, it tells."""
    clocks = Clocks()
    for ahead in (0, 50 * NS, -NS // 5):
        clocks.saw(NOW + ahead, NOW)
    assert (clocks.agreed, clocks.most) == (0, 50 * NS)
    assert clocks.believed(NOW + 50 * NS, NOW) == NOW
    assert clocks.believed(NOW + SLACK, NOW) == NOW + SLACK
    assert clocks.believed(NOW - NS, NOW) == NOW - NS


def test_an_exchange_whose_clock_is_ahead_is_believed() -> None:
    """Two records in a row agree about it; the less of both counts."""
    clocks = Clocks()
    for ahead in (31, 30, 29):
        clocks.saw(NOW + ahead * NS, NOW)
    assert clocks.agreed == 30 * NS
    assert clocks.believed(NOW + 30 * NS, NOW) == NOW + 30 * NS
    assert clocks.believed(NOW + 45 * NS, NOW) == NOW + 30 * NS


def test_two_wrong_times_in_a_row_are_not_believed_for_good() -> None:
    """Twenty that are less ahead say how far it is; a few that were on their way for longer don't."""
    clocks = Clocks()
    for ahead in (50, 50, *[3, 2] * 9, 3):
        clocks.saw(NOW + ahead * NS, NOW)
    assert clocks.agreed == 50 * NS
    clocks.saw(NOW + 2 * NS, NOW)
    assert clocks.agreed == 3 * NS
    for ahead in (*[1] * 19, 3, *[1] * 19):
        clocks.saw(NOW + ahead * NS, NOW)
    assert clocks.agreed == 3 * NS


def test_what_is_far_ahead_is_none() -> None:
    """By more than a minute; the reason names both clocks."""
    far = TooFar()
    assert far.limit(NOW) == NOW + 60 * NS
    reason = far.refuse(NOW + 90 * NS, NOW)
    assert reason == "a record's time is 90 s ahead of ours: it is wrong, or this host's clock is"


def test_a_clock_of_ours_that_is_behind_ends_no_stream_for_good() -> None:
    """Three subscriptions that say the same are right; then a minute more is none again."""
    far = TooFar()
    said = [far.refuse(NOW + NS * second + 900 * NS, NOW + NS * second) for second in (0, 5, 20)]
    assert [one is None for one in said] == [False, False, True]
    assert far.limit(NOW) == NOW + 960 * NS


def test_times_that_do_not_agree_stay_refused() -> None:
    """Neither those of which each says something else, nor those long ago, nor with a right one in between."""
    apart, slow, mixed, absurd = TooFar(), TooFar(), TooFar(), TooFar()
    for n in range(9):
        assert apart.refuse(NOW + (100 + 90 * (n % 3)) * NS, NOW)
        assert slow.refuse(NOW + n * 400 * NS + 100 * NS, NOW + n * 400 * NS)
        assert mixed.refuse(NOW + 100 * NS, NOW)
        mixed.took(NOW - NS, NOW)
        assert absurd.refuse(NOW + 400 * DAY, NOW)
    assert apart.limit(NOW) == absurd.limit(NOW) == NOW + 60 * NS


def test_trades_of_the_past_do_not_show_that_our_clock_is_right() -> None:
    """Some exchanges begin with them."""
    far = TooFar()
    for _ in range(2):
        assert far.refuse(NOW + 900 * NS, NOW)
        far.took(NOW - 900 * NS, NOW)
    assert far.refuse(NOW + 900 * NS, NOW) is None
