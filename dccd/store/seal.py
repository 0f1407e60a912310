"""A checksum over a Parquet footer.

A finished file flows in and is sealed; the end of a file flows in and is checked. Parquet checks its pages but not
its footer, and Arrow ends the *process* over some damaged ones (a thrift field that makes no sense trips a C++
assertion), so that no exception could be raised: what we wrote is checked before Arrow sees it.

The seal stands within the footer, in our own metadata, as eight digits; the checksum is of the footer with zeros in
their place. To others it is text that means nothing.
"""

from __future__ import annotations

import os
from typing import BinaryIO, Protocol
from zlib import crc32

__all__ = ["UNSEALED", "read_footer", "seal", "sealed"]

UNSEALED = "00000000"
_MARK = b'"seal":"'
_MAGIC = b"PAR1"
_TAIL = 8  # length of the footer (4 bytes, little-endian), magic


class _Source(Protocol):
    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


def seal(file: BinaryIO) -> None:
    """Write the checksum into the footer of the finished *file*, open for reading and writing."""
    footer = read_footer(file)
    at = footer.rfind(_MARK) + len(_MARK)
    file.seek(-_TAIL - len(footer) + at, os.SEEK_END)
    file.write(b"%08x" % crc32(footer))
    file.seek(0, os.SEEK_END)


def sealed(footer: bytes) -> bool:
    """Whether *footer* has a seal. Raises ValueError when it doesn't hold."""
    at = footer.rfind(_MARK)
    if at < 0:
        return False
    at += len(_MARK)
    blank = footer[:at] + UNSEALED.encode() + footer[at + len(UNSEALED) :]
    if footer[at : at + len(UNSEALED)] != b"%08x" % crc32(blank):
        raise ValueError("the footer is damaged: its checksum doesn't hold")
    return True


def read_footer(source: _Source) -> bytes:
    """Return the footer of a Parquet file. Raises ValueError when there is none."""
    size = source.seek(0, os.SEEK_END)
    if size < _TAIL + len(_MAGIC):
        raise ValueError(f"{size} bytes are no Parquet file")
    source.seek(size - _TAIL)
    tail = source.read(_TAIL)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or not 0 < length <= size - _TAIL - len(_MAGIC):
        raise ValueError("no Parquet file, or its end is missing")
    source.seek(size - _TAIL - length)
    return source.read(length)
