"""The judge of fidelity: ccxt's own classes, only their URLs changed, take the simulator for Binance's futures."""

from __future__ import annotations

from typing import Any

import ccxt.pro
import pytest

from dccd.simulator import Simulator
from dccd.simulator.faults import Drop, HttpError
from dccd.symbols import NS
from tests.dccd.simulator.support import bars_since, client, redirected

pytestmark = pytest.mark.anyio

MS = 1_000_000
# As ccxt writes it, and as we do.
PERP, OURS = "BTC/USDT:USDT", "BTC/USDT:perp"


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """What ``live`` simulates."""
    return ("binance",)


def dated(it: Any) -> str:
    """ccxt's name of the contract that expires first."""
    return min(str(one["symbol"]) for one in it.markets.values() if one["future"])


async def test_markets(live: Simulator) -> None:
    """Perpetuals and both quarters, with the precision that trades have; spot beside them, and none in coin."""
    async with client(live, "binance") as it:
        markets = await it.load_markets()
        perp, quarter = markets[PERP], markets[dated(it)]
        assert perp["swap"] and perp["linear"] and perp["contractSize"] == 1 and perp["active"]
        pair = live.binance.venue.listings[OURS].instrument
        assert perp["precision"]["price"] == pytest.approx(10**-pair.price_decimals)
        assert perp["precision"]["amount"] == pytest.approx(10**-pair.amount_decimals)
        assert quarter["id"] == f"BTCUSDT_{quarter['symbol'][-6:]}" and quarter["expiry"] % 86_400_000 == 8 * 3_600_000
        assert len([one for one in markets.values() if one["future"]]) == 2
        assert "BTC/USDT" in markets and not any(one["inverse"] for one in markets.values())


async def test_the_class_of_futures_alone(live: Simulator) -> None:
    """ccxt has one for them: it lists no spot."""
    async with ccxt.pro.binanceusdm({"enableRateLimit": False}) as it:
        it.urls["api"] = redirected(it.urls["api"], live.binance)
        markets = await it.load_markets()
        assert PERP in markets and not any(one["spot"] for one in markets.values())
        book = await it.fetch_order_book(PERP, 50)
    assert [tuple(level) for level in book["bids"]] == live.binance.truth.book(OURS, book["timestamp"] * MS, 50).bids


@pytest.mark.parametrize(("symbol", "ours"), [(PERP, OURS), ("", "BTC/USDT:quarter")])
async def test_pages_of_bars(live: Simulator, symbol: str, ours: str) -> None:
    """From the market's first to the newest closed one, without gap or overlap; fifteen hundred are a page."""
    truth = live.binance.truth
    async with client(live, "binance") as it:
        await it.load_markets()
        symbol = symbol or dated(it)
        got = await bars_since(it, symbol, "1m", truth.opened(ours) // MS, 1500)
    bars = truth.bars(ours, 60, truth.opened(ours), int(got[-1][0]) * MS)
    assert got[:-1] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]
    assert len(bars) > 2880


async def test_pages_of_trades(live: Simulator) -> None:
    """By id, each once; and within an hour from a time on."""
    truth = live.binance.truth
    async with client(live, "binance") as it:
        got: list[Any] = []
        for _ in range(3):
            got += await it.fetch_trades(PERP, limit=1000, params={"fromId": 1 + len(got)})
        window = await it.fetch_trades(PERP, since=got[100]["timestamp"], limit=1000)
    got.sort(key=lambda one: int(one["id"]))
    assert [(one["id"], one["timestamp"] * MS, one["price"], one["amount"], one["side"]) for one in got] == [
        (one.tid, one.ts, one.price, one.amount, one.side) for one in truth.numbered(OURS, 1, 3000)
    ]
    assert window[0]["timestamp"] == got[100]["timestamp"] and len(window) == 1000


