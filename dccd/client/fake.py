"""A daemon that only answers: for tests of the client and of what stands on it.

It serves every operation of ``dccd.operations`` on a real bus from values that a test sets; nothing is collected or
stored. Requests are decoded as a daemon decodes them, so that a malformed one is refused.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import polars as pl

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.following import Followers
from dccd.bus.journal import EventLog
from dccd.bus.service import Service
from dccd.client.client import RunEvent
from dccd.client.fake_replay import FakeReplays
from dccd.errors import RequestError
from dccd.operations import OPERATIONS, Operation, entry, schema
from dccd.records import Record
from dccd.runs import ACTIVE, Run
from dccd.store.ipc import encoded
from dccd.store.scan import About
from dccd.symbols import Dataset

__all__ = ["FakeDaemon"]

HOST = "fake"
_CHUNK = 1024
_ROWS = 16


_METRICS = [
    m.MetricFamily(
        name="dccd_dataset_rows", type="gauge", help="Rows stored", samples=[
            m.MetricSample(name="dccd_dataset_rows", labels={"dataset": f"binance.trades.{coin}-USDT"}, value=rows)
            for coin, rows in (("BTC", 1_234_567.0), ("ETH", 0.0))
        ],
    ),
    m.MetricFamily(
        name="dccd_request_duration_seconds", type="histogram", help="How long requests took", samples=[
            m.MetricSample(name=f"dccd_request_duration_seconds{end}", labels={"operation": "read", **le}, value=value)
            for end, le, value in (
                ("_bucket", {"le": "0.005"}, 0.0), ("_bucket", {"le": "0.01"}, 1.0), ("_bucket", {"le": "+Inf"}, 1.0),
                ("_sum", {}, 0.007), ("_count", {}, 1.0),
            )
        ],
    ),
]  # fmt: skip


class FakeDaemon:
    """Answers on *bus*. ``requests`` holds what was asked, in order.

    ``replies`` is what each operation answers: a reply struct, an exception to raise, or a function of the request.
    ``frames`` are the stored datasets, ``derived`` says what some of them are made of, ``sent`` counts the pieces of
    Arrow streams and ``sending`` those streams that go on; ``runs`` is the run history by id, ``script`` the events
    that are published when a run is first asked for.
    """

    def __init__(self, bus: Bus, version: str = "4.0.0") -> None:
        self.requests: list[tuple[str, Any]] = []
        self.frames: dict[str, pl.DataFrame] = {}
        self.derived: dict[str, About] = {}
        self.sent = self.sending = 0
        self.runs: dict[str, Run] = {}
        self.script: list[RunEvent] = []
        self.replies: dict[str, Any] = {
            "operations": m.Operations(host=HOST, version=version, operations=[*map(entry, OPERATIONS)]),
            "health": m.Health(
                ok=True, host=HOST, version=version, uptime=12.5, bus_url="nats://fake", data_path="/data",
                archiver_lag=0, checks=[m.HealthCheck(name="bus", ok=True, detail="connected")],
            ),
            "tree": m.Tree(host=HOST, root=_node("daemon", _node("bus"), _node("streams", _node("stream")))),
            "metrics": self._metrics,
            "hosts": m.Hosts(host=HOST, hosts=[
                m.HostEntry(
                    id=HOST, instance="a", version=version, hostname="rack-1", pid=42, data_path="/data",
                    started=10**18, at=10**18 + 10**12, streams=3, backfills=1,
                ),
            ]),
            "alerts.list": m.AlertsListed(
                host=HOST,
                incidents=[
                    m.Incident(
                        key="stale:binance.trades.BTC-USDT", host=HOST, rule="stale", subject="binance.trades.BTC-USDT",
                        state="open", detail="no record since 2001-09-09T01:46:40Z (live)", since=10**18,
                        opened=10**18 + 10**11, told={"ops": "open"},
                    ),
                ],
                webhooks=[m.WebhookEntry(name="ops", format="slack", sent=1)],
            ),
            "alerts.test": lambda ask: m.AlertsTested(webhooks=[m.WebhookTried(name=ask.webhook or "ops")]),
            "exchanges": m.Exchanges(exchanges={}),
            "inventory": m.Inventory(host=HOST, data_path="/data", datasets=[]),
            "coverage": lambda ask: m.Coverage(
                dataset=ask.resolve().name, host=HOST, start=0, end=100, fraction=0.5, seconds={"verified": 5e-8},
                intervals=[m.CoverageEntry(start=0, end=50, state="verified")],
            ),
            "repair": m.Repaired(repairs=[]),
            "storage.migrate": self._migrate,
            "storage.sync": lambda ask: self._whole("storage.sync", ask),
            "storage.verify": lambda ask: self._whole("storage.verify", ask),
            "storage.restore": lambda ask: self._whole("storage.restore", ask),
            "storage.fold": lambda ask: self._whole("storage.fold", ask),
            "storage.remotes": m.Remotes(
                host=HOST, remotes=[m.RemoteEntry(name="backup", url="s3://bucket/data", interval=900.0, synced=10**18)]
            ),
            "storage.retention": m.Retention(
                host=HOST, free=10**9, floor=0, short=0, periods=1, bytes=2**20, purge=[
                    m.RetentionEntry(
                        dataset="binance.trades.BTC-USDT", period="2024-01-01", bytes=2**20, reason="age",
                        kept="remote backup doesn't have it yet",
                    ),
                ],
            ),
            "config.get": lambda ask: m.ConfigReply(
                host=HOST, revision="r1", config={"jobs": []}, yaml="jobs: []  # none yet\n" if ask.yaml else None,
                file="/etc/dccd.yml",
            ),
            "config.put": lambda ask: m.ConfigApplied(
                host=HOST, revision="r1" if ask.dry_run else "r2", dry_run=ask.dry_run, saved="file"
            ),
            "jobs.create": lambda ask: m.ConfigApplied(
                host=HOST, revision="r2", saved="file",
                jobs_added=[
                    f"{ask.operation}.{Dataset.make(ask.exchange, ask.data_type, pair, ask.span)}" for pair in ask.pairs
                ],
            ),
            "jobs.update": lambda ask: m.ConfigApplied(host=HOST, revision="r2", saved="file", jobs_changed=[ask.name]),
            "jobs.delete": lambda ask: m.ConfigApplied(host=HOST, revision="r2", saved="file", jobs_removed=[ask.name]),
            "jobs.list": m.Jobs(host=HOST, jobs=[]),
            "jobs.run": self._run_job,
            "jobs.run_all": m.JobsStarted(host=HOST, jobs=[]),
            "streams.list": m.Streams(host=HOST, streams=[]),
            "streams.start": lambda ask: m.StreamStarted(dataset=ask.resolve().name, already_running=False),
            "streams.stop": lambda ask: m.StreamStopped(dataset=ask.resolve().name),
            "backfill.start": self._start,
            "backfill.status": self._run,
            "backfill.cancel": self._cancel,
            "runs.get": self._run,
            "runs.list": lambda ask: m.Runs(runs=[self.runs[i] for i in sorted(self.runs, reverse=True)][: ask.limit]),
            "read": self._read,
            "book": m.BookReply(
                dataset="kraken.orderbook.BTC-USD", at=2_000, ts=1_500, stale=500, seq=7, snapshot_ts=1_000,
                bids=[(9.0, 1.0), (8.0, 2.5)], asks=[(10.0, 3.0), (11.0, 0.5)],
            ),
            "books": self._books,
            "doctor": m.DoctorLine(kind="progress", files=3, of_files=3, bytes=9, of_bytes=9),
        }  # fmt: skip
        self.replays = FakeReplays(bus, HOST)
        self.replies |= self.replays.replies
        # What the bus keeps is really there.
        self.replies |= {"follow": Followers(bus, HOST).follow, "journal": EventLog(bus, HOST).read}
        self.now = 1_704_067_200_000_000_000
        self._bus = bus
        self._service = Service(bus, HOST, version)

    async def __aenter__(self) -> FakeDaemon:
        await self._service.start()
        for op in OPERATIONS.values():
            await self._service.add(op.name, self._handler(op), schema(op.request), schema(op.reply), op.description)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._service.stop()

    def __repr__(self) -> str:
        return f"<FakeDaemon {len(self.requests)} requests, {len(self.runs)} runs>"

    def asked(self, operation: str) -> list[Any]:
        """The requests for *operation*, in order."""
        return [request for name, request in self.requests if name == operation]

    # ---------------------------------------------------------------- what a test makes happen

    def new_run(self, dataset: str, **fields: Any) -> Run:
        """Put a run on record: of a day, running, unless *fields* say otherwise."""
        number = len(self.runs) + 1
        values: dict[str, Any] = {
            "run_id": f"018cc251-f400-7000-8000-{number:012d}",
            "dataset": dataset,
            "state": "running",
            "host": HOST,
            "created": self.now,
            "started": self.now,
            "updated": self.now,
            "start": self.now - 86_400_000_000_000,
            "end": self.now,
            "position": self.now - 86_400_000_000_000,
        }
        run = Run(**{**values, **fields})
        self.runs[run.run_id] = run
        return run

    async def change(self, run: Run, *, announce: bool = True, **fields: Any) -> Run:
        """Put *run* on record with other *fields*, and *announce* it as an event."""
        run = msgspec.structs.replace(run, **fields)
        if "updated" not in fields:
            run = msgspec.structs.replace(run, updated=run.updated + 1)
        self.runs[run.run_id] = run
        if announce:
            await self.emit(m.RunStatus(at=run.updated, host=HOST, run=run))
        return run

    async def emit(self, event: RunEvent) -> None:
        """Publish a run's event; a status is put on record, too."""
        kind = {m.RunStatus: "status", m.RunProgress: "progress", m.RunFile: "file", m.RunLog: "log"}[type(event)]
        if isinstance(event, m.RunStatus):
            self.runs[event.run.run_id] = event.run
        run_id = event.run.run_id if isinstance(event, m.RunStatus) else event.run_id
        await self._bus.publish(subjects.run_event(run_id, kind), msgspec.json.encode(event))

    async def tick(self, dataset: str, *records: Record) -> None:
        """Publish *records* in one message."""
        await self._bus.publish(subjects.ticks(Dataset.parse(dataset)), msgspec.json.encode(records))

    # ---------------------------------------------------------------- answers

    def _handler(self, op: Operation) -> Callable[[bytes], Awaitable[bytes | AsyncIterator[bytes]]]:
        return partial(self._answer, op, msgspec.json.Decoder(op.request))

    async def _answer(self, op: Operation, decoder: Any, payload: bytes) -> bytes | AsyncIterator[bytes]:
        try:
            request = decoder.decode(payload)
        except msgspec.DecodeError as exc:
            raise RequestError(400, "malformed", str(exc)) from exc
        self.requests.append((op.name, request))
        reply = self.replies[op.name]
        if callable(reply):
            reply = reply(request)
        if isinstance(reply, Awaitable):
            reply = await reply
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, AsyncIterator) else msgspec.json.encode(reply)

    def _metrics(self, ask: m.MetricsGet) -> m.Metrics:
        """Rows of two datasets in a page each, and a request that took 7 ms."""
        page = _METRICS[1:] if ask.after else _METRICS[:1]
        following = None if ask.after else f"{_METRICS[1].name}:0"
        return m.Metrics(host=HOST, at=self.now, families=page, next=following)

    def _run_job(self, ask: m.JobRun) -> m.JobStarted:
        operation, _, dataset = ask.name.partition(".")
        if operation == "stream":
            return m.JobStarted(name=ask.name, run_id=None, already_running=False, run=None)
        run = self.new_run(dataset, trigger="request")
        return m.JobStarted(name=ask.name, run_id=run.run_id, already_running=False, run=run)

    def _start(self, ask: m.BackfillStart) -> m.BackfillStarted:
        dataset = ask.resolve().name
        asked = (str(ask.start), None if ask.end is None else str(ask.end))
        for run in self.runs.values():
            if run.dataset == dataset and run.state in ACTIVE:
                return m.BackfillStarted(run_id=run.run_id, already_running=True, run=run)
        run = self.new_run(dataset, asked=asked)
        return m.BackfillStarted(run_id=run.run_id, already_running=False, run=run)

    async def _migrate(self, ask: m.StorageMigrate) -> m.RunStarted:
        return await self._whole("storage.migrate", ask)

    async def _whole(self, operation: str, ask: msgspec.Struct) -> m.RunStarted:
        run = self.new_run("", operation=operation, start=0, end=0, position=0, options=msgspec.to_builtins(ask))
        script, self.script = self.script, []
        for event in script:
            of_run = isinstance(event, m.RunStatus)
            await self.emit(event if of_run else msgspec.structs.replace(event, run_id=run.run_id))
        await self.change(run, state="done", summary="done")
        return m.RunStarted(run_id=run.run_id, already_running=False, run=run)

    async def _run(self, ask: m.RunsGet | m.BackfillStatus) -> Run:
        run = self.runs.get(ask.run_id)
        if run is None:
            raise RequestError(404, "no_run", f"there is no run {ask.run_id}", "run_id")
        script, self.script = self.script, []
        for event in script:
            await self.emit(event)
        return run

    async def _cancel(self, ask: m.BackfillCancel) -> Run:
        run = await self._run(m.RunsGet(run_id=ask.run_id))
        if run.state not in ACTIVE:
            raise RequestError(409, "not_running", f"run {ask.run_id} is over: {run.state}", "run_id")
        return await self.change(run, state="cancelled")

    async def _read(self, ask: m.Read) -> m.ReadReply | AsyncIterator[bytes]:
        frame = self.frames.get(ask.resolve().name)
        if frame is None:
            raise RequestError(404, "no_dataset", f"nothing is stored of {ask.resolve()}", "dataset")
        if isinstance(ask.start, int):
            frame = frame.filter(frame["TS"] >= ask.start)
        if isinstance(ask.end, int):
            frame = frame.filter(frame["TS"] < ask.end)
        if ask.columns is not None:
            frame = frame.select(ask.columns)
        if ask.limit is not None:
            frame = frame.tail(ask.limit) if ask.newest else frame.head(ask.limit)
        if ask.format == "json":
            return m.ReadReply(dataset=ask.resolve().name, columns=frame.columns, rows=[list(r) for r in frame.rows()])
        about = self.derived.get(ask.resolve().name, About(ask.resolve().name))
        return self._pieces(frame, about)

    async def _pieces(self, frame: pl.DataFrame, about: About) -> AsyncIterator[bytes]:
        """As the daemon sends them: the schema, batches of some rows, the end."""
        table = frame.to_arrow()
        self.sending += 1
        try:
            for piece in encoded(about.on(table.schema), table.to_batches(_ROWS)):
                self.sent += 1
                yield piece
        finally:
            self.sending -= 1

    async def _books(self, ask: m.Books) -> m.BooksReply | AsyncIterator[bytes]:
        """The wire's own frame (with ``unknown``) of the dataset, one time a ``TS``; ``every`` is 10 ns."""
        frame = self.frames[ask.resolve().name]
        times = sorted(set(frame["TS"]))
        start = times[0] if ask.start is None else int(ask.start)
        end = times[-1] + 1 if ask.end is None else int(ask.end)
        if ask.format == "json":
            name = ask.resolve().name
            return m.BooksReply(dataset=name, start=start, end=end, every=10, columns=frame.columns, rows=[])
        return _chunks(frame.filter((frame["TS"] >= start) & (frame["TS"] < end)))


async def _chunks(frame: pl.DataFrame) -> AsyncIterator[bytes]:
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    data = stream.getvalue()
    for offset in range(0, len(data), _CHUNK):
        yield data[offset : offset + _CHUNK]


def _node(name: str, *children: m.TreeNode) -> m.TreeNode:
    return m.TreeNode(
        id=name,
        type="supervisor" if children else "worker",
        status="running",
        restarts=0,
        mailbox=0,
        mailbox_size=64,
        uptime=12.5,
        children=list(children),
    )
