"""What has changed in the store, told by a listing, and a snapshot that holds while it is folded."""

from __future__ import annotations

from typing import Any

from dccd.store.remote.base import chunks
from dccd.store.remote.local import Hashes, marks, notes_mark, snapshot, store_id, stored_bytes


def take(bench: Any, hashes: Hashes | None = None) -> Any:
    return snapshot(
        bench.layout, "alpha", bench.trades, bench.day, hashes or Hashes(bench.layout), lambda seconds: None
    )


def test_a_mark_changes_with_the_files(bench: Any) -> None:
    """And not without."""
    bench.put([bench.trade(1)])
    before = marks(bench.layout, bench.trades)
    assert marks(bench.layout, bench.trades) == before
    bench.put([bench.trade(2)])
    after = marks(bench.layout, bench.trades)
    assert after.keys() == before.keys() == stored_bytes(bench.layout, bench.trades).keys()
    assert after != before
    assert notes_mark(bench.layout, bench.trades) == ""


def test_a_file_is_hashed_once(bench: Any) -> None:
    """Also by the next process."""
    bench.put([bench.trade(1)])
    hashes = Hashes(bench.layout)
    for _ in range(2):
        with take(bench, hashes) as files:
            found = files[0].entry.sha256
    assert hashes.hashed == 1
    hashes.save()
    again = Hashes(bench.layout)
    with take(bench, again) as files:
        assert files[0].entry.sha256 == found
    assert again.hashed == 0


def test_a_snapshot_holds_while_its_files_are_folded(copied: Any) -> None:
    """What it has open is read to its end; the next one has what the fold has made."""
    copied.put(1)
    copied.put(2)
    with take(copied.bench) as files:
        copied.fold()
        for file in files:
            assert len(b"".join(chunks(file.file, file.entry.size, lambda size: None, lambda seconds: None))) > 1000
        assert [file.entry.level for file in files] == [0, 0]
    with take(copied.bench) as files:
        assert [(file.entry.level, file.entry.rows) for file in files] == [(None, 2)]


def test_a_store_has_one_id(bench: Any) -> None:
    """The first that it is given."""
    assert store_id(bench.layout, None) is None
    assert store_id(bench.layout, "one") == store_id(bench.layout, "two") == store_id(bench.layout, None) == "one"
