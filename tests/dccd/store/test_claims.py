"""Tests of the notes beside the files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from dccd.errors import CorruptFile
from dccd.store.claims import NoteBook, coverage_folder, noted_datasets, read_notes
from dccd.store.coverage import NEVER_ASKED, Gap, IntervalSet
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.parquet import OpenFile
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import beside
from dccd.symbols import NS, Dataset

DAY = 86_400 * NS
TRADES = Dataset.parse("binance.trades.BTC-USDT")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_what_all_writers_noted_is_united(layout: Layout) -> None:
    """Several writers note in files of their own, and a reader sees all of it."""
    NoteBook(layout, "one.host").add(TRADES, asked=[(0, 100)], missing=[Gap(10, 20, "disconnect")])
    NoteBook(layout, "two").add(TRADES, empty=[(50, 60)], unavailable=[Gap(0, 5, "too old")], purged=[(90, 95)])
    notes = read_notes(layout, TRADES)
    assert notes.asked == ((0, 100),)
    assert notes.empty == ((50, 60),)
    assert notes.purged == ((90, 95),)
    assert notes.missing == (Gap(10, 20, "disconnect"),)
    assert notes.unavailable == (Gap(0, 5, "too old"),)
    assert noted_datasets(layout) == [TRADES]


def test_notes_add_up_and_are_forgotten(layout: Layout) -> None:
    """A writer's notes are kept when more come, until what they are about is settled."""
    book = NoteBook(layout, "host")
    book.add(TRADES, missing=[Gap(0, 10, "a")], purged=[(0, 50)])
    book.add(TRADES, missing=[Gap(20, 30, "b")], unavailable=[Gap(60, 90, "gone")])
    book.forget_missing(TRADES, IntervalSet([(0, 25)]))
    book.forget_purged(TRADES, [(10, 20)])
    book.forget_unavailable(TRADES, IntervalSet([(70, 80)]))
    book.add(TRADES, doubted=[(0, 30)])
    book.forget_doubted(TRADES, IntervalSet([(10, 20)]))
    notes = read_notes(layout, TRADES)
    assert notes.missing == (Gap(25, 30, "b"),)
    assert notes.purged == ((0, 10), (20, 50))
    assert notes.doubted == ((0, 10), (20, 30))
    assert notes.unavailable == (Gap(60, 70, "gone"), Gap(80, 90, "gone"))


def test_nothing_new_writes_nothing(layout: Layout) -> None:
    """What is noted already costs no write."""
    book = NoteBook(layout, "host")
    book.add(TRADES, asked=[(0, 10)])
    path = coverage_folder(layout, TRADES) / "host.json"
    before = path.stat().st_ino
    book.add(TRADES, asked=[(2, 8)])
    assert path.stat().st_ino == before


def test_two_of_one_name_lose_nothing(layout: Layout) -> None:
    """Writers of one name that write at once, as two tools, keep each other's notes."""

    def write(number: int) -> None:
        NoteBook(layout, "tool").add(TRADES, missing=[Gap(number * 10, number * 10 + 5, "x")])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_notes(layout, TRADES).missing) == 20


def test_there_are_no_notes_at_first(layout: Layout) -> None:
    """A dataset that nobody noted anything about has empty notes."""
    assert read_notes(layout, TRADES).asked == ()
    assert noted_datasets(layout) == []


def test_damaged_notes_are_named(layout: Layout) -> None:
    """A file of notes that makes no sense is an error that names it."""
    NoteBook(layout, "host").add(TRADES, asked=[(0, 10)])
    path = coverage_folder(layout, TRADES) / "host.json"
    path.write_bytes(b"{")
    with pytest.raises(CorruptFile) as caught:
        read_notes(layout, TRADES)
    assert caught.value.path == path


@pytest.mark.parametrize("step", ["write", "sync", "rename", "sync_folder", "done"])
def test_a_kill_at_any_step_leaves_whole_notes(layout: Layout, step: str) -> None:
    """A writer stopped at any step leaves the notes as they were, or as they were to be."""
    NoteBook(layout, "host").add(TRADES, asked=[(0, 10)])

    class Killed(BaseException):
        pass

    def stop(name: str) -> None:
        if name == step:
            raise Killed

    with pytest.raises(Killed):
        NoteBook(layout, "host", stop).add(TRADES, asked=[(10, 20)])
    assert read_notes(layout, TRADES).asked in (((0, 10),), ((0, 20),))
    NoteBook(layout, "host").add(TRADES, asked=[(20, 30)])
    assert read_notes(layout, TRADES).asked in (((0, 10), (20, 30)), ((0, 30),))


