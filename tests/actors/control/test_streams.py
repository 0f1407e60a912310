"""What streams can be started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors.control.streams import StreamDesk
from actors.links import StreamState
from actors.runtime.actor import Actor
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.exits import ActorError
from actors.runtime.root import open_root
from dccd.config import Config
from dccd.errors import NoCapability, RequestError
from dccd.exchanges.base import StreamOptions
from dccd.symbols import Dataset


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "field", "told"),
    [
        ("kraken.funding.BTC-USD", "data_type", "kraken has no funding"),
        ("bitmex.trades.BTC-USD_PERP", "exchange", "BitMEX closed on 2026-09-23; .* exchanges.bitmex.ws_url"),
    ],
)
async def test_what_can_not_be_had_is_not_started(name: str, field: str, told: str) -> None:
    """What the exchange doesn't offer, and what one that has closed offered, without a server that is named."""
    links: Any = SimpleNamespace(config=Config(), board={})
    with pytest.raises(NoCapability, match=told) as caught:
        await StreamDesk(links, links).start(Dataset.parse(name), StreamOptions())
    assert caught.value.field == field
    assert not links.board


DATASET = Dataset.parse("kraken.trades.BTC-USD")


class Puppet(Actor):
    """Collects nothing."""

    def __init__(self, state: StreamState) -> None:
        self.state = state


@asynccontextmanager
async def a_desk() -> AsyncIterator[tuple[StreamDesk, dict[str, StreamState]]]:
    """A desk with a supervisor of its own, and the states of the streams that run."""
    streams = DynamicSupervisor()
    clock = SimpleNamespace(wall_ns=lambda: 1)
    links: Any = SimpleNamespace(config=Config(), board={}, halted=set(), streams=streams, clock=clock)
    made: dict[str, StreamState] = {}

    class Noted(Puppet):
        async def on_start(self) -> None:
            made[self.state.dataset.name] = self.state

        async def on_stop(self) -> None:
            made.pop(self.state.dataset.name, None)

    with anyio.fail_after(20):
        async with open_root(streams):
            yield StreamDesk(links, Noted), made


@pytest.mark.anyio
async def test_a_stream_that_is_asked_for_many_times_at_once_is_the_one_on_the_board() -> None:
    """One of them has started it, and what it says of itself is what is shown."""
    async with a_desk() as (desk, made), anyio.create_task_group() as group:
        started = []

        async def start() -> None:
            started.append(await desk.start(DATASET, StreamOptions()))

        for _ in range(50):
            group.start_soon(start)
        while len(started) < 50:
            await anyio.lowlevel.checkpoint()
        assert sorted(started) == [False] * 49 + [True]
        assert desk.links.board[DATASET.name] is made[DATASET.name]


@pytest.mark.anyio
async def test_a_start_ends_a_halt() -> None:
    """Whoever restarts after it has the stream run."""
    async with a_desk() as (desk, _):
        desk.links.halted.add(DATASET.name)
        await desk.start(DATASET, StreamOptions())
        assert not desk.links.halted


@pytest.mark.anyio
async def test_stops_and_starts_at_once_end_as_the_board_says() -> None:
    """Whatever their order, a stream that runs is on the board, and none is there that doesn't run."""
    async with a_desk() as (desk, made):
        for round in range(40):

            async def ask(n: int) -> None:
                try:
                    await (desk.start(DATASET, StreamOptions()) if n % 3 else desk.stop(DATASET))
                except RequestError as exc:
                    assert exc.code == 404

            async with anyio.create_task_group() as group:
                for n in range(2 + round % 5):
                    group.start_soon(ask, n + round)
            assert desk.links.board == made


@pytest.mark.anyio
async def test_a_stream_that_could_not_be_started_is_not_on_the_board() -> None:
    """It would be shown as one that starts, for ever."""
    async with a_desk() as (desk, _):
        desk.make = lambda state: 1 / 0  # type: ignore[assignment,return-value]  # a start that fails
        with pytest.raises(ActorError):
            await desk.start(DATASET, StreamOptions())
        assert desk.links.board == {}
        assert not desk._turns
