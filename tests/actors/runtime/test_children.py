"""What a supervisor tells of children, with and without a process."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.runtime.actor import Actor
from actors.runtime.children import Child, ChildCounts, count
from actors.runtime.exits import Exit
from actors.runtime.spec import ChildSpec
from actors.runtime.supervisor import Supervisor

pytestmark = pytest.mark.anyio


def test_counts() -> None:
    """Specs and types count whether they run or not; active are those with a process."""
    children = [Child(ChildSpec("a", Actor)), Child(ChildSpec("s", Supervisor, type="supervisor"), status="stopped")]
    assert count(children) == ChildCounts(specs=2, active=0, supervisors=1, workers=1)


def test_a_child_without_a_process() -> None:
    """Has no ref, no mailbox and no uptime, but a past."""
    child = Child(ChildSpec("a", Actor), status="gave_up", restarts=4)
    child.exit = Exit(("root", "a"), "crash", RuntimeError("boom"), uptime=9)
    info = child.info()
    assert (info.ref, info.status, info.restarts, info.reason) == (None, "gave_up", 4, "RuntimeError: boom")
    node = child.node(("root",))
    assert msgspec.to_builtins(node) == {
        "id": "a",
        "path": ("root", "a"),
        "type": "worker",
        "status": "gave_up",
        "restarts": 4,
        "mailbox": 0,
        "mailbox_size": 0,
        "uptime": 0.0,
        "reason": "RuntimeError: boom",
        "children": [],
    }


@pytest.mark.parametrize(
    ("status", "waits"),
    [("pending", True), ("restarting", True), ("starting", False), ("running", False), ("gave_up", False)],
)
def test_who_waits_for_a_start(status: Any, waits: bool) -> None:
    """The first one, or one after a backoff."""
    assert Child(ChildSpec("a", Actor), status=status).waits_for_start == waits


async def test_a_child_with_a_process(stage: Any) -> None:
    """Is shown as it is now."""
    supervisor = Supervisor(stage.specs("a"))
    async with stage.open(supervisor):
        await stage.clock.advance(3)
        child = supervisor.children["a"]
        assert child.info().ref is child.process.ref  # type: ignore[union-attr]
        assert (child.node(("ignored",)).path, child.node(()).uptime) == (("root", "a"), 3)
