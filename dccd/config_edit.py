"""Changes of a configuration file that leave the rest of it as it was written: comments, order, spelling. Pure.

The file's text and a new configuration flow in, the new text flows out. It is edited where the values stand: a library
that writes the whole anew (ruamel.yaml) binds each comment to what is before it, so that removing an entry took along
the comment of the next one and left its own, and it writes every other line in its own style.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from dccd.config import Config, convert, raw_of
from dccd.config_marks import compose, end_of, replaced
from dccd.errors import ConfigError

__all__ = ["edit", "plain", "sparse"]

_Edit = tuple[int, int, str]
_JOB = ("exchange", "data_type", "operation", "span")
_NAMES = ("name", "url")


def plain(config: Any) -> Any:
    """A struct of the configuration as plain values, without what is None."""
    return _without_none(msgspec.to_builtins(config))


def sparse(config: Config) -> dict[str, Any]:
    """The same, with what isn't the default only: how one would write it."""
    found: dict[str, Any] = _differing(config, Config())
    return found


def edit(text: str, new: Config) -> tuple[str, bool]:
    """Return *text* changed so that it means *new*, and whether all that isn't concerned is as it was.

    It isn't for a text that can't be changed in parts, as one with anchors: that is written anew. Raises ConfigError
    for a *text* that is no configuration.
    """
    raw = raw_of(text)
    old = convert(raw)
    if old == new:
        return text, True
    target = _target(raw, old, new)
    try:
        changed = _Editor(text).edit(raw, target)
        if convert(raw_of(changed)) == new:
            return changed, True
    except (ConfigError, yaml.YAMLError, _TooOdd):
        pass
    return yaml.safe_dump(target, sort_keys=False, allow_unicode=True, width=120), False


# ---------------------------------------------------------------- what is to be written


def _target(raw: Any, old: Any, new: Any) -> Any:
    """What the file is to say, from what it says (*raw*, which means *old*) and what it is to mean: what hasn't changed
    stays as it is written, what has is written out."""
    if old == new:
        return raw
    if isinstance(new, msgspec.Struct) and isinstance(old, type(new)):
        written = raw if isinstance(raw, dict) else {}
        found = {}
        for key in [*written, *(field for field in new.__struct_fields__ if field not in written)]:
            was, is_ = getattr(old, key), getattr(new, key)
            if was == is_:
                if key in written:
                    found[key] = written[key]
            elif is_ is not None:
                found[key] = _target(written.get(key), was, is_)
        return found
    if isinstance(new, dict) and isinstance(old, dict):
        written = raw if isinstance(raw, dict) else {}
        return {key: _target(written.get(key), old.get(key), value) for key, value in new.items()}
    if isinstance(new, list) and isinstance(old, list) and isinstance(raw, list):
        taken = _matched(old, new)
        return [
            _written(value) if index is None else _target(raw[index], old[index], value)
            for value, index in zip(new, taken, strict=True)
        ]
    return _written(new)


