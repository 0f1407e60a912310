"""Where in a YAML text each value stands. Pure.

A text flows in; its values with their paths, starts and ends (in characters) flow out, and edits flow back in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import yaml

__all__ = ["Leaf", "compose", "end_of", "leaves", "replaced"]


class Leaf(NamedTuple):
    """A scalar: its path, its text, and where it stands."""

    path: tuple[str | int, ...]
    value: Any
    start: int
    end: int


def compose(text: str) -> yaml.Node | None:
    """The tree of *text*, None where it is empty. Raises YAMLError."""
    return yaml.compose(text, Loader=yaml.SafeLoader)


def leaves(text: str) -> Iterator[Leaf]:
    """Every scalar value of *text*, in its order, but empty ones. Raises YAMLError."""
    root = compose(text)
    if root is not None:
        yield from _leaves(root, ())


def _leaves(node: yaml.Node, path: tuple[str | int, ...]) -> Iterator[Leaf]:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                yield from _leaves(value, (*path, str(key.value)))
        case yaml.SequenceNode():
            for index, item in enumerate(node.value):
                yield from _leaves(item, (*path, index))
        case _ if node.end_mark.index > node.start_mark.index:
            yield Leaf(path, node.value, node.start_mark.index, node.end_mark.index)


def end_of(node: yaml.Node) -> yaml.Mark:
    """Where *node* ends: a block collection's own mark is where the next thing begins, behind comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return end_of(last[1] if isinstance(last, tuple) else last)
    return node.end_mark


def replaced(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """*text* with each ``[start, end)`` of *edits* replaced. What is put in at the same place keeps its order, and
    stands before what is replaced there."""
    for start, end, new in reversed(sorted(edits, key=lambda edit: (edit[0], edit[1] > edit[0]))):
        text = text[:start] + new + text[end:]
    return text
