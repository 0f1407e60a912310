"""Tests of what is purged, in which order, and that neither a kill nor a missing copy loses a row."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.store.claims import read_notes
from dccd.store.layout import period_bounds
from dccd.store.reader import Store
from dccd.store.retention import Rule, Stored, plan, purge, stored
from dccd.symbols import NS, Dataset, DataType

TRADES = Dataset.parse("binance.trades.BTC-USDT")
OTHER = Dataset.parse("kraken.trades.BTC-USD")
BOOK = Dataset.parse("binance.orderbook.BTC-USDT")
BARS = Dataset.parse("binance.ohlc.BTC-USDT.1m")
DAY = 86_400 * NS
NOW = period_bounds("2024-01-10")[0] + 12 * 3600 * NS


def days(dataset: Dataset, *numbers: int, size: int = 10) -> list[Stored]:
    """Days of January 2024."""
    return [Stored(dataset, f"2024-01-{number:02}", size) for number in numbers]


FOUND = [*days(TRADES, 1, 2, 9, 10), *days(OTHER, 2, 8), *days(BOOK, 3, size=100), Stored(BARS, "2023", 1)]
KINDS = {"t": DataType.TRADES, "b": DataType.ORDERBOOK, "o": DataType.OHLC}


@pytest.mark.parametrize(
    ("rules", "floor", "free", "gone", "short"),
    [
        ({}, 0, 0, [], 0),
        # By age, from a day's end on; the day that goes on stays, however young data must be.
        ({"t": Rule(age=8 * DAY)}, 0, 0, ["01 age"], 0),
        ({"t": Rule(age=7 * DAY)}, 0, 0, ["01 age", "02 age", "02 age"], 0),
        ({"t": Rule(age=0)}, 0, 0, ["01 age", "02 age", "02 age", "08 age", "09 age"], 0),
        ({"o": Rule(age=9 * DAY)}, 0, 0, ["2023 age"], 0),
        ({"o": Rule(age=10 * DAY)}, 0, 0, [], 0),
        # By size of all datasets of a type together, the oldest first, of two as old by name.
        ({"t": Rule(size=60)}, 0, 0, [], 0),
        ({"t": Rule(size=59)}, 0, 0, ["01 size"], 0),
        ({"t": Rule(size=40)}, 0, 0, ["01 size", "02 size"], 0),
        ({"t": Rule(size=0)}, 0, 0, ["01 size", "02 size", "02 size", "08 size", "09 size"], 0),
        ({"t": Rule(age=8 * DAY, size=50)}, 0, 0, ["01 age"], 0),
        ({"t": Rule(size=50), "b": Rule(size=99)}, 0, 0, ["01 size", "03 size"], 0),
        # For room on the disk: what goes anyway counts, days go before years.
        ({}, 100, 100, [], 0),
        ({}, 100, 95, ["01 free_space"], 0),
        ({}, 100, 85, ["01 free_space", "02 free_space"], 0),
        ({"t": Rule(size=50)}, 100, 90, ["01 size"], 0),
        ({"t": Rule(size=50)}, 100, 85, ["01 size", "02 free_space"], 0),
        ({}, 200, 51, ["01 free_space", "02 free_space", "02 free_space", "03 free_space", "08 free_space",
                       "09 free_space"], 0),
        ({}, 200, 49, ["2023 free_space", "01 free_space", "02 free_space", "02 free_space", "03 free_space",
                       "08 free_space", "09 free_space"], 0),
        ({}, 200, 40, ["2023 free_space", "01 free_space", "02 free_space", "02 free_space", "03 free_space",
                       "08 free_space", "09 free_space"], 9),
    ],
)  # fmt: skip
def test_plan(rules: dict[str, Rule], floor: int, free: int, gone: list[str], short: int) -> None:
    """What goes follows from ages, sizes and the free space, the oldest first."""
    going, lacking = plan(FOUND, {KINDS[key]: rule for key, rule in rules.items()}, floor, free, NOW)
    assert [f"{p.period.removeprefix('2024-01-')} {p.reason}" for p in going] == gone
    assert lacking == short
    assert [p.dataset for p in going[:1] if p.period == "2024-01-02"] in ([], [TRADES])


def test_a_day_that_has_just_ended_stays() -> None:
    """Its last rows are still on their way."""
    end = period_bounds("2024-01-09")[1]
    assert plan(days(TRADES, 9), {DataType.TRADES: Rule(age=0)}, 0, 0, end + 60 * NS) == ([], 0)


def test_what_is_stored_is_listed_by_period(bench: Any) -> None:
    """With the bytes of base and segments."""
    bench.put([bench.trade(1)])
    bench.put([bench.trade(2)])
    (found,) = stored(bench.layout)
    size = sum((bench.layout.root / name).stat().st_size for name in bench.files())
    assert found == Stored(bench.trades, bench.day, size)


def test_a_purged_day_is_gone_and_noted(copied: Any) -> None:
    """Its files, its folders; the coverage says purged where it said verified, and nothing is missing."""
    noon = copied.bench.noon
    copied.put(1, 2, covered=[(noon, noon + NS)])
    copied.fold()
    copied.put(3, covered=[(noon + NS, noon + 2 * NS)])
    copied.sync()
    before = copied.bench.store.coverage(copied.bench.trades)
    assert copied.purge() is None
    assert not list((copied.layout.root / "binance").rglob("*.parquet"))
    assert not (copied.layout.dataset_segments(copied.bench.trades) / copied.bench.day).exists()
    after = copied.bench.store.coverage(copied.bench.trades)
    assert list(after.purged) == list(before.verified) == [(noon, noon + 2 * NS)]
    assert not after.verified and not after.missing


def test_what_no_remote_holds_stays(copied: Any) -> None:
    """Never synced, or other than what was synced."""
    copied.put(1)
    assert copied.purge() == "remote fake doesn't have it yet: the next sync copies it"
    copied.sync()
    copied.put(2)
    assert copied.purge() == "remote fake doesn't have it yet: the next sync copies it"
    assert copied.tids() == ["1", "2"]


def test_a_copy_is_read_back_before(copied: Any) -> None:
    """One that is damaged or gone is none, whatever the manifest says; a remote that is away has nothing."""
    copied.put(1)
    copied.sync()
    (key,) = copied.data()
    whole = copied.remote.objects[key]
    copied.remote.objects[key] = whole[:-1] + b"?"
    assert "the hash differs" in (copied.purge() or "")
    del copied.remote.objects[key]
    assert "it has no alpha/.dccd/segments" in (copied.purge() or "")
    copied.remote.objects[key] = whole
    copied.remote.away = 1000
    assert copied.purge() == "remote fake: away, as asked"
    assert copied.tids() == ["1"]
    copied.remote.away = 0
    assert copied.purge() is None


def test_each_remote_must_hold_it(copied: Any) -> None:
    """One that was added later gets its copy first."""
    copied.put(1)
    copied.sync()
    other = type(copied.remote)("other")
    found = purge(
        copied.layout, copied.bench.trades, copied.bench.day, [copied.remote, other], "alpha", wait=lambda seconds: None
    )
    assert found == "remote other doesn't have it yet: the next sync copies it"


def test_a_corrupt_file_is_not_purged(copied: Any) -> None:
    """It needs a person, or a copy."""
    copied.put(1)
    copied.fold()
    copied.sync()
    base = copied.layout.base_path(copied.bench.trades, copied.bench.day)
    base.write_bytes(base.read_bytes()[:-9])
    assert "dccd doctor" in (copied.purge() or "")
    assert base.exists()


def test_rows_that_come_meanwhile_stay(copied: Any) -> None:
    """Between the look at the remote and the removal: then nothing is removed."""
    copied.put(1)
    copied.sync()

    def step(name: str) -> None:
        if name == "verified":
            copied.put(2)

    assert copied.purge(step=step) == "it has changed meanwhile: looked at anew the next time"
    assert copied.tids() == ["1", "2"]


def test_every_kill_leaves_each_row_here_or_noted(copied: Any, killed_at: Any) -> None:
    """A kill at each step: a reader with the remote sees all rows once, what isn't here is noted as purged, and the
    next purge ends it."""
    tids = ["1", "2", "3", "4"]
    copied.put(1, 2)
    copied.fold()
    copied.put(3)
    copied.put(4)
    copied.sync()
    n = 0
    while killed_at(lambda step: copied.purge(step=step), n):
        here = copied.tids()
        assert copied.tids(past=True) == tids
        if here != tids:
            assert read_notes(copied.layout, copied.bench.trades).purged
        assert copied.purge() is None
        assert copied.tids() == []
        copied.restore(copied.layout)
        assert copied.tids() == tids
        assert not Store(copied.layout).coverage(copied.bench.trades).purged
        n += 1
    assert n >= 10


def test_a_reader_goes_on_while_its_files_are_purged(copied: Any) -> None:
    """Open files stay readable."""
    copied.put(1, 2)
    copied.fold()
    copied.sync()
    with copied.bench.store.open(copied.bench.trades, copied.bench.day) as files:
        assert copied.purge() is None
        rows = [frame for file in files for frame, _ in file.frames(0, 2**62)]
    assert [row for frame in rows for row in frame["tid"].to_list()] == ["1", "2"]
