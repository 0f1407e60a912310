"""The run history of dccd 3.x: its ``runs.db`` flows in, :class:`~dccd.runs.Run` records flow out.

The database is only read. A run keeps its time and gets an id made of its old one, so that taking the history over
again makes the same runs.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from dccd.errors import IdentityError, OldFileProblem
from dccd.runs import Run, RunState, new_run_id
from dccd.symbols import Dataset, DataType

__all__ = ["OldRuns", "read_old_runs"]

_COLUMNS = (
    "run_id, spec_id, operation, exchange, symbol, data_type, state, started_at, ended_at, rows_written, error, "
    "progress, created_at"
)
_STATES: dict[str, tuple[RunState, str | None]] = {
    "succeeded": ("done", None),
    "failed": ("failed", None),
    "cancelled": ("cancelled", None),
    "stale": ("failed", "dccd 3 was stopped meanwhile"),
    "pending": ("failed", "dccd 3 never began it"),
    "running": ("failed", "dccd 3 was stopped meanwhile"),
    "reconnecting": ("failed", "dccd 3 was stopped meanwhile"),
}


class OldRuns(msgspec.Struct, frozen=True):
    """The runs, oldest first, and of each that can't be taken over why."""

    runs: tuple[Run, ...]
    problems: tuple[str, ...]


def read_old_runs(path: Path, host: str) -> OldRuns:
    """Return the runs in the database at *path* as runs of *host*. Raises OldFileProblem when it is no such one."""
    try:
        rows = _rows(path)
    except sqlite3.Error as exc:
        raise OldFileProblem(path, f"no run history of dccd 3.x: {exc}") from exc
    runs, problems = [], []
    for row in rows:
        try:
            runs.append(_run(row, host))
        except (IdentityError, ValueError, TypeError) as exc:
            problems.append(f"run {row['run_id']}: {exc}")
    return OldRuns(tuple(runs), tuple(problems))


def _rows(path: Path) -> list[sqlite3.Row]:
    # A database in WAL mode can't be opened for reading in a folder that can't be written; where no log is left of it,
    # it is whole as it is.
    wal = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if wal.exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(f"SELECT {_COLUMNS} FROM runs ORDER BY created_at, run_id").fetchall()


def _run(row: sqlite3.Row, host: str) -> Run:
    if row["operation"] not in ("backfill", "stream"):
        raise ValueError(f"{row['operation']} isn't kept")
    if row["state"] not in _STATES:
        raise ValueError(f"its state is {row['state']!r}")
    created = int(row["created_at"])
    if not 0 < created < 2**63:
        raise ValueError(f"it was made at {created}")
    kind = DataType.read(row["data_type"])
    *_, last = row["spec_id"].split(":")
    span = last.removesuffix("s") if kind is DataType.OHLC and last.endswith("s") else None
    dataset = Dataset.make(row["exchange"], kind, row["symbol"], span)
    state, why = _STATES[row["state"]]
    start, end, position = _range(row["progress"])
    digest = int.from_bytes(sha256(row["run_id"].encode()).digest()[:10], "big")
    return Run(
        run_id=new_run_id(created, digest & (1 << 74) - 1),
        operation=row["operation"],
        dataset=dataset.name,
        state=state,
        trigger="job" if "@" in row["run_id"] else "request",
        reason=f"dccd 3: {row['run_id']}",
        host=host,
        created=created,
        started=row["started_at"],
        finished=row["ended_at"] if state != "failed" or row["ended_at"] else row["started_at"] or created,
        updated=row["ended_at"] or row["started_at"] or created,
        start=start,
        end=end,
        position=position,
        rows=row["rows_written"] or 0,
        error=row["error"] or why,
    )


def _range(progress: str | None) -> tuple[int, int, int]:
    """Start, end and position in ns, all 0 where 3.x didn't say: it remembers how much of how much, and to where."""
    try:
        told: Any = json.loads(progress or "{}")
        if told.get("unit") == "time" and told.get("at"):
            start = int(told["at"]) - int(told["done"])
            return start, start + int(told["total"]), int(told["at"])
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return 0, 0, 0
