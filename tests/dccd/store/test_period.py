"""Tests of opening the files of a period as of one moment, whatever is folded meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dccd.errors import CorruptFile, StoreError
from dccd.records import Bar
from dccd.store.fold import FoldPolicy, fold
from dccd.store.layout import MAX_LEVEL, Layout
from dccd.store.parquet import OpenFile
from dccd.store.period import HeldPeriods, open_period
from dccd.store.reader import Store
from dccd.symbols import Dataset


class FoldsMeanwhile(Layout):
    """A layout in whose listing, before the folder number *moment*, others fold: up to one folder beyond the last,
    which is when the base is opened."""

    def __init__(self, bench: Any, moment: int, forces: tuple[bool, ...]) -> None:
        super().__init__(bench.layout.root)
        self._bench, self._moment, self._forces = bench, moment, list(forces)

    def _meanwhile(self) -> None:
        for n, force in enumerate(self._forces):
            fold(self._bench.layout, self._bench.trades, self._bench.day, force, policy=FoldPolicy(fan_in=2))
            self._bench.put([self._bench.trade(100 + n)])
        self._forces = []

    def levels(self, dataset: Dataset, period: str) -> Iterator[tuple[int, Path]]:  # type: ignore[override]  # lazily
        for level, folder in super().levels(dataset, period):
            if level == self._moment:
                self._meanwhile()
            yield level, folder

    def base_path(self, dataset: Dataset, period: str) -> Path:
        if self._moment > MAX_LEVEL:
            self._meanwhile()
        return super().base_path(dataset, period)


@pytest.mark.parametrize("moment", [0, 1, 2, 3, MAX_LEVEL + 1])
@pytest.mark.parametrize(
    "forces", [(False,), (True,), (False, False), (False, True), (True, True), (True, False, True)]
)
def test_a_fold_between_listing_and_opening(bench: Any, moment: int, forces: tuple[bool, ...]) -> None:
    """However many folds and writes fall into a reader's listing, it sees each earlier row once, and later ones at
    most."""
    for n in range(3):
        bench.put([bench.trade(n)], seq=n + 1)
    store = Store(FoldsMeanwhile(bench, moment, forces))
    read = store.read(bench.trades)["tid"].to_list()
    assert read[:3] == ["0", "1", "2"]
    assert set(read[3:]) <= {str(100 + n) for n in range(len(forces))}
    assert len(set(read)) == len(read)
    assert bench.tids() == ["0", "1", "2", *(str(100 + n) for n in range(len(forces)))]


@pytest.mark.parametrize("forces", [(False,), (True,), (True, False, True)])
def test_statistics_and_positions_during_a_fold(bench: Any, forces: tuple[bool, ...]) -> None:
    """Neither counts a row twice nor forgets one."""
    for moment in (0, 1, 2):
        bench.put([bench.trade(1000 + moment)], seq=moment + 1)
        rows = bench.store.stats(bench.trades).rows
        found = Store(FoldsMeanwhile(bench, moment, forces)).stats(bench.trades).rows
        assert rows <= found <= rows + len(forces)
        bench.put([bench.trade(2000 + moment)], seq=moment + 2)
        store = Store(FoldsMeanwhile(bench, moment, forces))
        assert store.stored_position(bench.trades, bench.day, "e") == moment + 2


def test_books_are_never_doubled_by_a_fold(bench: Any) -> None:
    """Rows without a key show what deduplication would hide: none twice while folds fall into the listing."""
    for moment in (0, 1, 2, MAX_LEVEL + 1):
        for n in range(3):
            bench.put([Bar(bench.noon + n, 1.0, 1.0, 1.0, 1.0, 1.0)], bench.bars)
        layout = FoldsMeanwhile(bench, moment, (False, True))
        layout._bench = type(
            "Other",
            (),
            {"layout": bench.layout, "trades": bench.bars, "day": "2023", "put": lambda *_: 0, "trade": bench.trade},
        )
        with Store(layout).open(bench.bars, "2023") as files:
            assert sum(file.rows for file in files) == 3


def test_what_a_base_holds_already_does_not_count(bench: Any) -> None:
    """A segment that a killed fold has left behind is told apart from the files whose rows are the period's."""
    bench.put([bench.trade(1)])
    (left_behind,) = (bench.layout.root / name for name in bench.files())
    data = left_behind.read_bytes()
    fold(bench.layout, bench.trades, bench.day, force=True)
    left_behind.parent.mkdir(parents=True, exist_ok=True)
    left_behind.write_bytes(data)
    bench.put([bench.trade(2)])
    with open_period(bench.layout, bench.trades, bench.day) as (files, held):
        assert [file.level for file in files] == [None, 0]
        assert [file.path for file in held] == [left_behind]


def test_corrupt_files_are_passed_over_where_they_are_wanted_to_be(bench: Any) -> None:
    """With a list they go there, and the others are open; without one the first of them is raised."""
    for n in range(2):
        bench.put([bench.trade(n)])
    bad = bench.layout.root / bench.files()[0]
    bad.write_bytes(b"hello")
    corrupt: list[CorruptFile] = []
    with open_period(bench.layout, bench.trades, bench.day, corrupt) as (files, _):
        assert len(files) == 1
    assert [error.path for error in corrupt] == [bad]
    with pytest.raises(CorruptFile), open_period(bench.layout, bench.trades, bench.day):
        pass


class NamesNothing(Layout):
    """A layout that lists a segment which is never there."""

    def levels(self, dataset: Dataset, period: str) -> Iterator[tuple[int, Path]]:  # type: ignore[override]  # lazily
        for level, folder in super().levels(dataset, period):
            for path in folder.glob("*.parquet"):
                path.rename(path.with_suffix(".gone"))
                (folder / "none.parquet").symlink_to("nowhere")
            yield level, folder


def test_files_that_vanish_for_ever_are_an_error(bench: Any) -> None:
    """It gives up after a while, and names the folder: rows are never left out in silence."""
    bench.put([bench.trade(1)])
    with (
        pytest.raises(StoreError, match="vanish") as caught,
        open_period(NamesNothing(bench.layout.root), bench.trades, bench.day),
    ):
        pass
    assert caught.value.path == bench.layout.dataset_segments(bench.trades) / bench.day


def test_two_periods_stay_open_and_all_that_are_read(bench: Any) -> None:
    """A period is opened once while it is held; beyond two, that is closed which nobody has read for longest."""
    opened: list[str] = []
    closed: list[str] = []

    def opening(period: str) -> AbstractContextManager[list[OpenFile]]:
        @contextmanager
        def run() -> Iterator[list[OpenFile]]:
            opened.append(period)
            yield []
            closed.append(period)

        return run()

    def read(period: str) -> AbstractContextManager[list[OpenFile]]:
        return held.open((bench.trades, period), lambda: opening(period))

    with HeldPeriods() as held:
        for period in ("a", "b", "a", "c", "a"):
            with read(period):
                pass
        assert (opened, closed) == (["a", "b", "c"], ["b"])
        with read("a"), read("d"), read("e"):
            assert (opened, closed) == (["a", "b", "c", "d", "e"], ["b", "c"])
        with read("d"):
            assert (opened[5:], closed[2:]) == ([], ["a"])
    assert sorted(closed) == opened
