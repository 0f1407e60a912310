"""Every operation on the bus, declared once: name, request, reply, what it does.

The micro service's endpoints and schemas, ``dccd.operations``, the client and ``dccd req``'s help follow from
this table. An operation isn't listed before it works.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dccd import messages as m
from dccd.runs import Run

__all__ = ["OPERATIONS", "Operation", "schema"]


class Operation(msgspec.Struct, frozen=True):
    """One operation: ``name`` is the tail of its subject."""

    name: str
    request: type[Any]
    reply: type[Any]
    description: str


OPERATIONS: dict[str, Operation] = {
    op.name: op
    for op in (
        Operation("operations", m.Empty, m.Operations, "Every operation with its request and reply schema"),
        Operation("health", m.Empty, m.Health, "Whether the daemon does what it should, and what it doesn't"),
        Operation("tree", m.Empty, m.Tree, "The supervision tree with restarts and mailboxes"),
        Operation("inventory", m.InventoryList, m.Inventory, "Stored datasets: rows, files, bytes, times, holes"),
        Operation(
            "backfill.start",
            m.BackfillStart,
            m.BackfillStarted,
            "Fetch history; answers at once with a run_id",
        ),
        Operation("backfill.status", m.BackfillStatus, Run, "How far a backfill is"),
        Operation("backfill.cancel", m.BackfillCancel, Run, "Stop a backfill; what it stored is kept"),
        Operation("runs.list", m.RunsList, m.Runs, "Runs, newest first"),
        Operation("runs.get", m.RunsGet, Run, "One run"),
        Operation("streams.list", m.Empty, m.Streams, "Live streams with rates and last prices"),
        Operation("streams.start", m.StreamStart, m.StreamStarted, "Start a live stream"),
        Operation("streams.stop", m.StreamStop, m.StreamStopped, "Stop a live stream"),
        Operation("jobs.list", m.Empty, m.Jobs, "The jobs of the configuration"),
        Operation("read", m.Read, m.ReadReply, "Rows of a dataset: JSON, or Arrow IPC in chunks"),
        Operation("book", m.Book, m.BookReply, "The order book at one time"),
        Operation("books", m.Books, m.BooksReply, "Order books at an interval: JSON, or Arrow IPC in chunks"),
        Operation("coverage", m.CoverageGet, m.Coverage, "What is there of a dataset's time, what isn't, and why"),
        Operation("repair", m.Repair, m.Repaired, "Ask the exchanges for what is missing, now"),
        Operation(
            "storage.migrate",
            m.StorageMigrate,
            m.RunStarted,
            "Bring files of older releases into this layout (dry_run: say what would be done); answers with a run_id",
        ),
        Operation(
            "storage.sync", m.StorageSync, m.RunStarted, "Copy what is new to the remotes; answers with a run_id"
        ),
        Operation(
            "storage.verify", m.StorageVerify, m.RunStarted, "Read the copies and compare; answers with a run_id"
        ),
        Operation("storage.restore", m.StorageRestore, m.RunStarted, "Bring files back; answers with a run_id"),
        Operation("storage.remotes", m.Empty, m.Remotes, "The remotes, and when each was last up to date"),
        Operation("storage.retention", m.Empty, m.Retention, "What retention would purge now; nothing is purged"),
        Operation(
            "doctor", m.Doctor, m.DoctorLine, "Read all files and tell which are damaged: JSON, a line a message"
        ),
        Operation("exchanges", m.ExchangesList, m.Exchanges, "What can be collected, per exchange and data type"),
    )
}


def schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON schema (2020-12) of *kind*, complete in itself."""
    return msgspec.json.schema(kind)
