"""What the archiver reports of messages that it never had; what it stores is in the flows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors.archiver import Archiver
from actors.links import Archive, StreamState
from actors.mail import GapFound
from actors.runtime.actor import Actor
from actors.runtime.clock import FakeClock
from actors.runtime.exits import ActorGone
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.tally import Tally
from dccd.bus.tick_message import Lag, LostRange, TickMessage
from dccd.config import Config
from dccd.exchanges.base import StreamOptions
from dccd.records import Bar, BookDelta, Trade
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import BusPosition, SegmentWriter
from dccd.subjects import ticks
from dccd.symbols import NS, Dataset

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = Dataset.parse("binance.ohlc.BTC-USDT.1m")
BOOK = Dataset.parse("binance.orderbook.BTC-USDT")
OTHER = Dataset.parse("kraken.trades.BTC-USD")
TS = 1_700_000_000_000_000_000
SKEW = 5 * NS


class Catalogue:
    """Keeps what it is asked; gone for the first *gone* questions."""

    def __init__(self, gone: int = 0) -> None:
        self.gone = gone
        self.got: list[GapFound] = []

    async def ask(self, message: GapFound, timeout: float | None = 5.0) -> None:
        if self.gone:
            self.gone -= 1
            raise ActorGone(("catalogue",), "restarts")
        self.got.append(message)


def desk_of(root: Path, **fields: Any) -> Any:
    """What an archiver takes of the daemon's shared names: trades that came over the bus, bars that didn't."""
    layout = Layout(root)
    writer = SegmentWriter(layout, "alpha")
    trade = Trade(ts=TS, price=1.0, amount=1.0, side="buy", tid="1")
    bar = Bar(TS, 1.0, 1.0, 1.0, 1.0, 1.0)
    position = BusPosition(stream="DCCD_TICKS", epoch="e", first=1, last=7)
    writer.write(TRADES, table_from_records(TRADES.data_type, [trade]), bus=position)
    writer.write(BARS, table_from_records(BARS.data_type, [bar]), run_id="r1")
    shared = {"config": Config(), "host": "alpha", "layout": layout, "store": Store(layout), "board": {}}
    more = {"catalogue": Catalogue(), "tally": Tally(), "clock": FakeClock()}
    return SimpleNamespace(**shared | more | fields)


class Reporting(Archiver):
    """Reports what was lost, and no more."""

    def __init__(self, desk: Any, *lost: LostRange) -> None:
        super().__init__(desk)
        self._lost.extend(lost)
        self._epoch = "e"

    async def on_start(self) -> None: ...

    async def run(self) -> None:
        await self._report_lost()


async def report(actor: Actor) -> None:
    async with open_root(ChildSpec("archiver", lambda: actor, "temporary"), clock=FakeClock()) as ref:
        await ref.wait()


async def test_a_loss_while_the_daemon_was_down_is_a_hole_from_the_last_stored_row_on(tmp_path: Path) -> None:
    """No stream runs yet: what has streamed before is known by its files, unlike what was only backfilled."""
    desk = desk_of(tmp_path)
    await report(Reporting(desk, LostRange(8, 20, None, TS + 99)))
    assert [(gap.dataset, gap.start, gap.end) for gap in desk.catalogue.got] == [(TRADES, TS - SKEW, TS + 99 + SKEW)]
    assert "messages 8 to 20" in desk.catalogue.got[0].reason


async def test_a_loss_while_streams_run_is_a_hole_of_each_of_them(tmp_path: Path) -> None:
    """When it begins, by our clock, the messages before tell."""
    desk = desk_of(tmp_path, board={OTHER.name: StreamState(OTHER, StreamOptions())})
    await report(Reporting(desk, LostRange(8, 20, TS + 5, TS + 99)))
    assert [(gap.dataset, gap.start) for gap in desk.catalogue.got] == [(TRADES, TS - SKEW), (OTHER, TS + 5 - SKEW)]


@pytest.mark.parametrize("writing", [False, True])
async def test_the_records_around_a_loss_tell_its_ends_by_the_exchange_s_clock(tmp_path: Path, writing: bool) -> None:
    """Ours may be wrong, and what is lost may be older than when the message before it was published."""
    desk = desk_of(tmp_path, board={BOOK.name: StreamState(BOOK, StreamOptions())})
    actor = Reporting(desk, LostRange(8, 20, TS + 500, TS + 900))
    hour = 3600 * NS

    def message(seq: int, *times: int) -> TickMessage:
        records = [BookDelta(ts, seq, [(1.0, 1.0)], []) for ts in times]
        return TickMessage(seq, ticks(BOOK), msgspec.json.encode(records), TS)

    before = [message(6, TS - hour), message(7, TS - hour + 1, TS - hour + 2)]
    after = [TickMessage(19, ticks(BOOK), b"", TS), message(21, TS - hour + 50, TS - hour + 51), message(22, TS)]
    if writing:
        actor._writing[ticks(BOOK)] = before
    else:
        after = [*before, *after]
    actor._taken[ticks(BOOK)] = after
    await report(actor)
    (gap,) = [gap for gap in desk.catalogue.got if gap.dataset == BOOK]
    assert (gap.start, gap.end) == (TS - hour + 2, TS - hour + 51)


async def test_a_loss_is_remembered_until_it_is_on_record(tmp_path: Path) -> None:
    """Also when the catalogue restarts just then."""
    desk = desk_of(tmp_path, catalogue=Catalogue(gone=1))
    actor = Reporting(desk, LostRange(8, 20, None, TS + 99))
    with pytest.raises(Exception, match="gone"):
        await report(actor)
    assert len(actor._lost) == 1
    await report(Reporting(desk, *actor._lost))
    assert [gap.dataset for gap in desk.catalogue.got] == [TRADES]


async def test_what_can_not_be_read_counts_as_lost_for_as_long_as_the_bus_keeps_messages(tmp_path: Path) -> None:
    """A corrupt file must not end the archiver, nor hide a hole."""
    desk = desk_of(tmp_path)
    (segment,) = desk.layout.dataset_segments(TRADES).glob("*/*.parquet")
    segment.write_bytes(b"no Parquet")
    await report(Reporting(desk, LostRange(8, 20, None, TS + 99)))
    (gap,) = desk.catalogue.got
    assert (gap.dataset, gap.start, gap.end) == (
        TRADES,
        TS + 99 - 2 * 86_400 * NS - SKEW,
        TS + 99 + SKEW,
    )


class Watching(Archiver):
    """Watches how far *reader* is, and no more."""

    def __init__(self, desk: Any, reader: Any) -> None:
        super().__init__(desk)
        self._watched = reader

    async def on_start(self) -> None:
        self._reader = self._watched

    async def run(self) -> None:
        await self._watch_lag()

    async def on_stop(self) -> None: ...


class Reader:
    """Says of a stream what the test sets."""

    state = Lag(0, 7, 7)

    async def lag(self) -> Lag:
        return self.state


async def test_a_reader_that_is_served_nothing_is_late_too(tmp_path: Path) -> None:
    """The alarm doesn't need a message in hand: nothing acknowledged for long while messages wait is enough."""
    desk = desk_of(tmp_path, archive=Archive())
    clock, reader = FakeClock(), Reader()
    async with open_root(ChildSpec("archiver", lambda: Watching(desk, reader)), clock=clock):
        await clock.advance(1)
        assert not desk.archive.oldest
        began = clock.wall_ns()
        reader.state = Lag(5, 12, 7)
        await clock.advance(120)
        assert (desk.archive.pending, desk.archive.oldest) == (5, began)
        reader.state = Lag(2, 14, 12)
        await clock.advance(1)
        assert desk.archive.oldest == clock.wall_ns()


