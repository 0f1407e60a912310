"""What is shown: the replies of hosts flow in, tables of texts flow out. Pure.

A table has the columns that its width has room for; the same row has the same key at each look, so that only what has
changed is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from dccd.cli.output import ago, branches, count, duration, number, percent, when
from dccd.messages import Health, HostEntry, Incident, RunProgress, StreamEntry, TreeNode
from dccd.printable import printable
from dccd.runs import Run
from dccd.symbols import NS

__all__ = [
    "SORTS",
    "Column",
    "HostView",
    "Row",
    "Snapshot",
    "Table",
    "alerts",
    "hosts",
    "runs",
    "streams",
    "summary",
    "tree",
]


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """What one host says; ``error``: why it doesn't."""

    id: str
    entry: HostEntry | None = None
    health: Health | None = None
    streams: Sequence[StreamEntry] = ()
    tree: TreeNode | None = None
    incidents: Sequence[Incident] = ()
    error: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at ``at`` (ns). ``problem``: why there is nothing newer; ``progress`` is by run."""

    at: int
    bus: str = ""
    hosts: Sequence[HostView] = ()
    runs: Sequence[Run] = ()
    progress: dict[str, RunProgress] = {}
    problem: str | None = None


class Column(NamedTuple):
    """A column: ``width`` cells, and ``rank`` says who goes first where there is too little room; a ``last`` one takes
    what is left of it."""

    title: str
    width: int
    rank: int = 0
    right: bool = False
    last: bool = False


class Row(NamedTuple):
    """A row: the key by which it is known again, its cells, how it looks (``ok``, ``warn``, ``bad``, ``dim``), and the
    whole text of its last cell."""

    key: str
    cells: tuple[str, ...]
    look: str = ""
    more: str = ""


class Table(NamedTuple):
    """Columns and rows; ``empty`` is said where there are no rows."""

    columns: tuple[Column, ...]
    rows: list[Row]
    empty: str


_GAP = 2


def _fitting(columns: Sequence[Column], width: int) -> list[int]:
    """The numbers of the columns that *width* has room for: the first ones by rank, in their order."""
    left = width
    chosen: list[int] = []
    for index in sorted(range(len(columns)), key=lambda index: (columns[index].rank, index)):
        left -= columns[index].width + _GAP
        if left < 0 and chosen:
            break
        chosen.append(index)
    return sorted(chosen)


def _table(columns: Sequence[Column], rows: Iterable[Row], width: int, empty: str) -> Table:
    wanted = _fitting(columns, width)
    shown = [columns[index] for index in wanted]
    left = width - sum(column.width + _GAP for column in shown)
    if left > 0 and shown[-1].last:
        shown[-1] = shown[-1]._replace(width=shown[-1].width + left)
    return Table(
        tuple(shown),
        [_shown(row, wanted) for row in rows],
        printable(empty),
    )


def _shown(row: Row, wanted: Sequence[int]) -> Row:
    """*row* with those of its cells; an exchange's words are a cell, and could do anything to a terminal."""
    cells = [printable(cell) for cell in row.cells]
    return Row(row.key, tuple(cells[index] for index in wanted), row.look, cells[-1])


def summary(snapshot: Snapshot) -> str:
    """The line at the top: how many of what, and whether all is well."""
    here = snapshot.hosts
    streams = [stream for host in here for stream in host.streams]
    live = sum(stream.state == "live" for stream in streams)
    rate = sum(stream.rate for stream in streams)
    going = [run for run in snapshot.runs if run.state in ("running", "queued")]
    wrong = [host.id for host in here if host.error or (host.health is not None and not host.health.ok)]
    parts = [
        _many(len(here), "host"),
        f"{live}/{len(streams)} streams live, {rate:,.0f}/s",
        _many(len(going), "run"),
        f"NOT OK: {' '.join(wrong)}" if wrong else "all ok",
    ]
    return " · ".join(parts)


def _many(amount: int, what: str) -> str:
    return f"{amount} {what}{'' if amount == 1 else 's'}"


# ---------------------------------------------------------------- hosts

