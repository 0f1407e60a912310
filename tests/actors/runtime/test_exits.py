"""How exits and errors read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.runtime import exits
from actors.runtime.exits import ActorError, Exit, Shutdown, StartFailed

ERROR = ValueError("no such pair")


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [
        ("normal", None, "normal"),
        ("shutdown", None, "shutdown"),
        ("shutdown", Shutdown("done with it"), "shutdown: done with it"),
        ("shutdown", Shutdown(), "shutdown"),
        ("crash", ERROR, "ValueError: no such pair"),
        ("crash", asyncio.CancelledError(), "CancelledError"),
        ("start_failed", ERROR, "start failed: ValueError: no such pair"),
        ("killed", None, "killed"),
        ("killed", ERROR, "killed: ValueError: no such pair"),
        ("unkillable", None, "unkillable"),
    ],
)
def test_reasons(kind: Any, error: BaseException | None, reason: str) -> None:
    """One line for people, with the type and the words of the error."""
    assert Exit(("root", "a"), kind, error).reason == reason


def test_abnormal_exits() -> None:
    """All but normal and shutdown, as in OTP."""
    kinds: list[Any] = ["normal", "shutdown", "crash", "start_failed", "killed", "unkillable"]
    assert [Exit(("a",), kind).abnormal for kind in kinds] == [False, False, True, True, True, True]


def test_every_error_is_an_actor_error() -> None:
    """One except clause takes them all."""
    errors = [getattr(exits, name) for name in exits.__all__]
    errors = [error for error in errors if isinstance(error, type) and issubclass(error, BaseException)]
    assert len(errors) > 10
    assert all(issubclass(error, ActorError) for error in errors)


def test_errors_name_the_actor() -> None:
    """By its path."""
    assert str(StartFailed(("root", "a"), ERROR)) == "root/a could not be started: ValueError: no such pair"
    assert str(exits.ActorGone(("root", "a"), "shutdown")) == "root/a is gone: shutdown"
    assert str(exits.AskTimeout(("root", "a"), 2.5)) == "root/a has not answered within 2.5 s"
    assert str(exits.MaxChildren("x", 3)) == "child 'x' is one too many: at most 3 are allowed"
