"""A folder as a remote: another disk, a network mount. Objects flow in and are files that are synced and renamed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from dccd.errors import RemoteAway, RemoteError, RemoteMissing, StoreError
from dccd.store.files import clean_temps, remove_empty, write_durably
from dccd.store.remote.base import CHUNK, Object

__all__ = ["FolderRemote"]


class FolderRemote:
    """The folder *root*, which must be there: one that isn't mounted must not be taken for an empty one."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root
        self.url = root.as_uri()

    def __repr__(self) -> str:
        return f"<FolderRemote {self.name} {self.url}>"

    def put(self, key: str, content: Iterable[bytes], size: int) -> None:
        self._there()

        def write(file: BinaryIO) -> None:
            for piece in content:
                file.write(piece)
            if file.tell() != size:
                raise RemoteError(self.name, f"{key}: {file.tell():,} bytes came, where {size:,} were told")

        try:
            write_durably(self._path(key), "remote", write)
        except StoreError as exc:
            raise RemoteAway(self.name, str(exc)) from exc

    def read(self, key: str) -> Iterator[bytes]:
        self._there()
        try:
            with self._path(key).open("rb") as file:
                while piece := file.read(CHUNK):
                    yield piece
        except FileNotFoundError as exc:
            raise RemoteMissing(self.name, key) from exc
        except OSError as exc:
            raise RemoteAway(self.name, f"{key}: {exc.strerror or exc}") from exc

    def list(self, prefix: str) -> Iterator[Object]:
        self._there()
        for folder, _, names in os.walk(self.root / prefix):
            clean_temps(Path(folder), "remote")  # of uploads that were killed; one whose writer lives is left alone
            for name in names:
                path = Path(folder, name)
                if not name.endswith(".tmp"):
                    yield Object(path.relative_to(self.root).as_posix(), path.stat().st_size)

    def delete(self, keys: Iterable[str]) -> None:
        self._there()
        for key in keys:
            path = self._path(key)
            try:
                path.unlink(missing_ok=True)
            except OSError as exc:
                raise RemoteAway(self.name, f"{key}: {exc.strerror or exc}") from exc
            remove_empty(path.parent)

    def _path(self, key: str) -> Path:
        return self.root / key

    def _there(self) -> None:
        if not self.root.is_dir():
            raise RemoteAway(self.name, f"there is no folder {self.root}; is it mounted? (it isn't made by itself)")