# ---------------------------------------------------------------- claims in the files


def test_a_claim_is_kept_with_the_rows_of_its_period(bench: Any) -> None:
    """A write's claims go into its segments, each period's into its own; those of periods without rows are left."""
    midnight = bench.noon + DAY // 2
    claimed = [(bench.noon, midnight + 10), (midnight + 5 * DAY, midnight + 5 * DAY + 7)]
    segments = bench.put([bench.trade(1), bench.trade(2, midnight + 5)], covered=claimed)
    assert [OpenFile(segment.path, 0).claims.verified for segment in segments] == [
        IntervalSet([(bench.noon, midnight)]),
        IntervalSet([(midnight, midnight + 10)]),
    ]
    assert beside(IntervalSet(claimed), segments) == IntervalSet(claimed[1:])


def test_folding_unites_claims(bench: Any) -> None:
    """A base claims what the segments in it claimed, and says which rows nobody vouched for."""
    noon = bench.noon
    bench.put([bench.trade(1)], covered=[(noon, noon + 50)])
    bench.put([bench.trade(2)], covered=[(noon + 50, noon + 80)])
    bench.put([bench.trade(3)], covered=[])
    bench.put([bench.trade(4)])
    before = bench.store.coverage(bench.trades)
    assert before.verified == IntervalSet([(noon, noon + 80)])
    assert before.unverified == IntervalSet([(noon + 4_000_000, noon + 4_000_001)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert bench.store.coverage(bench.trades) == before
    bench.put([bench.trade(5)], covered=[(noon + 80, noon + 90)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    after = bench.store.coverage(bench.trades)
    assert (after.verified, after.unverified) == (IntervalSet([(noon, noon + 90)]), before.unverified)


def test_a_file_without_our_footer_is_unverified(bench: Any) -> None:
    """Rows of another program's file are there, and nobody vouches for them, folded or not."""
    bench.put([bench.trade(1), bench.trade(3)])
    frame = bench.store.read(bench.trades)
    for name in bench.files():
        (bench.layout.root / name).unlink()
    bench.base(frame)
    ms = 1_000_000
    stretch = IntervalSet([(bench.noon + ms, bench.noon + 3 * ms + 1)])
    assert bench.store.coverage(bench.trades).unverified == stretch
    bench.put([bench.trade(2)], covered=[(bench.noon + 2 * ms, bench.noon + 3 * ms)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    coverage = bench.store.coverage(bench.trades)
    assert coverage.unverified.union(coverage.verified) == stretch
    assert coverage.verified == IntervalSet([(bench.noon + 2 * ms, bench.noon + 3 * ms)])


def test_a_claim_goes_with_its_file(bench: Any) -> None:
    """When a file is gone, what it claimed is missing, between what the others claim."""
    noon = bench.noon
    bench.put([bench.trade(1)], covered=[(noon, noon + 10)])
    (lost,) = bench.put([bench.trade(2)], covered=[(noon + 10, noon + 20)])
    bench.put([bench.trade(3)], covered=[(noon + 20, noon + 30)])
    assert bench.store.coverage(bench.trades).missing == ()
    lost.path.unlink()
    assert bench.store.coverage(bench.trades).missing == (Gap(noon + 10, noon + 20, NEVER_ASKED),)


def test_notes_and_files_make_the_coverage(bench: Any) -> None:
    """What is noted beside the files fills, or names, what they don't claim; of all that nothing need be kept."""
    noon = bench.noon
    bench.put([bench.trade(1)], covered=[(noon, noon + 10)])
    book = NoteBook(bench.layout, "host")
    book.add(bench.trades, asked=[(noon, noon + 50 * NS)], missing=[Gap(noon + 10, noon + 20 * NS, "disconnect")])
    book.add(bench.trades, empty=[(noon + 30 * NS, noon + 50 * NS)])
    states = [(s.state, s.reason) for s in Store(bench.layout).coverage(bench.trades).stretches()]
    assert states == [("verified", ""), ("missing", "disconnect"), ("empty", "")]


def stream(bench: Any, *batches: list[int], late: int = 5) -> list[Any]:
    """Store trades of these ms, a segment a batch, as a stream's are: each claims up to *late* ms before its end."""
    ms, claimed, newest, segments = 1_000_000, None, None, []
    for batch in batches:
        trades = [bench.trade(number) for number in batch]
        certain = trades[-1].ts - late * ms
        covered = [] if claimed is None else [(claimed, certain)]
        table = table_from_records(bench.trades.data_type, trades)
        segments += bench.writer.write(bench.trades, table, covered=IntervalSet(covered), after=newest)
        claimed, newest = max(claimed or 0, trades[0].ts + 1 if claimed is None else certain), trades[-1].ts
    return segments


def verified(bench: Any) -> list[tuple[int, int]]:
    """What is verified, in ms from noon."""
    found = Store(bench.layout).coverage(bench.trades).verified
    return [((start - bench.noon) // 1_000_000, (end - bench.noon) // 1_000_000) for start, end in found]


def test_a_claim_of_rows_in_another_file_goes_with_that_file(bench: Any) -> None:
    """A stream claims a time some seconds after its rows: the claim is in a later file, and counts only with both."""
    segments = stream(bench, [0, 10], [11, 20], [21, 30], [31, 40])
    assert verified(bench) == [(0, 35)]
    segments[1].path.unlink()
    # Of what the next file claims, only what comes after the last row that is gone (1 ns after it).
    assert verified(bench) == [(20, 35)]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_fold_keeps_no_claim_whose_rows_are_gone(bench: Any, lost: int) -> None:
    """What a removed segment held stays missing when the others are folded."""
    segments = stream(bench, [0, 10], [11, 20], [21, 30], [31, 40])
    segments[lost].path.unlink()
    before = verified(bench)
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert verified(bench) == before
    first, last = segments[lost].first_ts, segments[lost].last_ts
    claimed = Store(bench.layout).coverage(bench.trades).verified
    assert not claimed.within(first, last + 1)


def test_folding_some_and_then_the_rest_keeps_the_claims(bench: Any) -> None:
    """A base knows on which row of the period before it relies, and what comes after it relies on it."""
    stream(bench, [0, 10], [11, 20])
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert verified(bench) == [(0, 15)]
    ms = 1_000_000
    table = table_from_records(bench.trades.data_type, [bench.trade(30)])
    claims = IntervalSet([(bench.noon + 15 * ms, bench.noon + 25 * ms)])
    bench.writer.write(bench.trades, table, covered=claims, after=bench.noon + 20 * ms)
    assert verified(bench) == [(0, 25)]
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert verified(bench) == [(0, 25)]


def test_the_end_of_a_day_is_claimed_by_the_next_day_and_goes_with_either(bench: Any) -> None:
    """The first file of a day claims what had become certain of the day before, as long as its rows are there."""
    midnight = bench.noon + DAY // 2
    second = NS
    (old,) = bench.put([bench.trade(1, midnight - 2 * second)], covered=[(bench.noon, midnight - 7 * second)])
    claims = IntervalSet([(midnight - 7 * second, midnight + second)])
    table = table_from_records(bench.trades.data_type, [bench.trade(2, midnight + 6 * second)])
    (new,) = bench.writer.write(bench.trades, table, covered=claims, after=midnight - 2 * second)
    for period in (bench.day, new.period):
        fold(bench.layout, bench.trades, period, force=True)
    coverage = Store(bench.layout).coverage(bench.trades)
    assert coverage.verified == IntervalSet([(bench.noon, midnight + second)])
    assert coverage.empty == IntervalSet()
    bench.layout.base_path(bench.trades, old.period).unlink()
    # Of the time after that day's last row nothing was in it.
    left = Store(bench.layout).coverage(bench.trades).verified
    assert left == IntervalSet([(midnight - 2 * second + 1, midnight + second)])


def test_a_quiet_beginning_of_a_day_stays_claimed_when_the_day_before_is_purged(bench: Any) -> None:
    """Nothing of it was in the files that are gone."""
    midnight, hour = bench.noon + DAY // 2, 3600 * NS
    bench.put([bench.trade(1, midnight - NS)], covered=[(bench.noon, midnight - 6 * NS)])
    claims = IntervalSet([(midnight - 6 * NS, midnight + 2 * hour)])
    table = table_from_records(bench.trades.data_type, [bench.trade(2, midnight + 3 * hour)])
    (new,) = bench.writer.write(bench.trades, table, covered=claims, after=midnight - NS)
    for period in (bench.day, new.period):
        fold(bench.layout, bench.trades, period, force=True)
    NoteBook(bench.layout, "host").add(bench.trades, purged=[(bench.noon - DAY // 2, midnight)])
    bench.layout.base_path(bench.trades, bench.day).unlink()
    states = [(s.state, s.end) for s in Store(bench.layout).coverage(bench.trades).stretches()]
    assert [state for state, _ in states][-1] == "verified"
    assert "missing" not in {state for state, _ in states}
