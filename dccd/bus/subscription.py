"""Messages of a subject, and the interest in it: nats-py's messages flow in, ours flow out to a callback.

A callback that fails is logged and counted, and gets the next message all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from structlog.typing import FilteringBoundLogger

__all__ = ["Message", "Subscription", "delivery_to"]


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message as subscribers get it."""

    subject: str
    data: bytes
    reply: str = ""
    headers: Mapping[str, str] | None = None


class Subscription:
    """Interest in a subject; ends with :meth:`unsubscribe` or the connection. Returned by ``Bus.subscribe``."""

    def __init__(self, subscription: NatsSubscription) -> None:
        self._subscription = subscription

    @property
    def subject(self) -> str:
        """As subscribed to, wildcards included."""
        return self._subscription.subject

    @property
    def pending(self) -> int:
        """Messages received that the callback has not had yet."""
        return self._subscription.pending_msgs

    async def unsubscribe(self) -> None:
        """End it; what has not reached the callback is dropped. Safe to repeat, and on a closed connection."""
        with contextlib.suppress(nats.errors.Error):
            await self._subscription.unsubscribe()

    def __repr__(self) -> str:
        return f"<Subscription {self.subject} pending={self.pending}>"


def delivery_to(
    callback: Callable[[Message], Awaitable[None]], log: FilteringBoundLogger, errors: Counter[str]
) -> Callable[[Msg], Awaitable[None]]:
    """Return what nats-py is to call for *callback*; what that raises is told to *log*, and counted in *errors*."""

    async def deliver(message: Msg) -> None:
        try:
            await callback(Message(message.subject, message.data, message.reply, message.headers))
        except asyncio.CancelledError:
            # It would end the subscription in silence. Its task is cancelled by unsubscribe() only, and then
            # nothing is delivered any more.
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # a callback runs in a task
                raise
            log.error("a subscriber raised CancelledError", subject=message.subject)
        except Exception:
            errors["callback"] += 1
            log.exception("a subscriber failed", subject=message.subject)

    return deliver
