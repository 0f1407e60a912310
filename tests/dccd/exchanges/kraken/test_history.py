"""Past bars and the present book of Kraken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.kraken import Kraken
from dccd.records import Bar, BookSnapshot
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
T0 = 1_600_000_020 * NS


def pager(start: int, end: int) -> HistoryPager:
    return Kraken().history(Dataset.parse("kraken.ohlc.BTC-USD.1m"), start, end, Market("XXBTZUSD"))


def answer(minutes: range) -> Callable[[PageRequest], bytes]:
    """``GET /0/public/OHLC``: the newest 720 bars, the last one open."""

    def body(request: PageRequest) -> bytes:
        assert request.endpoint == "publicGetOHLC"
        assert request.params["pair"] == "XXBTZUSD"
        assert request.params["interval"] == 1
        times = [T0 // NS + 60 * n for n in minutes][-720:]
        rows = [[t, "2", "4", "1", "3", "2.5", "10", 7] for t in times if t > int(request.params["since"])]
        return msgspec.json.encode({"error": [], "result": {"XXBTZUSD": rows, "last": times[-2]}})

    return body


def minutes(run: Any) -> list[int]:
    return [(bar.ts - T0) // MINUTE for bar in run.records]


def test_closed_bars_of_the_range(backfill: Callable[..., Any]) -> None:
    """The range's bars and no others; all of it is covered."""
    run = backfill(pager(T0 + 3 * MINUTE, T0 + 6 * MINUTE)).run(answer(range(20)), T0 + 20 * MINUTE)
    assert minutes(run) == [3, 4, 5]
    assert run.records[0] == Bar(T0 + 3 * MINUTE, 2.0, 4.0, 1.0, 3.0, 10.0, None, 7)
    assert run.covered == [(T0 + 3 * MINUTE, T0 + 6 * MINUTE)]
    assert run.requests == 1


def test_the_open_bar_is_left_out(backfill: Callable[..., Any]) -> None:
    """What is covered ends where it begins."""
    run = backfill(pager(T0, T0 + 100 * MINUTE)).run(answer(range(11)), T0 + 10 * MINUTE + 15 * NS)
    assert minutes(run) == list(range(10))
    assert run.covered == [(T0, T0 + 10 * MINUTE)]
    assert run.pager.position == T0 + 10 * MINUTE


def test_older_than_it_goes_back(backfill: Callable[..., Any]) -> None:
    """The page begins where the oldest bar does that could be had, so that the rest isn't taken for covered."""
    run = backfill(pager(T0, T0 + 1000 * MINUTE)).run(answer(range(1000)), T0 + 2000 * MINUTE)
    assert minutes(run) == list(range(280, 1000))
    assert run.covered == [(T0 + 280 * MINUTE, T0 + 1000 * MINUTE)]


def test_all_of_a_young_market(backfill: Callable[..., Any]) -> None:
    """Fewer bars than it goes back are all there are: before them is nothing."""
    run = backfill(pager(0, T0 + 100 * MINUTE)).run(answer(range(50)), T0 + 2000 * MINUTE)
    assert run.covered == [(0, T0 + 100 * MINUTE)]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"error":["EQuery:Unknown asset pair"]}', b'{"error":[],"result":{"last":5}}',
        b'{"error":[],"result":{"X":[[1600000020,"0","1","1","1","1","1",1]],"last":5}}',
        b'{"error":[],"result":{"X":[[1600000020,"1","1","1","1","1","1"]],"last":5}}',
        b'{"error":[],"result":{"X":[[2,"1","1","1","1","1","1",1],[1,"1","1","1","1","1","1",1]],"last":5}}',
        b'{"error":[],"result":{"X":[],"Y":[],"last":5}}',
    ],
)  # fmt: skip
def test_broken_bodies(body: bytes) -> None:
    """A body that isn't one market's bars is a ParseError, and the page can be asked for again."""
    made = pager(T0, T0 + MINUTE)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, T0 + 20 * MINUTE)
    assert not made.done
    made.receive(request, answer(range(20))(request), T0 + 20 * MINUTE)
    assert made.done


def test_errors_are_in_krakens_words() -> None:
    """Should one come with status 200."""
    made = pager(T0, T0 + MINUTE)
    with pytest.raises(ParseError, match="Unknown asset pair"):
        made.receive(made.requests(1)[0], b'{"error":["EQuery:Unknown asset pair"]}', T0)


def test_real_answers(captures: Path) -> None:
    """A full real answer: 720 bars and the open one; and a book."""
    folder = captures / "payloads" / "kraken"
    text = (folder / "http_ohlc.json").read_bytes()
    rows = next(iter(value for value in msgspec.json.decode(text)["result"].values() if isinstance(value, list)))
    made = Kraken().history(Dataset.parse("kraken.ohlc.BTC-USDT.1m"), 0, 10**18 * 2, Market("XBTUSDT"))
    page = made.receive(made.requests(1)[0], text, rows[-1][0] * NS + 30 * NS)
    assert page.records == [Bar(r[0] * NS, *(float(r[n]) for n in (1, 2, 3, 4, 6)), trades=r[7]) for r in rows[:-1]]
    assert (page.start, page.end) == (rows[0][0] * NS, rows[-1][0] * NS)
    book = Kraken().history(Dataset.parse("kraken.orderbook.BTC-USDT"), 0, 1, Market("XBTUSDT"))
    (request,) = book.requests(1)
    assert request == PageRequest("publicGetDepth", {"pair": "XBTUSDT", "count": 500})
    (snapshot,) = book.receive(request, (folder / "http_order_book.json").read_bytes(), 5).records
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.ts, snapshot.asks[0]) == (5, (105944.3, 0.136))
    assert snapshot.bids == sorted(snapshot.bids, reverse=True)
    assert book.done
