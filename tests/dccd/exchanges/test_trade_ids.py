"""Which trades are new, and which are missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dccd.exchanges.trade_ids import PATIENCE, TradeIds
from dccd.symbols import NS


def test_consecutive_ids_leave_nothing() -> None:
    """Ids without a jump are all new and nothing waits."""
    ids = TradeIds()
    assert all(ids.accept(tid, tid, tid) for tid in range(5, 20))
    assert ids.expired(10**18) is None
    assert ids.unresolved() == []


def test_a_jump_is_a_hole_after_a_while() -> None:
    """A jump is reported once, two seconds later, from the trade before it to the trade after it."""
    ids = TradeIds()
    ids.accept(5, 100, NS)
    ids.accept(8, 400, NS)
    assert ids.expired(NS + PATIENCE - 1) is None
    broken = ids.expired(NS + PATIENCE)
    assert broken is not None
    assert (broken.since, broken.until, broken.resync) == (100, 401, "none")
    assert "6 to 7" in broken.reason
    assert ids.expired(10**18) is None


def test_late_trades_fill_a_jump() -> None:
    """Trades that come late are new, and no hole is reported."""
    ids = TradeIds()
    assert [ids.accept(tid, tid, 0) for tid in (5, 8, 7, 6, 9)] == [True] * 5
    assert ids.expired(10**18) is None


def test_what_is_not_filled_stays_a_hole() -> None:
    """A late trade in the middle of a jump leaves two smaller ones."""
    ids = TradeIds()
    for tid, ts in ((1, 10), (9, 90), (5, 50)):
        assert ids.accept(tid, ts, 100)
    assert [(hole.since, hole.until) for hole in ids.unresolved()] == [(10, 51), (50, 91)]
    assert ids.unresolved() == []


def test_sent_twice() -> None:
    """An id that was there is not new, in a jump or out of it."""
    ids = TradeIds()
    for tid in (5, 8, 6):
        ids.accept(tid, tid, 0)
    assert [ids.accept(tid, tid, 0) for tid in (5, 8, 6, 7, 7)] == [False, False, False, True, False]


def test_too_late_is_still_new() -> None:
    """A trade that comes after its hole was reported is kept, once."""
    ids = TradeIds()
    ids.accept(5, 5, 0)
    ids.accept(7, 7, 0)
    assert ids.expired(10**18) is not None
    assert [ids.accept(6, 6, 0), ids.accept(6, 6, 0)] == [True, False]


def test_before_the_first() -> None:
    """A trade older than the first one is new once, and what lies between isn't missed."""
    ids = TradeIds()
    ids.accept(10, 10, 0)
    assert [ids.accept(tid, tid, 0) for tid in (7, 7, 8, 10)] == [True, False, True, False]
    assert ids.unresolved() == []


@given(
    st.integers(2, 60).flatmap(
        lambda count: st.tuples(st.permutations(range(count)), st.sets(st.integers(0, count - 1)), st.integers(0, 1000))
    )
)
def test_any_order(case: tuple[list[int], set[int], int]) -> None:
    """Whatever comes in whatever order, each trade is new exactly once, and the holes are what never came."""
    order, lost, base = case
    ids = TradeIds()
    came = [tid for tid in order if tid not in lost]
    for tid in came:
        assert ids.accept(base + tid, (base + tid) * 1000, NS)
        assert not ids.accept(base + tid, (base + tid) * 1000, NS)
    missing = {tid for tid in lost if came and min(came) < tid < max(came)}
    holes = ids.unresolved()
    for tid in missing:
        # Those before the first that came aren't missed, whichever trades older than that follow it.
        if tid > came[0]:
            assert any(hole.since <= (base + tid) * 1000 < (hole.until or 0) for hole in holes)
    for hole in holes:
        assert any(hole.since <= (base + tid) * 1000 < (hole.until or 0) for tid in missing)


def test_gaps_are_bounded() -> None:
    """Of a feed that jumps all the time the holes together still span all that is missing."""
    ids = TradeIds()
    for tid in range(0, 4000, 2):
        assert ids.accept(tid, tid * 1000, NS)
    holes = ids.unresolved()
    assert len(holes) <= 256
    for tid in range(1, 3998, 2):
        assert any(hole.since <= tid * 1000 < (hole.until or 0) for hole in holes)


def told(ids: TradeIds, now: int) -> list[tuple[int, int]]:
    found = []
    while (broken := ids.expired(now)) is not None:
        found.append((broken.since, broken.until or 0))
    return found


def test_ids_that_begin_anew_are_counted_from_there() -> None:
    """The hole around it, what was waited for, and then each jump of the new ids has a hole of its own."""
    ids = TradeIds()
    for tid, second in ((1000, 1), (1003, 9), (5, 12)):
        assert ids.accept(tid, second * NS, second * NS)
    assert told(ids, 12 * NS) == [(9 * NS, 12 * NS + 1), (NS, 9 * NS + 1)]
    assert ids.accept(6, 13 * NS, 13 * NS)
    assert ids.accept(9, 14 * NS, 14 * NS)
    assert told(ids, 20 * NS) == [(13 * NS, 14 * NS + 1)]
    assert not ids.accept(6, 13 * NS, 21 * NS)
    assert not ids.waiting


def test_an_id_that_was_none_hides_no_later_loss() -> None:
    """Those after it are lower at a later time."""
    ids = TradeIds()
    for tid, second in ((5, 1), (10**15, 2), (6, 3), (7, 4)):
        assert ids.accept(tid, second * NS, second * NS)
    assert ids.accept(8, 5 * NS, 5 * NS)
    assert (2 * NS, 5 * NS + 1) in told(ids, 5 * NS)
    assert ids.accept(10, 6 * NS, 6 * NS)
    assert told(ids, 9 * NS) == [(5 * NS, 6 * NS + 1)]


def test_a_time_that_is_ahead_moves_no_hole() -> None:
    """What is missing after it lies where it came."""
    ids = TradeIds()
    ids.accept(5, 50 * NS, NS)
    ids.accept(7, 3 * NS, 3 * NS)
    assert told(ids, 9 * NS) == [(NS, 3 * NS + 1)]


def test_where_the_first_jump_is_that_is_held_open() -> None:
    """From the trade before it on, until it is filled or reported; one that is due and not asked for yet is, too."""
    ids = TradeIds()
    for tid, ts in ((5, 100), (8, 400), (10, 500)):
        ids.accept(tid, ts, NS)
    assert ids.held_since == 100
    ids.accept(6, 200, NS)
    ids.accept(7, 300, NS)
    assert ids.held_since == 400
    ids.accept(1, 3 * NS, 9 * NS)
    assert ids.held_since == 400
    while ids.expired(NS + PATIENCE) is not None:
        pass
    assert ids.held_since is None
