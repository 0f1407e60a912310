"""What a page holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dccd.paging import fitting


@pytest.mark.parametrize(
    ("room", "expected"),
    [(0, ["aaaa"]), (6, ["aaaa"]), (13, ["aaaa"]), (14, ["aaaa", "bbbb"]), (21, ["aaaa", "bbbb", "cccc"])],
)
def test_a_page_has_what_has_room_and_at_least_one(room: int, expected: list[str]) -> None:
    """Each takes its JSON and what stands between it and the next."""
    assert fitting(["aaaa", "bbbb", "cccc"], room) == expected


def test_of_nothing_there_is_nothing() -> None:
    """An empty list is an empty page."""
    assert fitting([], 100) == []


def test_no_more_are_made_than_one_beyond_the_page() -> None:
    """Items that cost something to make aren't all made for one page."""
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    assert fitting(items(), 4) == [0, 1]
    assert made == [0, 1, 2]
