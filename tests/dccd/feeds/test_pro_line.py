"""What one stream's share of ccxt.pro hands on, whatever ccxt.pro's methods do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import ccxt
import msgspec
import pytest

from dccd.errors import SocketClosed
from dccd.exchanges.base import Market
from dccd.exchanges.unified.frames import Refusal, Sent
from dccd.exchanges.unified.streams import TradeStream
from dccd.feeds.fake import FakeClock
from dccd.feeds.pro_line import ProLine

pytestmark = pytest.mark.anyio

TRADE = {"id": "1", "timestamp": 1, "price": 1.0, "amount": 1.0, "side": "buy"}


class Host(SimpleNamespace):
    """ccxt.pro's object, of which only ``watch_trades`` is asked."""

    def __init__(self, watch: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(api=SimpleNamespace(watch_trades=lambda _: watch()))

    def break_off(self, urls: set[str], reason: str) -> None: ...


async def told(watch: Callable[[ProLine], Awaitable[Any]]) -> list[Any]:
    """The frames of a line whose subscription goes as *watch* does, until it ends."""
    host: Any = Host(lambda: watch(line))
    changed = asyncio.Event()
    line = ProLine(host, TradeStream("some", Market("BTC/USD")), changed, FakeClock())
    line.send(line.protocol.subscribe())
    frames: list[bytes] = []
    async with asyncio.timeout(60):
        while True:
            changed.clear()
            try:
                reads = line.take()
            except SocketClosed:
                return [msgspec.json.decode(frame) for frame in frames]
            frames += [frame for _, read in reads for frame in read]
            if not reads:
                await changed.wait()


async def test_a_refusal_after_the_subscription_was_sent_is_one() -> None:
    """That it was sent is no answer of the exchange's: asked again, it would refuse for ever."""

    async def watch(line: ProLine) -> None:
        line.sent()
        assert line.last_own is None
        raise ccxt.BadSymbol("no such market")

    assert await told(watch) == [
        msgspec.to_builtins(Sent()),
        msgspec.to_builtins(Refusal("no such market", permanent=True)),
    ]


async def test_an_error_after_data_is_a_loss() -> None:
    """What has been served before may be again."""

    async def watch(line: ProLine) -> None:
        line.sent()
        line.trade(TRADE)
        await asyncio.sleep(0)
        assert line.last_own is not None
        raise ccxt.BadSymbol("no such market")

    assert [frame["type"] for frame in await told(watch)] == ["sent", "trades"]
