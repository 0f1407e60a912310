"""The arithmetic of holes; what the actor does with it is in the flows."""

from __future__ import annotations

from actors.catalogue import add_gap, settle_gap
from dccd.messages import GapEntry
from dccd.runs import Run


def gap(start: int, end: int, state: str = "missing", run_id: str | None = None) -> GapEntry:
    return GapEntry(start=start, end=end, reason="lost", state=state, run_id=run_id)  # type: ignore[arg-type]  # a test


def run(start: int, end: int, state: str = "done", run_id: str = "r1") -> Run:
    return Run(
        run_id=run_id,
        dataset="binance.trades.BTC-USDT",
        state=state,  # type: ignore[arg-type]  # a test
        trigger="gap",
        host="h",
        created=0,
        updated=0,
        start=start,
        end=end,
        position=end,
    )


def test_holes_that_touch_become_one() -> None:
    """Two disconnects in a row are one interval to repair."""
    gaps = add_gap([gap(10, 20)], 20, 30, "again", repairable=True)
    assert [(g.start, g.end, g.state) for g in gaps] == [(10, 30, "missing")]


def test_a_hole_under_repair_stays_apart() -> None:
    """What a run fetches already isn't made larger under its hands."""
    gaps = add_gap([gap(10, 20, "repairing", "r1")], 15, 30, "again", repairable=True)
    assert [(g.start, g.end, g.state) for g in gaps] == [(10, 20, "repairing"), (15, 30, "missing")]


def test_what_no_exchange_serves_is_unavailable_at_once() -> None:
    """The past of an order book can't be asked for."""
    assert add_gap([], 1, 2, "lost", repairable=False)[0].state == "unavailable"


def test_a_repair_that_is_done_closes_its_hole_only() -> None:
    """Other holes of the dataset stay as they are."""
    settled = settle_gap([gap(10, 20, "repairing", "r1"), gap(30, 40)], run(10, 20))
    assert [(g.start, g.state) for g in settled] == [(10, "repaired"), (30, "missing")]


def test_a_repair_that_failed_leaves_the_hole_missing() -> None:
    """It is asked for again later."""
    assert settle_gap([gap(10, 20, "repairing", "r1")], run(10, 20, "failed"))[0].state == "missing"


def test_what_the_exchange_no_longer_serves_of_a_hole_is_unavailable() -> None:
    """The runner clamped the run: the part before its start is gone for good."""
    settled = settle_gap([gap(10, 20, "repairing", "r1")], run(15, 20))
    assert [(g.start, g.end, g.state) for g in settled] == [(10, 15, "unavailable"), (15, 20, "repaired")]


def test_old_repaired_holes_are_forgotten() -> None:
    """An entry stays small however often a stream was mended."""
    many = [gap(n, n + 1, "repaired", f"old{n}") for n in range(0, 1000, 2)]
    assert len(settle_gap([*many, gap(5000, 5001, "repairing", "r1")], run(5000, 5001))) == 100
