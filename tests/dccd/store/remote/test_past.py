"""Tests of readers of purged periods: all rows or an error, within a bounded cache."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from dccd.errors import RemoteAway, RemoteDamaged
from dccd.records import BookSnapshot
from dccd.store.reader import Store
from dccd.store.remote.fake import FakeRemote
from dccd.store.remote.past import Past, purged_periods
from dccd.store.remote.sync import sync
from dccd.store.retention import purge
from dccd.store.scan import Scan

DAY = 86_400_000_000_000


def test_a_purged_day_reads_as_before(copied: Any) -> None:
    """Base and segments, beside days that are here, and beside rows that came since."""
    copied.put(1, 2)
    copied.fold()
    copied.put(3)
    copied.bench.put([copied.bench.trade(5, copied.bench.noon + DAY)])
    copied.sync()
    assert copied.purge() is None
    assert copied.tids() == ["5"]
    assert copied.tids(past=True) == ["1", "2", "3", "5"]
    copied.put(3, 4)
    assert copied.tids(past=True) == ["1", "2", "3", "4", "5"]
    assert copied.tids(past=True, newest=True, limit=4) == ["2", "3", "4", "5"]


def test_a_range_beside_it_asks_no_remote(copied: Any) -> None:
    """Only who reads what was purged waits for it."""
    copied.put(1)
    copied.bench.put([copied.bench.trade(5, copied.bench.noon + DAY)])
    copied.sync()
    copied.purge()
    copied.remote.calls.clear()
    assert copied.tids(past=True, start=copied.bench.noon + DAY) == ["5"]
    assert copied.remote.calls == []


def test_a_remote_that_is_away_is_an_error(copied: Any) -> None:
    """Never fewer rows in silence."""
    copied.put(1)
    copied.sync()
    copied.purge()
    copied.remote.away = 1000
    with pytest.raises(RemoteAway, match=r"binance\.trades\.BTC-USDT 2023-11-15 was purged here, and can't be had"):
        copied.tids(past=True)


def test_a_damaged_copy_is_an_error(copied: Any) -> None:
    """It is found out before a row of it is read."""
    copied.put(1)
    copied.sync()
    copied.purge()
    (key,) = copied.data()
    copied.remote.objects[key] = b"?" + copied.remote.objects[key][1:]
    with pytest.raises(RemoteDamaged, match="the hash differs"):
        copied.tids(past=True)


def test_the_cache_is_bounded(copied: Any) -> None:
    """What was read longest ago makes room; what is in it is read without the remote."""
    for n in range(3):
        copied.bench.put([copied.bench.trade(n, copied.bench.noon + n * DAY)])
    copied.sync()
    for day in ("2023-11-15", "2023-11-16", "2023-11-17"):
        assert copied.purge(day) is None
    size = max(len(copied.remote.objects[key]) for key in copied.data())
    store = Store(copied.layout, copied.past(limit=2 * size))
    assert store.read(copied.bench.trades)["tid"].to_list() == ["0", "1", "2"]
    kept = list((copied.layout.root / ".dccd" / "remotes" / "cache").glob("*.parquet"))
    assert len(kept) == 2
    copied.remote.calls.clear()
    assert store.read(copied.bench.trades, start=copied.bench.noon + DAY)["tid"].to_list() == ["1", "2"]
    assert [call for call in copied.remote.calls if call.endswith(".parquet")] == []


def test_a_manifest_that_has_moved_on_is_read_again(copied: Any) -> None:
    """A file that another stands for by now is not looked for in vain."""
    copied.put(1)
    copied.sync()
    copied.purge()
    past = copied.past()
    store = Store(copied.layout, past)
    assert store.read(copied.bench.trades)["tid"].to_list() == ["1"]
    copied.restore(copied.layout)
    copied.put(2)
    copied.fold()
    copied.sync()
    copied.purge()
    assert store.read(copied.bench.trades)["tid"].to_list() == ["1", "2"]


def test_without_remotes_what_was_purged_is_gone(copied: Any) -> None:
    """Who purges without a remote has no other copy: the coverage tells it."""
    copied.put(1)
    assert purge(copied.layout, copied.bench.trades, copied.bench.day, [], "alpha") is None
    assert copied.tids() == []
    assert purged_periods(copied.layout, copied.bench.trades) == [copied.bench.day]
    assert len(copied.bench.store.coverage(copied.bench.trades).purged) == 1


def test_a_book_of_a_purged_day_is_told(copied: Any) -> None:
    """As of any other day: from the snapshot and the changes that are on the remote."""
    book, noon = copied.bench.book, copied.bench.noon
    copied.bench.put(
        [BookSnapshot(noon, seq=1, bids=((1.0, 1.0),), asks=((2.0, 1.0),))], dataset=book, covered=[(noon, noon + 1000)]
    )
    copied.sync()
    before = copied.bench.store.book(book, noon + 10)
    assert purge(copied.layout, book, copied.bench.day, [copied.remote], copied.host) is None
    store = Store(copied.layout, copied.past())
    assert store.last_ts(book) == noon + 999
    assert store.book(book, noon + 10) == before


def test_bars_of_a_purged_day_are_made_of_its_trades(copied: Any) -> None:
    """What is had from a remote is as whole as what is here."""
    bench, minute = copied.bench, 60_000_000_000
    trades = [bench.trade(n, bench.noon + n * 20_000_000_000) for n in range(9)]
    bench.put(trades, covered=[(bench.noon, bench.noon + 3 * minute)])
    copied.sync()
    before = Scan(bench.store, bench.bars, source="trades").read()
    assert copied.purge() is None
    scan = Scan(Store(copied.layout, copied.past()), bench.bars, source="trades")
    assert before.height == 3
    assert scan.read().equals(before)


def test_a_few_rows_fetch_no_more_than_they_are_in(copied: Any) -> None:
    """Which columns the other days have is in the manifest."""
    for n in range(3):
        copied.bench.put([copied.bench.trade(n, copied.bench.noon + n * DAY)])
    copied.sync()
    for day in ("2023-11-15", "2023-11-16", "2023-11-17"):
        assert copied.purge(day) is None
    past = copied.past()
    store = Store(copied.layout, past)
    assert [batch.num_rows for batch in Scan(store, copied.bench.trades, limit=1).batches()] == [1]
    assert past.fetched == 1
    (batch,) = Scan(store, copied.bench.trades, limit=2, newest=True).batches()
    assert batch["tid"].to_pylist() == ["1", "2"]


def test_a_column_that_is_unknown_to_us_is_read_through(copied: Any) -> None:
    """As another program's files have."""
    frame = pl.DataFrame({"TS": [copied.bench.noon], "price": [1.0], "amount": [1.0], "side": ["buy"], "venue": ["x"]})
    copied.bench.base(frame)
    copied.sync()
    assert copied.purge() is None
    (batch,) = Scan(Store(copied.layout, copied.past()), copied.bench.trades).batches()
    assert batch["venue"].to_pylist() == ["x"]


def test_one_remote_of_two_is_enough(copied: Any) -> None:
    """While the other is away."""
    copied.put(1)
    copied.sync()
    other = FakeRemote("other")
    sync(copied.layout, other, copied.host, wait=lambda seconds: None)
    assert copied.purge() is None
    copied.remote.away = 1000
    past = Past(copied.layout, [copied.remote, other], copied.host, 2**20)
    past._wait = lambda seconds: None
    (batch,) = Scan(Store(copied.layout, past), copied.bench.trades).batches()
    assert batch["tid"].to_pylist() == ["1"]


def test_other_remotes_are_asked_from_now_on(copied: Any) -> None:
    """Also where one goes by the name of another that was there: nothing of that is taken for it."""
    copied.put(1)
    copied.sync()
    copied.purge()
    past = Past(copied.layout, [FakeRemote(copied.remote.name)], "alpha", 1 << 30)
    store = Store(copied.layout, past)
    assert store.read(copied.bench.trades).is_empty()
    past.change([copied.remote], 1 << 20)
    assert store.read(copied.bench.trades)["tid"].to_list() == ["1"]
    assert past.limit == 1 << 20
