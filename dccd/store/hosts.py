"""Under which names hosts have kept a ``data_path``: a name flows in at each start, all of them flow out.

One empty file a host, ``{root}/.dccd/hosts/{host}``: what a run of one of them has stored is here.
"""

from __future__ import annotations

from pathlib import Path

from dccd.store.files import make_folder, os_errors, sync_folder
from dccd.store.layout import Layout

__all__ = ["hosts_of", "note_host"]


def note_host(layout: Layout, host: str) -> None:
    """Remember that *host*, the id of one, keeps the folder; durable on return. Raises StoreFull, StoreError."""
    folder = _folder(layout)
    with os_errors(folder):
        make_folder(folder)
        (folder / host).touch()
        sync_folder(folder)


def hosts_of(layout: Layout) -> set[str]:
    """Return the ids of all hosts that have ever kept the folder. Raises StoreError."""
    folder = _folder(layout)
    with os_errors(folder):
        return {path.name for path in folder.iterdir()} if folder.exists() else set()


def _folder(layout: Layout) -> Path:
    return layout.root / ".dccd" / "hosts"
