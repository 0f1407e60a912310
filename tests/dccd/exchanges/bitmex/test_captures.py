"""Real payloads of BitMEX, one a file, against an independent reading of the same bytes."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, StreamOptions
from dccd.exchanges.bitmex import Bitmex
from dccd.exchanges.bitmex.trade_history import TradePager
from dccd.records import Bar, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import Dataset

MARKET = Market("XBTUSD", inverse=True)
TABLES = {
    "ws_trade.json": ("trade", "trades.BTC-USD_PERP"),
    "ws_trade_bin_1m.json": ("tradeBin1m", "ohlc.BTC-USD_PERP.1m"),
    "ws_orderbook_l2.json": ("orderBookL2", "orderbook.BTC-USD_PERP"),
}
REST = {
    "http_get_trade_bins.json": "ohlc.BTC-USD_PERP.1m",
    "http_get_trades.json": "trades.BTC-USD_PERP",
}
ELSE = {
    "http_get_instrument_xbtusd.json": "REST's row of the table that is taken live: tested as its partial",
    "ws_funding_rate.json": "a payment: the table isn't subscribed to, but REST's rows are the same",
    "ws_orderbook_10.json": "a table that isn't subscribed to: ten levels of the book that is collected whole",
    "http_error_response.json": "an error, no market data",
}


def payload(captures: Path, name: str) -> bytes:
    return (captures / "payloads" / "bitmex" / name).read_bytes()


def exact(captures: Path, name: str) -> Any:
    return json.loads(payload(captures, name), parse_float=Decimal)


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def live(name: str, table: str, row: bytes, *, begun: bool) -> list[Record]:
    """What a stream makes of one row: the partial's, or one after an empty partial."""
    protocol, out = Bitmex().stream(Dataset.parse(f"bitmex.{name}"), StreamOptions(), MARKET), list[Record]()
    frame = b'{"table":"%s","action":"%s","filter":{"symbol":"XBTUSD"},"data":[%s]}'
    if begun:
        protocol.receive(frame % (table.encode(), b"partial", b""), 0, [])
    protocol.receive(frame % (table.encode(), b"insert" if begun else b"partial", row), 1, out)
    return out


def trade_of(row: dict[str, Any], recv_ts: int | None) -> Trade:
    side = {"Buy": "buy", "Sell": "sell"}[row["side"]]
    amount = float(row["homeNotional"])
    return Trade(ns(row["timestamp"]), float(row["price"]), amount, side, row["trdMatchID"], recv_ts)  # type: ignore[arg-type]  # mypy takes the dict's values for any text


def bar_of(row: dict[str, Any], recv_ts: int | None) -> Bar:
    o, h, low, c, home, foreign = (
        float(row[name]) for name in ("open", "high", "low", "close", "homeNotional", "foreignNotional")
    )
    return Bar(ns(row["timestamp"]) - 60 * 10**9, o, h, low, c, home, foreign, row["trades"], recv_ts)


def test_every_file_is_named(captures: Path) -> None:
    """None is left out in silence."""
    files = {path.name for path in (captures / "payloads" / "bitmex").iterdir()}
    assert files == {*TABLES, *REST, *ELSE}


def test_a_trade(captures: Path) -> None:
    """Id, price, size, time and side."""
    out = live("trades.BTC-USD_PERP", "trade", payload(captures, "ws_trade.json"), begun=True)
    assert out == [trade_of(exact(captures, "ws_trade.json"), 1)]


@pytest.mark.parametrize("begun", [True, False])
def test_a_bar(captures: Path, begun: bool) -> None:
    """As the partial's and as a new one."""
    out = live("ohlc.BTC-USD_PERP.1m", "tradeBin1m", payload(captures, "ws_trade_bin_1m.json"), begun=begun)
    assert out == [bar_of(exact(captures, "ws_trade_bin_1m.json"), 1)]


def test_a_level(captures: Path) -> None:
    """One ask, in base asset."""
    out = live("orderbook.BTC-USD_PERP", "orderBookL2", payload(captures, "ws_orderbook_l2.json"), begun=False)
    row = exact(captures, "ws_orderbook_l2.json")
    assert row["side"] == "Sell"
    (book,) = out
    assert isinstance(book, BookSnapshot)
    assert (book.ts, book.bids, len(book.asks)) == (ns(row["timestamp"]), [], 1)
    assert book.asks[0] == pytest.approx((float(row["price"]), float(row["size"] / row["price"])), rel=1e-12)


