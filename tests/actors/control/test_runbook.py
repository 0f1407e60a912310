"""The run history on a real bus: pages of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors.control.runbook import RunBook
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_bucket
from dccd.errors import RequestError
from dccd.messages import RunsList
from dccd.runs import Run, new_run_id

pytestmark = pytest.mark.anyio


def run(number: int, state: str = "done") -> Run:
    return Run(
        run_id=new_run_id(number * 1_000_000_000, number),
        dataset="binance.ohlc.BTC-USDT.1m",
        state=state,  # type: ignore[arg-type]  # a test
        host="alpha",
        created=number,
        updated=number,
        start=0,
        end=10,
        position=10,
    )


def _unheard(subject: str, event: object) -> None:
    """Nobody listens to events here."""


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[RunBook]:
    """A history of seven runs."""
    server = EmbeddedServer(tmp_path, port=0)
    await server.start()
    try:
        async with await Bus.open(server.url, "test") as bus:
            await ensure_bucket(bus, subjects.BUCKET_RUNS)
            links: Any = SimpleNamespace(
                runs=Bucket(bus, subjects.BUCKET_RUNS), active={}, progress={}, recent=[], host="alpha", emit=_unheard
            )
            book = RunBook(links)
            for number in range(1, 8):
                await book.create(run(number, "running"))
                await book.save(run(number), announce=False)
            yield book
    finally:
        await server.stop()


async def test_pages_follow_each_other(book: RunBook) -> None:
    """``next`` of one page asks for the following one, until there is none."""
    seen: list[int] = []
    before = None
    while True:
        page = await book.list(RunsList(limit=3, before=before))
        seen += [found.created for found in page.runs]
        before = page.next
        if before is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_a_run_names_the_page_after_it(book: RunBook) -> None:
    """Who has no cursor but a run, as the command line, goes on from there."""
    page = await book.list(RunsList(limit=2, before=run(4).run_id))
    assert [found.created for found in page.runs] == [3, 2]


async def test_what_is_neither_is_refused(book: RunBook) -> None:
    """An empty page would look like the end of the history."""
    with pytest.raises(RequestError, match="neither the next of a page nor a run") as refused:
        await book.list(RunsList(before="018f3c5e-7a40-7cc3-98c4-dc0c0c07398f"))
    assert (refused.value.code, refused.value.field) == (400, "before")


async def test_runs_of_the_whole_store_are_listed_too(book: RunBook) -> None:
    """A run without a dataset is in the list, and marks of runs that aren't over are not."""
    whole = msgspec.structs.replace(run(8, "running"), dataset="", operation="storage.migrate")
    await book.create(whole)
    assert [found.job for found in (await book.list(RunsList(limit=2))).runs] == ["storage.migrate", run(7).job]
    assert [found.run_id for found in await book.unfinished()] == [whole.run_id]
