"""Types in words, for people: a field's type flows in, ``text (1 to 100 characters) or null`` flows out.

Help on the command line and the references in ``docs/`` say the same; they differ in how they write code and links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, UNSET, Meta, UnsetType

__all__ = ["Words", "choices", "is_needed"]

_SIMPLE = {str: "text", int: "integer", float: "number", bool: "true or false", NoneType: "null", Any: "any"}
_EXACT = 2**53
"""Beyond this a limit is that of the number's own kind, and says nothing."""


def _plain(text: str) -> str:
    return text


class Words:
    """*code* marks what is to be typed as it stands, *struct* is how another struct is named."""

    def __init__(
        self, code: Callable[[str], str] = _plain, struct: Callable[[type[Any]], str] = lambda kind: kind.__name__
    ) -> None:
        self.code, self.struct = code, struct

    def said(self, kind: type[Any]) -> str:
        """A type's docstring, on one line."""
        text = " ".join((kind.__doc__ or "").split())
        return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`|``(.+?)``", lambda found: self.code(found[1] or found[2]), text)

    def shown(self, kind: Any) -> str:
        """A field's type with its limits."""
        limits: list[str] = []
        while get_origin(kind) is Annotated:
            kind, *notes = get_args(kind)
            limits += [text for note in notes if isinstance(note, Meta) for text in self._limits(note, kind)]
        text = self._shown(kind)
        return f"{text} ({', '.join(limits)})" if limits else text

    def _shown(self, kind: Any) -> str:
        origin, args = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            args = tuple(arg for arg in args if arg is not UnsetType)
            return " or ".join(dict.fromkeys(self.shown(arg) for arg in sorted(args, key=lambda arg: arg is NoneType)))
        if origin is Literal:
            return " ".join(self.code(str(value)) for value in args)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return " ".join(self.code(str(member)) for member in kind)
        if origin is list:
            return f"list of {self.shown(args[0])}"
        if origin is dict:
            return "object" if args[1] is Any else f"object of {self.shown(args[1])}"
        if origin is tuple:
            return f"[{', '.join(self.shown(arg) for arg in args)}]"
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind)
        return _SIMPLE[kind]

    def _limits(self, note: Meta, kind: Any) -> Iterator[str]:
        of = {list: "items", str: "characters"}.get(get_origin(kind) or kind, "")
        low, high = (note.ge, note.le) if not of else (note.min_length, note.max_length)
        low = low if low is None or low < _EXACT else None
        high = high if high is None or high < _EXACT else None
        if low is not None and high is not None:
            yield f"{low:,} to {high:,} {of}".rstrip()
        elif low is not None:
            yield f"at least {low:,} {of}".rstrip()
        elif high is not None:
            yield f"at most {high:,} {of}".rstrip()
        if note.pattern:
            yield self.code(note.pattern.removesuffix(r"(?!\n)"))  # what `$` means to everybody but Python

    def default(self, field: msgspec.structs.FieldInfo) -> str:
        """A field's default, as JSON."""
        if is_needed(field):
            return "must be given"
        if field.default_factory is not NODEFAULT:
            return self.code(msgspec.json.encode(field.default_factory()).decode())
        if field.default is UNSET:
            return "left as it is"
        if isinstance(field.default, msgspec.Struct):
            return "none"
        return self.code(msgspec.json.encode(field.default).decode())


def is_needed(field: msgspec.structs.FieldInfo) -> bool:
    """Whether it has no default."""
    return field.default is NODEFAULT and field.default_factory is NODEFAULT


def choices(kind: Any) -> list[str]:
    """The values that a field of this type can have, where they can be counted; as JSON or text."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is bool:
        return ["true", "false"]
    if origin is Literal:
        return [str(value) for value in args]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return [str(member) for member in kind]
    if origin in (Union, UnionType):
        return [value for arg in args for value in choices(arg)]
    return choices(args[0]) if origin is Annotated else []
