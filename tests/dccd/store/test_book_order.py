"""What a maintained book gives out, in the order in which the store keeps it: whatever the clocks did, it is the truth.

From :mod:`dccd.exchanges.book_output` through flushes and folds: the one test of the two together.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.exchanges.base import StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_output import BookOutput
from dccd.records import BookSnapshot, Level, Record
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

BOOK = Dataset.parse("binance.orderbook.BTC-USDT")
MS = 1_000_000
EPOCH = 1_700_000_000 * NS

Sides = tuple[dict[float, float], dict[float, float]]

step = st.fixed_dictionaries(
    {
        "wait": st.sampled_from([0, 1, 20, 100, 900, 4_000, 30_000]),  # ms of our clock
        "jitter": st.integers(-6, 6),  # ms that the exchange's time is off
        "does": st.sampled_from(["change", "change", "change", "tick", "tick", "settle", "hidden", "again", "anew"]),
        "level": st.integers(0, 7),  # 0 to 3 are bids
        "amount": st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        "flush": st.booleans(),
        "fold": st.sampled_from([None, None, None, False, True]),
    }
)


class Feed:
    """A book that changes at random: what is given out of it, and the true book at each record."""

    def __init__(self) -> None:
        self.book = Book(depth=3)
        self.book.reset([(1.0, 1.0)], [(8.0, 1.0)])
        self.output = BookOutput(self.book, StreamOptions(snapshot_interval=2))
        self.now, self.seq = EPOCH, 10
        self.records: list[Record] = []
        self.truth: list[Sides] = []
        self.took = 0
        self.output.start(self.now, self.seq, self.now, self._out())
        self._given()

    def _out(self) -> list[Record]:
        self.took = len(self.records)
        return self.records

    def _given(self) -> None:
        bids, asks = self.book.view()
        self.truth += [(dict(bids), dict(asks))] * (len(self.records) - self.took)

    def step(self, what: dict[str, Any]) -> None:
        self.now += what["wait"] * MS
        ts = self.now + what["jitter"] * MS
        out = self._out()
        match what["does"]:
            case "tick":
                self.output.tick(self.now, out)
            case "settle":
                self.output.settle(self.now, out)
            case "hidden":  # deeper than the view
                self.seq += 1
                self.output.change(ts, self.seq, self.now, ([], []), out)
            case "again":  # a new snapshot after a break
                self.output.stop()
                self.output.start(ts, self.seq, self.now, out)
            case "anew":  # the exchange restarts its numbers
                self.seq = 1
                self.output.start(ts, self.seq, self.now, out)
            case _:
                self.seq += 1
                self._change(ts, what, out)
        self._given()

    def _change(self, ts: int, what: dict[str, Any], out: list[Record]) -> None:
        # Neither side goes: a book of nothing makes no rows.
        amount = what["amount"] or (1.0 if what["level"] in (0, 7) else 0.0)
        levels: list[Level] = [(float(what["level"] + 1), amount)]
        bid = what["level"] < 4
        changes = self.book.apply(levels if bid else [], [] if bid else levels)
        self.output.change(ts, self.seq, self.now, changes, out)


def replayed(rows: pl.DataFrame) -> list[Sides]:
    """The book after each record of *rows*: each snapshot, and the changes of each update."""
    found: list[Sides] = []
    sides: Sides = ({}, {})
    before: tuple[Any, ...] = ()
    for ts, side, price, amount, whole, seq in rows.select(
        "TS", "side", "price", "amount", "is_snapshot", "seq"
    ).iter_rows():
        if (ts, seq, whole) != before:
            sides = ({}, {}) if whole else (dict(sides[0]), dict(sides[1]))
            found.append(sides)
            before = (ts, seq, whole)
        levels = sides[0] if side == "bid" else sides[1]
        if amount:
            levels[price] = amount
        else:
            levels.pop(price, None)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(step, min_size=1, max_size=60))
def test_the_stored_order_replays_to_the_truth(steps: list[dict[str, Any]]) -> None:
    """At each snapshot and after each change, with ticks in between, whether times and numbers go back or not."""
    feed = Feed()
    with TemporaryDirectory() as folder:
        layout = Layout(Path(folder))
        writer = SegmentWriter(layout, "test")
        stored = 0

        def flush() -> None:
            nonlocal stored
            if stored < len(feed.records):
                writer.write(BOOK, table_from_records(BOOK.data_type, feed.records[stored:]))
                stored = len(feed.records)

        for what in steps:
            feed.step(what)
            if what["flush"]:
                flush()
            if what["fold"] is not None:
                fold(layout, BOOK, "2023-11-14", force=what["fold"])
        flush()
        rows = Store(folder).read(BOOK)
    assert replayed(rows) == feed.truth
    snapshots = [(one.ts, one.seq) for one in feed.records if isinstance(one, BookSnapshot)]
    assert len(set(snapshots)) == len(snapshots)
