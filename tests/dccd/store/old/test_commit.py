"""Killed at each step, the rows are there once, and the next call goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dccd.store.files import write_durably
from dccd.store.layout import Layout
from dccd.store.old.commit import commit, resume, stage, stat_of, unfinished
from dccd.store.old.migrate import Migration, Options
from dccd.store.reader import Store
from dccd.symbols import Dataset

BOOK = Dataset.parse("binance.orderbook.BTC-USDT")


class Killed(BaseException):
    """Stops where a kill would."""


def killer(at: int) -> Callable[[str], None]:
    """A hook that stops at step number *at*."""
    left = [at]

    def step(name: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed(name)

    return step


def everything(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """All stored rows by dataset, as multisets."""
    store = Store(root)
    return {dataset.name: sorted(store.read(dataset).rows(), key=repr) for dataset in store.datasets()}


# An old file in place of a base, one elsewhere, two for one base; and a book, whose rows have no key that would hide
# one stored twice.
@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("dccd2", ["binance/ohlc/BTC-USDT/1h/2024.parquet", "kraken/trades/XBT-EUR/2024-03-01.parquet"]),
        ("dccd3", ["binance/open_interest/BTC-USDT_PERP/5m", "binance/open_interest/BTC-USDT_PERP/1h"]),
        ("dccd3", ["binance/orderbook/BTC-USDT"]),
    ],
)
def test_killed_anywhere_the_next_migration_ends_the_same(
    old: Callable[[str], Path], tmp_path: Path, name: str, paths: list[str]
) -> None:
    """Whatever the step: no row is lost, doubled or changed, and no old file is lost."""
    whole = tmp_path / "whole"
    for path in paths:
        target = whole / path.replace("orderbook/BTC", "orderbook/XBT")
        target.parent.mkdir(parents=True, exist_ok=True)
        (old(name) / path).rename(target)
        shutil.rmtree(tmp_path / name)
    count = len(list(whole.rglob("*.parquet")))

    def killed(at: int) -> Path | None:
        """A copy whose migration was killed at a step, or None when it has fewer."""
        root = Path(shutil.copytree(whole, tmp_path / f"killed-{at}"))
        try:
            list(Migration(Layout(root), Options(), killer(at)).perform())
        except Killed:
            return root
        return None

    clean = Path(shutil.copytree(whole, tmp_path / "clean"))
    list(Migration(Layout(clean)).perform())
    at = 0
    while (root := killed(at)) is not None:
        list(Migration(Layout(root)).perform())
        assert everything(root) == everything(clean), at
        assert unfinished(Layout(root)) == []
        assert len(list((root / ".dccd/migrated").rglob("*.parquet"))) == count
        at += 1
    assert at >= 9 * count


def test_a_file_that_changed_is_left_alone(old: Callable[[str], Path]) -> None:
    """What was read of it isn't what is there: nothing is done, and nothing is left behind."""
    root = old("dccd3")
    path = root / "binance/orderbook/BTC-USDT/2024-03-01.parquet"
    layout, stat = Layout(root), stat_of(path)
    frame = pl.read_parquet(path, memory_map=False).with_columns(
        seq=pl.lit(None, pl.Int64), recv_ts=pl.lit(None, pl.Int64)
    )
    folder = stage(layout, BOOK, frame, "binance/orderbook/BTC-USDT/2024-03-01.parquet", stat)
    write_durably(path, "other", lambda file: file.write(b"more") and None)
    assert commit(layout, folder) is None
    assert path.read_bytes() == b"more"
    assert unfinished(layout) == [] and not layout.segment_periods(BOOK)


def test_without_a_journal_nothing_has_begun(old: Callable[[str], Path]) -> None:
    """What was only staged is removed."""
    layout = Layout(old("dccd3"))
    folder = layout.root / ".dccd/migrate/left"
    folder.mkdir(parents=True)
    (folder / "0.parquet").write_bytes(b"half")
    assert list(resume(layout)) == []
    assert unfinished(layout) == []


def test_what_is_written_is_read_again(old: Callable[[str], Path]) -> None:
    """A disk that keeps something else is found out before the old file is touched."""
    root = old("dccd3")
    path = root / "kraken/ohlc/ETH-USD/600s/2024.parquet"

    def damage(name: str) -> None:
        if name == "done":
            for staged in (root / ".dccd/migrate").rglob("*.parquet"):
                data = bytearray(staged.read_bytes())
                data[len(data) // 3] ^= 0xFF
                staged.write_bytes(data)

    reports = {r.path: r for r in Migration(Layout(root), Options(), damage).perform()}
    report = reports["kraken/ohlc/ETH-USD/600s/2024.parquet"]
    assert report.action == "refuse" and path.exists()
