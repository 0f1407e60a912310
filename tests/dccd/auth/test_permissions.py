"""What each role may, as a server's configuration says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd import subjects
from dccd.auth.permissions import ROLES, Entry, access, authorization
from dccd.bus.server import CONF
from dccd.messages import Empty
from dccd.operations import OPERATIONS, Operation

EXAMPLE = CONF.with_name("auth.conf")


def test_the_example_is_what_the_code_says() -> None:
    """The file in the repository has the permissions of today's operations; ops/docs.py writes it."""
    users = [Entry(name=role, role=role, nkey=key) for role, key in zip(ROLES, _keys(EXAMPLE), strict=True)]
    assert EXAMPLE.read_text().endswith(authorization(users))


def _keys(path: Path) -> list[str]:
    return [line.split('"')[1] for line in path.read_text().splitlines() if "nkey:" in line]


def test_a_new_operation_is_for_whom_its_role_says() -> None:
    """Nothing has to be added here when an operation is: its role decides, of any host and of one."""
    operations = {
        name: Operation(name=name, request=Empty, reply=Empty, description="", role=role)  # type: ignore[arg-type]
        for name, role in (("look", "viewer"), ("touch.it", "operator"))
    }
    for role in ("viewer", "reader"):
        allowed = access(role, operations).publish  # type: ignore[arg-type]
        assert {"dccd.look", "dccd.host.*.look"} <= set(allowed)
        assert not [subject for subject in allowed if "touch" in subject]
    assert {"dccd.look", "dccd.touch.it", "dccd.host.*.touch.it"} <= set(access("operator", operations).publish)


@pytest.mark.parametrize("role", ["operator", "viewer", "reader"])
def test_no_wildcard_lets_in_more(role: str) -> None:
    """Of what others than collectors may, nothing matches a stream's or a bucket's subject, or another's inbox."""
    allowed = access(role)  # type: ignore[arg-type]
    buckets = [name for key, name in vars(subjects).items() if key.startswith("BUCKET_")]
    written = [
        "dccd.ticks.a.trades.B-C", "dccd.events.run.1.status", "dccd.replay.1.a.trades.B-C", "_INBOX.collector.x",
        f"_INBOX.{role}.x.y", "_INBOX.x", *(f"$KV.{name}.a" for name in buckets),
    ]  # fmt: skip
    for pattern in allowed.publish:
        assert not [subject for subject in written if subjects.matches(pattern, subject)]
    heard = ["dccd.health", "dccd.replay.start", "dccd.host.a.health", "dccd.flow.x.y", "_INBOX.collector.x", "$SYS.x"]
    for pattern in allowed.subscribe:
        assert not [subject for subject in heard if subjects.matches(pattern, subject)]
    assert not [
        pattern for pattern in (*allowed.publish, *allowed.subscribe) if pattern in (">", "*", "dccd.>", "$JS.>")
    ]


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_only_collectors_and_readers_ask_jetstream(role: str) -> None:
    """Of what JetStream listens to, the others publish only where it answers nothing."""
    asked = [subject for subject in access(role).publish if subject.startswith("$")]  # type: ignore[arg-type]
    assert {subject.split(".")[0] for subject in asked} == {"$JS", "$SRV"}
    assert {subject for subject in asked if subject.startswith("$JS")} == {
        "$JS.FC.DCCD_TICKS.>",
        "$JS.FC.DCCD_EVENTS.>",
    }


def test_every_operation_has_a_role_that_may_not_change_by_mistake() -> None:
    """What starts, stops, changes, tests or repairs is an operator's: a table to be changed knowingly."""
    changes = {
        name for name in OPERATIONS
        if name.rpartition(".")[2] in {"start", "stop", "cancel", "put", "create", "update", "delete", "run", "run_all",
                                       "test", "sync", "migrate", "verify", "restore", "fold", "repair", "doctor"}
        and not name.startswith("replay.")
    }  # fmt: skip
    assert {name for name in changes if OPERATIONS[name].role != "operator"} == set()


def test_only_the_roles_in_use_are_defined() -> None:
    """A role that no user has would be an unknown field to the server; no user at all would let everybody in."""
    text = authorization([Entry(name="c", role="collector", password="$2b$11$x")])
    assert "collector: {" in text and "viewer" not in text
    assert 'user: "c", password: "$2b$11$x", permissions: $collector' in text
    with pytest.raises(ValueError, match="nobody"):
        authorization([])
