"""Jobs by request: which are meant, how they are told, and what becomes of each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors.control import jobs
from actors.links import StreamState
from dccd import messages as m
from dccd.config import parse
from dccd.errors import CorruptFile, NoCapability, RequestError
from dccd.exchanges.base import StreamOptions
from dccd.jobs import JobState, specs_of
from dccd.messages import BackfillStarted
from dccd.runs import Run
from dccd.symbols import Dataset

pytestmark = pytest.mark.anyio

FILE = """
jobs:
  - {exchange: binance, pairs: [BTC/USDT, ETH/USDT], data_type: trades}
  - {exchange: kraken, pairs: [BTC/USD], data_type: orderbook, trigger_kind: manual, depth: 10}
  - {exchange: binance, pairs: [BTC/USDT], data_type: ohlc, span: 1h, operation: backfill,
     trigger_kind: cron, cron: '5 * * * *', timezone: Europe/Paris, missed: skip}
  - {exchange: kraken, pairs: [BTC/USD], data_type: ohlc, span: 1h, operation: backfill}
"""
SPECS = {spec.name: spec for spec in specs_of(parse(FILE))}
HOURLY, ONCE = "backfill.binance.ohlc.BTC-USDT.1h", "backfill.kraken.ohlc.BTC-USD.1h"


class Desk(SimpleNamespace):
    """The daemon's shared names, its scheduler, which refuses what *refusals* say, and its streams."""

    def __init__(self, **refusals: Exception) -> None:
        super().__init__(host="alpha", specs=SPECS, board={}, started=[], page=1 << 20)
        self.refusals = {name.replace("_", "."): exc for name, exc in refusals.items()}

    async def ask_scheduler(self, message: Any) -> Any:
        if not hasattr(message, "name"):
            known = JobState(last_state="failed", failures=2, error="down", next_run=7, missed=3, last_run_id="r1")
            return [(SPECS[HOURLY], known), (SPECS[ONCE], JobState())]
        for part, refusal in self.refusals.items():
            if part in message.name:
                raise refusal
        run = Run(run_id="r1", state="queued", host="alpha", created=0, updated=0, start=0, end=1, position=0)
        return BackfillStarted(run_id="r1", already_running=False, run=run)

    async def start(self, *stream: Any) -> bool:
        self.started.append(stream)
        return True


@pytest.mark.parametrize(
    ("ask", "names"),
    [
        ({}, list(SPECS)),
        ({"operation": "backfill"}, [HOURLY, ONCE]),
        ({"exchange": "kraken"}, ["stream.kraken.orderbook.BTC-USD", ONCE]),
        ({"data_type": "trades"}, ["stream.binance.trades.BTC-USDT", "stream.binance.trades.ETH-USDT"]),
        ({"trigger_kind": "cron"}, [HOURLY]),
        ({"exchange": "kraken", "trigger_kind": "manual"}, ["stream.kraken.orderbook.BTC-USD"]),
        ({"exchange": "okx"}, []),
    ],
)
async def test_those_are_listed_that_match(ask: dict[str, Any], names: list[str]) -> None:
    """In the configuration's order, streams among them."""
    desk: Any = Desk()
    assert [job.name for job in (await jobs.listing(desk, m.JobsList(**ask))).jobs] == names


@pytest.mark.parametrize(
    ("limit", "page", "sizes"), [(2, 1 << 20, [2, 2, 1]), (None, 1000, [2, 2, 1]), (5, 1, [1] * 5)]
)
async def test_many_are_listed_in_pages(limit: int | None, page: int, sizes: list[int]) -> None:
    """As many as are asked for, and have room in a message; the next page begins after the last."""
    desk: Any = Desk()
    desk.page = page
    pages = [await jobs.listing(desk, m.JobsList(limit=limit))]
    while pages[-1].next is not None:
        pages.append(await jobs.listing(desk, m.JobsList(limit=limit, after=pages[-1].next)))
    assert [len(one.jobs) for one in pages] == sizes
    assert [job.name for one in pages for job in one.jobs] == list(SPECS)


