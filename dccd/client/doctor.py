"""Files looked at without a daemon: a ``data_path`` flows in, the lines flow out that a daemon would send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from dccd import messages as m

__all__ = ["examine_files"]


def examine_files(data_path: Path, dataset: str | None = None, *, set_aside: bool = False) -> Iterator[m.DoctorLine]:
    """As :meth:`Client.doctor`, right in the files. Any number of daemons may write there meanwhile."""
    from dccd.store.doctor import examine  # Polars and Arrow: half a second
    from dccd.store.layout import Layout

    for one in examine(Layout(data_path), dataset or "", set_aside):
        yield msgspec.convert(msgspec.to_builtins(one), m.DoctorLine)
