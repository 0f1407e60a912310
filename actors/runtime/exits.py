"""How an actor ended, and every exception of the runtime: first thing to read.

::

    ActorError
    ├── SpecError              a child spec or a supervisor's flags are impossible
    ├── StartFailed            an actor's on_start (or its factory) raised; the cause is __cause__
    ├── RootExited             the whole tree ended while the block of open_root still ran
    ├── MailboxFull            tell_nowait at a full mailbox
    ├── AskTimeout             no answer in time (a TimeoutError)
    ├── ActorGone              the actor has ended: no delivery, or no answer any more
    ├── ChildError             a supervisor refuses a request about a child
    │   ├── AlreadyStarted     a child of this id runs (``ref``)
    │   ├── AlreadyPresent     a child of this id is known, but does not run
    │   ├── ChildNotFound
    │   ├── ChildRunning       must be terminated first
    │   ├── ChildRestarting    is about to be restarted by the supervisor
    │   └── MaxChildren
    └── Shutdown               raise it in an actor to end in order, with a reason: not an abnormal exit
        ├── IntensityExceeded  a supervisor's: more than ``intensity`` restarts within ``period``
        └── AutoShutdown       a supervisor's: its significant children are done

The names follow Erlang/OTP (``supervisor``, ``gen_server``; https://www.erlang.org/doc/apps/stdlib/supervisor).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from actors.runtime.actor import ActorRef

__all__ = [
    "ActorError",
    "ActorGone",
    "AlreadyPresent",
    "AlreadyStarted",
    "AskTimeout",
    "AutoShutdown",
    "ChildError",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "Exit",
    "ExitKind",
    "IntensityExceeded",
    "MailboxFull",
    "MaxChildren",
    "Path",
    "RootExited",
    "Shutdown",
    "SpecError",
    "StartFailed",
    "path_text",
]

Path = tuple[str, ...]
"""The ids from the root of the tree down to an actor."""

ExitKind = Literal["normal", "shutdown", "crash", "start_failed", "killed", "unkillable"]


def path_text(path: Path) -> str:
    """Return a path for people: ``root/streams/binance.trades.BTC-USDT``."""
    return "/".join(path)


class Exit(msgspec.Struct, frozen=True):
    """How one incarnation of an actor ended.

    ``kind``: ``normal`` (its ``run`` returned), ``shutdown`` (its supervisor stopped it, or it raised
    :class:`Shutdown`), ``crash`` (it raised anything else), ``start_failed`` (``on_start`` did), ``killed`` (it took
    longer than its shutdown time), ``unkillable`` (not even that ended it: it was given up and may still run).
    ``uptime`` is seconds since it was ready, ``at`` monotonic seconds of the runtime's clock.
    """

    path: Path
    kind: ExitKind
    error: BaseException | None = None
    uptime: float = 0.0
    at: float = 0.0

    @property
    def abnormal(self) -> bool:
        """Whether a ``transient`` child is restarted: every exit but ``normal`` and ``shutdown``, as in OTP."""
        return self.kind not in ("normal", "shutdown")

    @property
    def reason(self) -> str:
        """The reason for people: ``ValueError: no such thing``."""
        if self.error is None:
            return self.kind
        text = str(self.error)
        if self.kind == "shutdown":
            return f"shutdown: {text}" if text else "shutdown"
        name = type(self.error).__name__
        text = f"{name}: {text}" if text else name
        return {"crash": text, "start_failed": f"start failed: {text}"}.get(self.kind, f"{self.kind}: {text}")


class ActorError(Exception):
    """Raised by the runtime; base of all below."""


class SpecError(ActorError, ValueError):
    """Raised when a child spec or a supervisor's flags are impossible, before anything is started."""


class StartFailed(ActorError):
    """Raised when an actor could not be started; ``__cause__`` is why, ``path`` says which."""

    path: Path

    def __init__(self, path: Path, cause: BaseException | str) -> None:
        self.path = path
        text = cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}"
        super().__init__(f"{path_text(path)} could not be started: {text}")


class RootExited(ActorError):
    """Raised out of the block of ``open_root`` when the tree ended by itself; ``exit`` says how."""

    exit: Exit

    def __init__(self, exit: Exit) -> None:
        self.exit = exit
        super().__init__(f"{path_text(exit.path)} exited: {exit.reason}")


class MailboxFull(ActorError):
    """Raised by ``tell_nowait`` when the receiver has ``size`` messages waiting already."""

    path: Path
    size: int

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        super().__init__(f"{path_text(path)} has {size} messages waiting")


class AskTimeout(ActorError, TimeoutError):
    """Raised when an actor has not answered in time. It may still have got the message, and do what it says."""

    path: Path

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        super().__init__(f"{path_text(path)} has not answered within {timeout:g} s")


class ActorGone(ActorError):
    """Raised to whoever tells or asks an actor that has ended, or that ends before it answers."""

    path: Path

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path_text(path)} is gone: {reason}")


class ChildError(ActorError):
    """Raised when a supervisor refuses a request about the child ``id``."""

    id: str

    def __init__(self, id: str, message: str) -> None:
        self.id = id
        super().__init__(f"child {id!r} {message}")


class AlreadyStarted(ChildError):
    """Raised when a child is added whose id runs already; ``ref`` is the running one."""

    ref: ActorRef

    def __init__(self, id: str, ref: ActorRef) -> None:
        self.ref = ref
        super().__init__(id, "is already started")


class AlreadyPresent(ChildError):
    """Raised when a child is added whose id is known, but does not run: ``restart_child`` starts it."""

    def __init__(self, id: str, status: str) -> None:
        super().__init__(id, f"is already present ({status})")


class ChildNotFound(ChildError):
    """Raised when no child has this id."""

    def __init__(self, id: str) -> None:
        super().__init__(id, "is not known")


class ChildRunning(ChildError):
    """Raised when a child must not run for what is asked, but does."""

    def __init__(self, id: str) -> None:
        super().__init__(id, "is running")


class ChildRestarting(ChildError):
    """Raised when a child is about to be restarted by its supervisor."""

    def __init__(self, id: str) -> None:
        super().__init__(id, "is restarting")


class MaxChildren(ChildError):
    """Raised when a dynamic supervisor has as many children as it may."""

    limit: int

    def __init__(self, id: str, limit: int) -> None:
        self.limit = limit
        super().__init__(id, f"is one too many: at most {limit} are allowed")


class Shutdown(ActorError):
    """Raise it in an actor to end in order with a reason (OTP's ``{shutdown, Term}``): not an abnormal exit."""


class IntensityExceeded(Shutdown):
    """The reason of a supervisor that ends since its children ended too often."""

    def __init__(self, id: str, intensity: int, period: float, cause: str) -> None:
        super().__init__(f"more than {intensity} restarts within {period:g} s, the last of {id!r} ({cause})")


class AutoShutdown(Shutdown):
    """The reason of a supervisor that ends since its significant children are done."""

    def __init__(self, id: str, cause: str) -> None:
        super().__init__(f"significant child {id!r} is done ({cause})")
