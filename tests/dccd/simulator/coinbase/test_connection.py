"""Coinbase over a real socket."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from dccd.simulator import ManualClock, SimConfig, Simulator
from dccd.simulator.coinbase import Coinbase

pytestmark = pytest.mark.anyio


async def test_who_says_nothing_is_cut_off(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """With limits on, a client must subscribe within some seconds; one that has sent something may stay."""
    monkeypatch.setattr(Coinbase, "first_message_within", 0.0)
    config = SimConfig(exchanges=("coinbase",), limits=True)
    async with Simulator(config, clock) as sim:
        url = sim.exchanges["coinbase"].ws_url
        async with connect(url) as mute, connect(url) as other:
            await other.send('{"type":"subscribe","channel":"heartbeats"}')
            await other.recv()
            clock.advance(2)
            with pytest.raises(ConnectionClosed) as caught:
                await mute.recv()
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008
            assert '"heartbeats"' in str(await other.recv())
