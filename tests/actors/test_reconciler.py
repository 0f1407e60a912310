"""What is wanted is saved first and done then; what can't be done now is done later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from actors import reconciler as reconciling
from actors.mail import MoveRuns, Reload, SetJobs
from actors.reconciler import Reconciler
from actors.runtime.actor import Actor, ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from dccd import config_file
from dccd import messages as m
from dccd.bus.kv import Entry
from dccd.config import Config, Job, Settings, parse
from dccd.errors import BusUnavailable, ConfigError, RemoteError, RequestError
from dccd.exchanges.base import StreamOptions
from dccd.jobs import specs_of
from dccd.symbols import Dataset

pytestmark = pytest.mark.anyio

FILE = """\
jobs:
  - {exchange: binance, pairs: [BTC/USDT], data_type: trades}
  - {exchange: binance, pairs: [BTC/USDT], data_type: trades, operation: backfill, trigger_kind: manual}
"""
MORE = FILE + "  - {exchange: kraken, pairs: [BTC/USD], data_type: trades}\n"
BTC, KRAKEN = "binance.trades.BTC-USDT", "kraken.trades.BTC-USD"


class Bucket:
    """Entries by key; ``away``: the bus is."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.away = False

    def _here(self) -> None:
        if self.away:
            raise BusUnavailable("away")

    async def get(self, key: str) -> tuple[bytes, int] | None:
        return (self.values[key], 1) if key in self.values else None

    async def put(self, key: str, value: bytes) -> None:
        self._here()
        self.values[key] = value

    async def remove(self, key: str) -> None:
        self._here()
        self.values.pop(key, None)

    async def find(self, prefix: str) -> list[Entry]:
        self._here()
        return [Entry(key, value, 1, 1) for key, value in self.values.items() if key.startswith(prefix)]


class Desk(SimpleNamespace):
    """The daemon's shared names as a reconciler takes them, and its streams: ``log`` is what happened to them."""

    def __init__(self, path: Path | None = None, config: Config | None = None, bad: str = "") -> None:
        config = config or (Config() if path is None else parse(path.read_text()))
        super().__init__(
            config=config, base=config, config_path=path, config_error=None, host="alpha", board={}, remotes={},
            jobs=Bucket(), configs=Bucket(), specs={spec.name: spec for spec in specs_of(config)}, bad=bad,
            reconciler=None, scheduler=None, told=[], log=[], halted=set(), changed=asyncio.Event(), streams=self,
        )  # fmt: skip

    def nodes(self) -> list[Any]:
        return [SimpleNamespace(id=name) for name in self.board]

    async def start(self, dataset: Dataset, options: StreamOptions, job: str | None = None, restart: str = "") -> bool:
        if dataset.name == self.bad:
            raise RequestError(422, "exchange", "refused")
        if dataset.name in self.board:
            return False
        self.board[dataset.name] = SimpleNamespace(dataset=dataset, options=options, job=job)
        self.log.append(f"start {dataset}")
        return True

    async def stop(self, dataset: Dataset) -> None:
        if self.board.pop(dataset.name, None) is None:
            raise RequestError(404, "no_stream", "none")
        self.log.append(f"stop {dataset}")

    def change_remotes(self, remotes: Any) -> None:
        self.remotes = remotes

    def tell_changed(self) -> None:
        self.log.append("told")


class Listener(Actor):
    """A scheduler that only hears."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def on_message(self, message: Any) -> None:
        assert isinstance(message, SetJobs)
        self.desk.told.append([spec.name for spec in message.specs])


@asynccontextmanager
async def reconciler(desk: Any, enabled: bool = True) -> AsyncIterator[tuple[ActorRef, FakeClock]]:
    clock = FakeClock()
    listener = Listener(desk)
    async with open_root(listener, clock=clock) as hears:
        desk.scheduler = hears
        async with open_root(Reconciler(desk, desk, enabled=enabled), clock=clock) as ref:
            await state(ref)
            yield ref, clock


async def state(ref: ActorRef) -> m.ConfigReply:
    """What is wanted, once what was begun before is done."""
    reply: m.ConfigReply = await ref.ask(m.ConfigGet())
    return reply


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(FILE)
    return path


def edit(file: Path, text: str | None) -> None:
    """As somebody else would; None removes it."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)


