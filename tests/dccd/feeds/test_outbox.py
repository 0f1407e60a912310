from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.feeds.outbox import Outbox, Window


def test_a_window_holds_so_many_events_wherever_it_begins() -> None:
    """Four at once, then none until the first of them is a second old."""
    window = Window(4.0, 1.0)
    for _ in range(4):
        assert window.wait(10.0) == 0.0
        window.note(10.0)
    assert window.wait(10.25) == 0.75
    assert window.wait(11.0) == 0.0


def test_less_than_one_event_in_the_period_is_one_in_a_longer_one() -> None:
    """Half a message a second is one in two."""
    window = Window(0.5, 1.0)
    window.note(0.0)
    assert window.wait(0.0) == 2.0


@given(st.floats(0.2, 20.0), st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60))
def test_no_period_ever_holds_more(count: float, pauses: list[float]) -> None:
    """Whenever somebody wants to send, and waits as told, no second holds more than it may."""
    window, now, times = Window(count, 1.0), 0.0, []
    for pause in pauses:
        now += pause
        now += window.wait(now)
        assert window.wait(now) == 0.0
        window.note(now)
        times.append(now)
    whole = max(1, int(count))
    for first, last in zip(times, times[whole:], strict=False):
        assert last - first >= whole / count - 1e-5


@given(st.sampled_from([3.0, 6.0, 10.0]), st.lists(st.floats(0.0, 0.5), min_size=30, max_size=60))
def test_a_way_that_takes_half_a_second_at_times_brings_few_together(messages: float, delays: list[float]) -> None:
    """No second in which messages arrive has as many as two seconds are allowed."""
    window, now, arrived = Window.evenly(messages), 0.0, list[float]()
    for delay in delays:
        now += window.wait(now)
        window.note(now)
        arrived.append(max(now + delay, arrived[-1] if arrived else 0.0))
    for first, last in zip(arrived, arrived[int(1.5 * messages) + 2 :], strict=False):
        assert last - first >= 1.0 - 1e-3


def taken(outbox: Outbox, now: float) -> list[str]:
    found = []
    while (one := outbox.take(now)) is not None:
        found.append(one[1])
    return found


def test_what_mends_goes_before_what_begins() -> None:
    """Urgent frames first, then ends of subscriptions whose time has come, then subscriptions."""
    outbox = Outbox(Window(100, 1.0))
    outbox.put(1, ["subscribe a", "subscribe b"])
    outbox.put(3, ["unsubscribe x"], not_before=5.0)
    outbox.put(3, ["unsubscribe y"], not_before=6.0)
    outbox.put(2, ["mend"], urgent=True)
    assert taken(outbox, 5.0) == ["mend", "unsubscribe x", "subscribe a", "subscribe b"]
    assert outbox.wait(5.0) == pytest.approx(1.0)
    assert taken(outbox, 6.0) == ["unsubscribe y"]
    assert outbox.wait(6.0) is None
    assert (outbox.sent, len(outbox)) == (5, 0)


def test_who_has_left_says_nothing_more_but_that() -> None:
    """Frames that still wait are forgotten; the end of a subscription isn't."""
    outbox = Outbox(Window(100, 1.0))
    outbox.put(1, ["subscribe a"])
    outbox.put(2, ["subscribe b"])
    outbox.put(1, ["mend a"], urgent=True)
    outbox.put(1, ["unsubscribe a"], not_before=0.0)
    outbox.forget(1)
    assert taken(outbox, 0.0) == ["unsubscribe a", "subscribe b"]


def test_the_pace_is_kept() -> None:
    """So many at once, the others later, in order."""
    outbox = Outbox(Window(2, 1.0))
    outbox.put(1, ["a", "b", "c"])
    assert taken(outbox, 0.0) == ["a", "b"]
    assert outbox.wait(0.25) == 0.75
    assert taken(outbox, 0.9) == []
    assert taken(outbox, 1.0) == ["c"]
