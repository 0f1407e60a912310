"""What msgspec says of a value that doesn't fit, in terms of the configuration file.

A message of msgspec, the document that it is about and the struct that it was to become flow in; a
:class:`~dccd.errors.ConfigError` with the field's path, what was found there and what is allowed flows out. Pure.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from dccd.errors import ConfigError

__all__ = ["explain"]


def explain(message: str, raw: Any, root: type) -> ConfigError:
    """Turn msgspec's message into path, found and allowed."""
    text, _, where = message.partition(" - at `")
    path = _name_keys(where.rstrip("`").removeprefix("$").lstrip("."), raw, root)
    unknown = re.search(r"unknown field `(.*)`", text)
    missing = re.search(r"missing required field `(.*)`", text)
    if unknown:
        fields = _fields_at(path, root)
        near = difflib.get_close_matches(unknown[1], fields, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return ConfigError(f"{path}.{unknown[1]}".lstrip("."), "an unknown field", ", ".join(fields) + hint)
    if missing:
        return ConfigError(f"{path}.{missing[1]}".lstrip("."), "nothing", "it must be given")
    found = _value_at(path, raw)
    allowed = re.sub(r"^Expected `?(.*?)`?(, got .*)?$", r"\1", text).replace("`", "")
    if text.startswith("Invalid enum value"):
        kind = _type_at(path, root)
        allowed = ", ".join(str(v) for v in _literals(kind)) or text
    return ConfigError(path or "the file", repr(found)[:80], allowed)


def _name_keys(path: str, raw: Any, root: type) -> str:
    """msgspec writes ``exchanges[...]`` for a mapping's value: find out which of them it was."""
    head, dots, tail = path.partition("[...]")
    if not dots:
        return path
    for key, value in _value_at(head, raw).items():
        try:
            msgspec.convert({key: value}, dict[str, _type_at(f"{head}.*", root)])  # type: ignore[misc]  # a type found at run time
        except msgspec.ValidationError:
            return f"{head}.{key}{tail}"
    return head


def _steps(path: str) -> list[str]:
    return [s for s in re.split(r"\.|(?=\[)", path) if s]


def _type_at(path: str, root: type) -> Any:
    """The declared type of the field at *path* in the file."""
    kind: Any = root
    for step in _steps(path):
        if step.startswith("[") and get_origin(kind) in (list, dict):
            kind = get_args(kind)[-1]
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            by_name = {f.name: f.type for f in msgspec.structs.fields(kind)}
            kind = by_name.get(step)
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        while get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
    return kind


def _fields_at(path: str, root: type) -> list[str]:
    kind = _type_at(path, root)
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return [f.name for f in msgspec.structs.fields(kind)] if is_struct else []


def _literals(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [value for arg in get_args(kind) for value in _literals(arg)]


def _value_at(path: str, raw: Any) -> Any:
    value = raw
    for step in _steps(path):
        try:
            value = value[int(step[1:-1])] if re.fullmatch(r"\[\d+\]", step) else value[step]
        except (KeyError, IndexError, TypeError):
            return value
    return value
