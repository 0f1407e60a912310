"""Tests of the replies about a dataset's time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.control.coverage import coverage, repair, reply_of
from actors.mail import GetCoverage, RepairAsked
from dccd import messages as m
from dccd.errors import IdentityError
from dccd.runs import Run
from dccd.store.coverage import Coverage, Gap, IntervalSet
from dccd.symbols import NS, Dataset

TRADES = Dataset.parse("binance.trades.BTC-USDT")
T = 1_700_000_000 * NS
FOUND = Coverage(
    start=T,
    end=T + 100 * NS,
    verified=IntervalSet([(T, T + 40 * NS)]),
    empty=IntervalSet([(T + 40 * NS, T + 50 * NS)]),
    unavailable=(Gap(T + 50 * NS, T + 60 * NS, "too old"),),
    missing=(Gap(T + 60 * NS, T + 100 * NS, "disconnect"),),
)
RUN = Run(
    run_id="r1", dataset=TRADES.name, state="running", trigger="gap", host="h", created=0, updated=0,
    asked=(str(T + 90 * NS), None), start=T + 90 * NS, end=T + 100 * NS, position=T + 90 * NS,
)  # fmt: skip


class Catalogue:
    """Answers with what a test says, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    async def ask(self, message: Any, timeout: float) -> Any:
        self.asked.append(message)
        return self.answer


def links(answer: Any) -> Any:
    return SimpleNamespace(host="alpha", catalogue=Catalogue(answer))


@pytest.mark.anyio
async def test_what_is_there_and_what_isnt() -> None:
    """Each stretch of time with its state, the seconds of each state, and the run that fetches what is missing."""
    desk = links((FOUND, [RUN]))
    reply = await coverage(desk, m.CoverageGet(dataset=TRADES.name))
    assert desk.catalogue.asked == [GetCoverage(TRADES)]
    assert (reply.start, reply.end, reply.fraction, reply.host, reply.next) == (T, T + 100 * NS, 0.5, "alpha", None)
    assert reply.seconds == {"verified": 40.0, "empty": 10.0, "unavailable": 10.0, "missing": 40.0}
    assert [(one.state, one.reason, one.run_id) for one in reply.intervals] == [
        ("verified", "", None),
        ("empty", "", None),
        ("unavailable", "too old", None),
        ("missing", "disconnect", "r1"),
    ]


@pytest.mark.anyio
async def test_of_a_range_only_what_lies_in_it() -> None:
    """The fraction is of the range; a time that is none is an error that names the field."""
    reply = await coverage(links((FOUND, [])), m.CoverageGet(dataset=TRADES.name, start=T + 35 * NS, end=T + 45 * NS))
    assert [(one.start, one.end) for one in reply.intervals] == [(T + 35 * NS, T + 40 * NS), (T + 40 * NS, T + 45 * NS)]
    assert reply.fraction == 1.0
    with pytest.raises(IdentityError) as caught:
        await coverage(links((FOUND, [])), m.CoverageGet(dataset=TRADES.name, start="yesterday"))
    assert caught.value.field == "start"


def test_a_reply_fits_a_message() -> None:
    """Of very many intervals the first are told, and where the next begins."""
    many = Coverage(start=0, end=5000, missing=tuple(Gap(n, n + 1, str(n)) for n in range(5000)))
    first = reply_of(TRADES, "alpha", many, [], None, None)
    assert (len(first.intervals), first.next) == (1000, 1000)
    last = reply_of(TRADES, "alpha", many, [], 4000, 5000)
    assert (len(last.intervals), last.next, last.intervals[0].start) == (1000, None, 4000)


def test_nothing_is_no_part_of_nothing() -> None:
    """A dataset that nobody asked for has no fraction to speak of."""
    assert reply_of(TRADES, "alpha", Coverage(), [], None, None).fraction == 0.0


@pytest.mark.anyio
async def test_a_repair_is_ordered_as_asked() -> None:
    """Times become ns, and the rest goes on as it is."""
    desk = links(m.Repaired(repairs=[], waiting=2))
    desk.entries = dict.fromkeys([TRADES.name, "binance.ohlc.BTC-USDT.1m", "kraken.trades.BTC-USD"])
    request = m.Repair(dataset="binance", start="2023-11-14T22:13:20", end=T + 5, unavailable=True, dry_run=True)
    assert await repair(desk, request) == m.Repaired(repairs=[], waiting=4)
    bars = Dataset.parse("binance.ohlc.BTC-USDT.1m")
    orders = [RepairAsked(one, T, T + 5, unavailable=True, dry_run=True) for one in (bars, TRADES)]
    assert desk.catalogue.asked == orders


@pytest.mark.anyio
async def test_a_repair_of_very_much_is_counted() -> None:
    """The reply fits a message: the first thousand are named."""
    one = m.RepairEntry(dataset=TRADES.name, start=1, end=2, reason="lost")
    desk = links(m.Repaired(repairs=[one] * 800, waiting=1))
    desk.entries = dict.fromkeys([TRADES.name, "binance.ohlc.BTC-USDT.1m"])
    reply = await repair(desk, m.Repair())
    assert (len(reply.repairs), reply.waiting) == (1000, 602)
