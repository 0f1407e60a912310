"""Why a server couldn't be reached: the exception of whatever library tried flows in, words flow out. Pure."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import aiohttp

__all__ = ["why"]

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


def why(exc: BaseException) -> str | None:
    """What happened on the way to the server; ``None``: nothing that is known by its kind.

    Libraries wrap errors: what is looked at is *exc*, and all that it came from.
    """
    for one in _origins(exc):
        told = _words(one)
        if told is not None:
            return told
    return None


def _words(exc: BaseException) -> str | None:
    if isinstance(exc, socket.gaierror):
        return f"its name isn't found, so there is no network or no DNS ({exc.strerror or exc})"
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed ({exc})"
    if isinstance(exc, ConnectionRefusedError):
        return "the connection was refused, so nothing listens there"
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    if isinstance(exc, ConnectionError):
        return "the connection was broken off"
    if isinstance(exc, OSError) and exc.errno in _NO_ROUTE:
        return f"there is no way to it, so perhaps no network ({exc.strerror or exc})"
    # After the others: where a name isn't found in time, both are in the chain.
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    return None


def _origins(exc: BaseException) -> Iterator[BaseException]:
    """*exc*'s origins, the first first, and itself last."""
    chain: list[BaseException] = []
    one: BaseException | None = exc
    while one is not None and one not in chain:
        chain.append(one)
        inner = getattr(one, "os_error", None)  # aiohttp's have theirs there
        one = inner if isinstance(inner, BaseException) else one.__cause__ or one.__context__
    yield from reversed(chain)
