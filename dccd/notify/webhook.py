"""The one place that speaks HTTP to webhooks: requests flow out, and whether they were taken flows back."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import aiohttp

from dccd.errors import NotTold
from dccd.notify.forms import Post
from dccd.printable import printable

__all__ = ["Sender"]

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_SAID = 200


class Sender:
    """Sends to webhooks over a session of its own; use it as ``async with``."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._sent = self._refused = 0

    def __repr__(self) -> str:
        return f"<Sender {self._sent} sent, {self._refused} not>"

    async def __aenter__(self) -> Self:
        # Proxies of the environment are how servers in closed networks get out.
        # An answer is read as it comes: a few bytes of it may unpack to gigabytes.
        headers = {"User-Agent": "dccd", "Accept-Encoding": "identity"}
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True, headers=headers, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def send(self, url: str, post: Post) -> None:
        """POST it. Raises NotTold when nobody takes it; no text of that has the URL, whose path is a password."""
        try:
            await self._post(url, post)
        except NotTold:
            self._refused += 1
            raise
        self._sent += 1

    async def _post(self, url: str, post: Post) -> None:
        assert self._session is not None
        try:
            async with self._session.post(url, data=post.body, headers=post.headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return
                # On one line: it goes into logs and onto terminals.
                said = " ".join(printable((await answer.content.read(_SAID)).decode("utf-8", "replace")).split())
                retry = answer.headers.get("Retry-After", "")
                raise NotTold(
                    f"HTTP {answer.status}" + (f": {said}" if said else ""), float(retry) if retry.isdecimal() else None
                )
        except TimeoutError as exc:
            raise NotTold("no answer within 10 s") from exc
        except aiohttp.ClientConnectorError as exc:
            raise NotTold(f"no connection: {exc.os_error.strerror or exc.os_error}") from exc
        except (aiohttp.ClientError, ValueError) as exc:
            raise NotTold(type(exc).__name__) from exc
