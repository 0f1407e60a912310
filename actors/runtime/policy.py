"""What a supervisor does when a child has ended: one pure function.

The child's spec, its exit, the history of restarts and the time flow in; a :data:`Decision` flows out. Nothing is
started, stopped or waited for here. The rules are those of Erlang/OTP's ``supervisor`` (restart types, restart
intensity, auto-shutdown); ``delay`` and :class:`GiveUp` are ours.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.runtime.exits import AutoShutdown, Exit, IntensityExceeded, Shutdown, SpecError
from actors.runtime.spec import AutoShutdownMode, ChildSpec, Strategy

__all__ = ["Decision", "Exhaust", "GiveUp", "History", "Leave", "Limits", "Restart", "Terminate", "decide"]

Exhaust = Literal["exit", "give_up"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """A supervisor's flags (OTP: ``sup_flags()``): up to ``intensity`` restarts within ``period`` seconds are allowed.

    ``on_excess`` says what one more does: ``exit`` ends the supervisor, as in OTP, and the history is that of all its
    children; ``give_up`` sets the child aside, and the history is that of the child alone.
    """

    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period: float = 5.0
    auto_shutdown: AutoShutdownMode = "never"
    on_excess: Exhaust = "exit"

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("strategy", self.strategy, ("one_for_one", "one_for_all", "rest_for_one")),
            ("auto_shutdown", self.auto_shutdown, ("never", "any_significant", "all_significant")),
            ("on_excess", self.on_excess, ("exit", "give_up")),
        ):
            if value not in allowed:
                raise SpecError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        if self.intensity < 0:
            raise SpecError(f"intensity must not be negative, but is {self.intensity!r}")
        if not self.period > 0:
            raise SpecError(f"period must be more than 0 seconds, not {self.period!r}")


class History(msgspec.Struct, frozen=True):
    """``restarts``: when (monotonic seconds, oldest first) the restarts that count were; ``failures``: how often the
    child failed in a row."""

    restarts: tuple[float, ...] = ()
    failures: int = 0


class Restart(msgspec.Struct, frozen=True):
    """Restart the child (``one``), it and those started after it (``rest``), or all, after ``delay`` seconds."""

    scope: Literal["one", "rest", "all"]
    delay: float
    history: History


class Leave(msgspec.Struct, frozen=True):
    """Don't restart. The spec stays, unless the child is ``temporary`` (``forget``)."""

    forget: bool


class GiveUp(msgspec.Struct, frozen=True):
    """Set the child aside; only a person or a program brings it back."""

    reason: str


class Terminate(msgspec.Struct, frozen=True):
    """Stop all children and end the supervisor for ``reason``."""

    reason: Shutdown


Decision = Restart | Leave | GiveUp | Terminate


def decide(
    limits: Limits,
    spec: ChildSpec,
    exit: Exit,
    history: History,
    now: float,
    *,
    significant_left: int = 0,
    jitter: float = 0.0,
) -> Decision:
    """Decide what to do about *exit* of the child *spec*.

    *now* is in monotonic seconds, *significant_left* how many other significant children are active, *jitter* a
    random number in [0, 1) for the backoff.
    """
    if not _asks_for_restart(spec, exit):
        done = limits.auto_shutdown == "any_significant" or (
            limits.auto_shutdown == "all_significant" and significant_left == 0
        )
        if spec.significant and done:
            return Terminate(AutoShutdown(spec.id, exit.reason))
        return Leave(forget=spec.restart == "temporary")

    # The window slides, its edge belongs to it (supervisor.erl, add_restart/3).
    recent = (*(at for at in history.restarts if at >= now - limits.period), now)
    if len(recent) > limits.intensity:
        if limits.on_excess == "give_up":
            return GiveUp(f"more than {limits.intensity} restarts within {limits.period:g} s ({exit.reason})")
        return Terminate(IntensityExceeded(spec.id, limits.intensity, limits.period, exit.reason))

    scope: Literal["one", "rest", "all"] = "one"
    if limits.strategy == "one_for_all":
        scope = "all"
    elif limits.strategy == "rest_for_one":
        scope = "rest"
    backoff = spec.backoff
    recovered = backoff is not None and exit.uptime >= backoff.reset_after
    failures = 1 if recovered else history.failures + 1
    delay = 0.0 if backoff is None else backoff.delay(failures, jitter)
    return Restart(scope, delay, History(recent, failures))


def _asks_for_restart(spec: ChildSpec, exit: Exit) -> bool:
    if spec.restart == "transient":
        return exit.abnormal
    return spec.restart == "permanent"
