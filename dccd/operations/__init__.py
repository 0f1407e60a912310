"""Every operation on the bus, declared once: name, request, reply, errors, who may ask, what it does.

The micro service's endpoints and schemas, ``dccd.operations``, the client, ``dccd req``'s help and completion, the
permissions of ``nats.conf``'s users and the reference in ``docs/bus.md`` follow from this table. An operation isn't
listed before it works.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.operations import alerts, config, daemon, data, jobs, kept, metrics, replay, runs, storage, streams
from dccd.operations.base import ANY, Operation, Refusal, Role

__all__ = ["ANY", "OPERATIONS", "Operation", "Refusal", "Role", "entry", "schema"]

OPERATIONS: dict[str, Operation] = {
    op.name: op
    for table in (
        daemon.TABLE,
        data.TABLE,
        kept.TABLE,
        runs.TABLE,
        streams.TABLE,
        jobs.TABLE,
        config.TABLE,
        metrics.TABLE,
        alerts.TABLE,
        replay.TABLE,
        storage.TABLE,
    )
    for op in table
}


@cache
def entry(name: str) -> m.OperationEntry:
    """What ``dccd.operations`` says of the operation *name*; made once, since schemas take their time."""
    op = OPERATIONS[name]
    return m.OperationEntry(
        name=op.name,
        subject=subjects.request(op.name),
        description=op.description,
        role=op.role,
        idempotent=op.idempotent,
        errors=[m.RefusalEntry(code=no.code, reason=no.reason, when=no.when) for no in op.refusals],
        example=op.example,
        request=schema(op.request),
        reply=schema(op.reply),
    )


def schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON schema (2020-12) of *kind*, complete in itself."""
    return msgspec.json.schema(kind)
