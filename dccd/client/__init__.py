"""The Python client: the bus's requests, events and ticks as typed methods.

Calls flow in and travel as the messages of ``dccd.messages``; replies and ticks flow out as typed structs, stored rows
as a Polars frame. It needs no daemon in its process, only the bus of one::

    async with dccd.connect() as client:
        run = await client.backfill("binance", "BTC/USDT", span="1m", start="2024-01-01")
        frame = await client.read("binance.ohlc.BTC-USDT.1m", start="2024-01-01")
        async for trade in client.ticks("binance", "BTC/USDT"):
            print(trade.price)

    with dccd.connect() as client:  # the same without await: a SyncClient
        frame = client.read("binance.ohlc.BTC-USDT.1m", start="2024-01-01")

An error reply is raised as the :class:`~dccd.errors.RequestError` that it was in the daemon; without a bus or a daemon
there is a :class:`~dccd.errors.BusUnavailable` that says what to do.
"""

from __future__ import annotations

from dccd.client.books import BookFrame
from dccd.client.client import Client, RunEvent, Time
from dccd.client.events import StoredEvent
from dccd.client.replay import Replay
from dccd.client.rows import DerivedBars, Rows
from dccd.client.sync import SyncClient, SyncRows
from dccd.client.sync_replay import SyncReplay
from dccd.client.target import Target, find_target, noted_port
from dccd.client.ticks import Batch, Ticks, TickSet

__all__ = [
    "Batch",
    "BookFrame",
    "Client",
    "DerivedBars",
    "Replay",
    "Rows",
    "RunEvent",
    "StoredEvent",
    "SyncClient",
    "SyncReplay",
    "SyncRows",
    "Target",
    "TickSet",
    "Ticks",
    "Time",
    "find_target",
    "noted_port",
]
