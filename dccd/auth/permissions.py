"""What each role may publish and subscribe to: the operations and the names of subjects flow in, the server's
configuration flows out. Pure.

Nothing is denied by name: what isn't listed, a user may not. Four things shape the lists.

* A reply goes to whatever subject its request names, and whoever answers does so with its own rights. So nobody but a
  collector may publish where answers of use come from and where they could do harm at once; collectors answer to
  inboxes only, and take requests only from who names one (:mod:`dccd.bus.service`).
* JetStream, too, puts its answers wherever a question or an acknowledgement says, and what a consumer delivers wherever
  the consumer says, with nobody's rights: into a bucket, among the ticks. The server can't be told otherwise. So who
  listens asks a daemon, which makes consumers for inboxes only (:mod:`dccd.bus.following`), and answers nothing but
  flow control, to which nothing is said.
* ``allow_responses`` would let a collector answer anywhere, and who hears ticks answer the publisher in the bus's name
  (each tick message carries the inbox of its acknowledgement). So nobody has it: collectors may publish to inboxes.
* Who may make consumers of a stream may also read, acknowledge, change and delete those of others whose names it knows.
  So the archivers' have names that can't be guessed (:mod:`dccd.bus.consumer`), and only collectors may list them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from dccd import subjects
from dccd.operations import OPERATIONS, Operation

__all__ = ["ROLES", "Access", "Role", "access", "authorization", "inbox_prefix"]

Role = Literal["collector", "operator", "viewer", "reader"]
"""Daemons; who may ask for all operations; who may only see; who sees, and reads streams and buckets by itself.

A reader can have JetStream put answers and messages where it may not publish. Daemons take none for a request or a
tick, but it can litter a bucket, or write over an entry of one.
"""

ROLES: tuple[Role, ...] = ("collector", "operator", "viewer", "reader")

_STREAMS = (subjects.STREAM_TICKS, subjects.STREAM_EVENTS)
_BUCKETS = sorted(name for key, name in vars(subjects).items() if key.startswith("BUCKET_"))
_INDENT = "    "


class Access(msgspec.Struct, frozen=True):
    """The subjects that a role may publish to, and those that it may subscribe to; wildcards included."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox_prefix(role: Role) -> str:
    """What the inboxes of *role* begin with: nobody else hears them, and the others of a role may ask the same."""
    return f"{subjects.INBOX}.{role}"


def access(role: Role, operations: Mapping[str, Operation] = OPERATIONS) -> Access:
    """What *role* may do, by what the *operations* say of who may ask."""
    own = f"{inbox_prefix(role)}.>"
    if role == "collector":
        return Access(
            publish=(
                f"{subjects.SERVICE}.>",
                f"{subjects.INBOX}.>",
                *(f"$KV.{bucket}.>" for bucket in _BUCKETS),
                "$JS.API.>",
                "$JS.ACK.>",
                "$JS.FC.>",
                "$SRV.>",
            ),
            subscribe=(f"{subjects.SERVICE}.>", "$SRV.>", own),
        )
    allowed = [op.name for op in operations.values() if role == "operator" or op.role == "viewer"]
    return Access(
        publish=(
            *(subjects.request(name) for name in allowed),
            *(subjects.host_request("*", name) for name in allowed),
            *subjects.FROM_CONSUMERS,
            *(f"$JS.FC.{stream}.>" for stream in _STREAMS),
            subjects.echo(inbox_prefix(role), "*"),
            *(f"$SRV.{verb}{tail}" for verb in ("PING", "INFO", "STATS") for tail in ("", ".>")),
            *(_jetstream() if role == "reader" else ()),
        ),
        subscribe=(*subjects.TO_CONSUMERS, own),
    )


def _jetstream() -> Iterable[str]:
    """The JetStream API as who reads streams by itself needs it, and nothing of it that changes them."""
    api = "$JS.API"
    yield from (f"{api}.INFO", f"{api}.STREAM.NAMES", f"{api}.STREAM.LIST")
    # Requests mask what is secret in a configuration: its bucket would tell it.
    hidden = {subjects.BUCKET_PRIVATE, subjects.BUCKET_CONFIG}
    for stream in (*_STREAMS, *(f"KV_{bucket}" for bucket in _BUCKETS if bucket not in hidden)):
        yield f"{api}.STREAM.INFO.{stream}"
        yield f"{api}.STREAM.MSG.GET.{stream}"
        yield from (f"{api}.DIRECT.GET.{stream}", f"{api}.DIRECT.GET.{stream}.>")
        yield from (f"{api}.CONSUMER.CREATE.{stream}", f"{api}.CONSUMER.CREATE.{stream}.>")
        yield f"{api}.CONSUMER.DURABLE.CREATE.{stream}.*"
        yield from (f"{api}.CONSUMER.{verb}.{stream}.*" for verb in ("INFO", "MSG.NEXT", "DELETE"))
        yield f"$JS.ACK.{stream}.>"
        if stream not in _STREAMS:
            yield f"$JS.FC.{stream}.>"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the server knows it: a role, and a bcrypt hash or the public half of an NKEY."""

    name: str
    role: Role
    password: str | None = None
    nkey: str | None = None


def authorization(users: Iterable[Entry], operations: Mapping[str, Operation] = OPERATIONS) -> str:
    """The block of a ``nats.conf`` that lets in *users*, with the permissions of their roles, and nobody else.

    Raises ValueError without any user: to the server that would mean everybody.
    """
    users = list(users)
    if not users:
        raise ValueError("users: nobody")
    lines = ["authorization {"]
    for role in ROLES:
        # A role that no user has would be an unknown field to the server.
        if any(user.role == role for user in users):
            lines += _block(role, access(role, operations))
    lines.append(f"{_INDENT}users: [")
    for user in users:
        named = f'user: "{user.name}", password: "{user.password}"'
        who = named if user.nkey is None else f'nkey: "{user.nkey}"'
        lines.append(f"{_INDENT * 2}{{{who}, permissions: ${user.role}}}  # {user.name}")
    return "\n".join([*lines, f"{_INDENT}]", "}", ""])


def _block(role: Role, allowed: Access) -> list[str]:
    lines = [f"{_INDENT}{role}: {{"]
    for verb in ("publish", "subscribe"):
        lines.append(f"{_INDENT * 2}{verb}: {{allow: [")
        lines += [f'{_INDENT * 3}"{subject}"' for subject in getattr(allowed, verb)]
        lines.append(f"{_INDENT * 2}]}}")
    return [*lines, f"{_INDENT}}}", ""]