async def test_a_page_after_a_job_that_is_gone_is_refused() -> None:
    """Where it was nobody knows any more."""
    desk: Any = Desk()
    with pytest.raises(RequestError, match="ask anew") as caught:
        await jobs.listing(desk, m.JobsList(after="stream.okx.trades.BTC-USDT"))
    assert (caught.value.code, caught.value.reason, caught.value.field) == (404, "no_job", "after")


async def test_a_job_is_told_with_what_became_of_it() -> None:
    """A backfill with its runs, a stream with its state; a zone only where cron has one."""
    desk: Any = Desk()
    dataset = Dataset.parse("kraken.orderbook.BTC-USD")
    desk.board[dataset.name] = StreamState(dataset, StreamOptions(), state="refused", error="no such pair")
    found = {job.name: job for job in (await jobs.listing(desk, m.JobsList())).jobs}
    hourly, book = found[HOURLY], found["stream.kraken.orderbook.BTC-USD"]
    assert (hourly.last_state, hourly.failures, hourly.error, hourly.missed_runs) == ("failed", 2, "down", 3)
    assert (hourly.timezone, hourly.missed, hourly.next_run) == ("Europe/Paris", "skip", 7)
    assert (found[ONCE].timezone, found[ONCE].missed, found[ONCE].last_state) == (None, None, None)
    assert (book.last_state, book.error, book.depth) == ("refused", "no such pair", 10)
    assert found["stream.binance.trades.BTC-USDT"].last_state is None


async def test_a_stream_is_started_as_its_job_says() -> None:
    """With its options and its name, whether it runs by itself or by hand."""
    desk: Any = Desk()
    reply = await jobs.run(desk, desk, "stream.kraken.orderbook.BTC-USD")
    assert (reply.run_id, reply.already_running) == (None, False)
    spec = SPECS["stream.kraken.orderbook.BTC-USD"]
    assert desk.started == [(spec.of, spec.options, spec.name, "permanent")]


async def test_an_unknown_job_is_refused_with_those_near() -> None:
    """A slip of the pen needs no listing."""
    desk: Any = Desk()
    with pytest.raises(RequestError, match=f"did you mean {HOURLY}") as caught:
        await jobs.run(desk, desk, HOURLY.replace("1h", "2h"))
    assert (caught.value.code, caught.value.reason, caught.value.field) == (404, "no_job", "name")


@pytest.mark.parametrize(
    ("refusal", "code", "reason"),
    [
        (RequestError(422, "empty_range", "all is there"), 422, "empty_range"),
        (NoCapability("kraken", "kraken can't"), 422, "no_capability"),
        (CorruptFile("a.parquet", "broken"), 500, "corrupt_file"),
        (TimeoutError(), 503, "not_now"),
    ],
)
async def test_what_one_job_is_refused_keeps_no_other(refusal: Exception, code: int, reason: str) -> None:
    """Each has its outcome, as it would have been answered alone."""
    desk: Any = Desk(kraken=refusal)
    good, bad = (await jobs.run_all(desk, desk, m.JobRunAll())).jobs
    assert (good.name, good.run_id, good.error) == (HOURLY, "r1", None)
    assert (bad.name, bad.run_id, bad.code, bad.reason) == (ONCE, None, code, reason)
    assert bad.error


async def test_too_many_at_once_are_none() -> None:
    """Before any of them is started."""
    desk: Any = Desk()
    spec = SPECS[ONCE]
    desk.specs = {f"{ONCE}{n}": msgspec.structs.replace(spec, name=f"{ONCE}{n}") for n in range(1001)}
    with pytest.raises(RequestError, match="1,001 jobs match") as caught:
        await jobs.run_all(desk, desk, m.JobRunAll())
    assert (caught.value.code, caught.value.reason) == (422, "too_many")
