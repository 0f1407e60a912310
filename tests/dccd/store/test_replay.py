"""Tests of messages that are delivered again after a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import BadRecord
from dccd.records import BookDelta
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.replay import table_of, unstored
from dccd.store.writer import BusPosition, SegmentWriter
from dccd.symbols import NS, Dataset

NOON = 1_700_049_600 * NS
DAY = 86_400 * NS
BOOK = Dataset.parse("binance.orderbook.BTC-USDT")


def message(seq: int, *days: int) -> tuple[int, bytes]:
    """Message *seq* with a row on each of *days*. Book rows: nothing but the positions can tell one that comes
    again."""
    return seq, msgspec.json.encode([BookDelta(NOON + day * DAY + seq, seq, [(float(seq), 1.0)], []) for day in days])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), max_size=3, unique=True), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 2), st.booleans()), max_size=5),
)
def test_however_often_it_crashes_each_row_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory, days: list[list[int]], crashes: list[tuple[int, int, bool]]
) -> None:
    """Crashes after any number of the segments of a flush, folds in between, and delivery from the start each
    time."""
    layout = Layout(tmp_path_factory.mktemp("store"))
    store = Store(layout)
    messages = [message(n + 1, *sorted(of)) for n, of in enumerate(days)]

    class Crash(BaseException):
        pass

    for upto, segments, folded in [*crashes, (len(messages), 99, False)]:
        left = [segments]

        def step(name: str, left: list[int] = left) -> None:
            if name == "write":
                if not left[0]:
                    raise Crash
                left[0] -= 1

        batch = messages[:upto]
        writer = SegmentWriter(layout, "w", step=step)
        try:
            writer.write(BOOK, unstored(store, BOOK, "e", batch), BusPosition("S", "e", batch[0][0], batch[-1][0]))
        except Crash:
            pass
        if folded:
            for period in layout.segment_periods(BOOK):
                fold(layout, BOOK, period, force=True)
    stored = sorted(zip(store.read(BOOK)["TS"], store.read(BOOK)["seq"], strict=True))
    expected = sorted((NOON + day * DAY + n + 1, n + 1) for n, of in enumerate(days) for day in of)
    assert stored == expected


def test_a_stream_made_anew_starts_again(bench: Any) -> None:
    """Sequences of another epoch say nothing about those of this one."""
    bench.put([BookDelta(NOON, 9, [(9.0, 1.0)], [])], bench.book, seq=9, epoch="old")
    assert unstored(bench.store, bench.book, "new", [message(1, 0)]).num_rows == 1
    assert unstored(bench.store, bench.book, "old", [message(1, 0)]).num_rows == 0


def test_a_bad_message_is_named(bench: Any) -> None:
    """Its index is its place among those handed over, stored or not."""
    messages = [message(1, 0), (2, b"nonsense"), message(3, 0)]
    for make in (lambda: table_of(bench.book, messages), lambda: unstored(bench.store, bench.book, "e", messages)):
        with pytest.raises(BadRecord) as caught:
            make()
        assert caught.value.index == 1


def test_messages_without_rows_make_none(bench: Any) -> None:
    """Empty arrays are neither rows nor an error."""
    assert unstored(bench.store, bench.trades, "e", [(1, b"[]"), (2, b"[]")]).num_rows == 0


@pytest.mark.parametrize("folded", [False, True])
def test_what_a_corrupt_file_held_is_written_again(tmp_path: Path, folded: bool) -> None:
    """Only that: rows in files that can be read are known. No error, since that would hold up other datasets."""
    layout, store = Layout(tmp_path), Store(tmp_path)
    writer = SegmentWriter(layout, "w")
    messages = [message(seq, 0) for seq in (1, 2, 3)]
    paths = []
    for seq, body in messages:
        position = BusPosition("S", "e", seq, seq)
        paths += [segment.path for segment in writer.write(BOOK, table_of(BOOK, [(seq, body)]), bus=position)]
    if folded:
        fold(layout, BOOK, "2023-11-15", force=True)
        paths = [layout.base_path(BOOK, "2023-11-15")]
    paths[-1].write_bytes(b"no Parquet")
    assert unstored(store, BOOK, "e", messages)["seq"].to_pylist() == ([1, 2, 3] if folded else [3])