def text_of(file: Path) -> str:
    return file.read_text()


async def test_an_edit_is_taken_over_once_it_is_still(file: Path) -> None:
    """A file that is just being written isn't read half; nothing happens as long as nothing changes."""
    desk = Desk(file)
    async with reconciler(desk) as (ref, clock):
        assert desk.log == ["told", f"start {BTC}"]
        await clock.advance(10)
        await state(ref)
        assert len(desk.log) == 2
        edit(file, "jobs: [")
        await clock.advance(2)
        edit(file, MORE)
        await clock.advance(2)
        await state(ref)
        assert desk.log[2:] == []
        await clock.advance(2)
        await state(ref)
        assert desk.log[2:] == ["told", f"start {KRAKEN}"]
        assert desk.config_error is None
        edit(file, FILE)
        await ref.tell(Reload())
        await state(ref)
        assert desk.log[4:] == [f"stop {KRAKEN}", "told"]


async def test_a_file_that_is_gone_or_wrong_changes_nothing(file: Path) -> None:
    """What is wrong is told once there is something, and no longer when it is right again."""
    desk = Desk(file)
    async with reconciler(desk) as (ref, _):
        for text in ("jobs: 5\n", None):
            edit(file, text)
            await ref.tell(Reload())
            assert (await state(ref)).error == desk.config_error is not None
        edit(file, FILE)
        await ref.tell(Reload())
        assert (await state(ref)).error is None
        assert [what for what in desk.log if what != "told"] == [f"start {BTC}"]


async def test_a_stream_that_cannot_start_is_told_and_keeps_no_other_from_it(file: Path) -> None:
    """The reply names it with the reason; the file has it, since that is what was wanted."""
    desk = Desk(file, bad=KRAKEN)
    async with reconciler(desk) as (ref, _):
        job = m.JobCreate(exchange="kraken", pairs=["BTC/USD", "ETH/USD"], data_type="trades")
        done = await ref.ask(job)
        assert (done.started, done.failed) == (["kraken.trades.ETH-USD"], {KRAKEN: "refused"})
        assert "BTC/USD, ETH/USD" in text_of(file)


async def test_what_does_not_come_back_at_a_moved_exchange_is_logged(file: Path) -> None:
    """A stream that no job has run, and the backfills: the configuration is taken over, and the log says what isn't."""

    async def ask_runner(order: MoveRuns) -> None:
        raise RequestError(503, "not_now", "the daemon is starting")

    desk = Desk(file)
    desk.sockets = desk.rest = SimpleNamespace(change=lambda *_: None)
    desk.ask_runner = ask_runner
    with capture_logs() as logged:
        async with reconciler(desk) as (ref, _):
            await desk.start(Dataset.parse(KRAKEN), StreamOptions())
            desk.bad = KRAKEN
            got = await state(ref)
            moved = {**got.config, "exchanges": {"kraken": {"ws_url": "ws://localhost:1"}}}
            done = await ref.ask(m.ConfigPut(revision=got.revision, config=moved))
            assert done.applied == ["exchanges.kraken.ws_url"]
    told = [(one["event"], one["error"]) for one in logged if "error" in one]
    assert told == [("stream not started", "refused"), ("backfills not moved yet", "the daemon is starting")]


async def test_the_scheduler_hears_of_jobs_when_they_change(file: Path) -> None:
    """All backfills, and not for anything else."""
    desk = Desk(file)
    async with reconciler(desk) as (ref, _):
        name = "backfill.binance.trades.BTC-USDT"
        await ref.ask(m.JobUpdate(name=name, trigger_kind="interval", every="1h"))
        got = await state(ref)
        wanted = {**got.config, "alerts": {"free_space": 0}}
        assert (await ref.ask(m.ConfigPut(revision=got.revision, config=wanted))).applied == ["alerts.free_space"]
        await ref.ask(m.JobDelete(name=name))
    assert desk.told == [[name], []]


