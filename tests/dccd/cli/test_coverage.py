"""``dccd coverage`` and ``dccd repair``: what people see of a dataset's time, and how a repair is followed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from dccd import messages as m
from dccd.cli.coverage import strip
from dccd.client.fake import FakeDaemon
from dccd.runs import Run

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

TRADES = "binance.trades.BTC-USDT"
DAY = 1_704_067_200_000_000_000
HOUR = 3_600_000_000_000


def entry(first: int, last: int, state: str, reason: str = "", run_id: str | None = None) -> m.CoverageEntry:
    """A stretch between two hours of a day."""
    start, end = DAY + first * HOUR, DAY + last * HOUR
    return m.CoverageEntry(start=start, end=end, state=state, reason=reason, run_id=run_id)  # type: ignore[arg-type]  # a test


FOUND = m.Coverage(
    dataset=TRADES,
    host="fake",
    start=DAY,
    end=DAY + 24 * HOUR,
    fraction=0.75,
    seconds={"verified": 64_800.0, "missing": 18_000.0, "unavailable": 3600.0},
    intervals=[
        entry(0, 12, "verified"),
        entry(12, 13, "unavailable", "too old"),
        entry(13, 18, "missing", "disconnect"),
        entry(18, 24, "verified"),
    ],
)


def ended(run: Run, state: str, **fields: object) -> m.RunStatus:
    done = msgspec.structs.replace(run, state=state, finished=run.created + 1, updated=run.updated + 1, **fields)
    return m.RunStatus(at=1, host="fake", run=done)


def repair(run_id: str | None, hour: int = 13, why: str | None = None) -> m.RepairEntry:
    start = DAY + hour * HOUR
    return m.RepairEntry(dataset=TRADES, start=start, end=start + HOUR, reason="disconnect", run_id=run_id, why=why)


def inventory(dataset: str) -> m.Inventory:
    """That of a host which has just this one."""
    entry = m.DatasetEntry(dataset=dataset, host="fake", rows=1, files=1, bytes=1, first_ts=DAY, last_ts=DAY)
    return m.Inventory(host="fake", data_path="/data", datasets=[entry])


def test_a_strip_shows_the_worst_of_each_cell() -> None:
    """No hole is too small to be seen, and nothing lies beyond the ends."""
    assert strip(FOUND.intervals, FOUND.start, FOUND.end, 24) == "#" * 12 + "x" + "!" * 5 + "#" * 6
    tiny = [entry(0, 24, "verified"), m.CoverageEntry(start=DAY + HOUR, end=DAY + HOUR + 1, state="missing")]
    assert strip(tiny, DAY, DAY + 24 * HOUR, 8) == "!#######"
    assert strip([], 0, 0, 3) == "   "


async def test_people_see_time_as_a_strip_and_a_table(dccd: Command, daemon: FakeDaemon) -> None:
    """What is there, what isn't and why, and what to do about it."""
    daemon.replies["coverage"] = FOUND
    done = await dccd("coverage", "binance", "BTC/USDT", "--type", "trades", "--start", "2024-01-01")
    assert done.code == 0
    assert daemon.asked("coverage") == [m.CoverageGet(dataset=TRADES, start="2024-01-01")]
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == f"{TRADES}: 75.00% of 2024-01-01 00:00:00 … 2024-01-02 00:00:00".split()
    assert lines[1] == ["[" + "#" * 30 + "xx!" + "!" * 12 + "#" * 15 + "]"]
    assert ["!", "missing", "5h", "00m", "known", "to", "be", "missing,", "or", "never", "asked", "for"] in lines
    assert ["2024-01-01", "13:00:00", "2024-01-01", "18:00:00", "5h", "00m", "missing", "disconnect"] in lines
    assert f"dccd repair {TRADES}" in done.err


async def test_scripts_get_json(dccd: Command, daemon: FakeDaemon) -> None:
    """The reply as it is."""
    daemon.replies["coverage"] = FOUND
    done = await dccd("coverage", TRADES, "--json")
    assert msgspec.json.decode(done.out, type=m.Coverage) == FOUND


NOTHING = msgspec.structs.replace(FOUND, intervals=[], seconds={})


@pytest.mark.parametrize("flags", [(), ("--start", "2024-01-01")], ids=["all", "a range"])
async def test_a_dataset_that_nobody_knows_is_not_found(
    dccd: Command, daemon: FakeDaemon, flags: tuple[str, ...]
) -> None:
    """It is 3, as for any command that reads one, also beside one whose name begins so; scripts get it as JSON."""
    daemon.replies["coverage"] = NOTHING
    daemon.replies["inventory"] = inventory(f"{TRADES}_PERP")
    done = await dccd("coverage", TRADES, *flags)
    assert (done.code, done.out) == (3, "")
    told = f"nothing of {TRADES} is stored, or was asked for; `dccd inventory` lists what is"
    assert done.err == f"error: {told}\n"
    done = await dccd("coverage", TRADES, *flags, "--json")
    error = {"exit_code": 3, "reason": "no_dataset", "message": told, "field": None}
    assert (done.code, done.out, json.loads(done.err)) == (3, "", {"error": error})


