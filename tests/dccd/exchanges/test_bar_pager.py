"""Windows of bars, against an exchange that is a list."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import PageRequest
from dccd.records import Bar
from dccd.symbols import NS

MINUTE, DAY = 60, 86_400
NOW = 1_700_000_000 * NS
LIMIT = 10


class Pager(BarWindows):
    """Asks in nanoseconds; bodies are arrays of opening times."""

    exchange = "fake"

    def request(self, start: int, end: int, span: int) -> PageRequest:
        return PageRequest("bars", {"start": start, "end": end, "span": span})

    def bars(self, body: bytes) -> list[Bar]:
        return [Bar(ts, 1.0, 1.0, 1.0, 1.0, 1.0) for ts in msgspec.json.decode(body, type=list[int])]


def market(opened: int, quiet: frozenset[int] = frozenset()) -> Callable[[PageRequest], bytes]:
    """An exchange with a bar each minute from *opened* on, but for the *quiet* ones."""

    def answer(request: PageRequest) -> bytes:
        start, end, span = (int(request.params[name]) for name in ("start", "end", "span"))
        step = span * NS
        first = max(start + -start % step, opened - opened % step)
        times = [ts for ts in range(first, min(end, NOW), step) if span != MINUTE or (ts >= opened and ts not in quiet)]
        assert len(times) <= LIMIT, "more than a page holds was asked for"
        return msgspec.json.encode(times)

    return answer


@given(
    age=st.integers(0, 100 * DAY),
    length=st.integers(1, 120),
    back=st.integers(0, 60 * DAY),
    concurrency=st.integers(1, 4),
    order=st.randoms(use_true_random=False),
)
def test_every_bar_once(backfill, merged, age, length, back, concurrency, order) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """All bars from start to end, whatever the order of the answers, of a market that may have begun in between."""
    opened = (NOW - age * NS) // (MINUTE * NS) * MINUTE * NS
    end = NOW - back * NS
    start = end - length * MINUTE * NS
    pager = Pager(MINUTE, start, end, LIMIT, coarse=DAY)
    done = backfill(pager).run(market(opened), NOW + 3600 * NS, concurrency, lambda count: order.randrange(count))
    expected = [ts for ts in range(start + -start % (MINUTE * NS), end, MINUTE * NS) if opened <= ts < NOW]
    assert sorted(bar.ts for bar in done.records) == expected
    assert merged(done.covered) == [(start, end)]
    assert pager.position == end


def test_the_beginning_is_found_in_a_few_requests(backfill) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """From 1970 to a market that opened this year: one request for each ten days, not one for each ten minutes."""
    opened = NOW - 3 * DAY * NS // 2 // (MINUTE * NS) * (MINUTE * NS)
    end = opened + 25 * MINUTE * NS
    pager = Pager(MINUTE, 0, end, LIMIT, coarse=DAY, opened=NOW - 200 * DAY * NS)
    done = backfill(pager).run(market(opened), NOW + 3600 * NS)
    assert done.covered[0][0] == 0, "what lies before the exchange's first day counts as missing"
    assert min(bar.ts for bar in done.records) >= opened
    assert len(done.records) == 25
    assert done.requests < 20 + 24 * 60 // LIMIT + 3
    assert pager.position == end


def test_open_bars_are_left_out() -> None:
    """A bar that may change after the body came isn't given, and its page ends before it."""
    start = NOW - NOW % (MINUTE * NS)
    pager = Pager(MINUTE, start, start + 5 * MINUTE * NS, LIMIT)
    (request,) = pager.requests(4)
    body = msgspec.json.encode([start, start + MINUTE * NS, start + 2 * MINUTE * NS])
    page = pager.receive(request, body, start + 3 * MINUTE * NS + 2 * NS)
    assert [bar.ts for bar in page.records] == [start, start + MINUTE * NS]
    assert (page.start, page.end) == (start, start + 2 * MINUTE * NS)
    assert pager.done and pager.position == page.end


@pytest.mark.parametrize("body", [b"[2000000000,1000000000]", b"[1,1]", b"{}", b"["])
def test_bodies_that_are_none(body: bytes) -> None:
    """Bars out of order, or what can't be read, are refused, and the page can be asked for again."""
    pager = Pager(MINUTE, 0, 5 * MINUTE * NS, LIMIT)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, body, NOW)
    assert not pager.done
    pager.receive(request, b"[]", NOW)
    assert pager.done


class Moments(Pager):
    """Values of moments; its coarse bodies are other ones."""

    momentary = True

    def beginnings(self, body: bytes) -> list[int]:
        return [ts - 1 for ts in msgspec.json.decode(body, type=list[int])]


def test_bars_of_another_time_are_no_empty_window() -> None:
    """A page that comes again is refused, and asked for again; a bar or two at the edges do no harm."""
    step, start = MINUTE * NS, (NOW // (MINUTE * NS) - 100) * MINUTE * NS
    pager = Pager(MINUTE, start, start + 2 * LIMIT * step, LIMIT)
    first, second = pager.requests(2)
    body = market(0)(first)
    pager.receive(first, body, NOW)
    with pytest.raises(ParseError, match="another time"):
        pager.receive(second, body, NOW)
    assert pager.position == second.cursor.start and not pager.done
    edges = msgspec.json.encode([second.cursor.start - step, second.cursor.end])
    assert pager.receive(second, edges, NOW).records == []
    assert pager.done


def test_records_of_a_moment_are_never_open() -> None:
    """What a bar would have to wait a minute for is there at once; only the newest seconds are left for later."""
    start = NOW - NOW % (MINUTE * NS)
    body = msgspec.json.encode([start, start + MINUTE * NS])
    for kind, expected in ((Pager, []), (Moments, [start])):
        pager = kind(MINUTE, start, start + 2 * MINUTE * NS, LIMIT)
        page = pager.receive(pager.requests(1)[0], body, start + (MINUTE + 5) * NS)
        assert [record.ts for record in page.records] == expected
    assert (page.start, page.end) == (start, start + (MINUTE - 5) * NS)


def test_what_is_published_late() -> None:
    """So long its absence doesn't count; once it is there, all before it is, too."""
    start = NOW - NOW % (MINUTE * NS)
    for there, covered in (([start], start + 1), ([start, start + MINUTE * NS], start + MINUTE * NS + 1)):
        pager = Moments(MINUTE, start, start + 2 * MINUTE * NS, LIMIT, settled=300 * NS)
        page = pager.receive(pager.requests(1)[0], msgspec.json.encode(there), start + (MINUTE + 30) * NS)
        assert [record.ts for record in page.records] == there
        assert page.end == pager.position == covered


def test_another_body_tells_the_beginning() -> None:
    """Where what is asked for has no coarse form, something else shows when the market began."""
    pager = Moments(MINUTE, NOW - 90 * DAY * NS, NOW, LIMIT, coarse=DAY)
    (request,) = pager.requests(5)
    begin = NOW - 85 * DAY * NS
    pager.receive(request, msgspec.json.encode([begin]), NOW)
    assert pager.requests(1)[0].params["start"] == begin - 1
