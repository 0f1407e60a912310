"""Tests of what is brought back, where to, and that no kill leaves half of a period."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.errors import RemoteDamaged, RemoteMissing
from dccd.records import BookDelta
from dccd.store.claims import NoteBook, read_notes
from dccd.store.coverage import Gap
from dccd.store.fold import fold

DAY = 86_400_000_000_000


def test_a_lost_store_comes_back(copied: Any) -> None:
    """And goes on where the copy is: its next sync is no other store's."""
    copied.put(1, 2)
    copied.fold()
    copied.put(3)
    copied.sync()
    result = copied.restore()
    assert (result.files, result.periods, result.problems) == (2, 1, ())
    assert copied.tids(copied.elsewhere) == ["1", "2", "3"]
    copied.layout = copied.elsewhere
    assert copied.sync().files == 0


def test_a_range_of_time_is_brought_back_and_the_rest_is_known(copied: Any) -> None:
    """The days that have a part in it; a reader gets the others from the remote all the same."""
    for n in range(3):
        copied.bench.put([copied.bench.trade(n, copied.bench.noon + n * DAY)])
    copied.sync()
    noon = copied.bench.noon
    result = copied.restore(start=noon + DAY, end=noon + DAY + 1)
    assert result.periods == 1
    assert copied.tids(copied.elsewhere) == ["1"]
    assert copied.tids(copied.elsewhere, past=True) == ["0", "1", "2"]


def test_what_is_there_is_left_alone(copied: Any) -> None:
    """Nothing is fetched for a store that has all of it."""
    copied.put(1)
    copied.fold()
    copied.sync()
    copied.put(2)
    copied.fold()
    assert copied.restore(copied.layout).files == 0
    assert copied.tids() == ["1", "2"]


def test_what_was_lost_is_added_to_what_came_since(copied: Any) -> None:
    """The base of before and the base of now become one, twice in a row as well."""
    copied.put(1, 2, 3)
    copied.fold()
    copied.sync()
    copied.layout.base_path(copied.bench.trades, copied.bench.day).unlink()
    copied.put(2, 9)
    copied.fold()
    for _ in range(2):
        copied.restore(copied.layout)
        assert copied.tids() == ["1", "2", "3", "9"]
    copied.fold()
    assert copied.tids() == ["1", "2", "3", "9"]


def test_rows_of_a_book_are_not_mixed(copied: Any) -> None:
    """Which of them are twins can't be told: the period is left as it is, and named."""
    book = copied.bench.book

    def put(*seqs: int) -> None:
        deltas = [BookDelta(copied.bench.noon + s, seq=s, bids=((1.0, 1.0),), asks=()) for s in seqs]
        copied.bench.put(deltas, dataset=book)
        fold(copied.layout, book, copied.bench.day, force=True)

    put(1, 2, 3)
    copied.sync()
    copied.layout.base_path(book, copied.bench.day).unlink()
    put(2, 4)
    result = copied.restore(copied.layout)
    assert result.files == 0
    assert "binance.orderbook.BTC-USDT 2023-11-15: the store has other rows of this time" in result.problems[0]


def test_every_kill_leaves_a_store_that_reads(copied: Any, killed_at: Any, tmp_path_factory: Any) -> None:
    """A kill at each step of a restore of purged days: a reader sees all rows at each, and again brings them back."""
    copied.put(1, 2)
    copied.fold()
    copied.put(3)
    copied.sync()
    assert copied.purge() is None
    n = 0
    while killed_at(lambda step: copied.restore(copied.layout, step=step), n):
        assert copied.tids(past=True) == ["1", "2", "3"]
        copied.restore(copied.layout)
        assert copied.tids() == ["1", "2", "3"]
        assert read_notes(copied.layout, copied.bench.trades).purged == ()
        assert copied.purge() is None
        n += 1
    assert n >= 4


def test_a_damaged_object_is_not_restored(copied: Any) -> None:
    """It is named, and no file of it appears."""
    copied.put(1)
    copied.sync()
    (key,) = copied.data()
    copied.remote.objects[key] = copied.remote.objects[key][:-1] + b"?"
    with pytest.raises(RemoteDamaged, match="the hash differs") as caught:
        copied.restore()
    assert caught.value.key == key
    assert not list(copied.elsewhere.root.rglob("*.parquet"))


def test_a_host_that_never_synced_is_told(copied: Any) -> None:
    """By the folder that isn't there."""
    with pytest.raises(RemoteMissing, match="it has no alpha/, where a sync of host alpha would"):
        copied.restore()


def test_what_is_noted_of_a_dataset_without_files_comes_back(copied: Any) -> None:
    """As that its exchange has nothing to give."""
    copied.put(1)
    other = type(copied.bench.trades).parse("kraken.trades.BTC-USD")
    NoteBook(copied.layout, "alpha").add(other, asked=[(1, 9)], unavailable=[Gap(1, 9, "too old")])
    copied.sync()
    copied.restore()
    assert read_notes(copied.elsewhere, other).unavailable == (Gap(1, 9, "too old"),)


def test_what_a_killed_restore_had_fetched_is_removed(copied: Any, bench: Any) -> None:
    """By the next one."""
    copied.put(1)
    copied.sync()

    def step(name: str) -> None:
        if name == "place":
            raise bench.Killed

    with pytest.raises(bench.Killed):
        copied.restore(step=step)
    left = copied.elsewhere.root / ".dccd" / "remotes" / "restoring-fake"
    assert len(list(left.glob("*.parquet"))) == 1
    copied.restore()
    assert not left.exists()
    assert copied.tids(copied.elsewhere) == ["1"]
