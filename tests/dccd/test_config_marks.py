"""Where values stand in a YAML text."""

from __future__ import annotations

from dccd.config_marks import Leaf, compose, end_of, leaves, replaced

TEXT = "a: 1  # one\nb:\n  - x\n  - {c: 'y z', d: }\n# end\n"


def test_each_value_is_found_where_it_stands() -> None:
    """With its path, as it is written; a key without a value has none."""
    found = list(leaves(TEXT))
    assert found == [Leaf(("a",), "1", 3, 4), Leaf(("b", 0), "x", 19, 20), Leaf(("b", 1, "c"), "y z", 29, 34)]
    assert [TEXT[leaf.start : leaf.end] for leaf in found] == ["1", "x", "'y z'"]
    assert list(leaves("# nothing\n")) == []


def test_a_block_ends_with_its_last_value() -> None:
    """And not with the comment behind it."""
    root = compose(TEXT)
    assert root is not None
    assert TEXT[end_of(root).index :] == "\n# end\n"


def test_edits_of_one_place_keep_their_order() -> None:
    """What is put in stands before what is replaced there."""
    assert replaced("abc", [(1, 2, "X"), (1, 1, "1"), (1, 1, "2"), (3, 3, "!")]) == "a12Xc!"
