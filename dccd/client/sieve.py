"""What a feed that begins in the past leaves out: records from before its beginning, and what was handed out already.

Records of one message flow in, those of them that are to be handed out flow out. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any

from dccd.symbols import NS, Dataset, DataType

__all__ = ["RECENT_IDS", "RECENT_TRADES", "STORED_KEYS", "Joint", "Sieve", "earliest"]

RECENT_IDS = 4096
"""Messages among which, at least, one that the stream has twice is found."""
RECENT_TRADES = 8192
"""Trades of a dataset among which, at least, one that was published twice is found."""
STORED_KEYS = 65_536
"""Rows at the end of what is read from the store among which one that the stream has, too, is found."""


def earliest(dataset: Dataset, since: int) -> int:
    """The least ``ts`` (ns) of records that belong to the time from *since* on: a bar does that isn't over by then."""
    return since if dataset.span is None else since - dataset.span * NS + 1


class Joint:
    """Where what was read from the store ends, and the stream goes on.

    Rows before ``boundary`` (ns) were read; when that began all messages up to ``archived`` were stored, and when it
    had ended the stream ended at ``until``.
    """

    def __init__(self, boundary: int, archived: int) -> None:
        self.boundary, self.archived = boundary, archived
        self.until: int | None = None
        self.tids: deque[str] = deque(maxlen=RECENT_TRADES)
        self._keys: dict[Hashable, None] = {}

    def __repr__(self) -> str:
        return f"<Joint boundary={self.boundary} archived={self.archived} {len(self._keys)} keys>"

    def read(self, data_type: DataType, records: Iterable[Any]) -> None:
        """Note what was handed out from the store."""
        for record in records:
            self._keys[_key(data_type, record)] = None
            if data_type is DataType.TRADES and record.tid is not None:
                self.tids.append(record.tid)
        while len(self._keys) > STORED_KEYS:
            del self._keys[next(iter(self._keys))]

    def drops(self, data_type: DataType, record: Any, seq: int) -> bool:
        """Whether *record* of message *seq* was handed out from the store."""
        if record.ts >= self.boundary:
            return False
        if seq <= self.archived:
            return True
        # It may have been stored while the store was read, or has come too late for that.
        return (self.until is None or seq <= self.until) and _key(data_type, record) in self._keys


class Sieve:
    """Holds what it needs to know of the messages before. ``doubles`` counts records, or
    messages, that were left out as such."""

    def __init__(self, since: int | None, joint: Joint | None = None) -> None:
        self.since, self.joint = since, joint
        self.doubles = 0
        self._ids = Recent(RECENT_IDS)
        self._tids: dict[Dataset, Recent] = {}

    def __repr__(self) -> str:
        return f"<Sieve since={self.since} {self.doubles} doubles>"

    def is_double(self, id: str | None) -> bool:
        """Whether a message of this id has been seen."""
        if id is None:
            return False
        if id in self._ids:
            self.doubles += 1
            return True
        self._ids.update({id})
        return False

    def keep(self, dataset: Dataset, records: list[Any], seq: int) -> list[Any]:
        """Return those of *records*, of message *seq*, that are to be handed out."""
        if self.since is not None:
            low = earliest(dataset, self.since)
            records = [record for record in records if record.ts >= low]
        if (joint := self.joint) is not None:
            kept = [record for record in records if not joint.drops(dataset.data_type, record, seq)]
            self.doubles += len(records) - len(kept)
            records = kept
        return self._new_trades(dataset, records) if dataset.data_type is DataType.TRADES else records

    def _new_trades(self, dataset: Dataset, records: list[Any]) -> list[Any]:
        known = self._tids.get(dataset)
        if known is None:
            before = () if self.joint is None else self.joint.tids
            known = self._tids[dataset] = Recent(RECENT_TRADES, before)
        ids = [record.tid for record in records]
        new = set(ids)
        if None in new or len(new) < len(ids) or not known.isdisjoint(new):
            kept, new = [], set()
            for record in records:
                tid = record.tid
                if tid is None:
                    kept.append(record)
                elif tid not in new and tid not in known:
                    new.add(tid)
                    kept.append(record)
            self.doubles += len(records) - len(kept)
            records = kept
        known.update(new)
        return records


class Recent:
    """The newest of what was put in: at least *limit*, and at most twice as many. Two sets, of which the older one is
    dropped when the newer one is full: nothing is done for each."""

    def __init__(self, limit: int, first: Iterable[str] = ()) -> None:
        self._limit = limit
        self._new, self._old = set(first), set[str]()

    def __repr__(self) -> str:
        return f"<Recent {len(self._new) + len(self._old)}>"

    def __contains__(self, item: str) -> bool:
        return item in self._new or item in self._old

    def isdisjoint(self, items: set[str]) -> bool:
        """Whether none of *items* is in it."""
        return self._new.isdisjoint(items) and self._old.isdisjoint(items)

    def update(self, items: set[str]) -> None:
        """Put *items* in."""
        self._new |= items
        if len(self._new) >= self._limit:
            self._old, self._new = self._new, set()


def _key(data_type: DataType, record: Any) -> Hashable:
    """What tells a record from another of its dataset, as the store has it."""
    if data_type is DataType.TRADES:
        tid: str | None = record.tid
        return (record.ts, record.price, record.amount, record.side) if tid is None else tid
    return (record.ts, record.seq) if data_type is DataType.ORDERBOOK else (record.ts,)
