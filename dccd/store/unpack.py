"""Stored rows as records again: frames flow in, in the order of the store, the records that they were made of flow out.

A row is a record, but for order books: there rows that follow each other with the same time, number and kind are the
levels of one. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import DataType

__all__ = ["Unpacker"]

_TYPES: dict[DataType, Any] = {
    DataType.TRADES: Trade,
    DataType.OHLC: Bar,
    DataType.FUNDING: FundingRate,
    DataType.OPEN_INTEREST: OpenInterest,
}
_FIELDS: dict[DataType, list[str]] = {
    kind: ["TS", *(name for name in type_.__struct_fields__[1:] if name != "closed")] for kind, type_ in _TYPES.items()
}
_BOOK = ["TS", "seq", "is_snapshot", "recv_ts", "side", "price", "amount"]
_ONE = itemgetter(0, 1, 2)


class Unpacker:
    """Makes records of one dataset's rows, which come as frames: :meth:`feed` each, and :meth:`end` after the last.

    The levels of one book may lie in two frames: it is held until the next begins.
    """

    def __init__(self, data_type: DataType) -> None:
        self._data_type = data_type
        self._held: list[tuple[Any, ...]] = []

    def __repr__(self) -> str:
        return f"<Unpacker {self._data_type}, {len(self._held)} levels held>"

    def feed(self, frame: pl.DataFrame) -> list[Record]:
        """Return the records that are whole by now. A frame needs all columns of its data type."""
        if self._data_type is DataType.ORDERBOOK:
            rows = [*self._held, *frame.select(_BOOK).iter_rows()]
            if not rows:
                return []
            last = _ONE(rows[-1])
            first = next(at for at in range(len(rows), -1, -1) if not at or _ONE(rows[at - 1]) != last)
            self._held = rows[first:]
            return list(_books(rows[:first]))
        type_ = _TYPES[self._data_type]
        return [type_(*row) for row in frame.select(_FIELDS[self._data_type]).iter_rows()]

    def end(self) -> list[Record]:
        """Return what was held."""
        rows, self._held = self._held, []
        return list(_books(rows))


def _books(rows: list[tuple[Any, ...]]) -> Iterator[Record]:
    for (ts, seq, snapshot), group in groupby(rows, _ONE):
        sides: dict[str, list[tuple[float, float]]] = {"bid": [], "ask": []}
        levels = list(group)
        for *_, side, price, amount in levels:
            sides[side].append((price, amount))
        kind = BookSnapshot if snapshot else BookDelta
        yield kind(ts, 0 if seq is None else seq, sides["bid"], sides["ask"], levels[-1][3])
