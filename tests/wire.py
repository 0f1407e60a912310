"""NATS frames as no client library makes them: bytes flow in, written to the server as they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import urlparse

__all__ = ["frame", "put"]


def frame(subject: bytes, reply: bytes = b"", body: bytes = b"", headers: bytes = b"") -> bytes:
    """The line and the bytes that publish *body*, with *headers* just as they are here."""
    line = b" ".join(part for part in (b"HPUB" if headers else b"PUB", subject, reply) if part)
    sizes = b"%d %d" % (len(headers), len(headers) + len(body)) if headers else b"%d" % len(body)
    return line + b" " + sizes + b"\r\n" + headers + body + b"\r\n"


async def put(url: str, *frames: bytes, user: str | None = None, password: str | None = None) -> bytes:
    """Send *frames* on a connection of their own; returns what the server says, up to its PONG or until it hangs up."""
    where = urlparse(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    options = {"verbose": False, "pedantic": False, "headers": True, "user": user, "pass": password}
    try:
        async with asyncio.timeout(60):
            await reader.readline()
            said = b""
            with contextlib.suppress(ConnectionError):
                writer.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
                writer.write(b"".join(frames) + b"PING\r\n")
                await writer.drain()
                while b"PONG" not in said and (read := await reader.read(65_536)):
                    said += read
            return said
    finally:
        writer.close()
