"""Child specs are checked when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime.actor import Actor
from actors.runtime.exits import SpecError
from actors.runtime.spec import Backoff, ChildSpec, check_specs


def test_defaults_are_those_of_otp() -> None:
    """A worker has 5 seconds, a supervisor as long as its children take."""
    worker, supervisor = ChildSpec("a", Actor), ChildSpec("a", Actor, type="supervisor")
    assert (worker.restart, worker.shutdown, worker.type, worker.significant) == ("permanent", 5.0, "worker", False)
    assert supervisor.shutdown == "infinity"
    assert ChildSpec("a", Actor, type="supervisor", shutdown=0).shutdown == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"id": ""}, "empty"),
        ({"start": "Actor"}, "start"),
        ({"restart": "always"}, "restart"),
        ({"type": "boss"}, "type"),
        ({"shutdown": "brutal_kill"}, "shutdown"),
        ({"shutdown": -1}, "shutdown"),
        ({"shutdown": float("inf")}, "shutdown"),
        ({"shutdown": float("nan")}, "shutdown"),
        ({"significant": True}, "permanent"),
    ],
)
def test_impossible_specs(options: dict[str, Any], named: str) -> None:
    """The error says which field it is."""
    with pytest.raises(SpecError, match=named):
        ChildSpec(**{"id": "a", "start": Actor, **options})


def test_check_specs() -> None:
    """Children that can't live together are refused."""
    plain, significant = ChildSpec("a", Actor), ChildSpec("b", Actor, "transient", significant=True)
    check_specs([plain, significant], "any_significant")
    with pytest.raises(SpecError, match="'a' is there twice"):
        check_specs([plain, significant, plain], "any_significant")
    with pytest.raises(SpecError, match="auto_shutdown is never"):
        check_specs([plain, significant], "never")


@pytest.mark.parametrize(
    ("failures", "expected"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (1_000, 30.0), (10**9, 30.0)]
)
def test_backoff_grows_to_its_bound_and_never_overflows(failures: int, expected: float) -> None:
    """0.5, 1, 2, … 30 seconds."""
    assert Backoff().delay(failures, 0.0) == expected


def test_backoff_without_growth() -> None:
    """A factor of 1 waits the same each time."""
    assert [Backoff(initial=3, factor=1).delay(failures, 0) for failures in (1, 2, 99)] == [3, 3, 3]


def test_jitter_takes_off_at_most_its_share() -> None:
    """So the bound holds, and nobody waits less than what is left."""
    backoff = Backoff(initial=10, maximum=10, jitter=0.3)
    assert [backoff.delay(1, random) for random in (0.0, 0.5, 1.0)] == [10, 8.5, 7]


@pytest.mark.parametrize(
    "values",
    [
        {"initial": 0},
        {"initial": 5, "maximum": 4},
        {"maximum": float("inf")},
        {"factor": 0.9},
        {"jitter": 1.1},
        {"jitter": -0.1},
        {"reset_after": -1},
        {"initial": float("nan")},
    ],
)
def test_impossible_backoffs(values: dict[str, float]) -> None:
    """Are refused when they are made."""
    with pytest.raises(SpecError, match="backoff"):
        Backoff(**values)