_HOSTS = (
    Column("host", 16),
    Column("health", 8),
    Column("up", 7, right=True),
    Column("streams", 7, right=True),
    Column("runs", 5, right=True),
    Column("lag", 6, right=True),
    Column("version", 12, 2),
    Column("data", 24, 3),
    Column("what is wrong", 12, 1, last=True),
)


def hosts(snapshot: Snapshot, width: int) -> Table:
    """The hosts. ``lag``: tick messages that aren't on disk yet."""
    return _table(_HOSTS, (_host(host, snapshot.at) for host in snapshot.hosts), width, "no host answers")


def _host(host: HostView, now: int) -> Row:
    entry, health = host.entry, host.health
    bad = [f"{check.name}: {check.detail}" for check in health.checks if not check.ok] if health else []
    state = "no word" if host.error else "?" if health is None else "ok" if health.ok else "NOT OK"
    return Row(
        host.id,
        (
            host.id,
            state,
            duration(health.uptime) if health else ago(entry.started, now) if entry else "",
            str(len(host.streams)) if health else str(entry.streams) if entry else "",
            str(entry.backfills) if entry else "",
            count(health.archiver_lag) if health else "",
            (health.version if health else entry.version if entry else ""),
            (health.data_path if health else entry.data_path if entry else ""),
            host.error or "; ".join(bad),
        ),
        "bad" if host.error or bad else "ok",
    )


# ---------------------------------------------------------------- streams

_STREAMS = (
    Column("stream", 28),
    Column("state", 12),
    Column("rate/s", 8, right=True),
    Column("last price", 11, right=True),
    Column("last", 7, right=True),
    Column("host", 14, 4),
    Column("records", 12, 2, right=True),
    Column("up", 7, 3, right=True),
    Column("lost", 5, 2, right=True),
    Column("gaps", 5, 2, right=True),
    Column("unread", 6, 5, right=True),
    Column("restarts", 8, 3, right=True),
    Column("error", 12, 1, last=True),
)

SORTS: dict[str, Callable[[StreamEntry], Any]] = {
    "name": lambda stream: stream.dataset,
    "rate": lambda stream: (-stream.rate, stream.dataset),
    "oldest record": lambda stream: (stream.last_recv_ts or 0, stream.dataset),
    "trouble": lambda stream: (-stream.reconnects - stream.gaps - 10 * stream.restarts, stream.dataset),
}
"""Orders of streams, by what they are called."""

_LOOKS = {"live": "ok", "gave_up": "bad", "refused": "bad", "stopped": "dim"}


def streams(snapshot: Snapshot, width: int, sort: str = "name", wanted: str = "") -> Table:
    """The streams of all hosts in the order *sort*; those that have *wanted* in their name or state.

    ``lost``: how often the connection was; ``unread``: frames that could not be parsed.
    """
    found = [
        (host.id, stream)
        for host in snapshot.hosts
        for stream in host.streams
        if wanted.lower() in f"{stream.dataset} {stream.state} {host.id}".lower()
    ]
    found.sort(key=lambda one: (SORTS[sort](one[1]), one[0]))
    rows = (_stream(host, stream, snapshot.at) for host, stream in found)
    return _table(_STREAMS, rows, width, f"no stream has {wanted!r} in it" if wanted else "no streams")


def _stream(host: str, stream: StreamEntry, now: int) -> Row:
    return Row(
        f"{host}/{stream.dataset}",
        (
            stream.dataset,
            stream.state,
            f"{stream.rate:,.1f}",
            number(stream.last_price),
            ago(stream.last_recv_ts, now),
            host,
            count(stream.records),
            ago(stream.connected_since, now),
            str(stream.reconnects or ""),
            str(stream.gaps or ""),
            str(stream.unparsed or ""),
            str(stream.restarts or ""),
            stream.error or "",
        ),
        _LOOKS.get(stream.state, "warn"),
    )


# ---------------------------------------------------------------- runs

