"""The exception tree: the drawing that people read first is the tree that is raised."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from pathlib import Path

import pytest

from dccd import errors
from dccd.errors import DccdError

ROOT = Path(__file__).parent.parent
DRAWN = re.compile(r" {4}(?P<trunk>(?:│ {3}| {4})*)(?P<branch>[├└]── )?(?P<name>[A-Z]\w+)(?: {2,}.*)?")


def drawn() -> list[tuple[str, str]]:
    """Each class with its parent, in the drawing's order; the root's parent is Exception."""
    drawing = inspect.getdoc(errors) or ""
    path = ["Exception"]
    tree: list[tuple[str, str]] = []
    for line in drawing.splitlines():
        if found := DRAWN.fullmatch(line):
            depth = len(found["trunk"]) // 4 + bool(found["branch"])
            assert depth < len(path), f"{found['name']} hangs in the air"
            del path[depth + 1 :]
            tree.append((found["name"], path[-1]))
            path.append(found["name"])
    return tree


def defined() -> list[tuple[str, str]]:
    """Each exception class that the module defines, with its first base."""
    classes = (cls for cls in vars(errors).values() if isinstance(cls, type) and cls.__module__ == errors.__name__)
    return [(cls.__name__, cls.__bases__[0].__name__) for cls in classes]


def test_the_drawing_is_the_tree() -> None:
    """Every class is drawn under the class that it is derived from, and nothing else is drawn."""
    assert len(defined()) > 15
    assert sorted(drawn()) == sorted(defined())


def test_every_error_is_public_and_one_of_ours() -> None:
    """``except DccdError`` catches whatever dccd raises on purpose, and every class can be imported by name."""
    assert sorted(errors.__all__) == sorted(name for name, _ in defined())
    assert all(issubclass(getattr(errors, name), DccdError) for name in errors.__all__)


def test_every_error_says_when_it_is_raised() -> None:
    """A class without a sentence on when it is raised is of no use to who must handle it."""
    silent = [name for name in errors.__all__ if not (getattr(errors, name).__doc__ or "").startswith("Raised")]
    assert silent == []


def test_no_exception_is_defined_elsewhere() -> None:
    """The tree is whole: no module of dccd lets out an exception of its own.

    A private one stays inside its module; a warning is nothing that anybody catches. The simulator is the other side:
    its errors are its exchanges' answers.
    """
    standard = {
        name
        for name, value in vars(builtins).items()
        if inspect.isclass(value) and issubclass(value, BaseException) and not issubclass(value, Warning)
    }
    known = standard | set(errors.__all__)
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "dccd").rglob("*.py"))
        if path != ROOT / "dccd" / "errors.py" and ROOT / "dccd" / "simulator" not in path.parents
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any(
            (base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")) in known for base in node.bases
        )
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    ("error", "text", "fields"),
    [
        (
            errors.ConfigError("jobs[2].span", "'1x'", "60, 1m, 1h"),
            "jobs[2].span: found '1x'; allowed: 60, 1m, 1h",
            {"path": "jobs[2].span", "found": "'1x'", "allowed": "60, 1m, 1h"},
        ),
        (
            errors.RequestError(422, "no_capability", "kraken has no funding", "data_type"),
            "kraken has no funding",
            {"code": 422, "reason": "no_capability", "field": "data_type"},
        ),
        (
            errors.ParseError("kraken", "no JSON", b"x" * 10_000),
            "no JSON",
            {"exchange": "kraken", "sample": b"x" * 512},
        ),
        (errors.RateLimited("binance", "Way too many requests", 2.5), "Way too many requests", {"retry_after": 2.5}),
        (
            errors.CorruptFile(Path("a/b.parquet"), "no footer"),
            "a/b.parquet: no footer (`dccd doctor` sets it aside)",
            {"path": Path("a/b.parquet"), "reason": "no footer"},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, DccdError) else "",
)
def test_an_error_carries_what_its_handler_needs(error: DccdError, text: str, fields: dict[str, object]) -> None:
    """The text reads well alone, and the parts that a program needs are attributes, not text to take apart."""
    assert str(error) == text
    assert {name: getattr(error, name) for name in fields} == fields


def test_a_taken_port_says_what_to_do() -> None:
    """The message of a taken port names both ways out."""
    error = errors.BusPortTaken(4222)
    assert error.port == 4222
    assert "bus.url" in str(error)
    assert "bus.port" in str(error)
