"""Tests of what is known of a dataset's time, against sets of points."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dccd.store.coverage import (
    NEVER_ASKED,
    Claims,
    Coverage,
    Gap,
    IntervalSet,
    Notes,
    bounded,
    coverage_of,
    merged_gaps,
)

S = 1_000_000_000
MINUTE = 60 * S
points = st.integers(0, 40).map(lambda minute: minute * MINUTE)
pairs = st.tuples(points, st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1] * MINUTE))
intervals = st.lists(pairs, max_size=4).map(tuple)
gaps = st.lists(st.builds(lambda pair, reason: Gap(*pair, reason), pairs, st.sampled_from("ab")), max_size=4).map(tuple)
claims = st.builds(lambda a, b: Claims(IntervalSet(a), IntervalSet(b)), intervals, intervals)
notes = st.builds(Notes, asked=intervals, empty=intervals, purged=intervals, unavailable=gaps, missing=gaps)


def has(pairs: object, point: int) -> bool:
    return any(start <= point < end for start, end in pairs)  # type: ignore[attr-defined]  # intervals of any kind


def state_of(said: Claims, noted: Notes, point: int) -> str | None:
    """The state of one point, looked at by itself; None outside of all that was said."""
    ends = [end for gap in (*noted.unavailable, *noted.missing) for end in (gap.start, gap.end)]
    for found in (said.verified, said.unverified, noted.asked, noted.empty, noted.purged):
        ends += [end for pair in found for end in pair]
    if not ends or not min(ends) <= point < max(ends):
        return None
    for state, found in (
        ("verified", said.verified),
        ("empty", noted.empty),
        ("unverified", said.unverified),
        ("purged", noted.purged),
    ):
        if has(found, point):
            return state
    gone = [(gap.start, gap.end) for gap in noted.unavailable]
    return "unavailable" if has(gone, point) else "missing"


@given(claims, notes)
def test_each_point_is_in_one_state(said: Claims, noted: Notes) -> None:
    """Every point between the first and the last that anything was said of is in the first state that holds."""
    coverage = coverage_of(said, noted)
    stretches = coverage.stretches()
    for minute in range(61):
        point = minute * MINUTE
        found = [s.state for s in stretches if s.start <= point < s.end]
        expected = state_of(said, noted, point)
        assert found == ([] if expected is None else [expected])
    assert all(one.end == next_.start for one, next_ in pairwise(stretches))
    if stretches:
        assert (stretches[0].start, stretches[-1].end) == (coverage.start, coverage.end)


@given(st.lists(st.tuples(claims, notes), min_size=1, max_size=4), st.randoms())
def test_order_and_number_of_files_dont_matter(files: list[tuple[Claims, Notes]], random: object) -> None:
    """What several files say is the same in whatever order, and however often it is said."""

    def united(parts: list[tuple[Claims, Notes]]) -> Coverage:
        noted = Notes()
        for _, one in parts:
            noted = noted.plus(one)
        verified = IntervalSet(pair for said, _ in parts for pair in said.verified)
        unverified = IntervalSet(pair for said, _ in parts for pair in said.unverified)
        return coverage_of(Claims(verified, unverified), noted)

    def states(coverage: Coverage) -> list[tuple[IntervalSet, ...]]:
        missing = IntervalSet((gap.start, gap.end) for gap in coverage.missing)
        gone = IntervalSet((gap.start, gap.end) for gap in coverage.unavailable)
        return [(coverage.verified, coverage.empty, coverage.unverified, coverage.purged, gone, missing)]

    again = [*files, *files]
    random.shuffle(again)  # type: ignore[attr-defined]  # a random.Random
    assert states(united(files)) == states(united(again))


@given(claims, notes, pairs)
def test_what_is_claimed_besides_only_fills(said: Claims, noted: Notes, more: tuple[int, int]) -> None:
    """One claim more makes nothing missing that wasn't, but where it lies beyond all that was asked for."""
    before = coverage_of(said, noted)
    after = coverage_of(Claims(said.verified.add(*more), said.unverified), noted)
    missing = IntervalSet((gap.start, gap.end) for gap in after.missing)
    inside = missing.within(before.start, before.end)
    assert not inside.minus(IntervalSet((gap.start, gap.end) for gap in before.missing))
    assert not missing.within(*more)


