"""How far an archiver has stored the bus's stream, kept beside the data.

A position flows in after each flush and out at the next start. The bus remembers it too, but a power cut may take back
what it had acknowledged and not yet synced; sequence numbers are given out again then, and only what was synced here
tells that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import msgspec

from dccd.store.files import write_durably
from dccd.store.layout import Layout
from dccd.store.parquet import BusPosition

__all__ = ["read_position", "write_position"]


def read_position(layout: Layout, owner: str, stream: str, epoch: str) -> int:
    """Return the highest sequence number that *owner* has stored of this *epoch* of *stream*; 0 when it knows none."""
    try:
        position = msgspec.json.decode(_path(layout, owner).read_bytes(), type=BusPosition)
    except (FileNotFoundError, msgspec.DecodeError):
        # Written by rename, it is whole or absent; whatever else it is, it says nothing.
        return 0
    return position.last if (position.stream, position.epoch) == (stream, epoch) else 0


def write_position(layout: Layout, owner: str, position: BusPosition) -> None:
    """Note *position*; durable on return. Raises StoreFull, StoreError."""
    path = _path(layout, owner)
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(file: BinaryIO) -> None:
        file.write(msgspec.json.encode(position))

    write_durably(path, owner, write)


def _path(layout: Layout, owner: str) -> Path:
    return layout.root / ".dccd" / f"stored-{re.sub(r'[^A-Za-z0-9_-]', '-', owner)}.json"
