"""The Prometheus endpoint: ``GET /metrics`` flows in, what is rendered flows out. The daemon's only HTTP.

It answers nothing else, takes no body, and holds a bounded number of connections for a bounded time: whoever reaches it
can ask for what is shown, and no more. One rendering at a time, and none when the one before is younger than a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import structlog
from aiohttp import web

from dccd.config_metrics import address
from dccd.errors import ListenError

__all__ = ["Endpoint", "Render"]

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Takes the header ``Accept``, gives a body and its content type."""

_CONNECTIONS = 32
_SECONDS = 30.0
"""For so long a connection may be idle, or take to ask, or to read its answer."""
_FRESH = 1.0
_CLOSE_SECONDS = 1.0
_UNHEARD = logging.getLogger("actors.scrape.http")
"""Of a request that is none aiohttp logs a traceback: whoever can connect could fill the log."""
_UNHEARD.setLevel(logging.CRITICAL + 1)


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        transport.close()


class Endpoint:
    """Serves what *render* gives. Open it with :meth:`open`; call :meth:`sweep` about once a second."""

    def __init__(self, render: Render) -> None:
        self._render = render
        # Its clients are few and known: short lines and few headers will do.
        self._web = web.Server(
            self._answer, access_log=None, logger=_UNHEARD, keepalive_timeout=_SECONDS, lingering_time=1.0,
            max_line_size=2048, max_field_size=4096,
        )  # fmt: skip
        self._server: asyncio.Server | None = None
        self._since: dict[Any, float] = {}
        self._rendering = asyncio.Lock()
        self._last: tuple[float, str, tuple[bytes, str]] | None = None
        self._log = structlog.get_logger("actors.scrape")
        self.url = ""

    def __repr__(self) -> str:
        return f"<Endpoint {self.url} connections={len(self._web.connections)}>"

    @classmethod
    async def open(cls, listen: str, render: Render) -> Endpoint:
        """Listen on *listen* (``127.0.0.1:9464``; port 0 is a free one). Raises ListenError."""
        self = cls(render)
        host, port = address(listen)
        try:
            # Not shared with whoever else has it: two daemons on one port would each be asked at random.
            self._server = await asyncio.get_running_loop().create_server(self._connection, host, port)
        except OSError as exc:
            raise ListenError(listen, exc.strerror or str(exc)) from exc
        bound = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{bound}/metrics"
        return self

    def sweep(self) -> None:
        """Close connections that have had their time; what is being answered is answered first."""
        now, open_now = time.monotonic(), self._web.connections
        self._since = {one: self._since.get(one, now) for one in open_now}
        for one, since in self._since.items():
            if now - since > 2 * _SECONDS:
                one.force_close()
            elif now - since > _SECONDS:
                one.close()

    async def aclose(self) -> None:
        """Close the port and all connections."""
        if self._server is not None:
            self._server.close()
        with anyio.CancelScope(shield=True), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * _CLOSE_SECONDS):
                await self._web.shutdown(_CLOSE_SECONDS)

    def _connection(self) -> asyncio.Protocol:
        return self._web() if len(self._web.connections) < _CONNECTIONS else _Refused()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/metrics":
            return web.Response(status=404, text="GET /metrics is all there is here\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="GET /metrics is all there is here\n", headers={"Allow": "GET, HEAD"})
        try:
            body, content_type = await self._rendered(request.headers.get("Accept", ""))
        except Exception:
            # It must not end the daemon, nor look like all is zero.
            self._log.exception("metrics could not be rendered")
            return web.Response(status=500, text="the daemon's log has it\n")
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _rendered(self, accept: str) -> tuple[bytes, str]:
        async with self._rendering:
            if self._last is not None and self._last[1] == accept and time.monotonic() - self._last[0] < _FRESH:
                return self._last[2]
            rendered = await self._render(accept)
            self._last = time.monotonic(), accept, rendered
            return rendered
