"""The run history on a real bus: what is written of runs, and pages of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors.control.runbook import RunBook
from actors.runtime.clock import FakeClock
from actors.tally import Tally
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.history import RunHistory
from dccd.bus.kv import Bucket
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_bucket
from dccd.errors import BusUnavailable, RequestError
from dccd.messages import RunsList
from dccd.runs import LogLine, Run, new_run_id

pytestmark = pytest.mark.anyio
replace = msgspec.structs.replace


def run(number: int, state: str = "done", host: str = "alpha") -> Run:
    return Run(
        run_id=new_run_id(number * 1_000_000_000, number),
        dataset="binance.ohlc.BTC-USDT.1m",
        state=state,  # type: ignore[arg-type]  # a test
        host=host,
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
                runs=Bucket(bus, subjects.BUCKET_RUNS),
                active={},
                revisions={},
                progress={},
                recent=[],
                host="alpha",
                emit=_unheard,
                tally=Tally(),
                bus=bus,
                clock=FakeClock(),
            )
            book = RunBook(links)
            for number in range(1, 8):
                await book.create(run(number, "running"))
                await book.save(run(number), announce=False)
            yield book
    finally:
        await server.stop()


def as_beta_has_it(book: RunBook) -> RunBook:
    """The same history, as another host writes it."""
    return RunBook(SimpleNamespace(**{**vars(book.links), "host": "beta", "active": {}, "revisions": {}}))  # type: ignore[arg-type]  # what it takes


async def test_a_run_that_another_host_has_gone_on_with_is_written_by_that_one_only(book: RunBook) -> None:
    """Its host before finds that out at its next write, whatever that is, and puts no mark of its own there."""
    mine = run(8, "running")
    await book.create(mine)
    beta = as_beta_has_it(book)
    found = await beta.history.find(mine.run_id)
    assert found is not None
    left = await beta.orphaned(*found, {"beta"}, 5)
    assert left is not None
    assert await beta.claim(replace(left, state="queued"), "alpha", LogLine(6, "info", "goes on"))
    assert not await book.note(replace(mine, position=9))
    assert not await book.save(replace(mine, state="done"))
    assert not await book.say_again(mine.run_id)
    assert await beta.note(replace(beta.links.active[mine.run_id], position=7))
    there = await book.history.get(mine.run_id)
    assert (there.host, there.state, there.position) == ("beta", "queued", 7)
    assert (await book.history.marks())[mine.run_id].host == "beta"


async def test_what_others_have_said_of_a_run_is_said_otherwise_by_its_host(book: RunBook) -> None:
    """They took it for gone, and did no more than that."""
    mine = run(8, "running")
    await book.create(mine)
    found = await book.history.find(mine.run_id)
    assert found is not None and await as_beta_has_it(book).orphaned(*found, {"beta"}, 5) is not None
    assert await book.note(replace(mine, position=9))
    there = await book.history.get(mine.run_id)
    assert (there.host, there.state, there.position) == ("alpha", "running", 9)


async def test_what_was_written_meanwhile_is_not_said_again(book: RunBook) -> None:
    """It is newer than what would be."""
    mine = run(8, "queued")
    await book.create(mine)
    revision = book.links.revisions[mine.run_id]
    await book.save(replace(mine, state="running"))
    book.links.active[mine.run_id], book.links.revisions[mine.run_id] = mine, revision  # its answer is under way
    assert await book.say_again(mine.run_id)
    assert (await book.history.get(mine.run_id)).state == "running"


async def test_a_run_is_not_given_up_for_what_a_lagging_server_has(book: RunBook, monkeypatch: Any) -> None:
    """What it says was before this host's own last word: that is for later, when it has caught up."""
    theirs = run(8, "interrupted", "beta")
    await as_beta_has_it(book).create(theirs)
    before = await book.history.find(theirs.run_id)
    assert await book.claim(replace(theirs, state="queued"), "beta", LogLine(6, "info", "goes on"))
    mine = book.links.active[theirs.run_id]
    await as_beta_has_it(book).orphaned(mine, book.links.revisions[mine.run_id], {"beta"}, 5)

    async def lagging(self: RunHistory, run_id: str) -> Any:
        return before

    with monkeypatch.context() as lag:
        lag.setattr(RunHistory, "find", lagging)
        with pytest.raises(BusUnavailable, match="was on record before"):
            await book.note(mine)
    assert await book.note(mine)


