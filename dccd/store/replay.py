"""Tick messages of one dataset become rows, whether they come for the first time or again.

Sequence numbers and bodies of messages flow in, Arrow tables flow out. After a crash the bus delivers again what was
not acknowledged; some of that is on disk. The footers of the segments (and of the base that they were folded into)
say up to which message, a period at a time, since one message may hold records of two periods and the crash may have
come between the two segments.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from dccd.store.reader import Store
from dccd.store.schema import table_from_payloads
from dccd.store.writer import split
from dccd.symbols import Dataset

__all__ = ["table_of", "unstored"]

Messages = Sequence[tuple[int, bytes]]
"""Bus sequence and body (a JSON array of records), in order of the sequences."""


def table_of(dataset: Dataset, messages: Messages) -> pa.Table:
    """Return all rows of *messages*. Raises BadRecord, whose ``index`` is the message at fault."""
    return table_from_payloads(dataset.data_type, [payload for _, payload in messages])


def unstored(store: Store, dataset: Dataset, epoch: str, messages: Messages) -> pa.Table:
    """Return those rows of *messages* that aren't on disk, in a file that can be read. Raises BadRecord as above."""
    whole = table_of(dataset, messages)
    parts = [whole.slice(0, 0)]
    for period, rows in split(dataset.data_type, whole):
        # What a corrupt file held is written again: its rows are lost to readers, and to wait until somebody has mended
        # it would hold up what all other datasets have on the bus.
        position = store.stored_position(dataset, period, epoch, pass_over_corrupt=True)
        if position < messages[0][0]:
            parts.append(rows)
        elif position < messages[-1][0]:
            later = table_of(dataset, [message for message in messages if message[0] > position])
            parts += [rest for other, rest in split(dataset.data_type, later) if other == period]
    return pa.concat_tables(parts)
