"""A URL flows in, the remote that it names flows out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dccd.errors import RemoteError
from dccd.store.remote.base import Remote
from dccd.store.remote.folder import FolderRemote
from dccd.store.remote.objects import ObjectRemote
from dccd.store.remote.rclone import RcloneRemote

__all__ = ["open_remote"]


def open_remote(name: str, url: str, options: Mapping[str, Any] | None = None) -> Remote:
    """Return the remote at *url*, called *name*; *options* are those of the object store's provider.

    Nothing is asked of it yet. Raises Uninstalled when what it takes isn't here, RemoteError for what it can't be.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "file":
            return FolderRemote(name, Path(unquote(urlsplit(url).path)))
        case "rclone":
            return RcloneRemote(name, rest)
        case "s3" | "gs" | "az":
            return ObjectRemote(name, url, options or {})
    raise RemoteError(name, f"{scheme}: no kind of remote; there are s3, gs, az, file and rclone")
