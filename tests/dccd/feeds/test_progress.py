"""Exchanges that repeat themselves: a backfill of them ends, with an error that says so."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

import msgspec
import pytest

from dccd.errors import NoProgress, ParseError
from dccd.exchanges.base import HistoryPager, Market, Page, PageRequest
from dccd.exchanges.unified import Features, Unified
from dccd.feeds.fake import START, FakeClock, FakeRest
from dccd.feeds.history import pages
from dccd.feeds.progress import REPEATS, STANDSTILL, Progress
from dccd.records import Trade
from dccd.symbols import NS, Dataset

pytestmark = pytest.mark.anyio


def page(*times: int) -> Page:
    """One that holds trades of these times."""
    return Page([Trade(ts, 1.0, 1.0, None, str(ts)) for ts in times], START, START)


def request(n: int) -> PageRequest:
    """One of many."""
    return PageRequest("publicGetPage", {"n": n})


def test_the_same_request_for_ever_is_none() -> None:
    """The last one too many is an error with the place where it stands; who gets on may ask as often as he likes."""
    progress = Progress("fake", START)
    for n in range(3 * REPEATS):
        assert progress.took(request(1), page(), START + n, alone=True) is None
    told = [progress.took(request(1), page(), START, alone=True) for _ in range(REPEATS)]
    assert told[:-1] == [None] * (REPEATS - 1)
    error = told[-1]
    assert isinstance(error, NoProgress)
    assert (error.exchange, error.endpoint, error.position) == ("fake", "publicGetPage", START + 3 * REPEATS - 1)
    assert "fake makes no progress" in str(error) and "2023-11-14T22:13:20" in str(error)


def test_requests_that_are_new_each_time_may_stand_still_too() -> None:
    """Pages of records that cover nothing are counted, those without any aren't: a beginning is looked for in them."""
    progress = Progress("fake", START)
    assert not any(progress.took(request(n), page(), START, alone=True) for n in range(10 * STANDSTILL))
    told = [progress.took(request(-n), page(START), START, alone=True) for n in range(1, STANDSTILL + 1)]
    assert [n for n, error in enumerate(told, 1) if error] == [STANDSTILL]


def test_pages_that_overtake_a_slow_one_are_no_standstill() -> None:
    """The position waits for the first of those under way."""
    progress = Progress("fake", START)
    assert not any(progress.took(request(n), page(START), START, alone=False) for n in range(10 * STANDSTILL))


class Circle(HistoryPager):
    """Asks for pages 0, 1, 0, 1 for ever."""

    done = False
    position = START

    def __init__(self) -> None:
        self._next = cycle([0, 1])

    def requests(self, limit: int) -> list[PageRequest]:
        return [request(next(self._next))]

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        return page()


async def test_whoever_drives_a_pager_is_told() -> None:
    """The pages that came are handed on; then comes the error, with a note of what is covered."""
    rest, got = FakeRest(answer=lambda request: b""), []
    with pytest.raises(NoProgress, match="asked for 4 times") as caught:
        async for one in pages(rest, Circle(), 1):
            got.append(one)  # noqa: PERF401 - a comprehension would lose them
    assert len(got) == len(rest.requests) == 2 * REPEATS - 1
    assert caught.value.__notes__ == ["covered until 2023-11-14T22:13:20Z"]


# ---------------------------------------------------------------- through ccxt

ANYWHERE = Unified(
    Features(
        id="anywhere",
        methods=frozenset({"fetchTrades", "fetchOHLCV", "fetchFundingRateHistory", "fetchOpenInterestHistory"}),
        kinds=frozenset({"spot", "swap"}),
        timeframes={60: "1m"},
        page=100,
    )
)
STEP = 60 * NS
BEGIN = START - START % STEP - 1000 * STEP
NEWEST = range(990, 1000)
"""What comes without ``since``."""
WRONG: dict[str, list[range]] = {
    "the same page": [range(50)] * 100,
    "one page and the next by turns": [range(50), range(50, 100)] * 50,
    "three in a circle": [range(50), range(50, 100), range(100, 150)] * 30,
    "back to the first after some": [*(range(n, n + 51) for n in range(0, 500, 50)), *[range(50)] * 100],
    "one record": [range(7, 8)] * 100,
    "a page from before what was asked for": [range(-100, -50)] * 100,
}


def rows(kind: str, numbers: Iterable[int]) -> bytes:
    """One of ccxt's answers: records that are a minute apart."""
    times = [(BEGIN + n * STEP) // 1_000_000 for n in numbers]
    if kind == "ohlc":
        return msgspec.json.encode([[ms, 1.0, 2.0, 0.5, 1.5, 1.0] for ms in times])
    what = {"id": None, "price": 1.0, "amount": 1.0, "fundingRate": 1e-4, "openInterestAmount": 1.0}
    return msgspec.json.encode([{"timestamp": ms, **what} for ms in times])


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kind", ["trades", "ohlc", "funding", "open_interest"])
async def test_an_exchange_that_repeats_itself_to_ccxt(kind: str, wrong: str) -> None:
    """A few requests later the backfill fails, and says what is wrong, whatever it is that comes again."""
    answers = iter([NEWEST, *WRONG[wrong]])
    rest = FakeRest(answer=lambda request: rows(kind, next(answers)))
    symbol = "BTC/USDT" if kind in ("trades", "ohlc") else "BTC/USDT:perp"
    dataset = Dataset.make("anywhere", kind, symbol, 60 if kind == "ohlc" else None)
    pager = ANYWHERE.history(dataset, BEGIN, START, Market("BTC/USDT"))
    with pytest.raises((NoProgress, ParseError), match=r"no progress|was asked for"):
        async for _ in pages(rest, pager, 4, clock=FakeClock()):
            pass
    assert len(rest.requests) < 40
