"""A connection that hears itself: an empty subject flows out, and back in once the server has taken all before it.

Messages of one connection are taken in their order, so what comes back says that whatever was published or subscribed
to before has arrived, or was refused. nats-py's ``flush`` doesn't tell: it waits for any pong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from nats.aio.client import Client
from nats.aio.msg import Msg

from dccd import subjects
from dccd.bus.translation import translated

__all__ = ["Echo"]

_WAIT = 5.0


class Echo:
    """The echo of *client*'s connection; *refusal* is :meth:`dccd.bus.refusals.Refusals.of`."""

    def __init__(self, client: Client, refusal: Callable[[str], AbstractContextManager[asyncio.Future[None]]]) -> None:
        self.subject = ""
        """Where it is heard; empty where it isn't."""
        self._client, self._refusal = client, refusal
        self._number = 0
        self._waiting: dict[bytes, asyncio.Future[None]] = {}

    def __repr__(self) -> str:
        return f"<Echo {self.subject or 'silent'} {self._number} sent>"

    async def start(self, inbox_prefix: str) -> bool:
        """Hear ourselves; returns whether we may.

        On a subject of its own within the inbox, that a user may publish to which may not to inboxes otherwise.
        """
        self.subject = subjects.echo(inbox_prefix, self._client._nuid.next().decode())
        with self._refusal(self.subject) as refused, translated("subscribing to an inbox"):
            subscription = await self._client.subscribe(self.subject, cb=self._heard)
            echo = asyncio.ensure_future(self.hear())
            try:
                await asyncio.wait({echo, refused}, timeout=_WAIT, return_when=asyncio.FIRST_COMPLETED)
                if echo.done():
                    return True
                await subscription.unsubscribe()
            finally:
                echo.cancel()
        self.subject = ""
        return False

    async def hear(self) -> None:
        """Wait until the server has taken all that was sent before, or has lost it with the connection."""
        self._number += 1
        number = b"%d" % self._number
        self._waiting[number] = heard = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(self.subject, number)
            await heard
        finally:
            self._waiting.pop(number, None)

    def lost(self) -> None:
        """The connection was lost, and what was sent on it; subscriptions are made again before all else is sent."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)

    async def _heard(self, message: Msg) -> None:
        waiting = self._waiting.pop(message.data, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
