"""The live feed of one dataset: tick messages flow in from the bus, typed records flow out of an iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import ExitStack, aclosing
from typing import Generic, TypeVar

import msgspec

from dccd import subjects
from dccd.bus.connection import Bus, Message, Subscription
from dccd.errors import BusError
from dccd.records import RECORD_TYPES
from dccd.symbols import Dataset

__all__ = ["Ticks"]

_AHEAD = 65_536
"""Messages held for a reader that is slower than the market."""

T = TypeVar("T")


class Ticks(Generic[T]):
    """The live feed of one dataset: ``async for trade in ticks``, or ``async for trades in ticks.batches()``.

    It is what is published from the first step on (``async with ticks:`` subscribes before), with no memory: what is
    published while the bus is away isn't seen (``interruptions`` counts how often it was), nor what a reader slower
    than the market has no room for (``lost`` messages). The store has it all; :meth:`Client.read` gives it.
    """

    def __init__(self, bus: Callable[[], Bus], dataset: Dataset) -> None:
        self.dataset = dataset
        self.messages = 0
        self.lost = 0
        self.interruptions = 0
        self.unparsed = 0
        self._bus = bus
        self._decoder: msgspec.json.Decoder[list[T]] = msgspec.json.Decoder(RECORD_TYPES[dataset.data_type])
        self._arrived: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._subscription: Subscription | None = None
        self._closed: asyncio.Future[str] | None = None
        self._exit = ExitStack()

    def __repr__(self) -> str:
        return f"<Ticks {self.dataset} {self.messages} messages, {self.lost} lost, {self.interruptions} interruptions>"

    async def open(self) -> None:
        """Subscribe, if it hasn't yet: what is published once this has returned will be seen."""
        if self._subscription is None:
            bus = self._bus()
            self._subscription = await bus.subscribe(subjects.ticks(self.dataset), self._take)
            self._exit.callback(bus.on_change(self._changed))
            self._closed = asyncio.ensure_future(bus.wait_closed())
            self._closed.add_done_callback(lambda _: self._news.set())
            self._exit.callback(self._closed.cancel)

    async def aclose(self) -> None:
        """Unsubscribe. Safe to repeat."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            self._exit.close()
            await subscription.unsubscribe()

    async def __aenter__(self) -> Ticks[T]:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncIterator[T]:
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for record in batch:
                    yield record

    async def batches(self) -> AsyncGenerator[list[T], None]:
        """Yield lists of records: what one read of the exchange's socket held. Ends when the client is closed.

        Raises BusError when the connection is closed for good by the server.
        """
        await self.open()
        try:
            while True:
                while self._arrived:
                    data = self._arrived.popleft()
                    try:
                        batch = self._decoder.decode(data)
                    except msgspec.DecodeError:
                        self.unparsed += 1  # somebody else's message on this subject; ours always decode
                        continue
                    yield batch
                if self._closed is not None and self._closed.done():
                    if not self._closed.cancelled() and (why := self._closed.result()):
                        raise BusError(f"the bus closed the connection: {why}")
                    return
                self._news.clear()
                await self._news.wait()
        finally:
            await self.aclose()

    async def _take(self, message: Message) -> None:
        self.messages += 1
        if len(self._arrived) >= _AHEAD:
            self.lost += 1  # the newest, as NATS itself does: what is held stays in order without a hole in it
            return
        self._arrived.append(message.data)
        self._news.set()

    def _changed(self, connected: bool) -> None:
        self.interruptions += connected
