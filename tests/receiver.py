"""A webhook's receiver on loopback: what is posted flows in and is kept; it answers as it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import anyio
import msgspec
from aiohttp import web

__all__ = ["Receiver"]


class Receiver:
    """A real HTTP server. ``posts`` holds path, headers and body of each request, ``status``, ``headers`` and ``body``
    are what it answers; at the paths in ``silent`` nothing."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.headers, self.body = 200, dict[str, str](), b"as you say"
        self.silent: set[str] = set()
        self._over = anyio.Event()
        self._news = anyio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.posts.append((request.path, dict(request.headers), await request.read()))
        self._news.set()
        if request.path in self.silent:
            await self._over.wait()
        return web.Response(status=self.status, headers=self.headers, body=self.body)

    def incidents(self, path: str = "/json") -> list[dict[str, Any]]:
        """What was taken there in JSON, in order."""
        return [one for at, _, body in self.posts if at == path for one in msgspec.json.decode(body)["incidents"]]

    async def until(self, count: int, path: str = "/json") -> list[dict[str, Any]]:
        """The incidents posted there, once there are *count* of them."""
        await self._until(lambda: len(self.incidents(path)) >= count)
        return self.incidents(path)

    async def texts(self, count: int, path: str) -> list[str]:
        """The bodies posted there, once there are *count* of them."""
        await self._until(lambda: sum(at == path for at, _, _ in self.posts) >= count)
        return [body.decode() for at, _, body in self.posts if at == path]

    async def _until(self, good: Callable[[], bool]) -> None:
        with anyio.fail_after(60):
            while not good():
                self._news = anyio.Event()
                await self._news.wait()
