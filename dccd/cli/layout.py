"""How a table fits a terminal: names, cells and a width flow in, lines flow out. Pure.

No value is broken or left out, whatever the width, so that each can be read and copied. Where a table is too wide,
columns without any value go first, then names and text fold at words; columns that still have no room follow on lines
of their own, under their own names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from rich.cells import cell_len

__all__ = ["lay_out"]

_GAP, _INDENT = "  ", "    "
_TEXT = 24
"""Text is folded to no less: narrower columns are hard to read."""
_BREAK = re.compile(r"(?<!\d\d\d\d-\d\d-\d\d) ")
"""Where text may fold: between words, but not within a time."""
_BRANCHES = (" ", "│", "├", "└")


class _Column(msgspec.Struct, frozen=True):
    """One column: its name, its cells, and how wide it is, all of it and at least."""

    name: str
    right: bool
    cells: list[str]
    full: int
    least: int
    text: bool

    @classmethod
    def make(cls, name: str, cells: list[str]) -> _Column:
        right, name = name.startswith(">"), name.lstrip(">")
        widest = max(map(cell_len, cells), default=0)
        # What isn't aligned and has words is text; the names of a tree begin with its branches, and are none.
        text = not right and any(map(_BREAK.search, cells)) and not any(cell.startswith(_BRANCHES) for cell in cells)
        least = max(min(widest, _TEXT), *(_longest(cell) for cell in cells)) if text else widest
        return cls(name, right, cells, max(widest, cell_len(name)), max(least, _longest(name)), text)

    @property
    def values(self) -> int:
        """As wide as all cells need, with the name folded."""
        return max([self.least, *map(cell_len, self.cells)])


def lay_out(names: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> tuple[list[str], list[str]]:
    """Return the lines of the *names* and those of the *rows*, for a terminal of *width*, or for one without an end.

    A name that begins with ``>`` has its column aligned to the right. Names that are all empty have no line.
    """
    columns = [_Column.make(name, [row[index] for row in rows]) for index, name in enumerate(names)]
    if width is None or _sum([c.full for c in columns]) <= width:
        groups = [[(column, column.full) for column in columns]]
    else:
        columns = [column for column in columns if any(column.cells)] or columns
        groups = _groups(columns, width)
    head = _lines(groups, [_fold_all(group, None) for group in groups]) if any(names) else []
    body = [
        line for index in range(len(rows)) for line in _lines(groups, [_fold_all(group, index) for group in groups])
    ]
    return head, body


_Group = list[tuple[_Column, int]]


def _groups(columns: list[_Column], width: int) -> list[_Group]:
    """Columns with their widths, of each line that a row takes."""
    lines: list[list[_Column]] = [[]]
    for column in columns:
        room = width if len(lines) == 1 else width - len(_INDENT)
        if lines[-1] and _sum([c.least for c in [*lines[-1], column]]) > room:
            lines.append([])
        lines[-1].append(column)
    return [_fit(line, width if index == 0 else width - len(_INDENT)) for index, line in enumerate(lines)]


def _fit(columns: list[_Column], room: int) -> _Group:
    """Names fold before text does, the widest text first."""
    widths = [column.full for column in columns]
    if _sum(widths) > room:
        widths = [column.values for column in columns]
    while (over := _sum(widths) - room) > 0:
        slack = [(width - column.least, at) for at, (column, width) in enumerate(zip(columns, widths, strict=True))]
        most, index = max(slack)
        if most <= 0:
            break  # one value is wider than the terminal, which breaks it
        widths[index] -= min(most, over)
    return list(zip(columns, widths, strict=True))


def _sum(widths: list[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fold_all(group: _Group, row: int | None) -> list[list[str]]:
    """The lines of each cell of a *row*, or of the names."""
    return [
        _fold(column.name if row is None else column.cells[row], width, row is None or column.text)
        for column, width in group
    ]


def _fold(text: str, width: int, may: bool) -> list[str]:
    if not may or cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    for word in _BREAK.split(text):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _lines(groups: list[_Group], folded: list[list[list[str]]]) -> list[str]:
    """The lines of one row, or of the names."""
    found = []
    for number, (group, cells) in enumerate(zip(groups, folded, strict=True)):
        for line in range(max(map(len, cells))):
            parts = [
                _pad(cell[line] if line < len(cell) else "", width, column.right)
                for (column, width), cell in zip(group, cells, strict=True)
            ]
            found.append(((_INDENT if number else "") + _GAP.join(parts)).rstrip())
    return [line for line in found if line] or [""]


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _longest(text: str) -> int:
    return max(map(cell_len, _BREAK.split(text)))