def test_an_instrument(captures: Path) -> None:
    """Funding rate, its time, mark price; open interest, which BitMEX's own value confirms."""
    raw, row = payload(captures, "http_get_instrument_xbtusd.json"), exact(captures, "http_get_instrument_xbtusd.json")
    (funding,) = live("funding.BTC-USD_PERP", "instrument", raw, begun=False)
    ts, mark = ns(row["timestamp"]), float(row["markPrice"])
    assert funding == FundingRate(ts, float(row["fundingRate"]), mark, 1, ns(row["fundingTimestamp"]))
    (interest,) = live("open_interest.BTC-USD_PERP", "instrument", raw, begun=False)
    assert isinstance(interest, OpenInterest)
    assert (interest.ts, interest.open_interest_value) == (ts, row["openInterest"])
    assert interest.open_interest == pytest.approx(float(row["openInterest"] / row["markPrice"]), rel=1e-12)
    # openValue is in hundred-millionths of a bitcoin, from contracts rounded to whole ones of those.
    assert interest.open_interest == pytest.approx(row["openValue"] / 10**8, rel=1e-4)


def test_past_bars(captures: Path) -> None:
    """All of a page."""
    rows = exact(captures, "http_get_trade_bins.json")
    start, end = ns(rows[0]["timestamp"]) - 60 * 10**9, ns(rows[-1]["timestamp"])
    pager = Bitmex().history(Dataset.parse("bitmex.ohlc.BTC-USD_PERP.1m"), start, end, MARKET)
    page = pager.receive(pager.requests(1)[0], payload(captures, "http_get_trade_bins.json"), end + 10**12)
    assert page.records == [bar_of(row, None) for row in rows]
    assert (page.start, page.end, pager.done) == (start, end, True)


def test_past_trades(captures: Path) -> None:
    """All of a page; in the order of its makers, whose third trade is the oldest, it is no answer of BitMEX's."""
    rows, body = exact(captures, "http_get_trades.json"), payload(captures, "http_get_trades.json")
    start = min(ns(row["timestamp"]) for row in rows)
    pager = Bitmex().history(Dataset.parse("bitmex.trades.BTC-USD_PERP"), start, start + 10**12, MARKET)
    assert isinstance(pager, TradePager)
    assert [record for _, record in pager.rows(body)] == [trade_of(row, None) for row in rows]
    (request,) = pager.requests(1)
    with pytest.raises(ParseError, match="out of order"):
        pager.receive(request, body, start + 10**13)
    in_order = sorted(json.loads(body), key=lambda row: ns(row["timestamp"]))
    page = pager.receive(request, json.dumps(in_order).encode(), start + 10**13)
    assert page.records == [trade_of(row, None) for row in sorted(rows, key=lambda row: ns(row["timestamp"]))]


def test_a_payment(captures: Path) -> None:
    """Rate and time."""
    row = exact(captures, "ws_funding_rate.json")
    ts = ns(row["timestamp"])
    pager = Bitmex().history(Dataset.parse("bitmex.funding.BTC-USD_PERP"), ts, ts + 1, MARKET)
    page = pager.receive(pager.requests(1)[0], b"[" + payload(captures, "ws_funding_rate.json") + b"]", ts + 10**12)
    assert page.records == [FundingRate(ts, float(row["fundingRate"]), due_ts=ts)]


def test_what_is_not_collected(captures: Path) -> None:
    """A table nobody asked for gives nothing, an error is none of any data type."""
    ten = payload(captures, "ws_orderbook_10.json")
    assert live("orderbook.BTC-USD_PERP", "orderBook10", ten, begun=False) == []
    for name in REST.values():
        pager = Bitmex().history(Dataset.parse(f"bitmex.{name}"), 10**18 * 3 // 2, 10**18 * 8 // 5, MARKET)
        (request,) = pager.requests(1)
        with pytest.raises(ParseError):
            pager.receive(request, payload(captures, "http_error_response.json"), 10**18 * 2)