async def test_what_the_bus_has_lost_is_on_record_again(book: RunBook) -> None:
    """Of the runs that are known here and not over; one that is on record, whatever it says, stays as it is there."""
    here, over = run(9, "running"), run(7, "running")
    assert await book.restored({one.run_id: one for one in (here, over)}) == [here]
    assert (await book.unfinished(), await book.restored({here.run_id: here})) == ([here], [])
    assert (await book.get(over.run_id)).state == "done"


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


async def test_what_marks_begin_with_is_no_run(book: RunBook) -> None:
    """``active`` has the form of a run's id, and entries while something runs: still there is no such run."""
    await book.create(run(8, "running"))
    with pytest.raises(RequestError) as refused:
        await book.get(subjects.RUN_MARK)
    assert (refused.value.code, refused.value.reason) == (404, "no_run")
    with pytest.raises(RequestError, match="neither the next of a page nor a run"):
        await book.list(RunsList(before=subjects.RUN_MARK))


async def test_runs_of_the_whole_store_are_listed_too(book: RunBook) -> None:
    """A run without a dataset is in the list, and marks of runs that aren't over are not."""
    whole = msgspec.structs.replace(run(8, "running"), dataset="", operation="storage.migrate")
    await book.create(whole)
    assert [found.job for found in (await book.list(RunsList(limit=2))).runs] == ["storage.migrate", run(7).job]
    assert [found.run_id for found in await book.unfinished()] == [whole.run_id]


NS = 1_000_000_000


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "failed"}, [11, 9]),
        ({"state": ["failed", "cancelled"]}, [11, 10, 9]),
        ({"host": "beta"}, [10]),
        ({"trigger": "gap"}, [9]),
        ({"operation": "backfill"}, [10, 9, 8, *range(7, 0, -1)]),
        ({"operation": "storage.sync"}, [11]),
        ({"job": "storage.sync"}, [11]),
        ({"job": "backfill.kraken.trades.BTC-USD"}, [8]),
        ({"dataset": "kraken.trades.BTC-USD"}, [8]),
        ({"operation": "backfill", "dataset": "kraken.trades.BTC-USD"}, [8]),
        ({"operation": "storage.sync", "dataset": "kraken.trades.BTC-USD"}, []),
        ({"job": "storage.sync", "state": "done"}, []),
        ({"since": 1_700_000_010 * NS}, [11, 10]),
        ({"until": 1_700_000_010 * NS}, [9, 8, *range(7, 0, -1)]),
        ({"since": 1_700_000_009 * NS, "until": 1_700_000_010 * NS}, [9]),
    ],
    ids=str,
)
async def test_filters(query: dict[str, Any], expected: list[int], book: RunBook) -> None:
    """Each of them, and several together, give the runs that fit, newest first."""
    base = 1_700_000_000 * NS

    async def more(number: int, **fields: Any) -> None:
        at = base + number * NS
        changed = msgspec.structs.replace(run(number, "running"), updated=at, created=at, **fields)
        await book.create(changed)
        await book.save(changed, announce=False)

    await more(8, dataset="kraken.trades.BTC-USD", state="done")
    await more(9, state="failed", trigger="gap")
    await more(10, state="cancelled", host="beta")
    await more(11, state="failed", dataset="", operation="storage.sync")
    found = (await book.list(RunsList(**query))).runs
    assert [one.created // NS - 1_700_000_000 if one.created > base else one.created for one in found] == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"job": "backfill.>"}, "job"),
        ({"operation": "*"}, "operation"),
        ({"dataset": "nope"}, None),
        ({"since": "soon"}, "since"),
    ],
)
async def test_a_filter_that_is_none_is_refused(query: dict[str, Any], field: str | None, book: RunBook) -> None:
    """What would match something else than it says, too."""
    with pytest.raises(RequestError) as refused:
        await book.list(RunsList(**query))
    assert refused.value.code == 400
    assert field is None or refused.value.field == field


