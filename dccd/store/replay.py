"""Tick messages of one dataset become rows, whether they come for the first time or again.

Sequence numbers and bodies of messages flow in, Arrow tables flow out. After a crash the bus delivers again what was
not acknowledged; some of that is on disk. The footers of the segments (and of the base that they were folded into) say
up to which message, a period at a time, since one message may hold records of two periods and the crash may have come
between the two segments.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dccd.errors import BadRecord
from dccd.store.layout import period_bounds, period_of
from dccd.store.reader import Store
from dccd.store.schema import SCHEMAS, table_from_payloads
from dccd.symbols import Dataset

__all__ = ["table_of", "unstored"]

Messages = Sequence[tuple[int, bytes]]
"""Bus sequence and body (a JSON array of records), in order of the sequences."""


def table_of(dataset: Dataset, messages: Messages) -> pa.Table:
    """Return all rows of *messages*. Raises BadRecord, whose ``index`` is the message at fault."""
    return table_from_payloads(dataset.data_type, [payload for _, payload in messages])


def unstored(store: Store, dataset: Dataset, epoch: str, messages: Messages) -> pa.Table:
    """Return those rows of *messages* that aren't on disk yet. Raises BadRecord as above, CorruptFile."""
    kind = dataset.data_type
    positions: dict[str, int] = {}
    parts = [SCHEMAS[kind].empty_table()]
    for index, (seq, payload) in enumerate(messages):
        try:
            left = table_from_payloads(kind, [payload])
        except BadRecord as exc:
            raise BadRecord(index, str(exc)) from exc
        while left.num_rows:
            period = period_of(kind, left["TS"][0].as_py())
            start, end = period_bounds(period)
            inside = pc.and_(pc.greater_equal(left["TS"], start), pc.less(left["TS"], end))
            if period not in positions:
                positions[period] = store.stored_position(dataset, period, epoch)
            if seq > positions[period]:
                parts.append(left.filter(inside))
            left = left.filter(pc.invert(inside))
    return pa.concat_tables(parts)
