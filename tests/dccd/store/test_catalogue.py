"""Tests of the statistics, and of how little is read for them."""

from __future__ import annotations

from typing import Any

from dccd.store.catalogue import Catalogue
from dccd.store.fold import fold


def test_only_new_files_are_opened(bench: Any) -> None:
    """Asking again opens nothing; one new segment is one footer; a fold is one more."""
    catalogue = Catalogue(bench.layout)
    for n in range(5):
        bench.put([bench.trade(n)])
    assert catalogue.dataset(bench.trades).rows == 5
    assert catalogue.opened == 5
    catalogue.dataset(bench.trades)
    catalogue.all()
    assert catalogue.opened == 5
    bench.put([bench.trade(5)])
    assert catalogue.dataset(bench.trades).rows == 6
    assert catalogue.opened == 6
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert catalogue.dataset(bench.trades).files == 1
    assert catalogue.opened == 7
    bench.put([bench.trade(9)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert catalogue.dataset(bench.trades).rows == 7
    assert catalogue.opened == 8


def test_what_is_gone_is_forgotten(bench: Any) -> None:
    """Nothing is remembered of files that aren't there any more."""
    catalogue = Catalogue(bench.layout)
    (segment,) = bench.put([bench.trade(1)])
    bench.put([bench.trade(2)], bench.trades)
    assert catalogue.all()[bench.trades].rows == 2
    segment.path.unlink()
    assert catalogue.all()[bench.trades].rows == 1
    for name in bench.files():
        (bench.layout.root / name).unlink()
    assert catalogue.dataset(bench.trades).rows == 0
    assert "0 files" in repr(catalogue)


def test_folded_segments_that_still_lie_about_do_not_count(bench: Any) -> None:
    """After a crash between the base and the removal a row counts once."""
    for n in range(3):
        bench.put([bench.trade(n)])

    def step(name: str) -> None:
        if name == "remove":
            raise bench.Killed

    try:
        fold(bench.layout, bench.trades, bench.day, force=True, step=step)
    except bench.Killed:
        pass
    assert len(bench.files()) == 4
    stats = Catalogue(bench.layout).dataset(bench.trades)
    assert (stats.rows, stats.files) == (3, 1)
