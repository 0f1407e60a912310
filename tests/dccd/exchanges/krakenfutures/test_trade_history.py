"""Past trades of Kraken Futures."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.exchanges.paging import SETTLED
from dccd.records import Trade
from dccd.symbols import NS, Dataset

MS = 10**6
NOW = 1_764_000_017 * NS
DATASET = Dataset.parse("krakenfutures.trades.BTC-USD_PERP")


def history(start: int, end: int, market: Market = Market("PF_XBTUSD")) -> HistoryPager:  # noqa: B008  # frozen
    return KrakenFutures().history(DATASET, start, end, market)


def element(ms: int, uid: str, taker: dict[str, str] = {}, **fields: object) -> dict[str, object]:  # noqa: B006  # not changed
    order = {"uid": "t", "tradeable": "PF_XBTUSD", "direction": "Sell", "quantity": "9", "limitPrice": "1"} | taker
    execution = {"uid": uid, "timestamp": ms, "quantity": "0.25", "price": "91000.5", "takerOrder": order} | fields
    event = {"Execution": {"execution": execution, "takerReducedQuantity": ""}}
    return {"uid": f"event of {uid}", "timestamp": ms, "event": event}


def body(rows: list[dict[str, object]], token: str | None = None) -> bytes:
    more = {} if token is None else {"continuationToken": token}
    return msgspec.json.encode({"elements": rows, "len": len(rows)} | more)


def exchange(times: list[int], page: int, *, inclusive: bool) -> Callable[[PageRequest], bytes]:
    """Kraken with trades at *times* (ms), some a *page*, whose token says which come next."""

    def answer(request: PageRequest) -> bytes:
        params = request.params
        assert request.endpoint == "historyGetMarketSymbolExecutions"
        assert (params["symbol"], params["sort"], params["count"]) == ("PF_XBTUSD", "asc", 1000)
        since, before = int(params["since"]), int(params["before"])
        mine = [(ms, n) for n, ms in enumerate(times) if (since <= ms <= before if inclusive else since < ms < before)]
        first = int(b64decode(str(params.get("continuation_token", ""))) or 0)
        token = b64encode(str(first + page).encode()).decode() if first + page < len(mine) else None
        return body([element(ms, f"u{n}") for ms, n in mine[first : first + page]], token)

    return answer


def test_a_page() -> None:
    """Ids of executions, the taker's side, base asset; whose it was isn't always known."""
    start, ms = NOW - 60 * NS, NOW // MS - 50_000
    pager = history(start, NOW)
    (request,) = pager.requests(3)
    assert request.params["since"] == start // MS - 1 and request.params["before"] == -(-NOW // MS) + 1
    assert pager.requests(1) == []
    takers = [{}, {"direction": "Buy"}, {"direction": "Unknown"}]
    rows = [element(ms + 5 * (n == 2), f"u{n + 1}", taker) for n, taker in enumerate(takers)]
    page = pager.receive(request, body(rows), NOW)
    assert page.records == [
        Trade(ms * MS, 91000.5, 0.25, "sell", "u1"),
        Trade(ms * MS, 91000.5, 0.25, "buy", "u2"),
        Trade((ms + 5) * MS, 91000.5, 0.25, None, "u3"),
    ]
    assert (page.start, page.end, pager.done) == (start, NOW - SETTLED, True)


def test_contracts_of_a_dollar() -> None:
    """An inverse market's sizes come to base asset."""
    pager = history(NOW - 60 * NS, NOW, Market("PF_XBTUSD", inverse=True))
    rows = [element(NOW // MS - 50_000, "u", quantity="15000", price="30000")]
    (trade,) = pager.receive(pager.requests(1)[0], body(rows), NOW).records
    assert isinstance(trade, Trade) and trade.amount == 0.5


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0, 0, 1, 7, 4000]), max_size=60),
    start=st.integers(-5, 60_000),
    length=st.integers(1, 90_000),
    page=st.integers(1, 7),
    inclusive=st.booleans(),
)
def test_every_trade_once(
    backfill: Callable[..., object],
    merged: Callable[..., object],
    gaps: list[int],
    start: int,
    length: int,
    page: int,
    inclusive: bool,
) -> None:
    """Whatever shares a millisecond at a page's edge, and whether or not the ends count."""
    base, times = NOW // MS - 900_000, list[int]()
    for gap in gaps:
        times.append((times[-1] if times else base) + gap)
    begin, end = (base + start) * MS + 123, (base + start + length) * MS + 456
    made = backfill(history(begin, end))
    made.truth = [ms * MS for ms in times if begin <= ms * MS < end]  # type: ignore[attr-defined]  # the class Backfill
    run = made.run(exchange(times, page, inclusive=inclusive), NOW)  # type: ignore[attr-defined]  # the class Backfill
    assert [record.tid for record in run.records] == [f"u{n}" for n, ms in enumerate(times) if begin <= ms * MS < end]
    assert merged(run.covered) == [(begin, end)]


