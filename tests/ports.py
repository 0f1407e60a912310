"""Ports for servers that are killed and started again at the same one."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

__all__ = ["free_port"]

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_000


def free_port() -> int:
    """A port of loopback that nobody has, and that the system doesn't give out by itself: while its server is down,
    neither another test's nor a client that looks for it gets it."""
    chance = random.SystemRandom()  # other processes choose, too
    end = int(_RANGE.read_text().split()[0])
    while True:
        port = chance.randrange(_FIRST, end)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
