"""What of a backfill is on record, whatever refuses its rows or ends it; the rest is in the flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.backfiller import Backfiller
from actors.mail import GapFound, RunEnded
from actors.runtime.clock import FakeClock
from actors.runtime.exits import Exit
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.tally import Tally
from dccd.config import Config
from dccd.errors import StoreFull
from dccd.exchanges.base import Market, PageRequest
from dccd.feeds.fake import FakeRest
from dccd.messages import RunLog
from dccd.records import Bar, Record
from dccd.runs import Run
from dccd.store.claims import NoteBook
from dccd.store.coverage import IntervalSet
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, format_time, parse_time

pytestmark = pytest.mark.anyio

MINUTE = 60 * NS
HOUR = 3600 * NS
NOW = 1_700_000_040 * NS  # a whole minute


def bars(first: int, count: int) -> bytes:
    """Kraken's answer: *count* one-minute bars from *first* (ns) on, the last of them open."""
    rows = [[(first + n * MINUTE) // NS, "1", "2", "0.5", "1.5", "1.2", "10", 3] for n in range(count)]
    return msgspec.json.encode({"error": [], "result": {"XXBTZUSD": rows, "last": rows[-1][0]}})


class Ref:
    """An actor that keeps what it is told and asked."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def ask(self, message: Any, timeout: float | None = 5.0) -> None:
        self.got.append(message)


class Desk(SimpleNamespace):
    """What a backfiller takes of the daemon's shared names."""

    def __init__(self, root: Path, body: bytes) -> None:
        self.exchange = exchange = FakeRest(answer=lambda _: body)
        super().__init__(
            config=Config(), host="alpha", board={}, layout=Layout(root), active={}, progress={}, recent=[], runs=self,
            catalogue=Ref(), notes=NoteBook(Layout(root), "alpha"), store=Store(root), ended=[], events=[],
            revisions={}, rest=SimpleNamespace(get=lambda _: exchange), tally=Tally(), clock=FakeClock(wall_ns=NOW),
        )  # fmt: skip
        self.saved: list[Run] = []

    async def create(self, key: str, value: bytes) -> int:
        return await self.update(key, value, 0)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        self.saved.append(msgspec.json.decode(value, type=Run))
        return revision + 1

    async def tell_runner(self, ended: RunEnded) -> None:
        self.ended.append(ended.run)

    def emit(self, subject: str, event: Any) -> None:
        self.events.append(event)

    def stored(self, dataset: Dataset) -> None: ...


class FullDisk(SegmentWriter):
    """Refuses the first *times* writes."""

    times = 1

    def write(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Any:
        if self.times:
            self.times -= 1
            raise StoreFull(self.layout.root, "no space left")
        return super().write(dataset, *args, **kwargs)


def run_of(start: int, end: int, **fields: Any) -> Run:
    return Run(
        run_id="r1", dataset="kraken.ohlc.BTC-USD.1m", state="running", host="alpha",
        created=0, updated=0, start=start, end=end, position=start, **fields,
    )  # fmt: skip


async def perform(desk: Any, run: Run, times: int = 0) -> Exit:
    """Run one backfiller to its end, on a disk that refuses the first *times* writes."""

    def make() -> Backfiller:
        backfiller = Backfiller(desk, run)
        backfiller._writer = FullDisk(desk.layout, "alpha-r1")
        backfiller._writer.times = times
        return backfiller

    with anyio.fail_after(10):
        # A root that crashes cancels the block; how it ended is what the test is about.
        with anyio.CancelScope():
            async with open_root(ChildSpec("backfill", make, "temporary"), clock=desk.clock) as ref:
                await ref.wait()
    assert ref.process.exit is not None
    return ref.process.exit


@pytest.mark.parametrize("refused", [1, 2])
async def test_the_position_on_record_never_passes_rows_that_are_not_on_disk(refused: int, tmp_path: Path) -> None:
    """A full disk crashes the run; what it holds is written at its end, or the position stays before it."""
    desk: Any = Desk(tmp_path, bars(NOW - 10 * MINUTE, 11))
    with pytest.raises(Exception, match="no space left"):
        await perform(desk, run_of(NOW - 10 * MINUTE, NOW), refused)
    rows = Store(tmp_path).read(Dataset.parse("kraken.ohlc.BTC-USD.1m"))
    stored = NOW - 10 * MINUTE if rows.is_empty() else rows["TS"][-1] + MINUTE
    assert rows.height == (0 if refused == 2 else 9)  # the last is too young to be final
    assert all(run.position <= stored for run in desk.saved)
    assert refused == 2 or desk.saved[-1].position == stored
    assert not desk.ended


async def test_what_an_exchange_serves_no_more_is_told(tmp_path: Path) -> None:
    """A run that was interrupted for longer than the exchange's reach isn't silently short."""
    first = NOW - 719 * MINUTE
    desk: Any = Desk(tmp_path, bars(first, 720))
    await perform(desk, run_of(NOW - 2000 * MINUTE, NOW - 5 * MINUTE, trigger="gap"))
    (missing,) = desk.catalogue.got
    assert isinstance(missing, GapFound)
    assert (missing.start, missing.end, missing.gone) == (NOW - 2000 * MINUTE, first, True)
    assert any(isinstance(event, RunLog) and "serves nothing before" in event.message for event in desk.events)
    assert "serves nothing before" in desk.ended[0].warning


@pytest.mark.parametrize(("from_hour", "to_hour", "asked"), [(-9, -8, None), (-9, 1, 0), (0, 1, 0)])
async def test_a_contract_is_asked_for_nothing_from_before_the_symbol_meant_it(
    from_hour: int, to_hour: int, asked: int | None, tmp_path: Path
) -> None:
    """Its own rows of that time would pass for the expired contract's; a hole from then stays one, and says why."""
    rolled = parse_time("2023-09-29T08:00", "test")
    desk: Any = Desk(tmp_path, b"[]")
    desk.exchange.markets = [Market("BTCUSDT_231229", expires=parse_time("2023-12-29T08:00", "test"))]
    start, end = rolled + from_hour * HOUR, rolled + to_hour * HOUR
    run = run_of(start, end, trigger="gap")
    run = msgspec.structs.replace(run, dataset="binance.ohlc.BTC-USDT_QUARTER.1m")
    await perform(desk, run)
    starts = [int(request.params["startTime"]) * 1_000_000 for request in desk.exchange.requests]
    assert (min(starts) if starts else None) == (None if asked is None else rolled)
    (ended,) = desk.ended
    assert (ended.state, ended.start) == ("done", min(max(start, rolled), end))
    assert (ended.warning is not None) == (start < rolled)
    assert start >= rolled or "BTC/USDT:quarter is BTCUSDT_231229 since 2023-09-29T08:00:00Z" in ended.warning


class SecondFirst(FakeRest):
    """Answers the first request only when others have long been."""

    async def get(self, request: PageRequest, *, urgent: bool = False) -> bytes:
        first = not self.requests
        body = await super().get(request, urgent=urgent)
        for _ in range(40 if first else 0):
            await asyncio.sleep(0)
        return body


def klines(request: PageRequest) -> bytes:
    """Bybit's answer: each bar of the window, newest first."""
    first, last = (int(request.params[name]) for name in ("start", "end"))
    rows = [[str(ms), "1", "2", "0.5", "1.5", "10", "15"] for ms in range(first + -first % 60_000, last + 1, 60_000)]
    result = {"symbol": "BTCUSDT", "category": "spot", "list": rows[::-1]}
    return msgspec.json.encode({"retCode": 0, "retMsg": "OK", "result": result, "time": 1})


async def test_a_window_that_comes_first_is_no_reach(tmp_path: Path) -> None:
    """Several are asked for at once: what is missing is told by what is covered in the end, not by who was fastest."""
    desk: Any = Desk(tmp_path, b"")
    desk.exchange = rest = SecondFirst(answer=klines)
    desk.rest = SimpleNamespace(get=lambda _: rest)
    run = run_of(NOW - 2005 * MINUTE, NOW - 5 * MINUTE, trigger="gap")
    await perform(desk, msgspec.structs.replace(run, dataset="bybit.ohlc.BTC-USDT.1m"))
    (ended,) = desk.ended
    assert len(rest.requests) > 1
    assert (ended.state, ended.rows, ended.warning, desk.catalogue.got) == ("done", 2000, None, [])


def prints(times: list[int]) -> Callable[[PageRequest], bytes]:
    """Coinbase, with trades at *times* (ns): the newest hundred of what is asked for."""

    def answer(request: PageRequest) -> bytes:
        start, end = int(request.params["start"]) * NS, int(request.params["end"]) * NS
        rows = [
            {"trade_id": str(number), "product_id": "BTCUSD", "price": "2", "size": "3", "time": format_time(time),
             "side": "BUY"}
            for number, time in enumerate(times, 5000)
            if start <= time <= end
        ]  # fmt: skip
        return msgspec.json.encode({"trades": rows[::-1][:100]})

    return answer


@pytest.mark.parametrize("trigger", ["gap", "request"])
async def test_what_is_missing_in_between_is_told(trigger: str, tmp_path: Path) -> None:
    """More than a page in one second: the run says so, and the hole that it was to repair keeps that part."""
    start = NOW - 100 * MINUTE
    burst = [start + 50 * NS + n * 1000 for n in range(250)]
    desk: Any = Desk(tmp_path, b"")
    desk.exchange._answer = prints([start - NS, *(start + n * NS for n in range(50)), *burst, start + 90 * NS])
    run = run_of(start, start + 100 * NS, trigger=trigger)
    await perform(desk, msgspec.structs.replace(run, dataset="coinbase.trades.BTC-USD"))
    (ended,) = desk.ended
    cut = burst[150] + 1
    assert (ended.state, ended.position) == ("done", start + 100 * NS)
    assert ended.warning == (
        f"coinbase doesn't serve one interval in between, 0.000 s in all: {format_time(start + 50 * NS)} to "
        f"{format_time(cut)}"
    )
    told = [event.message for event in desk.events if isinstance(event, RunLog)]
    assert told == [ended.warning]
    hole = GapFound(
        Dataset.parse("coinbase.trades.BTC-USD"), start + 50 * NS, cut, "coinbase doesn't serve it", gone=True
    )
    assert desk.catalogue.got == ([hole] if trigger == "gap" else [])


async def test_what_was_said_before_stays_said(tmp_path: Path) -> None:
    """The runner's word that it clamped the range isn't lost to what the run finds out."""
    desk: Any = Desk(tmp_path, bars(NOW - 719 * MINUTE, 720))
    await perform(desk, run_of(NOW - 2000 * MINUTE, NOW - 5 * MINUTE, warning="it starts later"))
    (ended,) = desk.ended
    assert ended.warning.startswith("it starts later; kraken serves nothing before")


async def test_a_statistic_that_is_published_late_is_asked_for_now_and_then(tmp_path: Path) -> None:
    """Five minutes of waiting for the end of a hole are a dozen requests, not hundreds."""
    desk: Any = Desk(tmp_path, b"[]")
    clock = desk.clock
    run = run_of(NOW - 1000 * NS, NOW, trigger="gap")
    run = msgspec.structs.replace(run, dataset="binance.funding.BTC-USDT_PERP")
    with anyio.fail_after(10):
        async with open_root(ChildSpec("backfill", lambda: Backfiller(desk, run), "temporary"), clock=clock):
            while not desk.ended:
                await clock.advance(10.0)
    assert (desk.ended[0].state, desk.ended[0].position) == ("done", NOW)
    assert clock.now() >= 300.0 and len(desk.exchange.requests) < 15


async def test_a_reach_that_covers_all_is_no_warning(tmp_path: Path) -> None:
    """A start between two bars misses none of them."""
    desk: Any = Desk(tmp_path, bars(NOW - 719 * MINUTE, 720))
    exit = await perform(desk, run_of(NOW - 720 * MINUTE + 1, NOW - 5 * MINUTE))
    assert exit.kind == "normal"
    (run,) = desk.ended
    assert (run.state, run.warning) == ("done", None)
    assert isinstance(desk.exchange.requests[0], PageRequest)


def states(desk: Any, dataset: str) -> list[tuple[int, int, str]]:
    """The stretches of what is stored, in minutes from NOW."""
    coverage = desk.store.coverage(Dataset.parse(dataset))
    return [((s.start - NOW) // MINUTE, (s.end - NOW) // MINUTE, s.state) for s in coverage.stretches()]


async def test_what_was_fetched_is_claimed(tmp_path: Path) -> None:
    """With the rows on disk the time of their pages is verified; what the exchange serves no more is unavailable."""
    desk: Any = Desk(tmp_path, bars(NOW - 719 * MINUTE, 720))
    await perform(desk, run_of(NOW - 2000 * MINUTE, NOW - 5 * MINUTE))
    assert states(desk, "kraken.ohlc.BTC-USD.1m") == [(-2000, -719, "unavailable"), (-719, -5, "verified")]


async def test_what_is_empty_is_confirmed(tmp_path: Path) -> None:
    """An exchange that has no trades of a time was asked for it: that is no hole."""
    desk: Any = Desk(tmp_path, b"[]")
    run = msgspec.structs.replace(run_of(NOW - 60 * MINUTE, NOW - 5 * MINUTE), dataset="binance.ohlc.BTC-USDT.1m")
    await perform(desk, run)
    assert states(desk, "binance.ohlc.BTC-USDT.1m") == [(-60, -5, "empty")]


async def test_a_run_that_fails_claims_its_pages_only(tmp_path: Path) -> None:
    """Windows are asked for at once; what of them came is verified, the one that was refused is missing."""
    desk: Any = Desk(tmp_path, b"")
    middle = (NOW - 1500 * MINUTE) // 1_000_000

    def answer(request: PageRequest) -> bytes:
        if int(request.params["start"]) <= middle <= int(request.params["end"]):
            return msgspec.json.encode({"retCode": 10001, "retMsg": "params error", "result": {}, "time": 1})
        return klines(request)

    desk.exchange._answer = answer
    run = run_of(NOW - 3005 * MINUTE, NOW - 5 * MINUTE)
    await perform(desk, msgspec.structs.replace(run, dataset="bybit.ohlc.BTC-USDT.1m"))
    (ended,) = desk.ended
    assert ended.state == "failed"
    coverage = desk.store.coverage(Dataset.parse("bybit.ohlc.BTC-USDT.1m"))
    held = desk.store.read(Dataset.parse("bybit.ohlc.BTC-USDT.1m"))["TS"].to_list()
    assert held and coverage.missing
    assert all(ts in coverage.verified for ts in held)
    assert NOW - 1500 * MINUTE not in coverage.verified
    assert (coverage.start, coverage.end) == (NOW - 3005 * MINUTE, NOW - 5 * MINUTE)


async def test_last_fetches_what_is_not_there(tmp_path: Path) -> None:
    """A run that goes on where the store ends fills the first hole, leaves out what is there, and goes on to now."""
    desk: Any = Desk(tmp_path, b"")
    desk.exchange._answer = klines
    name = "bybit.ohlc.BTC-USDT.1m"
    for first, last in ((-100, -80), (-60, -40)):
        run = run_of(NOW + first * MINUTE, NOW + last * MINUTE)
        await perform(desk, msgspec.structs.replace(run, dataset=name))
    desk.exchange.requests.clear()
    assert desk.store.resume(Dataset.parse(name)) == NOW - 80 * MINUTE
    run = run_of(NOW - 80 * MINUTE, NOW, asked=("last", None))
    await perform(desk, msgspec.structs.replace(run, dataset=name))
    asked = [int(request.params["start"]) * 1_000_000 for request in desk.exchange.requests]
    assert [(start - NOW) // MINUTE for start in asked] == [-80, -40]
    assert states(desk, name) == [(-100, -1, "verified")]
    assert desk.store.read(Dataset.parse(name)).height == 99


async def test_last_leaves_out_what_retention_removed(tmp_path: Path) -> None:
    """What was purged on purpose isn't fetched again behind an older hole."""
    desk: Any = Desk(tmp_path, b"")
    desk.exchange._answer = klines
    name = "bybit.ohlc.BTC-USDT.1m"
    purged = (NOW - 80 * MINUTE, NOW - 40 * MINUTE)
    desk.notes.add(Dataset.parse(name), asked=[(NOW - 100 * MINUTE, NOW - 10 * MINUTE)], purged=[purged])
    assert desk.store.resume(Dataset.parse(name)) == NOW - 100 * MINUTE
    await perform(desk, msgspec.structs.replace(run_of(NOW - 100 * MINUTE, NOW, asked=("last", None)), dataset=name))
    assert states(desk, name) == [(-100, -80, "verified"), (-80, -40, "purged"), (-40, -1, "verified")]


async def test_a_hole_between_two_values_of_history_cannot_be_repaired(tmp_path: Path) -> None:
    """A stream told it every second, the history knows the rates that were paid: that nothing came isn't that all is
    there."""
    desk: Any = Desk(tmp_path, b"[]")
    run = run_of(NOW - 60 * MINUTE, NOW - 50 * MINUTE, trigger="gap", reason="disconnect")
    await perform(desk, msgspec.structs.replace(run, dataset="binance.funding.BTC-USDT_PERP"))
    (gone,) = desk.store.coverage(Dataset.parse("binance.funding.BTC-USDT_PERP")).unavailable
    assert gone.reason == "disconnect; binance's history has the rates that were paid only"
    assert (gone.start, gone.end) == (NOW - 60 * MINUTE, NOW - 50 * MINUTE)


def interest(request: PageRequest) -> bytes:
    """Bybit's answer: the open interest at each whole five minutes that was asked for, the newest first."""
    first, last = (int(request.params[name]) for name in ("startTime", "endTime"))
    times = range(-(-first // 300_000) * 300_000, last + 1, 300_000)
    rows = [{"openInterest": "5", "timestamp": str(at)} for at in reversed(times)]
    result = {"symbol": "BTCUSDT", "category": "linear", "list": rows, "nextPageCursor": ""}
    return msgspec.json.encode({"retCode": 0, "retMsg": "OK", "result": result})


@pytest.mark.parametrize(
    ("reason", "state", "values"),
    [
        ("disconnect", "unavailable", 2),
        ("its repair was asked for (disconnect)", "unavailable", 2),
        ("its backfill failed: page refused", "verified", 2),
    ],
)
async def test_a_hole_with_values_of_history_in_it(reason: str, state: str, values: int, tmp_path: Path) -> None:
    """They are stored, and what a stream would have told between them stays unavailable; to a backfill they are all."""
    desk: Any = Desk(tmp_path, b"")
    desk.exchange._answer, desk.exchange.markets = interest, [Market("BTCUSDT")]
    name = "bybit.open_interest.BTC-USDT_PERP"
    run = run_of(NOW - 70 * MINUTE, NOW - 60 * MINUTE, trigger="gap", reason=reason)
    await perform(desk, msgspec.structs.replace(run, dataset=name))
    assert states(desk, name) == [(-70, -60, state)]
    assert desk.store.read(Dataset.parse(name)).height == values
    assert desk.ended[0].state == "done"


async def test_a_hole_of_what_no_stream_tells(tmp_path: Path) -> None:
    """Binance's open interest comes from its history only: where that has no value there is none."""
    desk: Any = Desk(tmp_path, b"[]")
    name = "binance.open_interest.BTC-USDT_PERP"
    run = run_of(NOW - 70 * MINUTE, NOW - 60 * MINUTE, trigger="gap", reason="several")
    await perform(desk, msgspec.structs.replace(run, dataset=name))
    assert states(desk, name) == [(-70, -60, "empty")]


@pytest.mark.parametrize("streams", [0, 1])
async def test_a_book_that_comes_when_a_stream_has_begun(streams: int, tmp_path: Path) -> None:
    """It is left out, and the run says why; without a stream it is stored, whole."""
    body = b'{"error":[],"result":{"XXBTZUSD":{"bids":[["9","1",1]],"asks":[["10","1",1]]}}}'
    desk: Any = Desk(tmp_path, body)
    book = Dataset.parse("kraken.orderbook.BTC-USD")
    desk.board = dict.fromkeys([book.name][:streams])
    await perform(desk, msgspec.structs.replace(run_of(NOW - 1, NOW), dataset=book.name))
    (ended,) = desk.ended
    assert (ended.state, desk.store.read(book).height) == (("failed", 0) if streams else ("done", 2))
    assert not streams or "a stream of kraken.orderbook.BTC-USD runs here" in ended.error


async def test_before_the_first_bar_nothing_is_missing(tmp_path: Path) -> None:
    """What was asked for from between two bars on begins with the second."""
    desk: Any = Desk(tmp_path, bars(NOW - 719 * MINUTE, 720))
    await perform(desk, run_of(NOW - 720 * MINUTE + 1, NOW - 5 * MINUTE))
    assert states(desk, "kraken.ohlc.BTC-USD.1m") == [(-719, -5, "verified")]


async def test_the_last_bar_of_an_older_file_is_had_again(tmp_path: Path) -> None:
    """It may have been open when that was written, whatever came after it."""
    desk: Any = Desk(tmp_path, b"")
    desk.exchange._answer = klines
    dataset = Dataset.parse("bybit.ohlc.BTC-USDT.1m")
    for first, count, claimed in ((-100, 20, None), (-60, 20, (NOW - 60 * MINUTE, NOW - 40 * MINUTE))):
        old: list[Record] = [Bar(NOW + (first + n) * MINUTE, 9.0, 9.0, 9.0, 9.0, 9.0) for n in range(count)]
        covered = None if claimed is None else IntervalSet([claimed])
        table = table_from_records(dataset.data_type, old)
        SegmentWriter(desk.layout, "older").write(dataset, table, covered=covered)
    assert desk.store.resume(dataset) == NOW - 81 * MINUTE
    run = run_of(NOW - 81 * MINUTE, NOW, asked=("last", None))
    await perform(desk, msgspec.structs.replace(run, dataset=dataset.name))
    rows = desk.store.read(dataset, NOW - 82 * MINUTE, NOW - 79 * MINUTE)
    assert rows["open"].to_list() == [9.0, 1.0, 1.0]
