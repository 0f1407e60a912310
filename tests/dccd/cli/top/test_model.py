"""What is shown of what hosts say."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.cli.top import model
from dccd.cli.top.model import HostView, Snapshot
from dccd.messages import Health, HealthCheck, HostEntry, Incident, RunProgress, StreamEntry, TreeNode
from dccd.runs import Run
from dccd.symbols import NS

NOW = 1_700_000_000 * NS


def stream(name: str, **fields: Any) -> StreamEntry:
    return StreamEntry(dataset=f"binance.trades.{name}-USDT", **{"state": "live", **fields})


def node(name: str, *children: TreeNode, **fields: Any) -> TreeNode:
    kept = {"status": "running", "restarts": 0, "mailbox": 0, "mailbox_size": 64, "uptime": 5.0, **fields}
    return TreeNode(id=name, type="worker", children=list(children), **kept)


def health(ok: bool = True) -> Health:
    checks = [HealthCheck(name="bus", ok=ok, detail="away")]
    return Health(
        ok=ok, host="a", version="4.0.0", uptime=65.0, bus_url="nats://x", data_path="/data", archiver_lag=7,
        checks=checks,
    )  # fmt: skip


def run(number: int, state: Any, finished: int | None = None) -> Run:
    return Run(
        run_id=f"r{number}", dataset="binance.ohlc.BTC-USDT.1m", state=state, host="a", created=NOW + number,
        updated=NOW, started=NOW, finished=finished, start=0, end=100, position=50, rows=number,
    )  # fmt: skip


def snapshot(**fields: Any) -> Snapshot:
    return Snapshot(at=NOW, bus="nats://x", **fields)


def column(table: model.Table, title: str) -> list[str]:
    index = [one.title for one in table.columns].index(title)
    return [row.cells[index] for row in table.rows]


@pytest.mark.parametrize("width", [1, 20, 76, 80, 120, 200, 1000])
@pytest.mark.parametrize("what", [model.streams, model.runs, model.tree, model.alerts, model.hosts])
def test_a_table_is_as_wide_as_there_is_room(what: Any, width: int) -> None:
    """Columns that don't fit are left out whole, the first stays, and the widest screen has all of them."""
    table = what(snapshot(hosts=[HostView(id="a", health=health(), streams=[stream("BTC")])]), width)
    used = sum(one.width + 2 for one in table.columns)
    assert used <= width or len(table.columns) == 1
    assert all(len(row.cells) == len(table.columns) for row in table.rows)
    if width >= 76:
        assert len(table.columns) >= 4


def test_streams_of_all_hosts_are_sorted_and_filtered() -> None:
    """By name, rate, age or trouble; each host's streams have keys of their own."""
    here = [stream("BTC", rate=1.0, last_recv_ts=NOW - 5 * NS), stream("ETH", rate=9.0, last_recv_ts=NOW, gaps=3)]
    taken = snapshot(hosts=[HostView(id="b", streams=here), HostView(id="a", streams=[stream("BTC", state="gave_up")])])
    assert [row.key for row in model.streams(taken, 200).rows] == [
        "a/binance.trades.BTC-USDT", "b/binance.trades.BTC-USDT", "b/binance.trades.ETH-USDT",
    ]  # fmt: skip
    assert column(model.streams(taken, 200, "rate"), "rate/s") == ["9.0", "1.0", "0.0"]
    assert column(model.streams(taken, 200, "oldest record"), "last") == ["", "5.0s", "0.0s"]
    assert column(model.streams(taken, 200, "trouble"), "gaps") == ["3", "", ""]
    assert [row.look for row in model.streams(taken, 200, wanted="GAVE").rows] == ["bad"]
    assert model.streams(taken, 200, wanted="nothing").empty == "no stream has 'nothing' in it"


def test_runs_that_go_on_come_first_with_their_progress() -> None:
    """Of those that are over, the last one first."""
    progress = RunProgress(
        at=NOW, host="a", run_id="r3", dataset="x", position=1, start=0, end=2, fraction=0.25, rows=1234, rate=99.0,
        left=61.0,
    )  # fmt: skip
    taken = snapshot(
        runs=[run(1, "done", NOW), run(2, "failed", NOW + 1), run(3, "running")], progress={"r3": progress}
    )
    table = model.runs(taken, 300)
    assert column(table, "run id") == ["r3", "r2", "r1"]
    assert (column(table, "done")[0], column(table, "rows")[0], column(table, "left")[0]) == (
        "25.00%",
        "1,234",
        "1m 01s",
    )
    assert [row.look for row in table.rows] == ["ok", "bad", "dim"]


def test_the_tree_is_drawn_and_filtered_with_what_is_above() -> None:
    """An actor is seen where it hangs."""
    root = node("dccd", node("nats"), node("work", node("link"), node("core", status="gave_up", reason="boom")))
    table = model.tree(snapshot(hosts=[HostView(id="a", tree=root)]), 200)
    assert column(table, "actor") == ["dccd", "├─ nats", "└─ work", "   ├─ link", "   └─ core"]
    assert (table.rows[-1].look, column(table, "why")[-1]) == ("bad", "boom")
    found = model.tree(snapshot(hosts=[HostView(id="a", tree=root)]), 200, "core")
    assert column(found, "actor") == ["dccd", "└─ work", "   └─ core"]
    two = model.tree(snapshot(hosts=[HostView(id="a", tree=root), HostView(id="b", tree=root)]), 200)
    assert [cell for cell in column(two, "actor") if cell[0] not in "├└ "] == ["a", "b"]
    assert len({row.key for row in two.rows}) == 10


def test_a_host_that_is_unwell_or_says_nothing_is_told_with_why() -> None:
    """At the top, too."""
    entry = HostEntry(id="c", instance="i", version="4", hostname="h", pid=1, data_path="/d", started=NOW, at=NOW)
    views = [
        HostView(id="a", health=health()),
        HostView(id="b", health=health(ok=False)),
        HostView(id="c", entry=entry, error="no answer"),
    ]
    table = model.hosts(snapshot(hosts=views), 200)
    assert column(table, "health") == ["ok", "NOT OK", "no word"]
    assert column(table, "what is wrong") == ["", "bus: away", "no answer"]
    assert model.summary(snapshot(hosts=views)) == "3 hosts · 0/0 streams live, 0/s · 0 runs · NOT OK: b c"
    assert model.summary(snapshot(hosts=views[:1], runs=[run(1, "running")])).endswith("1 run · all ok")


def test_open_incidents_come_first() -> None:
    """Those that are over say how long they lasted."""
    fields: dict[str, Any] = {"host": "a", "rule": "stale", "subject": "s", "detail": "d", "since": NOW - 60 * NS}
    over = Incident(key="o", state="resolved", opened=NOW, resolved=NOW, **fields)
    now = Incident(key="n", state="open", opened=NOW - 100 * NS, **fields)
    table = model.alerts(snapshot(hosts=[HostView(id="a", incidents=[over, now])]), 200)
    assert column(table, "state") == ["open", "resolved"]
    assert column(table, "lasted") == ["", "1m 00s"]
