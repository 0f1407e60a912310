"""An inventory that no message holds comes in pages, and the client makes one list of it."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from actors.daemon import daemon
from dccd.client.client import Client
from dccd.config import Config
from dccd.messages import Inventory
from dccd.records import Trade
from dccd.store.claims import NoteBook
from dccd.store.coverage import Gap
from dccd.store.layout import Layout
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

pytestmark = pytest.mark.anyio

HOLES = 120


async def test_an_inventory_larger_than_a_message(config: Config) -> None:
    """Of each dataset the newest holes and how many there are; ``nats req`` gets the first page, and where to go on."""
    layout = Layout(config.data_path)
    notes, writer = NoteBook(layout, "alpha"), SegmentWriter(layout, "alpha")
    holes = [Gap(n * 10 * NS, (n * 10 + 1) * NS, f"{n} " + "the exchange serves it no more " * 3) for n in range(HOLES)]
    names = [f"binance.trades.C{n:03d}-USDT" for n in range(80)]
    for dataset in map(Dataset.parse, names):
        notes.add(dataset, unavailable=holes)
        writer.write(dataset, table_from_records(dataset.data_type, [Trade(2, 1.0, 1.0, "buy", "1", None)]))
    async with daemon(config) as running, Client(running.bus_url) as client:
        with anyio.fail_after(60):
            entries = await client.inventory()
            while any(entry.looked_at is None for entry in entries):  # they are looked at some at a time
                entries = await client.inventory()
        assert [entry.dataset for entry in entries] == names
        # Those that were told of, and between them what nobody asked for; the row splits the first.
        assert {(entry.rows, entry.gaps_total, len(entry.gaps)) for entry in entries} == {(1, 2 * HOLES, 100)}
        assert entries[0].gaps[-1].start == holes[-1].start
        body = await client.request_raw("inventory")
        page = msgspec.json.decode(body, type=Inventory)
        assert 900_000 < len(body) < 1 << 20
        assert page.next == page.datasets[-1].dataset < names[-1]
        assert [entry.dataset for entry in await client.inventory("binance.trades.C079-USDT")] == names[-1:]
