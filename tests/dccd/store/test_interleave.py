"""Records of several datasets become one sequence in time order, whatever lists they come in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.records import Record, Trade
from dccd.store.interleave import Block, Part, blocks, runs

TIMES = st.lists(st.integers(0, 30), max_size=25).map(sorted)
CUTS = st.lists(st.integers(1, 6), min_size=1, max_size=5)
TRACKS = st.lists(st.tuples(TIMES, CUTS), max_size=4)


def track(number: int, times: list[int], cuts: list[int]) -> Iterator[list[Record]]:
    """The records of these times, each told from all others, in lists of these lengths over and over."""
    records: list[Record] = [Trade(ts, 1.0, 1.0, None, f"{number}-{n}") for n, ts in enumerate(times)]
    at = turn = 0
    while at < len(records):
        size = cuts[turn % len(cuts)]
        yield records[at : at + size]
        at, turn = at + size, turn + 1


def expected(tracks: list[tuple[list[int], list[int]]]) -> list[tuple[int, int, str | None]]:
    """All of them: by time, then by dataset, then as they came."""
    return sorted(
        (ts, number, f"{number}-{n}") for number, (times, _) in enumerate(tracks) for n, ts in enumerate(times)
    )


def flat(parts: list[Part]) -> list[tuple[int, int, str | None]]:
    return [(record.ts, number, record.tid) for number, records in parts for record in records]  # type: ignore[union-attr]  # trades


def in_order(found: list[tuple[int, int, str | None]]) -> list[tuple[int, int, str | None]]:
    return sorted(found, key=lambda row: (row[0], row[1], int((row[2] or "").partition("-")[2])))


@given(TRACKS)
def test_nothing_is_lost_doubled_or_out_of_order(tracks: list[tuple[list[int], list[int]]]) -> None:
    """Taken run by run, the records are all there once, in time order, and stable at equal times."""
    made = [track(number, times, cuts) for number, (times, cuts) in enumerate(tracks)]
    found = [part for block in blocks(made) for part in runs(block)]
    assert flat(found) == in_order(expected(tracks))


@given(TRACKS)
def test_a_block_ends_where_the_next_begins(tracks: list[tuple[list[int], list[int]]]) -> None:
    """No time is in two blocks: what is taken together of one can be merged without the next."""
    made = [track(number, times, cuts) for number, (times, cuts) in enumerate(tracks)]
    last = -1
    for block in blocks(made):
        times = [record.ts for _, records in block for record in records]
        assert last < min(times)
        last = max(times)


@given(TRACKS, st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_steps_hold_one_quantum_of_time(
    tracks: list[tuple[list[int], list[int]]], quantum: int, limit: int, together: bool
) -> None:
    """Whatever the quantum and the limit, steps lose nothing, keep to both, and merged again are in the same order."""
    made = [track(number, times, [100]) for number, (times, _) in enumerate(tracks)]
    found: list[tuple[int, int, str | None]] = []
    for parts in blocks(made):
        block = Block(parts)
        while step := block.take(quantum, limit, together=together):
            assert len({ts // quantum for ts, _, _ in flat(step)}) == 1
            assert together or (len(step) == 1 and len(step[0][1]) <= limit)
            found += flat(list(runs(step)))
        assert block.first_ts is None
    assert found == in_order(expected(tracks))


@given(TRACKS, st.integers(0, 12), st.booleans())
def test_what_is_put_back_comes_again(tracks: list[tuple[list[int], list[int]]], quantum: int, together: bool) -> None:
    """A step that is undone, whatever its size, changes nothing of what follows."""
    made = [track(number, times, [100]) for number, (times, _) in enumerate(tracks)]
    found: list[tuple[int, int, str | None]] = []
    for parts in blocks(made):
        block = Block(parts)
        while step := block.take(quantum, together=together):
            block.put_back(step)
            found += flat(block.take(limit=1))
    assert found == in_order(expected(tracks))


def test_a_track_is_read_when_its_turn_comes() -> None:
    """One that begins later is held by one list, while the other goes on."""
    pulled: list[str] = []

    def counted(name: str, times: range) -> Iterator[list[Record]]:
        for ts in times:
            pulled.append(name)
            yield [Trade(ts, 1.0, 1.0, None, None)]

    going = blocks([counted("early", range(100)), counted("late", range(1000, 1100))])
    for _ in range(50):
        next(going)
    assert pulled.count("late") == 1


def test_a_block_says_what_comes_next() -> None:
    """Before anything is taken, and in between."""
    block = Block([(0, [Trade(5, 1.0, 1.0, None, None)]), (1, [Trade(3, 1.0, 1.0, None, None)])])
    assert block.first_ts == 3
    assert [number for number, _ in block.take()] == [1]
    assert (block.first_ts, repr(block)) == (5, "<Block 1 records left>")


@pytest.mark.parametrize("together", [False, True])
def test_nothing_makes_nothing(together: bool) -> None:
    """No tracks, and empty ones."""
    assert list(blocks([])) == list(blocks([iter([]), iter([[]])])) == []
    assert Block([]).take(together=together) == []