def test_the_same_token_again() -> None:
    """It would be the same page again, for ever: that is an error, and nothing counts as covered by it."""
    ms = NOW // MS - 50_000
    pager = history(NOW - 60 * NS, NOW - 20 * NS)
    page = pager.receive(pager.requests(1)[0], body([element(ms, "u1")], "dG8="), NOW)
    assert (page.end, pager.done) == (ms * MS, False)
    (request,) = pager.requests(1)
    assert request.params["continuation_token"] == "dG8="
    with pytest.raises(ParseError, match="token"):
        pager.receive(request, body([element(ms, "u1")], "dG8="), NOW)
    assert (pager.position, pager.done) == (ms * MS, False)
    page = pager.receive(request, body([]), NOW)
    assert (page.end, pager.done, pager.position) == (NOW - 20 * NS, True, NOW - 20 * NS)


@pytest.mark.parametrize("rows", [0, 2])
def test_new_tokens_that_lead_nowhere(rows: int) -> None:
    """Pages without a later trade, or without any, end in an error, though each has a token that is new."""
    ms = NOW // MS - 50_000
    pager = history(NOW - 60 * NS, NOW - 20 * NS)
    with pytest.raises(ParseError, match="100 pages without a trade later"):
        for n in range(200):
            pager.receive(pager.requests(1)[0], body([element(ms, f"u{n}-{k}") for k in range(rows)], f"t{n}"), NOW)
    assert (pager.position, pager.done) == (ms * MS if rows else NOW - 60 * NS, False)


def test_a_page_that_failed() -> None:
    """It is asked for again, and nothing has changed."""
    ms = NOW // MS - 50_000
    pager = history(NOW - 60 * NS, NOW)
    (request,) = pager.requests(1)
    before = repr(pager)
    bad = [
        b"",
        b'{"status":"too_many_requests","reason":"x"}',
        body([element(ms, "u1"), element(ms - 1, "u2")]),
        body([element(ms, "u1", taker={"tradeable": "PF_ETHUSD"})]),
        body([element(ms, "u1", price="0")]),
        body([element(ms, "u1", quantity="")]),
        body([element(ms, "u1", taker={"direction": "Up"})]),
    ]
    for wrong in bad:
        with pytest.raises(ParseError):
            pager.receive(request, wrong, NOW)
        assert repr(pager) == before and not pager.done
    assert len(pager.receive(request, body([element(ms, "u1")]), NOW).records) == 1


def test_pages_in_order() -> None:
    """A page older than the one before is none of ours."""
    ms = NOW // MS - 50_000
    pager = history(NOW - 60 * NS, NOW)
    pager.receive(pager.requests(1)[0], body([element(ms, "u1")], "dG8="), NOW)
    with pytest.raises(ParseError, match="out of order"):
        pager.receive(pager.requests(1)[0], body([element(ms - 1, "u2")]), NOW)


def test_nothing_asked_for() -> None:
    """Of an empty range nothing."""
    pager = history(NOW, NOW)
    assert pager.done and pager.requests(1) == []