async def test_funding_and_open_interest(live: Simulator) -> None:
    """History of both, what is announced, and what is open now."""
    truth = live.binance.truth
    async with client(live, "binance") as it:
        opened = truth.opened(OURS)
        rates = await it.fetch_funding_rate_history(PERP, since=opened // MS, limit=1000)
        interest = await it.fetch_open_interest_history(PERP, "5m", limit=500)
        since = await it.fetch_open_interest_history(PERP, "5m", since=interest[10]["timestamp"], limit=7)
        announced = await it.fetch_funding_rate(PERP)
        now = await it.fetch_open_interest(PERP)
    paid = truth.funding(OURS, opened, rates[-1]["timestamp"] * MS + 1)
    assert [(one["timestamp"] * MS, one["fundingRate"]) for one in rates] == [(one.ts, one.rate) for one in paid]
    expected = truth.open_interests(OURS, 300, interest[0]["timestamp"] * MS, interest[-1]["timestamp"] * MS + 1)
    assert [(one["timestamp"] * MS, one["openInterestAmount"], one["openInterestValue"]) for one in interest] == [
        (one.ts, one.open_interest, one.open_interest_value) for one in expected
    ]
    assert since == interest[11:18]  # eight lie within ccxt's times, of which the newest are given
    assert len(rates) >= 6 and len(interest) == 500
    at = announced["timestamp"] * MS
    assert (announced["fundingRate"], announced["fundingTimestamp"] * MS) == truth.derivative(OURS).predicted(at)
    assert announced["markPrice"] == truth.derivative(OURS).mark_price(at)
    assert now["openInterestAmount"] == truth.open_interest(OURS, now["timestamp"] * MS).open_interest


@pytest.mark.parametrize(("symbol", "ours"), [(PERP, OURS), ("", "BTC/USDT:quarter")])
async def test_trades_live(live: Simulator, symbol: str, ours: str) -> None:
    """ccxt's trades are the truth's, without gap."""
    truth = live.binance.truth
    async with client(live, "binance") as it:
        await it.load_markets()
        symbol = symbol or dated(it)
        seen: dict[int, Any] = {}
        while len(seen) < 60:
            for one in await it.watch_trades(symbol):
                seen[int(one["id"])] = one
    ids = sorted(seen)
    offset = 0 if "a" in seen[ids[0]]["info"] else 1_000_000  # aggregate or single ones
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for trade in truth.numbered(ours, ids[0] - offset, ids[-1] - offset):
        got = seen[int(trade.tid or 0) + offset]
        assert (got["timestamp"] * MS, got["price"], got["amount"], got["side"]) == (
            trade.ts,
            trade.price,
            trade.amount,
            trade.side,
        )


async def test_bars_live(live: Simulator) -> None:
    """Bars grow and are followed by the next."""
    async with client(live, "binance") as it:
        bars: dict[int, list[float]] = {}
        while len(bars) < 3:
            for bar in await it.watch_ohlcv(PERP, "1m"):
                if bar[0] * MS > live.started:
                    bars[int(bar[0])] = bar
    start = min(bars)
    (truth,) = live.binance.truth.bars(OURS, 60, start * MS, start * MS + 1)
    assert bars[start] == [start, truth.open, truth.high, truth.low, truth.close, truth.volume]


async def test_book_live(live: Simulator) -> None:
    """ccxt joins snapshot and updates by their ``pu``, and has the truth's book; it notices a lost one."""
    book = live.binance.truth.order_book(OURS)
    async with client(live, "binance") as it:
        got: Any = {}
        while got.get("nonce", 0) < book.last_id(book.step(live.started + 20 * NS)):
            got = await it.watch_order_book(PERP)
        truth = book.snapshot(book.time(got["nonce"] // book.last_id(0) - 1), 100)
        assert [tuple(level) for level in got["bids"][:100]] == truth.bids
        assert [tuple(level) for level in got["asks"][:100]] == truth.asks
        with pytest.raises(ccxt.ChecksumError):
            while True:
                live.faults.inject(Drop(data_type="orderbook"))  # again: of many updates at once ccxt tells no error
                await it.watch_order_book(PERP)


async def test_mark_price_live(live: Simulator) -> None:
    """Every second, the truth's."""
    async with client(live, "binance") as it:
        got = await it.watch_mark_price(PERP)
    assert got["markPrice"] == live.binance.truth.derivative(OURS).mark_price(got["timestamp"] * MS)


async def test_errors_are_what_ccxt_knows(live: Simulator) -> None:
    """Its classes, from our statuses and bodies."""
    async with client(live, "binance") as it:
        await it.load_markets()
        with pytest.raises(ccxt.BadSymbol, match="Invalid symbol"):
            await it.fapiPublicGetKlines({"symbol": "NOPE", "interval": "1m"})
        with pytest.raises(ccxt.BadRequest, match="startTime"):
            await it.fapiDataGetOpenInterestHist({"symbol": "BTCUSDT", "period": "5m", "startTime": 1})
        for status, error in ((429, ccxt.DDoSProtection), (418, ccxt.DDoSProtection), (502, ccxt.ExchangeNotAvailable)):
            live.faults.inject(HttpError(exchange="binance", status=status, retry_after=1))
            with pytest.raises(error):
                await it.fetch_ohlcv(PERP, "1m")