_RUNS = (
    Column("run", 30),
    Column("state", 9),
    Column("done", 7, right=True),
    Column("rows", 11, right=True),
    Column("left", 7, right=True),
    Column("rows/s", 8, 2, right=True),
    Column("host", 14, 4),
    Column("started", 19, 3),
    Column("run id", 36, 5),
    Column("what came of it", 12, 1, last=True),
)


def runs(snapshot: Snapshot, width: int, wanted: str = "") -> Table:
    """The runs: those that go on first, then those that were over last; with *wanted* in what they are about."""
    found = [run for run in snapshot.runs if wanted.lower() in f"{run.job} {run.state} {run.host}".lower()]
    found.sort(key=lambda run: (run.finished is not None, -(run.finished or 0), run.created, run.run_id))
    return _table(_RUNS, (_run(run, snapshot.progress.get(run.run_id)) for run in found), width, "no runs")


def _run(run: Run, progress: RunProgress | None) -> Row:
    going = progress if run.finished is None else None
    looks = {"done": "dim", "failed": "bad", "running": "ok", "cancelled": "dim"}
    return Row(
        run.run_id,
        (
            run.subject,
            run.state,
            percent(going.fraction if going else run.fraction),
            count(going.rows if going else run.rows),
            duration(going.left) if going else "",
            f"{going.rate:,.0f}" if going else "",
            run.host,
            when(run.started),
            run.run_id,
            run.error or run.warning or run.summary or run.reason or "",
        ),
        looks.get(run.state, "warn"),
    )


# ---------------------------------------------------------------- the tree

_TREE = (
    Column("actor", 42),
    Column("state", 11),
    Column("restarts", 8, right=True),
    Column("up", 7, right=True),
    Column("mailbox", 12, 1, right=True),
    Column("why", 12, 1, last=True),
)


def tree(snapshot: Snapshot, width: int, wanted: str = "") -> Table:
    """The supervision trees of all hosts; with *wanted*, only actors that have it in their names, and those above."""
    rows: list[Row] = []
    for host in snapshot.hosts:
        if host.tree is not None:
            named = host.tree if len(snapshot.hosts) == 1 else msgspec.structs.replace(host.tree, id=host.id)
            kept = _with(named, wanted.lower())
            rows += [] if kept is None else (_node(*one) for one in branches(kept, host.id))
    return _table(_TREE, rows, width, "no tree")


def _with(node: TreeNode, wanted: str) -> TreeNode | None:
    """*node* with those below that have *wanted* in their names, and those above them; None where none has."""
    children = [kept for child in node.children if (kept := _with(child, wanted)) is not None]
    if not children and wanted not in node.id.lower():
        return None
    return msgspec.structs.replace(node, children=children)


def _node(path: str, name: str, node: TreeNode) -> Row:
    look = "" if node.status == "running" else "bad" if node.status in ("gave_up", "unkillable") else "warn"
    return Row(
        path,
        (
            name,
            node.status,
            str(node.restarts or ""),
            duration(node.uptime) if node.status == "running" else "",
            f"{node.mailbox}/{node.mailbox_size}" if node.mailbox else "",
            node.reason or "",
        ),
        look or ("warn" if node.restarts else ""),
    )


# ---------------------------------------------------------------- incidents

_ALERTS = (
    Column("state", 8),
    Column("rule", 9),
    Column("about", 30),
    Column("since", 8, right=True),
    Column("lasted", 8, 2, right=True),
    Column("host", 14, 3),
    Column("what", 10, 1, last=True),
)


def alerts(snapshot: Snapshot, width: int) -> Table:
    """The incidents of all hosts, open ones first."""
    found = [one for host in snapshot.hosts for one in host.incidents]
    found.sort(key=lambda one: (one.state != "open", -(one.resolved or one.opened)))
    return _table(_ALERTS, (_incident(one, snapshot.at) for one in found), width, "nothing is wrong")


def _incident(one: Incident, now: int) -> Row:
    lasted = "" if one.resolved is None else duration((one.resolved - one.since) / NS)
    cells = (one.state, one.rule, one.subject, ago(one.since, now), lasted, one.host, one.detail)
    return Row(f"{one.host}/{one.key}", cells, "bad" if one.state == "open" else "dim")
