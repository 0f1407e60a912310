"""Ticks as Polars frames: messages and records flow in, frames with the columns of the store flow out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dccd.bus.incoming import StreamMessage
from dccd.errors import BadRecord
from dccd.symbols import Dataset, DataType

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FrameBuilder", "empty_frame", "rows_in"]


def empty_frame(data_type: DataType, several: bool = False) -> pl.DataFrame:
    """A frame without rows: the columns of *data_type* as they are stored; of *several* datasets ``dataset``, too."""
    import polars as pl

    from dccd.store.schema import SCHEMAS  # polars and pyarrow: half a second that only those pay who want frames

    frame = pl.from_arrow(SCHEMAS[data_type].empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.lit(None, pl.String).alias("dataset")) if several else frame


def rows_in(data_type: DataType, payload: bytes) -> int:
    """How many rows a message of ours makes, without parsing it; of a foreign one, about as many."""
    if data_type is DataType.ORDERBOOK:
        return payload.count(b"],[") + payload.count(b":[[")
    return payload.count(b'"ts":')


class FrameBuilder:
    """Collects until :meth:`take` makes one frame of it. ``rows`` is how many there are, about.

    Rows of one dataset are in the order in which they came; of *several*, a dataset's follow another's.
    """

    def __init__(self, data_type: DataType, several: bool) -> None:
        self.rows = 0
        self.unparsed = 0
        self._data_type, self._several = data_type, several
        self._empty = empty_frame(data_type, several)
        self._parts: dict[Dataset, list[pl.DataFrame | bytes | list[Any]]] = {}

    def __repr__(self) -> str:
        return f"<FrameBuilder {self._data_type} {self.rows} rows of {len(self._parts)} datasets>"

    def add(self, dataset: Dataset, message: StreamMessage) -> None:
        """Take a message as it is."""
        self._parts.setdefault(dataset, []).append(message.data)
        self.rows += rows_in(self._data_type, message.data)

    def add_records(self, dataset: Dataset, records: list[Any]) -> None:
        """Take records."""
        self._parts.setdefault(dataset, []).append(records)
        if self._data_type is DataType.ORDERBOOK:
            self.rows += sum(len(book.bids) + len(book.asks) for book in records)
        else:
            self.rows += len(records)

    def add_frame(self, dataset: Dataset, frame: pl.DataFrame) -> None:
        """Take rows of the store."""
        self._parts.setdefault(dataset, []).append(frame)
        self.rows += frame.height

    def take(self) -> pl.DataFrame:
        """One frame of what there is; from then on there is nothing."""
        import polars as pl

        parts, self._parts, self.rows = self._parts, {}, 0
        frames = [self._empty]
        for dataset, pieces in parts.items():
            for frame in self._frames(pieces):
                if self._several:
                    frame = frame.with_columns(pl.lit(dataset.name).alias("dataset"))
                frames.append(frame)
        return pl.concat(frames) if len(frames) > 2 else frames[-1]

    def _frames(self, pieces: list[pl.DataFrame | bytes | list[Any]]) -> list[pl.DataFrame]:
        """Pieces of one dataset, runs of a kind at a time."""
        import polars as pl

        from dccd.store.schema import table_from_records

        found: list[Any] = []
        payloads: list[bytes] = []
        records: list[Any] = []

        def flush() -> None:
            if payloads:
                found.append(self._parsed(payloads))
                payloads.clear()
            if records:
                found.append(table_from_records(self._data_type, records))
                records.clear()

        for piece in pieces:
            if isinstance(piece, bytes):
                if records:
                    flush()
                payloads.append(piece)
            elif isinstance(piece, list):
                if payloads:
                    flush()
                records.extend(piece)
            else:
                flush()
                found.append(piece)
        flush()
        names = [name for name in self._empty.columns if name != "dataset"]
        return [
            pl.DataFrame(one if isinstance(one, pl.DataFrame) else pl.from_arrow(one)).select(names) for one in found
        ]

    def _parsed(self, payloads: list[bytes]) -> Any:
        from dccd.store.schema import table_from_payloads

        while True:
            try:
                return table_from_payloads(self._data_type, payloads)
            except BadRecord as exc:
                del payloads[exc.index]  # somebody else's message on this subject; ours always parse
                self.unparsed += 1