def test_a_hole_has_the_reason_that_was_told() -> None:
    """What is missing is cut by the reasons told of it; between what was asked for, nobody ever asked."""
    said = Claims(IntervalSet([(0, MINUTE), (5 * MINUTE, 6 * MINUTE)]))
    noted = Notes(asked=((8 * MINUTE, 9 * MINUTE),), missing=(Gap(MINUTE, 2 * MINUTE, "disconnect"),))
    found = [(gap.start // MINUTE, gap.end // MINUTE, gap.reason) for gap in coverage_of(said, noted).missing]
    assert found == [(1, 2, "disconnect"), (2, 5, NEVER_ASKED), (6, 9, NEVER_ASKED)]


def test_a_sliver_belongs_to_the_hole_that_it_touches() -> None:
    """A few seconds before or after a told hole that nobody claimed are one hole with it."""
    said = Claims(IntervalSet([(0, 100 * S), (203 * S, 300 * S)]))
    noted = Notes(missing=(Gap(105 * S, 200 * S, "disconnect"),))
    assert coverage_of(said, noted).missing == (Gap(100 * S, 203 * S, "disconnect"),)


def test_where_to_go_on() -> None:
    """One goes on at the first hole that may be filled, else at the end; with nothing there is no such place."""
    said = Claims(IntervalSet([(0, 10), (20, 30), (40, 50)]))
    assert coverage_of(said, Notes(unavailable=(Gap(10, 20, "gone"),))).resume == 30
    assert coverage_of(Claims(IntervalSet([(0, 10)])), Notes()).resume == 10
    assert coverage_of(Claims(), Notes()).resume is None


def test_the_fraction_is_what_is_there() -> None:
    """Verified, empty and unverified time counts as there, unavailable and missing time doesn't; what retention removed
    is none of it."""
    said = Claims(IntervalSet([(0, 10)]), IntervalSet([(10, 20)]))
    noted = Notes(empty=((20, 30),), purged=((30, 40),), unavailable=(Gap(40, 50),), asked=((0, 60),))
    assert coverage_of(said, noted).fraction == 0.6
    assert Coverage().fraction == 0.0


def test_stretches_of_a_range() -> None:
    """Of a range only what lies in it is told."""
    coverage = coverage_of(Claims(IntervalSet([(0, 10), (20, 30)])), Notes())
    assert [(s.start, s.end, s.state) for s in coverage.stretches(5, 22)] == [
        (5, 10, "verified"),
        (10, 20, "missing"),
        (20, 22, "verified"),
    ]


@given(gaps)
def test_merged_gaps_keep_their_points(told: tuple[Gap, ...]) -> None:
    """Merging gaps loses no point, and gives none twice."""
    merged = merged_gaps(told)
    assert IntervalSet((g.start, g.end) for g in merged) == IntervalSet((g.start, g.end) for g in told)
    assert all(one.end <= other.start for one, other in pairwise(merged))


def test_too_many_gaps_become_fewer() -> None:
    """Beyond a number the nearest gaps become one, which includes what lies between."""
    many = [Gap(i * 10 + (100 if i > 2 else 0), i * 10 + (101 if i > 2 else 1), "x") for i in range(5)]
    assert bounded(many, 2) == [Gap(0, 21, "x"), Gap(130, 141, "x")]
    assert bounded([Gap(0, 1, "x"), Gap(2, 3, "y"), Gap(90, 91, "x")], 2)[0] == Gap(0, 3, "several")
    assert bounded(many, 5) == many


def test_what_is_doubted_is_not_there() -> None:
    """What was claimed, and told later to miss something, is missing for that reason, until it is fetched again."""
    noted = Notes(missing=(Gap(20, 30, "late word"),), doubted=((20, 30),), empty=((25, 40),))
    coverage = coverage_of(Claims(IntervalSet([(0, 30)]), IntervalSet([(0, 50)])), noted)
    assert coverage.missing == (Gap(20, 30, "late word"),)
    assert (coverage.verified, coverage.empty) == (IntervalSet([(0, 20)]), IntervalSet([(30, 40)]))
    assert coverage.unverified == IntervalSet([(40, 50)])


def test_a_reason_is_forgotten_with_its_hole() -> None:
    """Reasons of what is there by now go; those of the rest stay."""
    noted = Notes(missing=(Gap(0, 10, "a"), Gap(20, 30, "b")))
    assert noted.without_missing(IntervalSet([(5, 25)])).missing == (Gap(0, 5, "a"), Gap(25, 30, "b"))
