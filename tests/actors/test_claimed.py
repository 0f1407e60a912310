"""Tests of what a stream's messages claim."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.claimed import Claimed
from dccd.store.intervals import IntervalSet


def test_each_message_claims_what_became_certain() -> None:
    """The first message begins behind its first record, each other one where the last left off."""
    claimed = Claimed()
    assert claimed.batch(100, 100) == []
    assert claimed.batch(110, 105) == [(101, 105)]
    assert claimed.batch(120, 105) == []
    assert claimed.batch(130, 130) == [(105, 130)]
    assert claimed.batch(140, None) == []


def test_the_first_bar_is_claimed_whole() -> None:
    """There is one bar of a time: a backfill that ends where it begins leaves nothing in between."""
    claimed = Claimed(bars=True)
    assert claimed.batch(100, 100) == []
    assert claimed.batch(160, 160) == [(100, 160)]


def test_a_hole_is_left_out() -> None:
    """What came before a hole and what comes after it is claimed by the next message, and nothing in between."""
    claimed = Claimed()
    claimed.batch(100, 110)
    claimed.hole(115, 200)
    claimed.hole(210, 220)
    assert claimed.batch(220, 230) == [(110, 115), (200, 210), (220, 230)]


def test_a_stream_that_starts_again_goes_on_where_it_stood() -> None:
    """With the hole told nothing of it is claimed; with none told it goes on without one."""
    stopped = Claimed(50)
    stopped.hole(50, 100)
    assert stopped.batch(99, 120) == [(100, 120)]
    assert Claimed(50).batch(60, 70) == [(50, 70)]


def test_a_message_without_room_claims_nothing() -> None:
    """What was dropped begins where nothing was claimed yet, and is claimed by nobody later."""
    claimed = Claimed()
    claimed.batch(100, 110)
    for certain in (120, 130):
        claimed.undo(claimed.batch(certain, certain))
    assert claimed.dropped(118, 135) == ((110, 136), None)
    assert claimed.batch(140, 139) == [(136, 139)]


def test_a_hole_told_while_there_was_no_room_stays_one() -> None:
    """A connection was lost while messages were dropped: what follows those claims nothing of its hole."""
    claimed = Claimed(0)
    claimed.undo(claimed.batch(50, 45))
    claimed.hole(65, 70)
    assert claimed.dropped(50, 60)[0] == (0, 61)
    assert claimed.batch(71, 80) == [(70, 80)]


def test_a_late_record_that_is_dropped_makes_its_time_doubted() -> None:
    """It is older than what was claimed before it came."""
    claimed = Claimed(0)
    claimed.batch(100, 95)
    assert claimed.dropped(90, 101) == ((90, 102), (90, 95))


def test_a_message_that_claims_nothing_says_where_the_claims_end() -> None:
    """Who starts again goes on there; of a batch in several messages all but the last say where its claim begins."""
    claimed = Claimed()
    assert claimed.stand(()) == ()
    claimed.batch(100, None)
    assert claimed.stand(claimed.batch(110, None)) == [(101, 101)]
    assert claimed.stand(claimed.batch(120, 115)) == [(101, 101)]
    assert claimed.stand(claimed.batch(121, None)) == [(115, 115)]


def test_the_header_has_room() -> None:
    """Of very many intervals the oldest are left out: they are missing then, which is no lie."""
    claimed = Claimed(0)
    for n in range(100):
        claimed.hole(10 * n + 5, 10 * n + 10)
    assert len(claimed.batch(1000, 1001)) == 16


def test_a_hole_in_what_was_claimed_is_doubted() -> None:
    """Who is told late that something is missing takes back what was claimed."""
    claimed = Claimed()
    claimed.batch(100, 200)
    assert claimed.hole(150, 180) == (150, 180)
    assert claimed.hole(150, 300) == (150, 200)
    assert claimed.hole(310, 320) is None
    assert claimed.batch(330, 330) == [(300, 310), (320, 330)]


@given(st.lists(st.tuples(st.sampled_from(["batch", "hole", "drop"]), st.integers(1, 9), st.integers(0, 5))))
def test_no_hole_is_ever_claimed(steps: list[tuple[str, int, int]]) -> None:
    """Whatever comes, no point of a hole or of a dropped message is claimed by a message that was taken."""
    claimed, holes, claims = Claimed(), IntervalSet(), IntervalSet()
    now = 100
    claimed.batch(now, now)
    overflow: tuple[int, int] | None = None
    for kind, length, lag in steps:
        if kind == "hole":
            # It may be told in advance.
            holes = holes.add(now, now + length + lag)
            claimed.hole(now, now + length + lag)
        elif kind == "batch":
            if overflow is not None:
                holes, overflow = holes.add(*claimed.dropped(*overflow)[0]), None
            for start, end in claimed.batch(now, now + length - lag):
                claims = claims.add(start, end)
        else:
            claimed.undo(claimed.batch(now, now + length - lag))
            overflow = now if overflow is None else overflow[0], now + length
        now += length
    assert not [point for start, end in holes for point in range(start, end) if point in claims]