async def test_a_time_of_which_there_is_nothing_is_no_error(dccd: Command, daemon: FakeDaemon) -> None:
    """The dataset is there: what was asked for is answered."""
    daemon.replies["coverage"] = NOTHING
    daemon.replies["inventory"] = inventory(TRADES)
    done = await dccd("coverage", TRADES, "--start", "2020-01-01", "--end", "2020-01-02")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"nothing of {TRADES} in that time is stored, or was asked for\n"
    done = await dccd("coverage", TRADES, "--start", "2020-01-01", "--end", "2020-01-02", "--json")
    assert (done.code, msgspec.json.decode(done.out, type=m.Coverage)) == (0, NOTHING)


async def test_a_long_answer_comes_in_parts(dccd: Command, daemon: FakeDaemon) -> None:
    """The command asks until it has all of it."""
    middle = DAY + 12 * HOUR
    first = msgspec.structs.replace(FOUND, intervals=FOUND.intervals[:1], next=middle)
    rest = msgspec.structs.replace(FOUND, intervals=FOUND.intervals[1:], start=middle)
    daemon.replies["coverage"] = lambda ask: rest if ask.start == middle else first
    done = await dccd("coverage", TRADES, "--json")
    assert msgspec.json.decode(done.out, type=m.Coverage) == FOUND


async def test_a_repair_is_followed_to_its_end(dccd: Command, daemon: FakeDaemon) -> None:
    """All that is ordered is followed, and what waits is asked for after it; the last word is how many."""
    one, two = daemon.new_run(TRADES), daemon.new_run(TRADES)
    daemon.script = [ended(one, "done", rows=7), ended(two, "done", rows=5)]
    replies = [m.Repaired(repairs=[repair(one.run_id)], waiting=1), m.Repaired(repairs=[repair(two.run_id, 14)])]
    daemon.replies["repair"] = lambda ask: replies.pop(0)
    done = await dccd("repair", "binance.trades", "--start", "2024-01-01", "--unavailable")
    assert done.code == 0, done.err
    assert "2 of 2 intervals repaired" in done.err
    assert daemon.asked("repair") == [
        m.Repair(dataset="binance.trades", start="2024-01-01", unavailable=True),
        m.Repair(dataset="binance.trades", start="2024-01-01"),
    ]


async def test_a_repair_that_fails_is_named(dccd: Command, daemon: FakeDaemon) -> None:
    """Which interval, and why; the exit code says that something is still missing."""
    run = daemon.new_run(TRADES)
    daemon.script = [ended(run, "failed", error="the exchange is away")]
    daemon.replies["repair"] = m.Repaired(repairs=[repair(run.run_id), repair(None, 15, "its past can't be asked for")])
    done = await dccd("repair")
    assert done.code == 1
    assert "0 of 2 intervals repaired" in done.err
    assert f"{TRADES}, 2024-01-01 13:00:00 … 2024-01-01 14:00:00: the exchange is away" in done.err
    assert "2024-01-01 15:00:00 … 2024-01-01 16:00:00: its past can't be asked for" in done.err


async def test_scripts_are_told_of_what_cannot_be_repaired(dccd: Command, daemon: FakeDaemon) -> None:
    """A line with the interval and why, since no run tells of it."""
    one = repair(None, why="its past can't be asked for")
    daemon.replies["repair"] = m.Repaired(repairs=[one])
    done = await dccd("repair", "--json")
    assert (done.code, msgspec.json.decode(done.out, type=m.RepairEntry)) == (1, one)


async def test_all_but_a_moment_isnt_all(dccd: Command, daemon: FakeDaemon) -> None:
    """Where a hole is, however small, no 100% is said."""
    daemon.replies["coverage"] = msgspec.structs.replace(FOUND, fraction=0.999999)
    assert "99.99% of" in (await dccd("coverage", TRADES)).out


async def test_a_dry_run_only_lists(dccd: Command, daemon: FakeDaemon) -> None:
    """What would be asked for, as a table or as JSON."""
    daemon.replies["repair"] = m.Repaired(repairs=[repair(None)])
    done = await dccd("repair", "--dry-run")
    assert done.code == 0
    expected = f"{TRADES} 2024-01-01 13:00:00 2024-01-01 14:00:00 1h 00m disconnect"
    assert done.out.splitlines()[1].split() == expected.split()
    assert daemon.asked("repair") == [m.Repair(dry_run=True)]
    done = await dccd("repair", "--dry-run", "--json")
    assert json.loads(done.out)["repairs"][0]["dataset"] == TRADES


async def test_when_nothing_is_missing_nothing_is_done(dccd: Command, daemon: FakeDaemon) -> None:
    """It says so, and that is a success."""
    done = await dccd("repair")
    assert (done.code, done.err) == (0, "nothing is missing\n")


async def test_a_detached_repair_isnt_waited_for(dccd: Command, daemon: FakeDaemon) -> None:
    """The runs are listed, and how many follow by themselves."""
    daemon.replies["repair"] = m.Repaired(repairs=[repair("018cc251-f400-7000-8000-000000000001")], waiting=3)
    done = await dccd("repair", "--detach")
    assert done.code == 0
    assert "018cc251-f400-7000-8000-000000000001" in done.out
    assert done.err == "3 more follow by themselves\n"


async def test_what_nothing_is_stored_of_cannot_be_repaired(dccd: Command, daemon: FakeDaemon) -> None:
    """A misspelt name isn't whole: it is 3."""
    daemon.replies["repair"] = m.Repaired(repairs=[])
    done = await dccd("repair", "binanc")
    assert done.code == 3
    assert "nothing is stored under binanc" in done.err
