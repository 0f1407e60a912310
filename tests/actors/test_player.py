"""A replay under a clock that stands still: what is published when, and what orders change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.mail import GetReplay, PauseReplay, ResumeReplay, SeekReplay, SpeedReplay, StopReplay, YieldReplay
from actors.player import EXPIRY, IDLE, LINGER, LOOK, PLAIN_BYTES, Player
from actors.playing import ReplayPlan
from actors.runtime.actor import ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.exits import ActorGone
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.runtime.supervisor import Supervisor
from dccd import subjects
from dccd.errors import BusUnavailable, CorruptFile, RequestError
from dccd.messages import ReplayChanged, ReplayEntry
from dccd.records import Record, Trade
from dccd.store.interleave import Part, blocks
from dccd.store.intervals import IntervalSet
from dccd.symbols import NS, Dataset

pytestmark = pytest.mark.anyio

A, B = Dataset.parse("binance.trades.BTC-USDT"), Dataset.parse("kraken.trades.BTC-USD")
T = 1_700_000_000 * NS
FLOW = "dccd.flow.secret"


class FakeClient:
    """What is sent to an inbox of ours; before it, that nobody heard what was sent elsewhere."""

    def __init__(self, bus: FakeBus) -> None:
        self._bus = bus

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, subject: str) -> Any:
        async def next_msg(timeout: float) -> Any:
            return SimpleNamespace(headers=None if self._bus.listeners else {"Status": "503"})

        async def unsubscribe() -> None: ...

        return SimpleNamespace(next_msg=next_msg, unsubscribe=unsubscribe)

    async def publish(self, *_: Any) -> None: ...


class FakeBus:
    """A bus on which it is noted what was published when; ``listeners`` is whether anybody hears it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.client = FakeClient(self)
        self.connected = True
        self.listeners = False
        self.sent: list[tuple[float, str, Any]] = []
        self.heard: Callable[[Any], Any] | None = None
        self.changed: list[Callable[[bool], None]] = []

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        if not self.connected:
            raise BusUnavailable("away")
        self.sent.append((self.clock.now(), subject, msgspec.json.decode(payload)))

    async def subscribe(self, subject: str, callback: Callable[[Any], Any]) -> Any:
        assert subject == FLOW
        self.heard = callback

        async def unsubscribe() -> None:
            self.heard = None

        return SimpleNamespace(unsubscribe=unsubscribe)

    def on_change(self, callback: Callable[[bool], None]) -> Callable[[], None]:
        self.changed.append(callback)
        return lambda: self.changed.remove(callback)

    async def ack(self, text: str) -> None:
        assert self.heard is not None
        await self.heard(SimpleNamespace(data=text.encode()))

    def connect(self, connected: bool) -> None:
        self.connected = connected
        for callback in self.changed:
            callback(connected)

    @property
    def records(self) -> list[tuple[float, int]]:
        """When each record was published (s since the start), and its time (s since T)."""
        return [
            (when, round((record["ts"] - T) / NS, 6))
            for when, subject, body in self.sent
            if not subject.endswith(".status")
            for record in body
        ]

    @property
    def states(self) -> list[str]:
        return [body["replay"]["state"] for _, subject, body in self.sent if subject.endswith(".status")]


class FakeSource:
    """Lists of trades by time (s since T), one list a dataset; ``error`` is raised instead of the first block."""

    def __init__(self, since: int, times: list[list[float]], error: Exception | None) -> None:
        tracks: list[list[Record]] = [
            [Trade(ts, 1.0, 1.0, None, None) for ts in (T + round(s * NS) for s in one) if ts >= since] for one in times
        ]
        self._blocks = blocks([iter([records] if records else []) for records in tracks])
        self.error = error
        self.closed = False

    async def next(self) -> list[Part] | None:
        if self.error is not None:
            raise self.error
        return next(self._blocks, None)

    async def close(self) -> None:
        self.closed = True


