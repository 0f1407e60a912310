"""The table of operations agrees with who answers them, and its schemas stand for themselves."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from actors.control.handlers import Handlers
from dccd.operations import OPERATIONS, Operation, schema

ALL = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _described(document: dict[str, Any]) -> dict[str, Any]:
    """The schema of the message itself, which a document refers to."""
    found = document["$defs"][document["$ref"].removeprefix("#/$defs/")]
    assert isinstance(found, dict)
    return found


@ALL
@pytest.mark.parametrize("side", ["request", "reply"])
def test_a_schema_is_complete_in_itself_and_names_every_field(operation: Operation, side: str) -> None:
    """Who has only that document can fill in the request and read the reply."""
    kind = getattr(operation, side)
    document = schema(kind)
    for reference in _references(document):
        assert reference.removeprefix("#/$defs/") in document["$defs"]
    described = _described(document)
    fields = msgspec.structs.fields(kind)
    assert set(described["properties"]) == {field.encode_name for field in fields}
    assert set(described["required"]) == {field.encode_name for field in fields if field.required}
    assert described["description"]


@ALL
def test_a_request_says_that_it_takes_no_other_field(operation: Operation) -> None:
    """A client that validates before it sends refuses what the daemon would."""
    assert _described(schema(operation.request))["additionalProperties"] is False


@ALL
def test_each_operation_is_answered_with_what_it_promises(operation: Operation) -> None:
    """Its handler takes the request of the table and returns the reply of the table (some: or a stream of
    chunks)."""
    hints = typing.get_type_hints(getattr(Handlers, f"do_{operation.name.replace('.', '_')}"))
    answer = hints["return"]
    answers = typing.get_args(answer) if isinstance(answer, types.UnionType) else (answer,)
    assert hints["request"] is operation.request
    assert operation.reply in answers
    assert len(answers) == (2 if operation.name in ("read", "books", "doctor") else 1)


def test_no_handler_answers_what_is_not_listed() -> None:
    """It would be an operation that nobody can find."""
    handled = {name.removeprefix("do_") for name in vars(Handlers) if name.startswith("do_")}
    assert handled == {name.replace(".", "_") for name in OPERATIONS}


def test_each_operation_is_under_its_own_name_and_says_what_it_does() -> None:
    """In one line, for a listing."""
    for name, operation in OPERATIONS.items():
        assert operation.name == name
        assert operation.description
        assert "\n" not in operation.description