def _written(value: Any) -> Any:
    """A new value as one would write it."""
    if isinstance(value, msgspec.Struct):
        return {
            field.name: _written(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
            if field.required or getattr(value, field.name) != _default(field)
        }
    if isinstance(value, Mapping):
        return {key: _written(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_written(one) for one in value]
    return msgspec.to_builtins(value)


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _differing(value: Any, default: Any) -> Any:
    written = {}
    for name in value.__struct_fields__:
        is_, was = getattr(value, name), getattr(default, name)
        if is_ != was:
            same = isinstance(is_, msgspec.Struct) and isinstance(was, type(is_))
            written[name] = _differing(is_, was) if same else _written(is_)
    return written


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value


def _matched(old: list[Any], new: list[Any]) -> list[int | None]:
    """For each of *new* the index of the one of *old* that it is: the same, or else alike."""
    free = list(range(len(old)))
    found: list[int | None] = []
    for value in new:
        index = next((n for n in free if old[n] == value), None)
        if index is not None:
            free.remove(index)
        found.append(index)
    for at, value in enumerate(new):
        if found[at] is None:
            index = next((n for n in free if _alike(old[n], value) and value not in (None, old[n])), None)
            if index is not None:
                free.remove(index)
                found[at] = index
    return found


def _alike(one: Any, other: Any) -> bool:
    """Whether two entries of a list are the same thing, with other settings."""
    a, b = (plain(v) if isinstance(v, msgspec.Struct) else v for v in (one, other))
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return False
    if "pairs" in a and "pairs" in b:
        kind = all(a.get(field) == b.get(field) for field in _JOB)
        return kind and bool(set(a["pairs"]) & set(b["pairs"]))
    return any(field in a and a[field] == b.get(field) for field in _NAMES)


# ---------------------------------------------------------------- how the text gets there


class _TooOdd(Exception):
    """Raised when a part of a text isn't laid out as one would write it."""


class _Place(msgspec.Struct, frozen=True):
    """As a mark of YAML: characters from the beginning, line and column."""

    index: int
    line: int
    column: int


class _Editor:
    """Collects the edits of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.edits: list[_Edit] = []
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def edit(self, raw: Any, target: Any) -> str:
        """The text that says *target* where this one says *raw*."""
        root = compose(self.text)
        if root is None or not isinstance(root, yaml.MappingNode):
            gap = "" if self.text.endswith("\n") or not self.text else "\n"
            return self.text + gap + _block(target, 0)
        self._mapping(root, raw, target)
        if "\r\n" in self.text:  # a file of Windows stays one
            self.edits = [(start, end, new.replace("\n", "\r\n")) for start, end, new in self.edits]
        return replaced(self.text, self.edits)

    def _value(self, node: yaml.Node, raw: Any, target: Any) -> None:
        if raw == target and type(raw) is type(target):
            return
        if isinstance(node, yaml.MappingNode) and isinstance(target, dict) and any(key in target for key in raw):
            self._mapping(node, raw, target)
        elif isinstance(node, yaml.SequenceNode) and isinstance(target, list) and node.value and target:
            self._sequence(node, raw, target)
        else:
            self._replace(node, target)

    def _replace(self, node: yaml.Node, target: Any) -> None:
        """Write *target* in *node*'s place, on its line."""
        start, end = node.start_mark.index, end_of(node).index
        text = _flow(target)
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            # What stood on lines of its own, below the key, goes beside it.
            while start > 0 and self.text[start - 1] in " \t\r\n-":
                start -= 1
            text = f" {text}"
        elif start == end:  # a key without a value
            text = f" {text}"
        self.edits.append((start, end, text))

    # ------------------------------------------------------------ mappings

    def _mapping(self, node: yaml.MappingNode, raw: dict[Any, Any], target: dict[Any, Any]) -> None:
        keys = [str(key.value) for key, _ in node.value]
        if keys != [str(key) for key in raw]:
            raise _TooOdd
        kept = [index for index, key in enumerate(raw) if key in target]
        if not kept:
            raise _TooOdd
        for index, key in enumerate(raw):
            key_node, value_node = node.value[index]
            if key in target:
                if target[key] == [] and self._is_block_list(value_node):
                    self._empty(key_node, value_node)
                else:
                    self._value(value_node, raw[key], target[key])
            elif not node.flow_style:
                self._remove_lines(key_node.start_mark, end_of(value_node))
        if node.flow_style:
            starts, ends = [key.start_mark for key, _ in node.value], [end_of(value) for _, value in node.value]
            self._remove_flow(starts, ends, set(range(len(keys))) - set(kept))
        new = {key: value for key, value in target.items() if key not in raw}
        if new and node.flow_style:
            at = end_of(node.value[max(kept)][1]).index
            self.edits.append((at, at, "".join(f", {_flow(key)}: {_flow(value)}" for key, value in new.items())))
        elif new:
            column = node.value[0][0].start_mark.column
            # The sections of a file are set apart.
            gap = "\n" if column == 0 else ""
            text = "".join(gap + _block({key: value}, column) for key, value in new.items())
            self._insert_lines(end_of(node.value[-1][1]), text)

    # ------------------------------------------------------------ sequences

    def _sequence(self, node: yaml.SequenceNode, raw: list[Any], target: list[Any]) -> None:
        taken = _matched(raw, target)
        order = [index for index in taken if index is not None]
        if order != sorted(order):
            if not all(isinstance(value, str) for value in [*raw, *target]):
                raise _TooOdd
            self._replace(node, target)
            return
        if not order and node.flow_style:
            self._replace(node, target)
            return
        marks = [item.start_mark for item in node.value]
        for index, item in enumerate(node.value):
            if index in order:
                self._value(item, raw[index], target[taken.index(index)])
            elif not node.flow_style:
                self._remove_lines(self._dash(item), end_of(item))
        if node.flow_style:
            self._remove_flow(marks, [end_of(item) for item in node.value], set(range(len(raw))) - set(order))
        last: int | None = None
        for value, found in zip(target, taken, strict=True):
            if found is not None:
                last = found
            elif node.flow_style:
                at = marks[order[0]].index if last is None else end_of(node.value[last]).index
                self.edits.append((at, at, f"{_flow(value)}, " if last is None else f", {_flow(value)}"))
            else:
                text = _item(value, self._dash(node.value[0]).column)
                if not order:
                    self._insert_lines(end_of(node.value[-1]), text)
                elif last is None:
                    at = self.lines[self._first_line(self._dash(node.value[0]))]
                    self.edits.append((at, at, text))
                else:
                    self._insert_lines(end_of(node.value[last]), text)

    @staticmethod
    def _is_block_list(node: yaml.Node) -> bool:
        return isinstance(node, yaml.SequenceNode) and not node.flow_style and bool(node.value)

    def _empty(self, key: yaml.Node, node: yaml.Node) -> None:
        """Remove all entries of a list."""
        at = key.end_mark.index
        if self.text[at : at + 1] != ":":
            raise _TooOdd
        self.edits.append((at + 1, at + 1, " []"))
        for item in node.value:
            self._remove_lines(self._dash(item), end_of(item))

    def _dash(self, item: yaml.Node) -> _Place:
        """Where the dash before *item* is, on its line."""
        mark = item.start_mark
        line = self.text[self.lines[mark.line] : mark.index]
        if line.strip() != "-":
            raise _TooOdd
        column = line.index("-")
        index = self.lines[mark.line] + column
        return _Place(index, mark.line, column)

    # ------------------------------------------------------------ lines and commas

    def _line(self, number: int) -> str:
        return self.text[self.lines[number] : self.lines[number + 1]]

    def _first_line(self, mark: _Place | yaml.Mark) -> int:
        """The line where what is at *mark* begins: with the comment right above it."""
        line = mark.line
        while line > 0:
            above = self._line(line - 1)
            if not above.strip().startswith("#") or len(above) - len(above.lstrip()) != mark.column:
                break
            line -= 1
        return line

    def _last_line(self, mark: yaml.Mark) -> int:
        """The line after the one where what ends at *mark* does."""
        return mark.line if mark.column == 0 and mark.index else mark.line + 1

    def _remove_lines(self, start: _Place | yaml.Mark, end: yaml.Mark) -> None:
        if self.text[self.lines[start.line] : start.index].strip():
            raise _TooOdd  # it shares its line with what stays, as the first key of an entry does with the dash
        self.edits.append((self.lines[self._first_line(start)], self.lines[self._last_line(end)], ""))

    def _insert_lines(self, end: yaml.Mark, text: str) -> None:
        at = self.lines[min(self._last_line(end), len(self.lines) - 1)]
        if at and self.text[at - 1] != "\n":
            text = f"\n{text}"
        self.edits.append((at, at, text))

    def _remove_flow(self, starts: list[yaml.Mark], ends: list[yaml.Mark], gone: set[int]) -> None:
        """Remove what is on one line, each with the comma that it needs no more; something stays."""
        index = 0
        while index < len(starts):
            first = index
            while index in gone:
                index += 1
            if index == len(starts):
                if first > 0:
                    self.edits.append((ends[first - 1].index, ends[-1].index, ""))
            elif index > first:
                self.edits.append((starts[first].index, starts[index].index, ""))
            index += 1


def _flow(value: Any) -> str:
    """*value* on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text.removesuffix("\n").removesuffix("\n...")


def _block(value: Any, column: int) -> str:
    """The mapping *value* on lines that begin at *column*; short lists of text stay on one."""
    if not value:
        return ""
    lines = []
    for key, one in value.items():
        if isinstance(one, dict) and one:
            lines.append(f"{_flow(key)}:\n{_block(one, 2)}")
        elif isinstance(one, list) and any(isinstance(item, dict) for item in one):
            lines.append(f"{_flow(key)}:\n{''.join(_item(item, 2) for item in one)}")
        else:
            lines.append(f"{_flow(key)}: {_flow(one)}\n")
    return _indented("".join(lines), column)


def _item(value: Any, column: int) -> str:
    """*value* as an entry of a list whose dashes are at *column*."""
    if isinstance(value, dict) and value:
        return _indented("- " + _block(value, 2)[2:], column)
    return _indented(f"- {_flow(value)}\n", column)


def _indented(text: str, column: int) -> str:
    return "".join(" " * column + line for line in text.splitlines(keepends=True))