async def test_entries_of_jobs_follow_when_the_bus_is_back(file: Path) -> None:
    """The file has what was wanted; the bucket has it as soon as it can be written."""
    desk = Desk(file)
    async with reconciler(desk) as (ref, clock):
        assert set(desk.jobs.values) == {f"alpha.job.{name}" for name in desk.specs}
        desk.jobs.away = True
        await ref.ask(m.JobDelete(name=f"stream.{BTC}"))
        assert f"alpha.job.stream.{BTC}" in desk.jobs.values
        desk.jobs.away = False
        await clock.advance(2)
        await state(ref)
        assert set(desk.jobs.values) == {"alpha.job.backfill.binance.trades.BTC-USDT"}


async def test_nothing_is_done_that_could_not_be_saved() -> None:
    """Without a file, and with the bus away, a change is refused and leaves no trace."""
    desk = Desk(config=parse(FILE))
    async with reconciler(desk) as (ref, _):
        before = await state(ref)
        desk.configs.away = True
        answer = await ref.ask(m.JobDelete(name=f"stream.{BTC}"))
        assert isinstance(answer, BusUnavailable)
        assert await state(ref) == before
        assert list(desk.board) == [BTC]
        desk.configs.away = False
        assert (await ref.ask(m.JobDelete(name=f"stream.{BTC}"))).stopped == [BTC]


async def test_what_was_refused_is_not_there_after_a_restart() -> None:
    """A write whose answer was lost may have happened: what is wanted is written again."""

    class Unanswered(Bucket):
        async def put(self, key: str, value: bytes) -> None:
            self.values[key] = value
            self._here()

    desk = Desk(config=parse(FILE))
    desk.configs = Unanswered()
    async with reconciler(desk) as (ref, clock):
        desk.configs.away = True
        assert isinstance(await ref.ask(m.JobDelete(name=f"stream.{BTC}")), BusUnavailable)
        assert desk.configs.values
        desk.configs.away = False
        await clock.advance(2)
        await state(ref)
        assert desk.configs.values == {}


async def test_an_edit_that_could_not_be_taken_over_is_tried_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote that can't be opened is told as long as it isn't; when it can be, a signal is enough."""
    desk, there = Desk(file), False

    def opened(*_: Any) -> dict[str, Any]:
        if not there:
            raise RemoteError("backup", "no such provider")
        return {"backup": SimpleNamespace()}

    monkeypatch.setattr(reconciling, "remotes_of", opened)
    async with reconciler(desk) as (ref, _):
        edit(file, FILE + "storage: {remotes: [{name: backup, url: file:///mnt/backup}]}\n")
        for _ in range(2):
            await ref.tell(Reload())
            assert "no such provider" in str((await state(ref)).error)
        there = True
        await ref.tell(Reload())
        assert (await state(ref)).error is None
        assert list(desk.remotes) == ["backup"]


async def test_a_file_that_turns_out_not_to_be_writable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new job goes beside it; what changes the file itself is refused, and not done."""

    def refuse(path: Path, text: str, was: str) -> None:
        raise ConfigError(str(path), "busy", "a file that can be replaced")

    desk = Desk(file)
    async with reconciler(desk) as (ref, _):
        monkeypatch.setattr(config_file, "write", refuse)
        answer = await ref.ask(m.JobDelete(name=f"stream.{BTC}"))
        assert (answer.code, answer.reason) == (409, "read_only")
        assert BTC in desk.board
        done = await ref.ask(m.JobCreate(exchange="kraken", pairs=["BTC/USD"], data_type="trades"))
        assert (done.saved, done.started) == ("bus", [KRAKEN])
    again = Desk(file)
    again.configs = desk.configs
    async with reconciler(again):
        assert set(again.board) == {BTC, KRAKEN}
        assert again.specs[f"stream.{KRAKEN}"].source == "request"


