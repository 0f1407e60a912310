"""The request side of the bus: one NATS micro service (ADR-32) named ``dccd``, an instance a host.

Requests flow in as bytes, replies flow out as bytes or in chunks; an error becomes headers and a body of one form, and
never more than an error. ``nats micro ls``, ``info`` and ``stats`` work as with any micro service.

Each operation answers on ``dccd.<operation>``, where any host may take it, and on ``dccd.host.<id>.<operation>``,
which reaches this one. A request names an inbox for its answer, or is ignored. It runs in a task of its own, so that a
slow one holds up nobody; beyond *limit* at once the answer is 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import anyio
import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.micro.request import Request
from nats.micro.service import Service as MicroService
from nats.micro.service import ServiceConfig, ServiceStats

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.transfer import FLOW, ChunkSender
from dccd.bus.translation import ERROR, ERROR_CODE, translated
from dccd.errors import BusError, RequestError
from dccd.histogram import REQUESTS, Histogram

__all__ = ["ASKED_FROM", "UNKNOWN", "Handler", "Service", "Timing", "error_body", "is_inbox"]

Handler = Callable[[bytes], Awaitable[bytes | AsyncIterator[bytes]]]
"""Takes a request's body, returns the reply's, or chunks of it; raises RequestError to refuse."""

ASKED_FROM: ContextVar[str] = ContextVar("ASKED_FROM", default="")
"""Inside a handler: the inbox to which the answer goes."""

_HOST = re.compile(r"[A-Za-z0-9_-]+")
_REPLIES = re.compile(rf"(?:{subjects.INBOX}|_R_)(?:\.[!-)+,\-/-=?-~]+)+")
_MAX_INBOX = 1024
_ACKS = subjects.acks("", "")
_TEXT, _FIELD = 2000, 200
"""Characters of an error's message, and of the field that it names."""
_QUEUE = "dccd"
UNKNOWN = "unknown"
"""What operations that don't exist are counted as: anybody may ask for any name."""


def error_body(error: RequestError) -> bytes:
    """The body of an error reply: ``{"error": {"code": 422, "reason": "…", "message": "…", "field": null}}``.

    What it quotes of the request is cut short: that may be as long as a message, and then the reply would be longer.
    """
    text, field = _cut(str(error), _TEXT), error.field and _cut(error.field, _FIELD)
    return msgspec.json.encode({"error": {"code": error.code, "reason": error.reason, "message": text, "field": field}})


def _cut(text: str, length: int) -> str:
    """*text*, of so many characters at most, all of which JSON may hold."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= length else f"{text[: length - 1]}…"


class _Counts:
    """What ``nats micro stats`` shows of an endpoint, beside the number of requests."""

    def __init__(self) -> None:
        self.errors = 0
        self.last_error = ""
        self.nanoseconds = 0
        self.finished = 0


class Timing:
    """How long one operation's requests took (``durations``, seconds; the failed ones, too), by whatever subject they
    came, and how many ended in which error (``errors``, by code)."""

    def __init__(self) -> None:
        self.durations = Histogram(REQUESTS)
        self.errors: Counter[int] = Counter()

    def __repr__(self) -> str:
        return f"<Timing {self.durations!r} errors={self.errors.total()}>"


class _Micro(MicroService):
    """nats-py's service, with the counts of the tasks: by itself it sees a request as done when it is handed on."""

    counts: dict[str, _Counts]

    # Of what asks with another subject than an inbox nothing is answered, as by the endpoints.

    async def _handle_ping_request(self, msg: Msg) -> None:
        if is_inbox(msg.reply):
            await super()._handle_ping_request(msg)

    async def _handle_info_request(self, msg: Msg) -> None:
        if is_inbox(msg.reply):
            await super()._handle_info_request(msg)

    async def _handle_stats_request(self, msg: Msg) -> None:
        if is_inbox(msg.reply):
            await super()._handle_stats_request(msg)

    def stats(self) -> ServiceStats:
        stats = super().stats()
        for endpoint in stats.endpoints:
            counts = self.counts.get(endpoint.name)
            if counts is not None:
                endpoint.num_errors = counts.errors
                endpoint.last_error = counts.last_error
                endpoint.processing_time = counts.nanoseconds
                endpoint.average_processing_time = counts.nanoseconds // max(1, counts.finished)
        return stats


class _Operation(msgspec.Struct, frozen=True):
    name: str
    handler: Handler
    endpoint: str


