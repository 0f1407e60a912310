"""Rows as an Arrow IPC stream, piece by piece, and back: what ``dccd.read`` sends, in bounded memory at both ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from dccd.errors import BusError
from dccd.store.scan import Scan

__all__ = ["Decoder", "encoded", "pieces"]

_MORE = b"\xff\xff\xff\xff"
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def pieces(scan: Scan, rows: int = 8192) -> Iterator[bytes]:
    """Yield an Arrow IPC stream of *scan*, about *rows* rows at a time, the schema first; see
    :class:`~dccd.store.scan.About`. Raises BadRead, CorruptFile."""
    yield from encoded(scan.about.on(scan.schema), scan.batches(rows))


def encoded(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Yield the stream of *batches*, all of *schema*: that first, then a piece a batch, and the end."""
    yield schema.serialize().to_pybytes()
    for batch in batches:
        yield batch.serialize().to_pybytes()
    yield _END


class Decoder:
    """An Arrow IPC stream that comes in pieces of any size: bytes in, record batches out, and no more held than the
    piece of a batch that isn't whole yet.

    ``schema`` is None until it has come, ``ended`` is whether the stream's end has.
    """

    def __init__(self) -> None:
        self.schema: pa.Schema | None = None
        self.ended = False
        self._held = b""

    def __repr__(self) -> str:
        return f"<Decoder {len(self._held)} bytes held, ended: {self.ended}>"

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their batch."""
        return len(self._held)

    def feed(self, data: bytes) -> list[pa.RecordBatch]:
        """Take the next bytes, return the batches that are whole by now. Raises BusError for what is no such
        stream."""
        self._held = self._held + data if self._held else data
        batches: list[pa.RecordBatch] = []
        source = pa.BufferReader(self._held)
        at = 0
        while at < len(self._held) and not self.ended:
            if self._held.startswith(_END, at):
                self.ended, at = True, at + len(_END)
                break
            try:
                message = pa.ipc.read_message(source)
            except (pa.ArrowException, OSError) as exc:
                if _is_part(self._held[at : at + 8], len(self._held) - at, exc):
                    break
                raise BusError(f"what came is no Arrow IPC stream: {exc}") from exc
            at = source.tell()
            try:
                if self.schema is None:
                    self.schema = pa.ipc.read_schema(message)
                else:
                    batches.append(pa.ipc.read_record_batch(message, self.schema))
            except pa.ArrowException as exc:
                raise BusError(f"what came is no Arrow IPC stream of rows: {exc}") from exc
        self._held = self._held[at:]
        return batches


def _is_part(head: bytes, size: int, exc: Exception) -> bool:
    """Whether *size* bytes that begin with *head* may be the beginning of a message, though Arrow raised *exc*."""
    if not _MORE.startswith(head[:4]):
        return False
    # Arrow raises an OSError where only the body isn't all there.
    return size < 8 or size < 8 + int.from_bytes(head[4:8], "little") or isinstance(exc, OSError)