class Stage:
    """A player, its bus, its clock, and the sources that it opened."""

    def __init__(self, *times: list[float], **plan: Any) -> None:
        self.clock = FakeClock()
        self.bus = FakeBus(self.clock)
        self.times = [*times]
        self.error: Exception | None = None
        self.events: list[ReplayChanged] = []
        self.opened: list[int] = []
        self.sources: list[FakeSource] = []
        values: dict[str, Any] = {
            "id": "r1", "datasets": (A, B)[: len(times)], "start": T, "end": T + 100 * NS, "speed": 1.0, "created": 1,
        }  # fmt: skip
        self.plan = ReplayPlan(**{**values, **plan})
        self.links: Any = SimpleNamespace(bus=self.bus, host="alpha", emit=lambda _, event: self.events.append(event))
        self.ref: ActorRef

    def source(self, since: int) -> FakeSource:
        self.opened.append(since)
        self.sources.append(FakeSource(since, self.times, self.error))
        return self.sources[-1]

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[Stage]:
        spec = ChildSpec("player", lambda: Player(self.links, self.plan, self.source), restart="temporary")
        supervisor = Supervisor([spec])
        with anyio.fail_after(20):
            async with open_root(supervisor, clock=self.clock):
                ref = supervisor.whereis("player")
                assert ref is not None
                self.ref = ref
                await self.clock.settle()
                yield self

    async def tell(self, order: Any) -> ReplayEntry:
        task = asyncio.create_task(self.ref.ask(order, timeout=None))
        await self.clock.settle()
        answer = await task
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, ReplayEntry)
        return answer

    async def entry(self) -> ReplayEntry:
        return await self.tell(GetReplay())


def at(entry: ReplayEntry) -> float:
    """The position in seconds since T."""
    return (entry.position - T) / NS


async def test_records_are_published_when_they_are_due() -> None:
    """At the distances at which they were, merged by time, however long it goes; the end is told."""
    stage = Stage([1.0, 2.0, 50.0], [1.5, 99.0])
    async with stage.playing():
        assert stage.bus.states == ["waiting"]
        await stage.tell(ResumeReplay())
        await stage.clock.advance(200)
        assert stage.bus.records == [(1.0, 1.0), (1.5, 1.5), (2.0, 2.0), (50.0, 50.0), (99.0, 99.0)]
        assert stage.bus.states == ["waiting", "playing", "ended"]
        assert stage.events[-1].replay.state == "ended"
        assert stage.events[-1].replay.position == T + 100 * NS


@pytest.mark.parametrize(("speed", "when"), [(10.0, 0.5), (0.5, 10.0), (1.0, 5.0)])
async def test_speed_divides_the_time(speed: float, when: float) -> None:
    """What is five seconds later comes so many times sooner."""
    stage = Stage([5.0], speed=speed)
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(60)
    assert stage.bus.records == [(when, 5.0)]


async def test_pace_does_not_drift() -> None:
    """After ten thousand records the last one is as exact as the first."""
    stage = Stage([n * 0.01 for n in range(10_000)])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(101)
    assert len(stage.bus.records) == 10_000
    assert max(when - ts for when, ts in stage.bus.records) < 1e-6
    assert min(when - ts for when, ts in stage.bus.records) > -1e-6


async def test_what_is_of_one_millisecond_goes_out_together() -> None:
    """When the last of it is due; never before."""
    stage = Stage([1.0001, 1.0002, 1.0009, 1.0011])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(5)
    messages = [body for _, subject, body in stage.bus.sent if not subject.endswith(".status")]
    assert [len(body) for body in messages] == [3, 1]
    assert all(when >= ts - 1e-9 for when, ts in stage.bus.records)


async def test_a_pause_holds_it_where_it_is() -> None:
    """And a resume goes on from there, as if no time had passed."""
    stage = Stage([1.0, 4.0])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(2.5)
        assert at(await stage.tell(PauseReplay())) == 2.5
        await stage.clock.advance(1000)
        entry = await stage.tell(ResumeReplay())
        assert (at(entry), entry.state) == (2.5, "playing")
        await stage.clock.advance(10)
    assert stage.bus.records == [(1.0, 1.0), (1004.0, 4.0)]


async def test_a_seek_goes_to_a_time() -> None:
    """Behind or ahead; what was read is forgotten, and the number says what is of before."""
    stage = Stage([1.0, 2.0, 50.0])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(1.5)
        entry = await stage.tell(SeekReplay(T + 49 * NS))
        assert (at(entry), entry.number) == (49.0, 4)
        await stage.clock.advance(1.0)
        await stage.tell(SeekReplay(T))
        await stage.clock.advance(1.5)
        assert stage.bus.records == [(1.0, 1.0), (2.5, 50.0), (3.5, 1.0)]
        assert stage.opened == [T, T + 49 * NS, T]
        assert [source.closed for source in stage.sources] == [True, True, False]
        with pytest.raises(RequestError, match="not within"):
            await stage.tell(SeekReplay(T + 101 * NS))


