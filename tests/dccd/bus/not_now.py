"""JetStream that can't now, at the real server, in both forms: an error in JSON, and the server's status when nobody
listens.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from nats.aio.msg import Msg

from dccd.bus.connection import Bus

__all__ = ["NOT_NOW", "NotNow", "not_now"]

NOT_NOW = (
    b'{"type":"io.nats.jetstream.api.v1.response",'
    b'"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}'
)
"""What a cluster without a leader answers."""


class NotNow(Bus):
    """A connection on which what is asked of subjects that ``refuses`` (a regular expression) finds goes where the
    answer is that."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.refuses: str | None = None
        self.refused: list[str] = []

    async def exchange(
        self, subject: str, payload: bytes = b"", timeout: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> Msg:
        if self.refuses is not None and re.search(self.refuses, subject):
            self.refused.append(subject)
            subject = "not.now"
        return await super().exchange(subject, payload, timeout, headers)


@asynccontextmanager
async def not_now(url: str, form: str) -> AsyncIterator[NotNow]:
    """Such a connection; *form* is ``json`` or ``status``."""

    async def answer(message: Msg) -> None:
        await message.respond(NOT_NOW)

    async with await NotNow.open(url, "test") as bus:
        assert isinstance(bus, NotNow)
        if form == "json":
            await bus.client.subscribe("not.now", cb=answer)
            await bus.barrier()
        yield bus
