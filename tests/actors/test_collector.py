"""Where a stream stands when it starts, and that its holes are on record whoever else restarts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.collector import Collector, claimed_until, hole_since, split, stood_at
from actors.links import StreamState
from actors.mail import GapFound
from actors.runtime.actor import Actor
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.runtime.supervisor import Supervisor
from dccd.errors import BusUnavailable
from dccd.exchanges.base import StreamOptions
from dccd.feeds.items import Batch
from dccd.records import Trade
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.subjects import covered_header
from dccd.symbols import NS, Dataset, DataType

DATASET = Dataset.parse("binance.trades.BTC-USDT")
TS = 1_699_999_000 * NS


def trade(ts: int) -> Trade:
    return Trade(ts=ts, price=1.0, amount=1.0, side="buy", tid=str(ts))


class Desk(SimpleNamespace):
    """What a collector takes of the daemon's shared names; the bus answers with *bodies*, one a request."""

    def __init__(self, root: Path, *bodies: bytes | Exception) -> None:
        super().__init__(store=Store(root), layout=Layout(root), bus=self, bodies=list(bodies), headers={}, holes=[])

    async def exchange(self, subject: str, payload: bytes, timeout: float = 5.0) -> Any:
        body = self.bodies.pop(0)
        if isinstance(body, Exception):
            raise body
        known = {"Nats-Sequence": "1", "Nats-Subject": "s", "Nats-Time-Stamp": "2024-01-01T00:00:00Z"}
        known |= self.headers
        return SimpleNamespace(data=body, headers=known if body else {"Status": "404"})


class Asking(Collector):
    """Finds out where it stood, and no more."""

    stood: int | None = None
    claimed: int | None = None

    async def run(self) -> None:
        self.stood, self.claimed = await self._stood_at()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("bodies", "stood"),
    [
        ([msgspec.json.encode([trade(TS + 5), trade(TS + 3)])], TS + 5),
        ([b"hello"], TS + 1),
        ([b"[]"], TS + 1),
        ([b'[{"ts": "soon"}]'], TS + 1),
        ([b""], TS + 1),
        ([BusUnavailable("away"), BusUnavailable("away"), msgspec.json.encode([trade(TS + 5)])], TS + 5),
    ],
)
async def test_where_a_stream_stood(bodies: list[Any], stood: int, tmp_path: Path) -> None:
    """The newest of bus and disk; somebody's message that is no ticks, or a bus that is away, set no stream aside."""
    desk: Any = Desk(tmp_path, *bodies)
    SegmentWriter(desk.layout, "alpha").write(DATASET, table_from_records(DataType.TRADES, [trade(TS + 1)]))
    actor = Asking(desk, StreamState(DATASET, StreamOptions()))
    clock = FakeClock()
    async with open_root(ChildSpec("stream", lambda: actor, "temporary"), clock=clock) as ref:
        with anyio.fail_after(10):
            while ref.alive:
                await clock.advance(1.0)
    assert actor.stood == stood


@pytest.mark.anyio
async def test_a_corrupt_file_stops_no_stream(tmp_path: Path) -> None:
    """Where it stood is then what the bus says."""
    desk: Any = Desk(tmp_path, msgspec.json.encode([trade(TS + 5)]))
    (segment,) = SegmentWriter(desk.layout, "alpha").write(
        DATASET, table_from_records(DataType.TRADES, [trade(TS + 9)])
    )
    segment.path.write_bytes(b"no Parquet")
    actor = Asking(desk, StreamState(DATASET, StreamOptions()))
    async with open_root(ChildSpec("stream", lambda: actor, "temporary"), clock=FakeClock()) as ref:
        await ref.wait()
    assert actor.stood == TS + 5


class Reporting(Collector):
    """Reports an overflow before its next batch."""

    async def run(self) -> None:
        await self._report(1, 2, "lost")


class Catalogue(Actor):
    """Crashes over the first hole, as one that is restarted, and keeps the second."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk

    async def on_start(self) -> None:
        self.desk.catalogue = self.context.ref

    async def on_message(self, message: GapFound) -> None:
        self.desk.holes.append(message)
        if len(self.desk.holes) == 1:
            raise SystemExit("killed while it handled the hole")


@pytest.mark.anyio
async def test_a_hole_is_reported_again_when_the_catalogue_restarts(tmp_path: Path) -> None:
    """The stream doesn't crash for it: after some crashes it would be set aside."""
    desk: Any = Desk(tmp_path)
    collector = Reporting(desk, StreamState(DATASET, StreamOptions()))
    clock = FakeClock()
    top = Supervisor(
        [ChildSpec("catalogue", lambda: Catalogue(desk)), ChildSpec("stream", lambda: collector, "temporary")]
    )
    async with open_root(top, clock=clock):
        child = top.whereis("stream")
        assert child is not None
        await clock.advance(1.0)
        exit = await child.wait()
    assert exit.kind == "normal"
    assert [(hole.start, hole.end) for hole in desk.holes] == [(1, 2), (1, 2)]


