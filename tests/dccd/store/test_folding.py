"""All of the store folded at once: what is folded, what is told, and how it ends before its end."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.errors import Stopped, StoreFull
from dccd.store.files import locked
from dccd.store.fold import FoldResult
from dccd.store.folding import Folded, fold_all, unfolded
from dccd.symbols import NS

DAY = 86_400 * NS


class Ear:
    """Hears how far it is; ``wait`` counts instead of waiting, and stops at the call number ``stop_at``."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.told: list[Folded] = []
        self.folded: list[FoldResult] = []
        self.waited: list[float] = []
        self.stop_at = stop_at

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) == self.stop_at:
            raise Stopped("stopped")

    def fold(self, bench: Any, patience: float = 0.0) -> Folded:
        return fold_all(
            bench.layout,
            bench.layout.datasets(),
            tell=self.told.append,
            folded=lambda result, seconds: self.folded.append(result),
            wait=self.wait,
            patience=patience,
        )


def stock(bench: Any) -> None:
    """Two days of trades in segments, the first with a base already."""
    bench.put([bench.trade(1)])
    Ear().fold(bench)
    bench.put([bench.trade(2)])
    bench.put([bench.trade(3, ts=bench.noon + DAY)])


def test_every_row_goes_into_a_base(bench: Any) -> None:
    """Of each period with segments, whether a fold was due or not; nothing is left to fold then."""
    stock(bench)
    ear = Ear()
    done = ear.fold(bench)
    assert (done.periods, done.rows, done.problems) == (2, 3, ())
    assert bench.files() == [f"binance/trades/BTC-USDT/2023-11-{day}.parquet" for day in (15, 16)]
    assert bench.tids() == ["1", "2", "3"]
    assert [result.base for result in ear.folded] == [True, True]
    assert Ear().fold(bench) == Folded()


def test_how_far_it_is_counts_bytes(bench: Any) -> None:
    """Those of segments and bases that are read: known at the beginning, all behind at the end."""
    stock(bench)
    todo = unfolded(bench.layout, bench.layout.datasets())
    sizes = sum((bench.layout.root / name).stat().st_size for name in bench.files())
    assert sum(one.bytes for one in todo) == sizes
    ear = Ear()
    ear.fold(bench)
    assert [told.read for told in ear.told] == [0, todo[0].bytes, sizes]
    assert {told.of_read for told in ear.told} == {sizes}


def test_told_to_stop_it_keeps_what_it_has_done(bench: Any) -> None:
    """At any moment, also within a file; the next one does the rest."""
    stock(bench)
    stopped = 0
    for at in range(1, 200):
        try:
            Ear(stop_at=at).fold(bench)
        except Stopped:
            stopped += 1
        assert bench.tids() == ["1", "2", "3"]
        if not unfolded(bench.layout, bench.layout.datasets()):
            break
    assert stopped > 5
    assert [name for name in bench.files() if name.endswith(".tmp")] == []


def test_what_is_damaged_is_a_problem_of_its_own(bench: Any) -> None:
    """It stays as it is for a person to look at; the other periods are folded."""
    stock(bench)
    (segment,) = bench.put([bench.trade(4)])
    segment.path.write_bytes(segment.path.read_bytes()[:-20])
    done = Ear().fold(bench)
    assert (done.periods, done.read) == (1, done.of_read)
    assert [problem.startswith("binance.trades.BTC-USDT 2023-11-15: ") for problem in done.problems] == [True]


def test_one_that_another_folds_is_waited_for(bench: Any) -> None:
    """Then it is told that it is locked, when it takes too long."""
    stock(bench)
    with locked(bench.layout.lock_path(bench.trades)):
        ear = Ear(stop_at=20)
        with pytest.raises(Stopped):
            ear.fold(bench, patience=60)
        assert max(ear.waited) > 0
        assert all("another process" in problem for problem in Ear().fold(bench).problems)
    assert Ear().fold(bench).periods == 2


def test_a_full_disk_ends_it(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no use in trying the others: rows stay in their segments."""
    stock(bench)

    def full(name: str, *rest: Any) -> int:
        raise StoreFull(bench.layout.root, "no room")

    monkeypatch.setattr("dccd.store.fold.write_durably", full)
    with pytest.raises(StoreFull):
        Ear().fold(bench)
    assert bench.tids() == ["1", "2", "3"]
