"""Tests of what is the same row, and of merging whatever the files look like."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import CorruptFile
from dccd.records import Bar, FundingRate, Trade
from dccd.store import merge
from dccd.store.layout import Layout
from dccd.store.merge import SLACK, merged
from dccd.store.parquet import OpenFile
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType

NOON = 1_700_049_600 * NS


def test_a_live_trade_stays_and_its_backfilled_twin_goes(bench: Any) -> None:
    """Of one trade id the row with the time of receipt stays, whichever was written first."""
    bench.put([bench.trade(1, recv=5), bench.trade(2)])
    bench.put([bench.trade(1), bench.trade(2, recv=6), bench.trade(3)])
    assert bench.tids() == ["1", "2", "3"]
    assert bench.store.read(bench.trades)["recv_ts"].to_list() == [5, 6, None]


def test_of_equal_twins_the_later_written_stays(bench: Any) -> None:
    """A correction that is fetched again replaces what was there."""
    bench.put([bench.trade(1, price=1.0)])
    bench.put([bench.trade(1, price=2.0)])
    assert bench.store.read(bench.trades)["price"].to_list() == [2.0]


@pytest.mark.parametrize("chunk", [1, 1000])
@pytest.mark.parametrize("apart", [1, 1000, SLACK - 1])
def test_twins_may_differ_in_time(bench: Any, monkeypatch: pytest.MonkeyPatch, chunk: int, apart: int) -> None:
    """A live time and a REST time of one trade that are rounded differently make one row, though chunks lie
    between."""
    monkeypatch.setattr(merge, "CHUNK", chunk)
    live = [Trade(NOON + n * SLACK // 3, 1.0, 1.0, "buy", str(n), 7) for n in range(20)]
    bench.put(live)
    bench.put([msgspec.structs.replace(trade, ts=trade.ts + apart, recv_ts=None) for trade in live])
    read = bench.store.read(bench.trades)
    assert read["tid"].to_list() == [str(n) for n in range(20)]
    assert read["recv_ts"].to_list() == [7] * 20
    # A range that ends between a twin and the other doesn't show the one that goes.
    assert bench.store.read(bench.trades, NOON + 1, NOON + SLACK // 3).height == 0


def test_identical_prints_without_id_are_kept(bench: Any) -> None:
    """Of identical prints of one batch all are rows; the batch fetched again adds none, and another print does."""
    prints = [Trade(NOON, 1.0, 2.0, "buy", None) for _ in range(3)]
    bench.put([*prints, Trade(NOON, 1.0, 3.0, "buy", None)])
    bench.put(prints)
    assert sorted(bench.store.read(bench.trades)["amount"]) == [2.0, 2.0, 2.0, 3.0]
    bench.put([*prints, *prints])
    assert bench.store.read(bench.trades).height == 7


@pytest.mark.parametrize("chunk", [1, 1000])
def test_prints_with_and_without_id_side_by_side(bench: Any, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Those without are never taken for those with an id, nor lost when chunks end among them."""
    monkeypatch.setattr(merge, "CHUNK", chunk)
    mixed = [Trade(NOON + n // 4 * SLACK, 1.0, 2.0, "buy", None if n % 2 else str(n)) for n in range(40)]
    bench.put(mixed)
    bench.put(mixed)
    assert bench.store.read(bench.trades).height == 40


def test_the_later_written_bar_wins(bench: Any) -> None:
    """Of two closed bars of one time the later written is the one, and it counts as a whole."""
    first = [Bar(NOON + n * 60 * NS, 1.0, 1.0, 1.0, 1.0, float(n), 9.0, 9, 9) for n in range(3)]
    bench.put(first, bench.bars)
    bench.put([msgspec.structs.replace(first[1], volume=7.0, quote_volume=None, recv_ts=None)], bench.bars)
    read = bench.store.read(bench.bars)
    assert read["volume"].to_list() == [0.0, 7.0, 2.0]
    assert read["quote_volume"].to_list() == [9.0, None, 9.0]


def test_funding_is_once_a_time(bench: Any) -> None:
    """The same for rates, within one write as well."""
    funding = Dataset.parse("binance.funding.BTC-USDT_PERP")
    bench.put([FundingRate(NOON, 0.1), FundingRate(NOON, 0.2), FundingRate(NOON + 1, 0.3)], funding)
    assert bench.store.read(funding)["rate"].to_list() == [0.2, 0.3]


def expected(batches: list[list[Trade]]) -> list[tuple[str, int | None]]:
    """Which trades stay, by the rules, spelt as plainly as can be (ids are never reused for other times here)."""
    found: dict[str, tuple[bool, int, int, Trade]] = {}
    number = count()
    for batch_number, batch in enumerate(batches):
        for trade in sorted(batch, key=lambda trade: trade.ts):
            assert trade.tid is not None
            candidate = (trade.recv_ts is not None, batch_number, next(number), trade)
            found[trade.tid] = max(found.get(trade.tid, candidate), candidate, key=lambda c: c[:3])
    kept = sorted(found.values(), key=lambda c: (c[3].ts, c[1], c[2]))
    return [(trade.tid or "", trade.recv_ts) for *_, trade in kept]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 60), st.none() | st.integers(0, 9)), min_size=1, max_size=12),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 20),
    st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_any_files_merge_to_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[int, int | None]]],
    chunk: int,
    span: tuple[int, int],
) -> None:
    """Whatever overlaps, in chunks of whatever size, and for any range, the rows are those that the rules say."""
    made = [[Trade(NOON + n * SLACK // 2, 1.0, 1.0, "buy", str(n), recv) for n, recv in batch] for batch in batches]
    root = tmp_path_factory.mktemp("store")
    dataset = Dataset.parse("binance.trades.BTC-USDT")
    writer = SegmentWriter(Layout(root), "w")
    for batch in made:
        writer.write(dataset, table_from_records(dataset.data_type, batch))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "CHUNK", chunk)
        read = Store(root).read(dataset)
        part = Store(root).read(dataset, NOON + span[0] * SLACK // 2, NOON + span[1] * SLACK // 2, ["tid"])
    assert list(zip(read["tid"], read["recv_ts"], strict=True)) == expected(made)
    assert part.columns == ["TS", "tid"]
    assert part["tid"].to_list() == [tid for tid, _ in expected(made) if span[0] <= int(tid) < span[1]]


def test_only_what_overlaps_is_held(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that follow each other in time are read one after the other, not all at once."""
    monkeypatch.setattr(merge, "CHUNK", 100)
    paths = [bench.put([bench.trade(n) for n in range(k, k + 100)])[0].path for k in range(0, 1000, 100)]
    read: defaultdict[Path, int] = defaultdict(int)

    class Watched(OpenFile):
        def frames(self, *args: Any) -> Any:
            for frame in super().frames(*args):
                read[self.path] += 1
                yield frame

    rows = merged(DataType.TRADES, [Watched(path, 0) for path in paths])
    slack_rows = next(rows).height  # a second of trades, all of them, is held back: the chunks are that small
    assert slack_rows
    assert len(read) == len(paths)
    monkeypatch.setattr(merge, "SLACK", 0)
    read.clear()
    next(merged(DataType.TRADES, [Watched(path, 0) for path in paths]))
    assert len(read) <= 2


def test_columns_that_contradict_each_other_are_corrupt(bench: Any) -> None:
    """A file whose price can't be read as a number is an error, not null."""
    bench.base(pl.DataFrame({"TS": [NOON], "price": ["cheap"], "amount": [1.0]}))
    with pytest.raises(CorruptFile):
        bench.store.read(bench.trades)
