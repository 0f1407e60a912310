"""Types in words, as help and the references have them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from dccd.cli.words import Words, choices
from dccd.symbols import DataType


class Told:
    """Of each :class:`~dccd.symbols.Dataset`, ``a`` and
    ``b.c``."""


class Inner(msgspec.Struct):
    """A struct."""

    needed: int
    given: list[int] = []
    there: bool = True
    nested: Inner | None = None
    kept: int | msgspec.UnsetType = msgspec.UNSET


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (str, "text"),
        (None | int, "integer or null"),
        (Annotated[str, Meta(min_length=1, max_length=9)], "text (1 to 9 characters)"),
        (Annotated[int, Meta(ge=1, le=2**63 - 1)], "integer (at least 1)"),
        (Annotated[str, Meta(max_length=9, pattern="^a")], "text (at most 9 characters, <^a>)"),
        (Literal["a", "b"] | None, "<a> <b> or null"),
        (list[Annotated[str, Meta(min_length=1)]], "list of text (at least 1 characters)"),
        (dict[str, Any], "object"),
        (dict[str, int], "object of integer"),
        (tuple[float, bool], "[number, true or false]"),
        (Inner, "Inner"),
        (int | None | msgspec.UnsetType, "integer or null"),
    ],
)
def test_a_type_is_told_with_its_limits(kind: Any, words: str) -> None:
    """What is typed as it stands is marked; a limit that only the number's own kind has says nothing."""
    assert Words(code=lambda text: f"<{text}>").shown(kind) == words


def test_a_docstring_is_one_line_in_which_code_is_marked() -> None:
    """Names without the modules that they are in."""
    assert Words(code=lambda text: f"<{text}>").said(Told) == "Of each <Dataset>, <a> and <b.c>."
    assert Words().said(Told) == "Of each Dataset, a and b.c."


def test_a_default_is_json() -> None:
    """And what has none must be given."""
    defaults = [Words().default(field) for field in msgspec.structs.fields(Inner)]
    assert defaults == ["must be given", "[]", "true", "null", "left as it is"]


def test_values_that_can_be_counted_are_listed() -> None:
    """Those of an enumeration, through whatever stands around it."""
    assert choices(bool | None) == ["true", "false"]
    assert choices(Annotated[Literal["a", 1], Meta(description="x")] | None) == ["a", "1"]
    assert choices(DataType) == [str(kind) for kind in DataType]
    assert choices(int | str) == []