class Slow:
    """Has a message, and takes a second to deliver it."""

    stream, acked = "DCCD_TICKS", 7

    def __init__(self, message: TickMessage) -> None:
        self.waiting = [message]

    async def lag(self) -> Lag:
        return Lag(8 - self.acked, 8, self.acked)

    async def fetch(self, limit: int, wait: float) -> list[TickMessage]:
        found, self.waiting = (self.waiting, []) if wait > 1.0 else ([], self.waiting)
        return found

    async def ack(self, seq: int) -> None:
        self.acked = seq

    async def aclose(self) -> None: ...


class Stopping(Archiver):
    """Stops at once, with *reader*."""

    def __init__(self, desk: Any, reader: Any) -> None:
        super().__init__(desk)
        self._given = reader

    async def on_start(self) -> None:
        self._reader, self._last = self._given, 7

    async def run(self) -> None: ...


async def test_what_a_busy_bus_has_at_the_end_is_stored(tmp_path: Path) -> None:
    """That nothing comes for a moment doesn't mean that there is no more."""
    bus = SimpleNamespace(closed=False)

    async def drain(timeout: float) -> int:
        return 0

    def told(*_: object) -> None: ...

    desk = desk_of(tmp_path, bus=bus, publisher=SimpleNamespace(drain=drain), archive=Archive(), stored=told)
    body = msgspec.json.encode([Trade(TS + 9 * NS, 1.0, 1.0, "buy", "2")])
    reader = Slow(TickMessage(8, ticks(TRADES), body, TS))
    await report(Stopping(desk, reader))
    assert Store(desk.layout).read(TRADES)["tid"].to_list() == ["1", "2"]
    assert (reader.acked, desk.archive.pending) == (8, 0)


@pytest.mark.parametrize("damaged", [False, True])
async def test_what_comes_beside_a_damaged_file_is_written(tmp_path: Path, damaged: bool) -> None:
    """It doesn't wait until somebody has mended that; of what it claims only its own time counts then."""
    desk = desk_of(tmp_path)
    (segment,) = desk.layout.dataset_segments(TRADES).glob("*/*.parquet")
    whole = segment.read_bytes()
    if damaged:
        segment.write_bytes(b"no Parquet")
    actor = Reporting(desk)
    actor._reader = SimpleNamespace(stream="DCCD_TICKS")  # type: ignore[assignment]  # its stream's name is all
    body = msgspec.json.encode([Trade(TS + 9 * NS, 1.0, 1.0, "buy", "2")])
    covered = f"{TS + 1}-{TS + 12 * NS}"
    assert actor._write_messages(TRADES, [TickMessage(8, ticks(TRADES), body, TS, covered)]) == 1
    segment.write_bytes(whole)
    verified = list(Store(desk.layout).coverage(TRADES).verified)
    assert verified == [(TS + 9 * NS if damaged else TS + 1, TS + 12 * NS)]