@pytest.mark.parametrize("before", [True, False])
async def test_an_edit_in_the_moment_of_a_change_is_not_lost(
    file: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Just before the file is written, the change is refused; just after, the edit is taken over as any other."""
    write = config_file.write

    def interfere(path: Path, text: str, was: str) -> config_file.Read | None:
        monkeypatch.setattr(config_file, "write", write)
        if before:
            edit(file, MORE)
        written = write(path, text, was)
        edit(file, MORE)
        return written

    desk = Desk(file)
    async with reconciler(desk) as (ref, _):
        monkeypatch.setattr(config_file, "write", interfere)
        answer = await ref.ask(m.JobDelete(name=f"stream.{BTC}"))
        if before:
            assert (answer.code, answer.reason) == (409, "conflict")
        else:
            assert answer.stopped == [BTC]
        await ref.tell(Reload())
        await state(ref)
        assert (set(desk.board), text_of(file)) == ({BTC, KRAKEN}, MORE)


async def test_a_reconciler_that_comes_back_finds_what_it_left(file: Path) -> None:
    """Streams that run as wanted go on; one whose job has changed meanwhile restarts; those that lack start."""
    desk = Desk(file)
    async with reconciler(desk) as (ref, _):
        await ref.ask(m.JobCreate(exchange="kraken", pairs=["BTC/USD"], data_type="orderbook"))
    edit(file, text_of(file).replace("data_type: orderbook", "data_type: orderbook\n    depth: 10"))
    del desk.log[:]
    async with reconciler(desk):
        assert desk.log == ["stop kraken.orderbook.BTC-USD", "told", "start kraken.orderbook.BTC-USD"]
        assert desk.board["kraken.orderbook.BTC-USD"].options.depth == 10


async def test_a_reconciler_that_comes_back_leaves_what_a_request_has_stopped(file: Path) -> None:
    """Only a new start of the daemon, or of the stream, brings that back."""
    desk = Desk(file)
    async with reconciler(desk):
        await desk.stop(Dataset.parse(BTC))
        desk.halted.add(BTC)
    async with reconciler(desk):
        assert BTC not in desk.board
    desk.halted.clear()
    async with reconciler(desk):
        assert BTC in desk.board


async def test_a_stream_by_request_becomes_the_job_s(file: Path) -> None:
    """It goes on where the job wants just that, and restarts where it wants another."""
    desk = Desk(file)
    kraken, book = Dataset.parse(KRAKEN), Dataset.parse("kraken.orderbook.BTC-USD")
    async with reconciler(desk) as (ref, _):
        await desk.start(kraken, StreamOptions())
        await desk.start(book, StreamOptions(depth=10))
        del desk.log[:]
        await ref.ask(m.JobCreate(exchange="kraken", pairs=["BTC/USD"], data_type="trades"))
        assert desk.log == ["told"]
        assert desk.board[KRAKEN].job == f"stream.{KRAKEN}"
        await ref.ask(m.JobCreate(exchange="kraken", pairs=["BTC/USD"], data_type="orderbook", depth=25))
        assert desk.log == ["told", "told", f"stop {book}", f"start {book}"]


async def test_a_daemon_for_one_command_tells_and_changes_nothing(file: Path) -> None:
    """It starts no stream, and follows no file."""
    desk = Desk(file)
    async with reconciler(desk, enabled=False) as (ref, _):
        answer = await ref.ask(m.JobDelete(name=f"stream.{BTC}"))
        assert (answer.code, answer.reason) == (409, "no_jobs")
        edit(file, MORE)
        await ref.tell(Reload())
        assert len((await state(ref)).config["jobs"]) == 2
    assert (desk.log, desk.jobs.values) == ([], {})


async def test_what_the_bus_keeps_and_is_wrong_by_now_is_left_out() -> None:
    """The daemon starts with what it was started with."""
    desk = Desk(config=Config(settings=Settings(host="alpha"), jobs=parse(FILE).jobs))
    desk.configs.values["alpha"] = msgspec.json.encode({"patch": {"alerts": {"free_space": "much"}}})
    async with reconciler(desk) as (ref, _):
        assert (await state(ref)).config["alerts"]["free_space"] == "1GiB"
        assert list(desk.board) == [BTC]
    desk.configs.values["alpha"] = b"["
    async with reconciler(desk) as (ref, _):
        assert (await state(ref)).config["alerts"]["free_space"] == "1GiB"


def test_a_request_has_the_fields_of_a_job() -> None:
    """What can be written in the file can be asked for, and changed but for what makes it another job."""
    fields = set(Job.__struct_fields__)
    assert set(m.JobCreate.__struct_fields__) == fields
    identity = {"exchange", "pairs", "data_type", "operation", "span"}
    assert set(m.JobUpdate.__struct_fields__) == fields - identity | {"name"}