class Service:
    """Answers operations on *bus* for the host *host_id*, up to *limit* at once: start it, and add operations.

    *patience* is how long (seconds) the receiver of a reply in chunks may take over one of them.
    """

    def __init__(self, bus: Bus, host_id: str, version: str, *, limit: int = 64, patience: float = 30.0) -> None:
        if not _HOST.fullmatch(host_id):
            raise BusError(f"{host_id!r} is no host id: letters, digits, - and _")
        self._bus = bus
        self._host = host_id
        self._limit = limit
        self._log = structlog.get_logger("dccd.bus.service")
        self._operations: dict[str, _Operation] = {}
        self._counts: dict[str, _Counts] = {}
        self.timings: dict[str, Timing] = {UNKNOWN: Timing()}
        """By operation; those that there are none of are UNKNOWN together."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._sender = ChunkSender(bus, patience)
        self._stopping = False
        self.ignored = 0
        """Requests that name no inbox for the answer."""
        config = ServiceConfig(
            name=subjects.SERVICE,
            version=_semantic(version),
            description="dccd collects crypto market data; `nats req dccd.operations ''` tells what can be asked",
            metadata={"host": host_id, "dccd_version": version},
            queue_group=_QUEUE,
        )
        self._micro = _Micro(bus.client, config)
        self._micro.counts = self._counts

    # ---------------------------------------------------------------- life

    async def start(self) -> None:
        """Appear on the bus. Raises BusUnavailable, BusRefused."""
        await self._sender.start()
        with translated("starting the service"):
            await self._micro.start()
        prefix = subjects.host_request(self._host, "")
        await self._endpoint(
            "host",
            f"{prefix}>",
            lambda subject: subject.removeprefix(prefix),
            {"description": "any operation, on this host"},
        )
        await self._bus.barrier()

    async def add(
        self,
        operation: str,
        handler: Handler,
        request_schema: Mapping[str, Any],
        reply_schema: Mapping[str, Any],
        description: str,
        *,
        wait: bool = True,
    ) -> None:
        """Answer *operation* (``backfill.start``) with *handler*; the JSON schemas and the description are for people.

        *wait* until the server knows of it: it takes them in turn, so that of several the last is enough to wait for.
        Raises BusError when it is there already.
        """
        endpoint = operation.replace(".", "-")
        if endpoint in self._counts:
            raise BusError(f"operation {operation} is there already")
        self._operations[operation] = _Operation(operation, handler, endpoint)
        self.timings[operation] = Timing()
        metadata = {
            "description": description,
            "request": msgspec.json.encode(request_schema).decode(),
            "reply": msgspec.json.encode(reply_schema).decode(),
        }
        await self._endpoint(endpoint, subjects.request(operation), lambda _: operation, metadata)
        if wait:
            await self._bus.barrier()

    async def stop(self, timeout: float = 5.0) -> None:
        """Disappear from the bus, let running requests finish for *timeout* seconds, then answer the rest with 503."""
        self._stopping = True
        with anyio.CancelScope(shield=True):
            # When the connection is away or closed, so is the service.
            with anyio.move_on_after(2), contextlib.suppress(nats.errors.Error):
                await self._micro.stop()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=timeout)
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=1)
            await self._sender.stop()

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def id(self) -> str:
        """The instance's id, as ``nats micro ls`` shows it."""
        return self._micro.id

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return len(self._tasks)

    def statistics(self) -> dict[str, Any]:
        """Requests by operation, with errors and the mean time in milliseconds."""
        return {
            "running": len(self._tasks),
            "endpoints": {
                endpoint.name: {
                    "requests": endpoint.num_requests,
                    "errors": endpoint.num_errors,
                    "mean_ms": round(endpoint.average_processing_time / 1e6, 3),
                }
                for endpoint in self._micro.stats().endpoints
            },
        }

    def __repr__(self) -> str:
        return f"<Service host={self._host} operations={len(self._operations)} running={len(self._tasks)}>"

    # ---------------------------------------------------------------- requests

    async def _endpoint(
        self, name: str, subject: str, operation_of: Callable[[str], str], metadata: dict[str, str]
    ) -> None:
        counts = self._counts[name] = _Counts()

        async def take(request: Request) -> None:
            if not is_inbox(_reply_subject(request)):
                # Neither answered nor done. The answer would be published where the request says, with our rights; and
                # JetStream publishes for who may only read, wherever it is told to, but never with an inbox to answer.
                self.ignored += 1
                if self.ignored & (self.ignored - 1) == 0:  # the 1st, 2nd, 4th, …: anybody can send any number
                    self._log.warning(
                        "a request that names no inbox is ignored", subject=request.subject[:80], so_far=self.ignored
                    )
                return
            # nats-py gives an endpoint one request at a time: so this only hands it on.
            if len(self._tasks) >= self._limit:
                error = RequestError(503, "busy", f"{self._limit} requests are being answered; try again in a moment")
                self._timing(operation_of(request.subject)).errors[error.code] += 1
                await self._refuse(request, error, counts)
                return
            task = asyncio.get_running_loop().create_task(
                self._answer(request, operation_of(request.subject), counts), name=f"request {request.subject}"
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        with translated(f"serving {subject}"):
            await self._micro.add_endpoint(name=name, handler=take, subject=subject, metadata=metadata)

    async def _answer(self, request: Request, name: str, counts: _Counts) -> None:
        """Run one request to its reply; no exception leaves this, of whatever kind."""
        began = time.perf_counter_ns()
        reply: bytes | AsyncIterator[bytes] = b""
        ASKED_FROM.set(_reply_subject(request))
        try:
            if self._stopping:
                raise RequestError(503, "stopping", "this host is stopping")
            operation = self._operations.get(name)
            if operation is None:
                raise RequestError(
                    404, "no_operation", f"there is no operation {name[:80]!r}; `dccd.operations` lists them"
                )
            reply = await operation.handler(request.data or b"{}")
            await self._reply(request, reply)
        except BaseException as exc:
            # Of a task, SystemExit would end the event loop, and CancelledError would leave the caller waiting.
            error = self._error_of(exc, name)
            self._timing(name).errors[error.code] += 1
            with anyio.CancelScope(shield=True):
                await self._refuse(request, error, counts, streamed=not isinstance(reply, bytes))
        finally:
            spent = time.perf_counter_ns() - began
            counts.nanoseconds += spent
            self._timing(name).durations.observe(spent / 1e9)
            counts.finished += 1

    def _timing(self, name: str) -> Timing:
        return self.timings.get(name) or self.timings[UNKNOWN]

    def _error_of(self, exc: BaseException, name: str) -> RequestError:
        if isinstance(exc, RequestError):
            return exc
        if isinstance(exc, asyncio.CancelledError) and self._stopping:
            return RequestError(503, "stopping", "this host is stopping")
        self._log.error("a request failed", operation=name, exc_info=exc)
        return RequestError(500, "internal", f"{type(exc).__name__} while answering; the daemon's log has it")

    async def _reply(self, request: Request, reply: bytes | AsyncIterator[bytes]) -> None:
        subject = _reply_subject(request)
        if isinstance(reply, bytes):
            if len(reply) > self._bus.max_payload - 1024:
                size, limit = len(reply), self._bus.max_payload
                raise RequestError(422, "too_large", f"the reply has {size:,} bytes, a message {limit:,}: ask for less")
            with translated("replying"):
                await request.respond(reply)
            return
        await self._sender.send(subject, reply, paced=FLOW in (request.headers or {}))

    async def _refuse(self, request: Request, error: RequestError, counts: _Counts, *, streamed: bool = False) -> None:
        counts.errors += 1
        text = _cut(" ".join(str(error).split()), 500)
        counts.last_error = f"{error.code}:{text}"
        try:
            await request.respond(error_body(error), headers={ERROR_CODE: str(error.code), ERROR: text})
            if streamed:
                await request.respond(b"")  # the end, for who waits for an empty message
        except nats.errors.Error as exc:
            self._log.warning("an error reply could not be sent", error=str(exc))


def _reply_subject(request: Request) -> str:
    """Where the reply goes, ``""`` when nobody waits for one: nats-py's Request has no name for it."""
    return request._msg.reply


def is_inbox(subject: str) -> bool:
    """Whether answers may be published to *subject*: to inboxes, and to what stands for one of another account; not to
    where streams acknowledge, which others know.

    A long one is none: with it, a chunk would have a line that is longer than the server takes (4,096 bytes), which
    closes the connection.
    """
    if len(subject) > _MAX_INBOX or _REPLIES.fullmatch(subject) is None:
        return False
    return _ACKS not in subject


def _semantic(version: str) -> str:
    """*version* (PEP 440) as ADR-32 wants it: ``4.0.0.dev0`` is ``4.0.0-dev0``."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)(.*)", version)
    if match is None:
        raise BusError(f"{version!r} is no version")
    tail = re.sub(r"[^0-9A-Za-z]+", ".", match[4]).strip(".")
    return f"{int(match[1])}.{int(match[2])}.{int(match[3])}" + (f"-{tail}" if tail else "")
