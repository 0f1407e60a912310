"""What ``dccd req OPERATION --help`` tells: all that the table has of it, in plain text."""

from __future__ import annotations

import msgspec
import pytest

from dccd.cli.explain import explained
from dccd.cli.req import payload
from dccd.operations import ANY, OPERATIONS, Operation


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_everything_is_told_of_each_operation(operation: Operation) -> None:
    """Fields with their defaults, what comes back, errors, who may ask, and an example that is a request of it."""
    text = explained(operation)
    assert " ".join(text.split()).startswith(f"dccd.{operation.name}: {operation.description}.")
    assert "An operator may ask;" in text if operation.role == "operator" else "A viewer may ask;" in text
    lines = [line.split() for line in text.splitlines()]
    for field in (*msgspec.structs.fields(operation.request), *msgspec.structs.fields(operation.reply)):
        assert [field.encode_name] in [line[:1] for line in lines]
    for no in (*operation.refusals, *ANY):
        assert [str(no.code), no.reason] in [line[:2] for line in lines]
    assert operation.command in text
    assert "`" not in text.partition("Example")[0]
    example = next(line for line in text.splitlines() if line.startswith(f"  dccd req {operation.name}"))
    if "$" not in example:
        words = tuple(_shell(example))[3:]
        asked = msgspec.json.decode(payload(words) or b"{}", type=operation.request)
        assert asked == msgspec.convert(operation.example, operation.request)


def _shell(line: str) -> list[str]:
    import shlex

    return shlex.split(line)
