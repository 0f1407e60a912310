"""A small actor runtime with the supervision semantics of Erlang/OTP. It knows nothing of dccd.

Read in this order: ``exits`` (how actors end), ``spec`` (what a supervisor knows of a child), ``policy`` (what it does
when one ends: a pure function), ``actor`` and ``mailbox``, ``process`` (one actor in its task), ``supervision`` with
``supervisor`` and ``dynamic``, ``root`` (how a tree hangs on ordinary async code). Time comes from ``clock`` only.
"""

from actors.runtime.actor import Actor, ActorContext, ActorNode, ActorRef, Down, Monitor, run_together
from actors.runtime.children import ChildCounts, ChildInfo
from actors.runtime.clock import Clock, FakeClock, SystemClock
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.events import ActorEvent, Observer
from actors.runtime.exits import Exit, Shutdown, StartFailed
from actors.runtime.root import open_root
from actors.runtime.spec import Backoff, ChildSpec
from actors.runtime.supervisor import Supervisor

__all__ = [
    "Actor",
    "ActorContext",
    "ActorEvent",
    "ActorNode",
    "ActorRef",
    "Backoff",
    "ChildCounts",
    "ChildInfo",
    "ChildSpec",
    "Clock",
    "Down",
    "DynamicSupervisor",
    "Exit",
    "FakeClock",
    "Monitor",
    "Observer",
    "Shutdown",
    "StartFailed",
    "Supervisor",
    "SystemClock",
    "open_root",
    "run_together",
]
