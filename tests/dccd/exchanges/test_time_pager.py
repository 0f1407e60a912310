"""Pages by time, against an exchange that is a list."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import PageRequest
from dccd.exchanges.time_pager import TimePages
from dccd.records import Record, Trade
from dccd.symbols import NS

MS = 1_000_000
NOW = 1_700_000_000 * NS
LIMIT = 4


class Pager(TimePages):
    """Bodies are arrays of (ms, id)."""

    exchange = "fake"

    def request(self, since: int, skip: int) -> PageRequest:
        return PageRequest("trades", {"since": since // MS, "skip": skip})

    def rows(self, body: bytes) -> Sequence[tuple[Hashable, Record]]:
        found = msgspec.json.decode(body, type=list[tuple[int, int]])
        return [(tid, Trade(ms * MS, 1.0, 1.0, None, str(tid))) for ms, tid in found]


class Skipping(Pager):
    """The same where records can be skipped."""

    can_skip = True


TIMES = st.lists(st.integers(0, 12), max_size=40).map(sorted)


@pytest.mark.parametrize("kind", [Pager, Skipping])
@given(times=TIMES, start=st.integers(0, 12), length=st.integers(0, 12))
def test_every_record_once(backfill, merged, kind, times, start, length) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """All records from start to end, each once, however many share a time; what can't be asked for isn't covered."""
    base = NOW // MS - 10_000
    there = [(base + ms, tid) for tid, ms in enumerate(times)]

    def answer(request: PageRequest) -> bytes:
        rows = [row for row in there if row[0] >= int(request.params["since"])]
        skip = int(request.params["skip"])
        assert skip == 0 or kind is Skipping
        return msgspec.json.encode(rows[skip : skip + LIMIT])

    first, last = (base + start) * MS, (base + start + length) * MS
    done = backfill(kind(first, last, LIMIT)).run(answer, NOW + 60 * NS)
    got = [int(trade.tid) for trade in done.records]
    wanted = [tid for ms, tid in there if first <= ms * MS < last]
    assert len(set(got)) == len(got)
    covered = merged(done.covered)
    if kind is Skipping:
        assert got == wanted
        assert covered == ([(first, last)] if length else [])
    missing = set(wanted) - set(got)
    assert not any(low <= there[tid][0] * MS < high for tid in missing for low, high in covered)


def test_an_exchange_that_skips_nothing() -> None:
    """More than a page of one time: where the same page comes again, whatever was to be skipped, that is an error."""
    pager = Skipping(5 * MS, 50 * MS, LIMIT)
    body = msgspec.json.encode([(7, tid) for tid in range(LIMIT)])
    pager.receive(pager.requests(1)[0], body, NOW)
    pager.receive(pager.requests(1)[0], body, NOW)
    (request,) = pager.requests(1)
    assert request.params["skip"] == LIMIT
    with pytest.raises(ParseError, match="had before"):
        pager.receive(request, body, NOW)
    assert pager.position == 7 * MS and not pager.done
    pager.receive(request, msgspec.json.encode([(7, LIMIT), (60, LIMIT + 1)]), NOW)
    assert pager.done


def test_what_is_published_late() -> None:
    """So long its absence doesn't count; once it is there, all before it is, too."""
    for there, covered in ((b"[]", NOW - 300 * NS), (f"[[{NOW // MS - 40},7]]".encode(), NOW - 40 * MS)):
        pager = Pager(NOW - 400 * NS, NOW, LIMIT, settled=300 * NS)
        assert pager.receive(pager.requests(1)[0], there, NOW).end == pager.position == covered


@pytest.mark.parametrize("body", [b"[[9,1],[8,2]]", b"[[1,1]]", b"[[5]]", b"["])
def test_bodies_that_are_none(body: bytes) -> None:
    """Records out of order, from before what was asked for, or none at all: refused, and asked for again."""
    pager = Pager(5 * MS, 50 * MS, LIMIT)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, body, NOW)
    assert not pager.done
