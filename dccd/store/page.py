"""Rows a page at a time, for who can't take a stream: a scan's terms and a cursor flow in, a frame and the next
cursor flow out.

A cursor is the time of a page's last row, and how many rows of that time have been given, as ``TS.COUNT``: rows that
share a time at a page's edge are neither left out nor given twice. Rows are in one order as long as they are stored,
however they are folded, and new ones of the same time come after those that were there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import polars as pl

from dccd.errors import BadRead
from dccd.store.reader import Store
from dccd.store.scan import Scan
from dccd.symbols import Dataset

__all__ = ["Cursor", "page"]

_CURSOR = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,12})")


class Cursor(msgspec.Struct, frozen=True):
    """Rows up to ``ts`` (ns) have been given, and ``count`` of those of this very time; from it on for the newest."""

    ts: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what ``str`` made. Raises BadRead."""
        match = _CURSOR.fullmatch(text)
        if match is None or not -(2**63) <= int(match[1]) < 2**63:
            raise BadRead("after", f"{text[:40]!r} is no cursor: give the `next` of the page before, as it was")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.ts}.{self.count}"


def page(
    store: Store,
    dataset: Dataset,
    start: int | None = None,
    end: int | None = None,
    columns: Sequence[str] | None = None,
    limit: int = 1000,
    newest: bool = False,
    source: str = "auto",
    after: Cursor | None = None,
) -> tuple[Scan, pl.DataFrame, Cursor | None]:
    """Return up to *limit* rows in time order, and the cursor of the next page, None where there are no more.

    With *newest* the first page has the last rows, and the next ones go back in time. Raises as Scan does.
    """
    with store.held():
        return _page(store, dataset, start, end, columns, limit, newest, source, after)


def _page(
    store: Store,
    dataset: Dataset,
    start: int | None,
    end: int | None,
    columns: Sequence[str] | None,
    limit: int,
    newest: bool,
    source: str,
    after: Cursor | None,
) -> tuple[Scan, pl.DataFrame, Cursor | None]:
    if after is not None and newest:
        end = after.ts + 1 if end is None else min(end, after.ts + 1)
    elif after is not None:
        start = after.ts if start is None else max(start, after.ts)
    given = 0 if after is None else after.count
    if after is not None and given > limit:
        # More than a page of one time, or a cursor of somebody's own: no more is read than there is.
        there = Scan(store, dataset, after.ts, after.ts + 1, ["TS"], source=source)
        given = min(given, sum(batch.num_rows for batch in there.batches()))
    scan = Scan(store, dataset, start, end, columns, limit + given + 1, newest, source)
    rows = scan.read()
    if after is not None:
        # Fewer than were given, where somebody took some away.
        skip = min(given, int((rows["TS"] == after.ts).sum()))
        rows = rows.head(rows.height - skip) if newest else rows.slice(skip)
    if rows.height <= limit:
        return scan, rows, None
    rows = rows.tail(limit) if newest else rows.head(limit)
    edge = int(rows["TS"][0 if newest else -1])
    count = int((rows["TS"] == edge).sum()) + (given if after is not None and after.ts == edge else 0)
    return scan, rows, Cursor(edge, count)
