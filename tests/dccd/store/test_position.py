"""How far an archiver has stored the bus's stream."""

from __future__ import annotations

from pathlib import Path

from dccd.store.layout import Layout
from dccd.store.position import read_position, write_position
from dccd.store.writer import BusPosition


def test_a_position_reads_back_for_its_own_epoch_only(tmp_path: Path) -> None:
    """In a stream made anew the numbers mean nothing."""
    layout = Layout(tmp_path)
    assert read_position(layout, "alpha", "DCCD_TICKS", "e1") == 0
    write_position(layout, "alpha", BusPosition("DCCD_TICKS", "e1", 0, 41))
    write_position(layout, "alpha", BusPosition("DCCD_TICKS", "e1", 0, 42))
    assert read_position(layout, "alpha", "DCCD_TICKS", "e1") == 42
    assert read_position(layout, "alpha", "DCCD_TICKS", "e2") == 0
    assert read_position(layout, "beta", "DCCD_TICKS", "e1") == 0


def test_a_note_that_is_none_says_nothing(tmp_path: Path) -> None:
    """A damaged note is as none: the bus's own position holds."""
    layout = Layout(tmp_path)
    write_position(layout, "alpha", BusPosition("DCCD_TICKS", "e1", 0, 42))
    (note,) = (tmp_path / ".dccd").glob("stored-*.json")
    note.write_bytes(b"{")
    assert read_position(layout, "alpha", "DCCD_TICKS", "e1") == 0
