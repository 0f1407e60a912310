"""Events as lines for people."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from dccd import messages as m
from dccd.cli.event_lines import event_line
from dccd.runs import Run

DAY = 1_704_067_200_000_000_000
SECOND = 1_000_000_000


def run(**fields: Any) -> Run:
    known: dict[str, Any] = {
        "run_id": "r1", "dataset": "kraken.trades.BTC-USD", "state": "running", "host": "alpha", "created": DAY,
        "updated": DAY, "start": 0, "end": 100, "position": 50,
    }  # fmt: skip
    return Run(**{**known, **fields})


BASE: dict[str, Any] = {"at": DAY + 123_456_789, "host": "alpha"}
EVENTS: list[tuple[m.Event, str]] = [
    (m.RunStatus(**BASE, run=run()), "backfill.kraken.trades.BTC-USD running  r1"),
    (
        m.RunStatus(**BASE, run=run(state="queued", resumed=2)),
        "backfill.kraken.trades.BTC-USD queued, resumed 2 times  r1",
    ),
    (m.RunStatus(**BASE, run=run(state="interrupted")), "backfill.kraken.trades.BTC-USD interrupted, at 50%  r1"),
    (
        m.RunStatus(**BASE, run=run(state="failed", rows=5, error="refused")),
        "backfill.kraken.trades.BTC-USD failed, 5 rows, at 50%: refused  r1",
    ),
    (
        m.RunStatus(**BASE, run=run(dataset="", operation="storage.sync", state="done", summary="3 files")),
        "storage.sync done: 3 files  r1",
    ),
    (
        m.RunProgress(
            **BASE, run_id="r1", dataset="kraken.trades.BTC-USD", position=1, start=0, end=2, fraction=0.5, rows=1234,
            rate=12.6, left=61.0,
        ),
        "kraken.trades.BTC-USD 50.0%, 1,234 rows, 13 rows/s, 1m 01s left  r1",
    ),
    (
        m.RunFile(
            **BASE, run_id="r1", path="a.parquet", action="migrate", bytes=2048, dataset="kraken.trades.BTC-USD",
            rows=7,
        ),
        "migrate a.parquet → kraken.trades.BTC-USD (7 rows, 2.0 KiB)  r1",
    ),
    (m.RunLog(**BASE, run_id="r1", level="warning", message="slow"), "warning: slow  r1"),
    (m.StreamChanged(**BASE, dataset="a.b.c", state="live", reason="back"), "a.b.c live: back"),
    (
        m.StreamGap(**BASE, dataset="a.b.c", start=DAY, end=DAY + 5 * SECOND, reason="lost", run_id="r1"),
        "a.b.c 2024-01-01 00:00:00 … 2024-01-01 00:00:05 (5.0s): lost, repaired by r1",
    ),
    (m.StreamSample(**BASE, dataset="a.b.c", error="no", sample="{}", count=3), "a.b.c frame 3 not understood: no: {}"),
    (m.StoragePurged(**BASE, dataset="a.b.c", period="2024", bytes=1024, reason="age"), "a.b.c 2024 (1.0 KiB): age"),
    (
        m.ActorChanged(**BASE, path="a/b", change="restarted", reason="oops", restarts=2),
        "a/b restarted, 2 restarts: oops",
    ),
    (m.HostChanged(**BASE, id="alpha", instance="i", change="up", reason="started"), "alpha up: started"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "text"), EVENTS, ids=lambda value: value if isinstance(value, str) else None)
def test_an_event_is_a_line(event: m.Event, text: str) -> None:
    """When, which host, which kind, and what happened, in words."""
    kind = str(type(event).__struct_config__.tag)
    assert event_line(kind, event) == f"2024-01-01T00:00:00.123Z  alpha  {kind:14}  {text}"


@pytest.mark.parametrize("kind", get_args(m.Event), ids=lambda kind: kind.__name__)
def test_every_kind_has_its_line(kind: Any) -> None:
    """None is forgotten: what isn't in this table is told by another test."""
    elsewhere = {m.AlertChanged, m.ReplayChanged}
    assert kind in {type(event) for event, _ in EVENTS} | elsewhere


def test_a_line_is_one_line() -> None:
    """Whatever is in it; nothing of it can steer a terminal."""
    event = m.RunLog(**BASE, run_id="r1", level="info", message="a\nb\x1b[31mc\u2028d")
    assert event_line("run.log", event, brief=True) == "2024-01-01T00:00:00.123Z  info: a b [31mc d"


def test_what_is_not_known_is_told_as_it_is() -> None:
    """Of a newer daemon, and without the times that every event has."""
    assert event_line("new", {"kind": "new", "at": DAY, "host": "b", "x": [1]}).endswith('b  new             {"x":[1]}')
    assert event_line("new", {"kind": "new", "at": "soon"}).strip().endswith("{}")
