"""Checksums over a Parquet footer, and over what comes before it.

A finished file flows in and is sealed; the end of a file flows in and is checked. Parquet checks its pages but not
its footer, and Arrow ends the *process* over some damaged ones (a thrift field that makes no sense trips a C++
assertion), so that no exception could be raised: what we wrote is checked before Arrow sees it.

The seal stands within the footer, in our own metadata, as eight digits; the checksum is of the footer with zeros in
their place. To others it is text that means nothing. Beside it stands the checksum of the *body*, all that comes before
the footer: the headers of pages have none either, and one bit of an encoding makes other values of a page that is
whole. It is verified where the whole file is read anyhow: of small files, and by ``dccd doctor``.
"""

from __future__ import annotations

import os
from typing import BinaryIO, Protocol
from zlib import crc32

__all__ = ["UNSEALED", "check_body", "read_footer", "seal", "sealed"]

UNSEALED = "00000000"
_MARK = b'"seal":"'
_BODY = b'"body":"'
_CHUNK = 1 << 20
_MAGIC = b"PAR1"
_TAIL = 8  # length of the footer (4 bytes, little-endian), magic


class _Source(Protocol):
    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


def seal(file: BinaryIO) -> None:
    """Write the checksums into the footer of the finished *file*, open for reading and writing."""
    footer = read_footer(file)
    at = footer.rfind(_BODY) + len(_BODY)
    file.flush()
    digits = _body_digits(file, len(footer))
    file.seek(-_TAIL - len(footer) + at, os.SEEK_END)
    file.write(digits)
    footer = footer[:at] + digits + footer[at + len(digits) :]
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


def check_body(source: _Source, footer: bytes) -> None:
    """Compare what comes before *footer* with its checksum, where it has one. Raises ValueError."""
    at = footer.rfind(_BODY)
    if at < 0:
        return  # written before there was one, or by others
    at += len(_BODY)
    if footer[at : at + len(UNSEALED)] != _body_digits(source, len(footer)):
        raise ValueError("the file is damaged: the checksum of its pages doesn't hold")


def _body_digits(source: _Source, footer: int) -> bytes:
    left, checksum = source.seek(0, os.SEEK_END) - _TAIL - footer, 0
    source.seek(0)
    while left:
        chunk = source.read(min(left, _CHUNK))
        if not chunk:
            raise ValueError("the file ends before its footer")
        checksum = crc32(chunk, checksum)
        left -= len(chunk)
    return b"%08x" % checksum


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