async def test_a_page_has_no_more_than_a_message_takes(book: RunBook) -> None:
    """It ends early, and ``next`` goes on where it ended."""
    for number in range(8, 14):
        await book.create(msgspec.structs.replace(run(number), error="x" * 300_000))
    seen: list[int] = []
    before = None
    while True:
        page = await book.list(RunsList(limit=100, before=before))
        assert len(msgspec.json.encode(page)) < book.links.bus.max_payload
        seen += [found.created for found in page.runs]
        before = page.next
        if before is None:
            break
    assert seen == list(range(13, 0, -1))


async def test_the_log_is_in_the_record_and_not_in_lists(book: RunBook) -> None:
    """What a run says is in its record once that is written; lists and events of its state leave it out."""
    events: list[Any] = []
    book.links.emit = lambda _, event: events.append(event)  # type: ignore[method-assign,unused-ignore]  # a fake's
    await book.create(run(8, "running"))
    book.say(run(8).run_id, "warning", "slow")
    await book.note(book.links.active[run(8).run_id])
    on_record = await book.history.get(run(8).run_id)
    assert [(line.level, line.message) for line in on_record.log] == [("warning", "slow")]
    await book.save(msgspec.structs.replace(on_record, state="done"))
    assert [line.message for line in (await book.get(run(8).run_id)).log] == ["slow"]
    assert (await book.list(RunsList(limit=1))).runs[0].log == []
    assert [type(event).__name__ for event in events] == ["RunStatus", "RunLog", "RunStatus"]
    assert events[-1].run.state == "done" and events[-1].run.log == []


async def test_nothing_is_noted_of_a_run_that_is_over(book: RunBook) -> None:
    """Its last word stands."""
    await book.note(run(7, "running"))
    assert (await book.get(run(7).run_id)).state == "done"


async def test_a_run_leaves_no_mark_and_no_marker(book: RunBook) -> None:
    """After its end there is one entry of it in the bucket, and nothing that says that something was deleted."""
    entries = await book.links.runs.oldest(100)
    assert len(entries) == 7 and not any(entry.deleted for entry in entries)


async def test_an_orphan_is_interrupted_once(book: RunBook) -> None:
    """What a host was at that is gone is interrupted, on record, unless it is there or somebody was first."""
    lost = msgspec.structs.replace(run(8, "running"), host="beta")
    await book.create(lost)
    found = await book.history.find(lost.run_id)
    assert found is not None
    assert await book.orphaned(*found, {"alpha", "beta"}, 99) is None
    told = await book.orphaned(*found, {"alpha"}, 99)
    assert told is not None and (told.state, told.updated, told.host) == ("interrupted", 99, "beta")
    assert "beta isn't there" in (await book.history.get(lost.run_id)).log[0].message
    assert await book.orphaned(*found, {"alpha"}, 100) is None, "somebody was first"
    again = await book.history.find(lost.run_id)
    assert again is not None and await book.orphaned(*again, {"alpha"}, 100) == told
    assert await book.unfinished() == []  # another host's


async def test_a_mark_is_put_right_by_what_is_on_record(book: RunBook) -> None:
    """It goes when its run is over, and when no record came of it; it is moved to the host that the record names."""
    over, here, nothing = run(8), run(9, "running"), run(10, "running")
    for one, host in ((over, "beta"), (here, "beta"), (nothing, "alpha"), (run(11, "running"), "beta")):
        await book.mark(msgspec.structs.replace(one, host=host))
    for one in (over, here):
        await book.save(one, announce=False)
    await book.mark(over)
    book.links.active.clear()
    assert await book.unfinished() == [here]
    marks = {id: mark.host for id, mark in (await book.history.marks()).items()}
    assert marks == {here.run_id: "alpha", run(11).run_id: "beta"}, "beta may be about to write the record"