async def test_the_speed_changes_on_the_way() -> None:
    """From where it is then; from full speed too, when a step of many records was at hand."""
    stage = Stage([1.0, 11.0, 12.0])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(1.0)
        entry = await stage.tell(SpeedReplay(10.0))
        assert (at(entry), entry.speed) == (1.0, 10.0)
        await stage.clock.advance(5.0)
    assert stage.bus.records == [(1.0, 1.0), (2.0, 11.0), (2.1, 12.0)]


async def test_a_step_of_full_speed_is_cut_anew() -> None:
    """What was to go out at once, and hasn't, comes at its own times."""
    stage = Stage([1.0, 11.0], speed=0.0, flow=FLOW)
    async with stage.playing():
        stage.bus.connect(False)
        await stage.bus.ack("0")
        await stage.clock.settle()
        assert stage.bus.records == []
        await stage.tell(SpeedReplay(1.0))
        stage.bus.connect(True)
        await stage.clock.advance(20)
    assert [ts for _, ts in stage.bus.records] == [1.0, 11.0]
    assert stage.bus.records[1][0] - stage.bus.records[0][0] == pytest.approx(10.0)


async def test_full_speed_waits_for_its_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing before it says that it is there, then a window, then as it acknowledges."""
    monkeypatch.setattr("dccd.bus.credit.WINDOW_MESSAGES", 3)
    stage = Stage([n * 1.0 for n in range(10)], [n + 0.5 for n in range(10)], speed=0.0, flow=FLOW)
    async with stage.playing():
        await stage.clock.advance(60)
        assert stage.bus.records == []
        await stage.bus.ack("0")
        await stage.clock.settle()
        assert (await stage.entry()).state == "playing"
        first = len(stage.bus.records)
        assert 0 < first <= 3
        await stage.bus.ack("3")
        await stage.clock.settle()
        assert first < len(stage.bus.records) <= 6
        for number in range(4, 60):
            await stage.bus.ack(str(number))
            await stage.clock.settle()
        assert [ts for _, ts in stage.bus.records] == [n / 2 for n in range(20)]
        assert stage.bus.states[-1] == "ended"


async def test_a_slow_receiver_is_said_to_be_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its own speed, too, nothing is sent to who has no room; then what is late goes out at once."""
    monkeypatch.setattr("dccd.bus.credit.WINDOW_MESSAGES", 3)
    stage = Stage([1.0, 2.0, 3.0, 4.0], flow=FLOW)
    async with stage.playing():
        await stage.bus.ack("0")
        await stage.clock.advance(10)
        entry = await stage.entry()
        assert entry.behind > 5 and entry.records < 4
        await stage.bus.ack(str(entry.number))
        await stage.clock.settle()
        assert (await stage.entry()).records == 4


async def test_without_flow_control_bytes_a_second_are_bounded() -> None:
    """At full speed, too: what a second takes isn't sent in less."""
    stage = Stage([n * 1e-6 for n in range(400_000)], speed=0.0)
    stage.bus.listeners = True
    async with stage.playing():
        await stage.clock.advance(1.0)
        sizes = [
            len(msgspec.json.encode(body)) for _, subject, body in stage.bus.sent if not subject.endswith(".status")
        ]
        assert 0.6 * PLAIN_BYTES < sum(sizes) <= PLAIN_BYTES + max(sizes)


async def test_it_waits_for_a_first_subscriber() -> None:
    """Who comes is found within a moment; one that is started paused plays only when it is told to."""
    for paused in (False, True):
        stage = Stage([1.0], start_paused=paused)
        async with stage.playing():
            await stage.clock.advance(100)
            assert stage.bus.records == []
            stage.bus.listeners = True
            await stage.clock.advance(10)
            assert bool(stage.bus.records) is not paused
            assert (await stage.entry()).attended


async def test_holes_are_jumped_if_so_asked() -> None:
    """By as much as isn't known to be there; the rest of the silence is waited through."""
    holes = IntervalSet([(T + 10 * NS, T + 90 * NS)])
    stage = Stage([1.0, 95.0], holes=holes)
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(30)
    assert stage.bus.records == [(1.0, 1.0), (15.0, 95.0)]


async def test_what_cant_be_read_fails_it() -> None:
    """Said among the messages and as an event; a seek may bring it back."""
    stage = Stage([1.0])
    stage.error = CorruptFile("a.parquet", "no footer")  # type: ignore[arg-type]  # a path
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.settle()
        entry = await stage.entry()
        assert entry.state == stage.bus.states[-1] == "failed"
        assert entry.error is not None and "no footer" in entry.error
        with pytest.raises(RequestError) as refused:
            await stage.tell(PauseReplay())
        assert (refused.value.code, refused.value.reason) == (409, "over")
        stage.error = None
        await stage.tell(SeekReplay(T))
        await stage.clock.advance(2)
        assert [ts for _, ts in stage.bus.records] == [1.0]


