"""The maintained book, against one that is rebuilt from scratch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.book import MOST_LEVELS, Book, whole_book
from dccd.records import BookSnapshot

LEVEL = st.tuples(st.integers(1, 30).map(lambda n: n / 2), st.sampled_from([0.0, 0.0, 1.0, 2.5, 7.0]))
UPDATE = st.tuples(st.lists(LEVEL, max_size=8), st.lists(LEVEL, max_size=8))


def naive(side: dict[float, float], levels: list[tuple[float, float]], best_first: bool, keep: int | None) -> None:
    """Apply an update to a plain mapping."""
    for price, amount in levels:
        side[price] = amount
        if amount == 0:
            del side[price]
    for price in sorted(side, reverse=best_first)[keep if keep is not None else len(side) :]:
        del side[price]


def difference(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> dict[float, float]:
    """The amounts that are other than before, 0 where a level has gone."""
    old, new = dict(before), dict(after)
    return {price: new.get(price, 0.0) for price in old.keys() | new.keys() if old.get(price) != new.get(price)}


def best(side: dict[float, float], best_first: bool, depth: int | None) -> list[tuple[float, float]]:
    return [(price, side[price]) for price in sorted(side, reverse=best_first)][:depth]


@given(
    st.lists(LEVEL, max_size=20),
    st.lists(UPDATE, max_size=12),
    st.sampled_from([(None, None), (3, None), (12, None), (40, None), (1, 1), (5, 5), (3, 10), (40, 50)]),
)
def test_equals_a_naive_book(
    start: list[tuple[float, float]],
    updates: list[tuple[list[tuple[float, float]], list[tuple[float, float]]]],
    depths: tuple[int | None, int | None],
) -> None:
    """After each update both sides are a naive reconstruction's, and the changes are how its view has changed."""
    depth, keep = depths
    book = Book(depth, keep)
    book.reset(start, start)
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    # A snapshot's removals mean nothing: they are levels of no amount.
    naive(bids, [(p, a) for p, a in {p: a for p, a in start if a}.items()], True, keep)
    naive(asks, [(p, a) for p, a in {p: a for p, a in start if a}.items()], False, keep)
    seen_bids, seen_asks = (dict(side) for side in book.view())
    for bid_changes, ask_changes in updates:
        before = book.view()
        changed_bids, changed_asks = book.apply(bid_changes, ask_changes)
        naive(bids, bid_changes, True, keep)
        naive(asks, ask_changes, False, keep)
        assert book.bids.best(None) == best(bids, True, None)
        assert book.asks.best(None) == best(asks, False, None)
        assert book.view() == (best(bids, True, depth), best(asks, False, depth))
        after = book.view()
        assert (dict(changed_bids), dict(changed_asks)) == (
            difference(before[0], after[0]),
            difference(before[1], after[1]),
        )
        assert (len(changed_bids), len(changed_asks)) == (len(dict(changed_bids)), len(dict(changed_asks)))
        naive(seen_bids, changed_bids, True, None)
        naive(seen_asks, changed_asks, False, None)
        assert best(seen_bids, True, None) == best(bids, True, depth)
        assert best(seen_asks, False, None) == best(asks, False, depth)


def test_a_level_that_comes_into_view_is_a_change() -> None:
    """When the best level goes, the one that becomes visible is told with its amount."""
    book = Book(depth=2)
    book.reset([], [(10.0, 1.0), (11.0, 2.0), (12.0, 3.0)])
    assert book.apply([], [(10.0, 0.0)]) == ([], [(10.0, 0.0), (12.0, 3.0)])


def test_a_level_that_is_pushed_out_of_view_is_a_change() -> None:
    """When a better level comes, the one that is no longer visible is told as gone."""
    book = Book(depth=2)
    book.reset([], [(10.0, 1.0), (11.0, 2.0)])
    assert book.apply([], [(9.0, 5.0)]) == ([], [(9.0, 5.0), (11.0, 0.0)])


def test_changes_out_of_view_are_none() -> None:
    """What happens deeper than the view changes nothing in it."""
    book = Book(depth=1)
    book.reset([(9.0, 1.0)], [(10.0, 1.0)])
    assert book.apply([(8.0, 1.0)], [(11.0, 2.0)]) == ([], [])


@pytest.mark.parametrize(("bid", "ask", "crossed"), [(9.0, 10.0, False), (10.0, 10.0, True), (11.0, 10.0, True)])
def test_crossed(bid: float, ask: float, crossed: bool) -> None:
    """A bid at or above the best ask crosses the book."""
    book = Book()
    book.reset([(bid, 1.0)], [(ask, 1.0)])
    assert book.crossed is crossed


def test_a_side_with_no_levels_is_not_crossed() -> None:
    """An empty side crosses nothing."""
    book = Book()
    book.reset([(5.0, 1.0)], [])
    assert not book.crossed


@pytest.mark.parametrize("side", [0, 1])
def test_a_book_without_end(side: int) -> None:
    """Beyond the levels that any real book has it is wrong, on either side; up to them it isn't."""
    book = Book()
    levels = [(float(n), 1.0) for n in range(1, MOST_LEVELS + 1)]
    book.reset(*([levels, []] if side == 0 else [[], levels]))
    assert book.wrong == ""
    one = [(MOST_LEVELS + 1.0, 1.0)]
    book.apply(*([one, []] if side == 0 else [[], one]))
    assert book.wrong == "has more than 200,000 levels a side"


def test_what_is_wrong_with_a_book() -> None:
    """A crossed one is, too."""
    book = Book()
    book.reset([(10.0, 1.0)], [(10.0, 1.0)])
    assert book.wrong == "is crossed"
    book.apply([(10.0, 0.0)], [])
    assert not book.wrong


def test_a_whole_book() -> None:
    """Both sides are sorted, best first; one that is crossed raises."""
    sides = [(1.0, 1.0), (2.0, 1.0)], [(4.0, 1.0), (3.0, 1.0)]
    assert whole_book("x", b"", 5, 6, sides, 7) == BookSnapshot(5, 6, sides[0][::-1], sides[1][::-1], 7)
    with pytest.raises(ParseError, match="bids up to 4, asks from 3"):
        whole_book("x", b"", 5, 6, ([(4.0, 1.0)], sides[1]), 7)
