"""The decision, in tables: no actor runs here."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime.actor import Actor
from actors.runtime.exits import AutoShutdown, Exit, IntensityExceeded, SpecError
from actors.runtime.policy import Decision, GiveUp, History, Leave, Limits, Restart, Terminate, decide
from actors.runtime.spec import Backoff, ChildSpec

NOW = 1000.0
CRASH = Exit(("root", "a"), "crash", RuntimeError("boom"))


def spec(**options: Any) -> ChildSpec:
    return ChildSpec("a", Actor, **options)


def restart(scope: Any = "one", delay: float = 0.0, restarts: tuple[float, ...] = (NOW,), failures: int = 1) -> Restart:
    return Restart(scope, delay, History(restarts, failures))


@pytest.mark.parametrize("kind", ["normal", "shutdown", "crash", "start_failed", "killed", "unkillable"])
@pytest.mark.parametrize(
    ("type", "restarted"),
    [
        ("permanent", {"normal", "shutdown", "crash", "start_failed", "killed", "unkillable"}),
        ("transient", {"crash", "start_failed", "killed", "unkillable"}),
        ("temporary", set()),
    ],
)
def test_which_exits_are_restarted(type: Any, kind: Any, restarted: set[str]) -> None:
    """Permanent all, transient the abnormal ones, temporary none; only a temporary child is forgotten."""
    decision = decide(Limits(), spec(restart=type), Exit(("a",), kind), History(), NOW)
    assert decision == (restart() if kind in restarted else Leave(forget=type == "temporary"))


@pytest.mark.parametrize(
    ("strategy", "scope"), [("one_for_one", "one"), ("one_for_all", "all"), ("rest_for_one", "rest")]
)
def test_whom_a_restart_concerns(strategy: Any, scope: str) -> None:
    """As the strategy says."""
    assert decide(Limits(strategy=strategy), spec(), CRASH, History(), NOW) == restart(scope)


@pytest.mark.parametrize(
    ("intensity", "period", "restarts", "kept"),
    [
        (1, 5.0, (), (NOW,)),
        (0, 5.0, (), None),
        (1, 5.0, (NOW - 1,), None),
        (1, 5.0, (NOW,), None),
        (2, 5.0, (NOW,), (NOW, NOW)),
        (1, 5.0, (NOW - 5.001,), (NOW,)),
        # The edge of the window belongs to it, as in supervisor.erl.
        (1, 5.0, (NOW - 5,), None),
        (3, 5.0, (NOW - 100, NOW - 7, NOW - 4, NOW - 1), (NOW - 4, NOW - 1, NOW)),
        (2, 5.0, (NOW - 100, NOW - 7, NOW - 4, NOW - 1), None),
        (1, 0.5, (NOW - 0.6,), (NOW,)),
    ],
)
def test_intensity(intensity: int, period: float, restarts: tuple[float, ...], kept: tuple[float, ...] | None) -> None:
    """Up to ``intensity`` restarts, this one included, within the last ``period`` seconds; older ones are dropped."""
    decision = decide(Limits(intensity=intensity, period=period), spec(), CRASH, History(restarts), NOW)
    if kept is None:
        assert isinstance(decision, Terminate)
        assert isinstance(decision.reason, IntensityExceeded)
        assert "RuntimeError: boom" in str(decision.reason)
    else:
        assert decision == restart(restarts=kept)


def test_excess_of_a_child_that_is_set_aside() -> None:
    """With give_up the same excess ends nothing but the child."""
    limits = Limits(intensity=1, on_excess="give_up")
    assert decide(limits, spec(), CRASH, History(), NOW) == restart()
    assert decide(limits, spec(), CRASH, History((NOW - 1,)), NOW) == GiveUp(
        "more than 1 restarts within 5 s (RuntimeError: boom)"
    )


BACKOFF = Backoff(initial=1, maximum=10, factor=2, jitter=0.5, reset_after=60)


@pytest.mark.parametrize(
    ("failures", "uptime", "jitter", "delay", "after"),
    [
        (0, 0, 0.0, 1, 1),
        (1, 0, 0.0, 2, 2),
        (3, 0, 0.0, 8, 4),
        (4, 0, 0.0, 10, 5),
        (400, 0, 0.0, 10, 401),
        (4, 59.9, 0.0, 10, 5),
        (4, 60, 0.0, 1, 1),
        (0, 0, 0.5, 0.75, 1),
        (9, 0, 1.0, 5, 10),
    ],
)
def test_backoff(failures: int, uptime: float, jitter: float, delay: float, after: int) -> None:
    """Doubles with each failure in a row up to a bound, less the jitter; a child that stayed up begins anew."""
    exit = Exit(("a",), "crash", uptime=uptime)
    decision = decide(Limits(intensity=9), spec(backoff=BACKOFF), exit, History(failures=failures), NOW, jitter=jitter)
    assert decision == restart(delay=delay, failures=after)


@pytest.mark.parametrize(
    ("auto_shutdown", "type", "kind", "left", "ends"),
    [
        ("any_significant", "transient", "normal", 3, True),
        ("any_significant", "transient", "shutdown", 3, True),
        ("any_significant", "transient", "crash", 0, False),
        ("any_significant", "temporary", "crash", 3, True),
        ("all_significant", "transient", "normal", 1, False),
        ("all_significant", "transient", "normal", 0, True),
        ("all_significant", "temporary", "crash", 0, True),
        ("never", "transient", "normal", 0, False),
    ],
)
def test_auto_shutdown(auto_shutdown: Any, type: Any, kind: Any, left: int, ends: bool) -> None:
    """A significant child that is done, or the last of them; a restart is no end."""
    child = spec(restart=type, significant=True)
    decision: Decision = decide(
        Limits(auto_shutdown=auto_shutdown), child, Exit(("a",), kind), History(), NOW, significant_left=left
    )
    assert isinstance(decision, Terminate) == ends
    if isinstance(decision, Terminate):
        assert isinstance(decision.reason, AutoShutdown)


def test_an_insignificant_child_ends_nothing() -> None:
    """Whatever auto_shutdown says."""
    decision = decide(Limits(auto_shutdown="any_significant"), spec(restart="temporary"), CRASH, History(), NOW)
    assert decision == Leave(forget=True)


@pytest.mark.parametrize(
    "flags",
    [
        {"strategy": "simple_one_for_one"},
        {"intensity": -1},
        {"period": 0},
        {"period": float("nan")},
        {"auto_shutdown": "sometimes"},
        {"on_excess": "panic"},
    ],
)
def test_impossible_flags(flags: dict[str, Any]) -> None:
    """Are refused when they are made."""
    with pytest.raises(SpecError):
        Limits(**flags)