async def test_one_that_has_ended_lingers_for_a_while() -> None:
    """So that a seek can bring it back; then it is gone."""
    stage = Stage([1.0], speed=0.0)
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(LINGER / 2)
        await stage.tell(SeekReplay(T))
        assert len(stage.bus.records) == 2
        await stage.clock.advance(LINGER + 1)
        assert not stage.ref.alive


async def test_one_that_nobody_wants_expires() -> None:
    """An hour after anybody was there, whatever it does; not while somebody listens, or the bus is away."""
    stage = Stage([1.0], end=T + 10**6 * NS)
    stage.times = [[1.0, 999_999.0]]
    async with stage.playing():
        await stage.tell(ResumeReplay())
        stage.bus.listeners = True
        await stage.clock.advance(2 * EXPIRY)
        assert stage.ref.alive
        stage.bus.listeners = False
        await stage.clock.advance(EXPIRY - LOOK)
        assert stage.ref.alive
        await stage.clock.advance(3 * LOOK)
        assert not stage.ref.alive
    assert stage.bus.states[-1] == "expired"


async def test_one_that_nobody_wants_makes_room() -> None:
    """After a minute without anybody, or once it has ended; not where somebody listens to it."""
    stage = Stage([1.0, 999_999.0], end=T + 10**6 * NS)
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(IDLE - 1)
        assert not await stage.ref.ask(YieldReplay())
        stage.bus.listeners = True
        await stage.clock.advance(2 * IDLE)
        assert not await stage.ref.ask(YieldReplay())
        stage.bus.listeners = False
        await stage.clock.advance(IDLE + LOOK)
        assert await stage.ref.ask(YieldReplay())
        await stage.clock.settle()
        assert stage.bus.states[-1] == "expired"
    stage = Stage([1.0], speed=0.0)
    stage.bus.listeners = True
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(LOOK)
        assert (await stage.entry()).state == "ended"
        assert not await stage.ref.ask(YieldReplay())
        stage.bus.listeners = False
        await stage.clock.advance(LOOK)
        assert await stage.ref.ask(YieldReplay())


async def test_a_stop_ends_it() -> None:
    """The answer says so, and so does the last message; afterwards there is nobody to ask."""
    stage = Stage([1.0])
    async with stage.playing():
        assert (await stage.tell(StopReplay())).state == "stopped"
        await stage.clock.settle()
        with pytest.raises(ActorGone):
            await stage.tell(PauseReplay())
    assert stage.bus.states[-1] == "stopped"


async def test_what_ends_the_daemon_is_told() -> None:
    """Who listens learns that this wasn't the end of the records; what is open is closed."""
    stage = Stage([50.0])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.settle()
    assert stage.bus.states[-1] == "stopped"
    assert stage.sources[0].closed


async def test_without_flow_control_it_waits_for_the_bus() -> None:
    """While it is away nothing is published; then what is late goes out."""
    stage = Stage([1.0, 2.0])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        stage.bus.connect(False)
        await stage.clock.advance(10)
        assert stage.bus.records == []
        stage.bus.connect(True)
        await stage.clock.advance(1)
    assert [ts for _, ts in stage.bus.records] == [1.0, 2.0]


async def test_progress_is_an_event_now_and_then() -> None:
    """Every few seconds while it moves, however many messages there are."""
    stage = Stage([n * 0.1 for n in range(1000)])
    async with stage.playing():
        await stage.tell(ResumeReplay())
        before = len(stage.events)
        await stage.clock.advance(10 * LOOK)
        assert 9 <= len(stage.events) - before <= 10
        positions = [event.replay.position for event in stage.events[before:]]
        assert positions == sorted(positions)


async def test_datasets_that_share_a_moment_share_a_step() -> None:
    """In blocks all of one dataset comes before the others': who receives it merges them."""
    stage = Stage([1.0, 2.0, 3.0], [1.5, 2.5], speed=0.0, blocks=True)
    async with stage.playing():
        await stage.tell(ResumeReplay())
        await stage.clock.advance(1)
    messages = [(subject, len(body)) for _, subject, body in stage.bus.sent if not subject.endswith(".status")]
    assert messages[:2] == [(subjects.replay_ticks("r1", A), 2), (subjects.replay_ticks("r1", B), 1)]
    assert sum(count for _, count in messages) == 5