def test_a_hole_of_trades_begins_before_the_newest_one() -> None:
    """A jump in the ids that was still held open when the process was killed lies inside."""
    assert hole_since(DataType.TRADES, TS) == TS - 5 * NS
    assert hole_since(DataType.OHLC, TS) == TS
    assert hole_since(DataType.TRADES, None) is None


def test_a_hole_begins_where_the_last_message_s_claims_end() -> None:
    """What was held back when the process was killed is inside, and no header has more than a day fetched again."""
    assert hole_since(DataType.TRADES, TS, TS - 90 * NS) == TS - 90 * NS
    assert hole_since(DataType.TRADES, TS, TS) == TS - 5 * NS
    assert hole_since(DataType.OHLC, TS, TS - 60 * NS) == TS - 60 * NS
    assert hole_since(DataType.OHLC, TS, 1) == TS - 86_400 * NS
    assert hole_since(DataType.ORDERBOOK, TS, TS - 5 * NS) == TS
    assert [claimed_until(text) for text in (None, "0-0", "soon", "3-5,7-9", "4-4")] == [None, None, None, 9, 4]


@pytest.mark.anyio
@pytest.mark.parametrize(("stored", "claimed"), [(TS + 1, TS - 90 * NS), (TS + 900 * NS, None)])
async def test_the_last_message_says_what_was_claimed(stored: int, claimed: int | None, tmp_path: Path) -> None:
    """Its header is read with its records, unless what is on disk was fetched later."""
    desk: Any = Desk(tmp_path, msgspec.json.encode([trade(TS + 5)]))
    desk.headers = {"Dccd-Covered": covered_header([(TS - 99 * NS, TS - 90 * NS)])}
    SegmentWriter(desk.layout, "alpha").write(DATASET, table_from_records(DataType.TRADES, [trade(stored)]))
    actor = Asking(desk, StreamState(DATASET, StreamOptions()))
    async with open_root(ChildSpec("stream", lambda: actor, "temporary"), clock=FakeClock()) as ref:
        await ref.wait()
    assert actor.claimed == claimed


@pytest.mark.parametrize(
    ("stored", "last", "stood"),
    [
        (None, [], None),
        (TS, [], TS),
        (None, [TS + 3, TS + 1], TS + 3),
        (TS + 40 * NS, [TS], TS),
        (TS + 900 * NS, [TS], TS + 900 * NS),
        (TS + 9_000 * NS, [], TS + 1_000 * NS),
    ],
)
def test_a_time_that_is_ahead_moves_no_beginning(stored: int | None, last: list[int], stood: int | None) -> None:
    """Neither the bus's, nor one of a wrong record on disk; what was fetched later than the stream ran counts."""
    assert stood_at(stored, [trade(ts) for ts in last], TS + 1_000 * NS) == stood
    late: Any = [msgspec.structs.replace(trade(ts + 50 * NS), recv_ts=ts) for ts in last]
    assert stood_at(stored, late, TS + 1_000 * NS) == stood


def test_records_are_split_into_messages_that_the_bus_takes() -> None:
    """All of them, in order, each message within the limit."""
    records: list[Any] = [trade(TS + n) for n in range(20_000)]
    parts = split(records, msgspec.json.Encoder())
    assert len(parts) > 1
    assert all(len(payload) <= 900_000 for payload, _ in parts)
    assert [record for _, part in parts for record in part] == records
    assert [msgspec.json.decode(payload, type=list[Trade]) for payload, _ in parts] == [part for _, part in parts]


class Shelf:
    """A publisher that keeps what it is offered, as long as it has ``room``."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, str | None]] = []
        self.has_room = True

    def offer(self, subject: str, payload: bytes, count: int, first: int, last: int, covered: str | None) -> bool:
        if self.has_room:
            self.taken.append((count, covered))
        return self.has_room

    async def room(self) -> None: ...


@pytest.mark.anyio
async def test_messages_claim_what_is_certain(tmp_path: Path) -> None:
    """Each says of which time all records are in it and those before; a dropped one takes its claim with it."""
    desk: Any = Desk(tmp_path)
    state = StreamState(DATASET, StreamOptions())
    desk.publisher = shelf = Shelf()
    reported: list[tuple[int, int]] = []

    class Publishing(Reporting):
        async def _report(self, start: int, end: int, reason: str, doubted: Any = None) -> None:
            reported.append((start, end))

        async def run(self) -> None:
            for number in range(4):
                ts = 1000 + number * 100
                shelf.has_room = number != 2
                if number == 3:
                    state.overflow = (1200, 1200)
                await self._publish(Batch([trade(ts)], ts, ts - 50))

    async with open_root(ChildSpec("stream", lambda: Publishing(desk, state), "temporary"), clock=FakeClock()) as ref:
        await ref.wait()
    assert shelf.taken == [(1, "1001-1001"), (1, "1001-1050"), (1, "1201-1250")]
    assert reported == [(1050, 1201)]
