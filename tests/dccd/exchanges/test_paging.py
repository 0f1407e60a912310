"""What pagers share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dccd.exchanges.paging import Prefix


@given(st.permutations(range(10)))
def test_the_prefix_grows_without_holes(order: list[int]) -> None:
    """Whatever order the pieces come in, all before ``until`` is covered, and at the end all is."""
    prefix = Prefix(0)
    came: set[int] = set()
    for piece in order:
        prefix.add(piece * 10, piece * 10 + 10)
        came.add(piece)
        assert prefix.until == 10 * next(n for n in range(11) if n not in came)


def test_pieces_may_overlap() -> None:
    """A piece that is inside of what is covered takes nothing back."""
    prefix = Prefix(5)
    prefix.add(0, 20)
    prefix.add(6, 10)
    assert prefix.until == 20
