"""The configuration that an embedded nats-server is started with: the common one, users, and TLS.

Paths flow in, the text of a file that includes them flows out (:func:`server_conf`), and the file itself
(:func:`write_server_conf`). A running server reads it again when it gets SIGHUP (:func:`reload`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

import msgspec

from dccd.bus.folder import ServerFolder
from dccd.errors import BusError

__all__ = ["ServerTls", "quoted", "reload", "server_conf", "write_server_conf"]

NAME = "server.conf"


class ServerTls(msgspec.Struct, frozen=True, kw_only=True):
    """A server's certificate and key (PEM), the ``ca`` of its clients' certificates, and whether it asks for one."""

    cert: str
    key: str
    ca: str | None = None
    verify: bool = False


def server_conf(folder: Path, includes: Iterable[Path], tls: ServerTls | None = None) -> str:
    """The text of a configuration in *folder* that includes the files *includes*."""
    # The server takes what it includes from the file's own folder on, a path that begins with / too.
    lines = [f"include {quoted(os.path.relpath(path.resolve(), folder.resolve()))}" for path in includes]
    if tls is not None:
        found = {"cert_file": tls.cert, "key_file": tls.key, "ca_file": tls.ca}
        lines.append("tls {")
        lines += [f"  {name}: {quoted(str(Path(path).absolute()))}" for name, path in found.items() if path is not None]
        lines += [f"  verify: {str(tls.verify).lower()}", "  timeout: 5", "}"]
    return "\n".join(["# Written by dccd at each start.", *lines, ""])


def write_server_conf(folder: Path, includes: Iterable[Path], tls: ServerTls | None = None) -> Path:
    """Write it, where it isn't there as it is to be, and return its path. Raises BusError."""
    path, text = folder / NAME, server_conf(folder, includes, tls)
    try:
        # On a full disk a server must be able to start as it did before.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    except OSError as exc:
        raise BusError(f"{path} can't be written: {exc.strerror}") from exc
    return path


def reload(folder: Path) -> bool:
    """Tell the server that runs on *folder* to read its configuration again; returns whether there is one.

    One that finds an error in it goes on as it was, and says so in its log.
    """
    pid = ServerFolder(folder).running()
    if pid is None:
        return False
    os.kill(pid, signal.SIGHUP)
    return True


def quoted(text: str) -> str:
    """*text* as a string of the configuration's syntax."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
