"""The judge of fidelity: ccxt's own class, only its URLs changed, takes the simulator for Bybit."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from dccd.simulator import Simulator
from dccd.simulator.faults import HttpError, RefuseSubscription
from dccd.symbols import NS
from tests.dccd.simulator.support import bars_since, client

pytestmark = pytest.mark.anyio

MS = 1_000_000
# As ccxt writes them.
PERP = "BTC/USDT:USDT"
KINDS = [("BTC/USDT", "BTC/USDT"), (PERP, "BTC/USDT:perp")]


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """What ``live`` simulates."""
    return ("bybit",)


async def test_markets(live: Simulator) -> None:
    """Spot, perpetuals and dated contracts, with the precision that trades have."""
    async with client(live, "bybit") as it:
        markets = await it.load_markets()
        perp, spot = markets[PERP], markets["BTC/USDT"]
        assert perp["swap"] and perp["linear"] and perp["contractSize"] == 1 and perp["active"]
        assert spot["spot"] and spot["id"] == perp["id"] == "BTCUSDT"
        listing = live.exchanges["bybit"].venue.listings["BTC/USDT:perp"]
        assert perp["precision"]["price"] == pytest.approx(10**-listing.instrument.price_decimals)
        assert perp["precision"]["amount"] == pytest.approx(10**-listing.instrument.amount_decimals)
        assert len([one for one in markets.values() if one["future"] and one["expiry"]]) == 2


@pytest.mark.parametrize(("symbol", "ours"), KINDS)
async def test_pages_of_bars(live: Simulator, symbol: str, ours: str) -> None:
    """From the market's first to the newest closed one, without gap or overlap."""
    truth = live.exchanges["bybit"].truth
    async with client(live, "bybit") as it:
        got = await bars_since(it, symbol, "5m", truth.opened(ours) // MS, 1000)
    bars = truth.bars(ours, 300, truth.opened(ours), int(got[-1][0]) * MS)
    assert got[:-1] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]
    assert len(bars) > 500


@pytest.mark.parametrize(("symbol", "ours"), KINDS)
async def test_trades_and_book(live: Simulator, symbol: str, ours: str) -> None:
    """The newest trades, and the book of now on both sides."""
    truth = live.exchanges["bybit"].truth
    async with client(live, "bybit") as it:
        trades = await it.fetch_trades(symbol, limit=50)
        book = await it.fetch_order_book(symbol, limit=50)
    first, last = trades[0]["timestamp"] * MS, trades[-1]["timestamp"] * MS
    known = {one.tid: one for one in truth.trades(ours, first, last + MS)}
    assert len(trades) == 50
    for one in trades:
        it_is = known[one["id"]]
        assert (one["timestamp"] * MS, one["price"], one["amount"], one["side"]) == (
            it_is.ts,
            it_is.price,
            it_is.amount,
            it_is.side,
        )
    snapshot = truth.book(ours, book["timestamp"] * MS, 50)
    assert [tuple(level) for level in book["bids"]] == snapshot.bids
    assert [tuple(level) for level in book["asks"]] == snapshot.asks


async def test_funding_and_open_interest(live: Simulator) -> None:
    """History of both, and what is announced."""
    truth = live.exchanges["bybit"].truth
    async with client(live, "bybit") as it:
        opened = truth.opened(KINDS[1][1])
        rates = await it.fetch_funding_rate_history(PERP, since=opened // MS, limit=200)
        interest = await it.fetch_open_interest_history(PERP, "5m", limit=100)
        announced = await it.fetch_funding_rate(PERP)
    paid = truth.funding("BTC/USDT:perp", opened, rates[-1]["timestamp"] * MS + 1)
    assert [(one["timestamp"] * MS, one["fundingRate"]) for one in rates] == [(one.ts, one.rate) for one in paid]
    expected = truth.open_interests(
        "BTC/USDT:perp", 300, interest[0]["timestamp"] * MS, interest[-1]["timestamp"] * MS + 1
    )
    assert [(one["timestamp"] * MS, one["openInterestAmount"]) for one in interest] == [
        (one.ts, one.open_interest) for one in expected
    ]
    assert len(rates) >= 6 and len(interest) == 100
    assert announced["fundingTimestamp"] % (8 * 3600 * 1000) == 0 and abs(announced["fundingRate"]) < 0.01


@pytest.mark.parametrize(("symbol", "ours"), KINDS)
async def test_trades_live(live: Simulator, symbol: str, ours: str) -> None:
    """ccxt's trades are the truth's, without gap."""
    truth = live.exchanges["bybit"].truth
    async with client(live, "bybit") as it:
        seen: dict[str, Any] = {}
        while len(seen) < 60:
            for one in await it.watch_trades(symbol):
                seen[one["id"]] = one
    times = [one["timestamp"] * MS for one in seen.values()]
    # Those of the first and last millisecond may be cut off.
    inner = [one for one in truth.trades(ours, min(times) + MS, max(times))]
    assert {one.tid for one in inner} <= set(seen) and len(inner) > 40
    for trade in inner:
        got = seen[str(trade.tid)]
        assert (got["timestamp"] * MS, got["price"], got["amount"], got["side"]) == (
            trade.ts,
            trade.price,
            trade.amount,
            trade.side,
        )


async def test_bars_live(live: Simulator) -> None:
    """Bars grow and are followed by the next."""
    async with client(live, "bybit") as it:
        bars: dict[int, list[float]] = {}
        while len(bars) < 3:
            for bar in await it.watch_ohlcv(PERP, "1m"):
                bars[int(bar[0])] = bar
    start = min(bars)
    (truth,) = live.exchanges["bybit"].truth.bars("BTC/USDT:perp", 60, start * MS, start * MS + 1)
    assert bars[start] == [start, truth.open, truth.high, truth.low, truth.close, truth.volume]


@pytest.mark.parametrize(("symbol", "ours"), KINDS)
async def test_book_live(live: Simulator, symbol: str, ours: str) -> None:
    """Snapshot and deltas give the truth's book, on both sides."""
    book = live.exchanges["bybit"].truth.order_book(ours)
    async with client(live, "bybit") as it:
        await it.load_markets()
        for _ in range(30):
            got = await it.watch_order_book(symbol, 50)
        assert [len(got[side]) for side in ("bids", "asks")] == [50, 50]
        # ccxt has the time when a frame was sent, some ms after the step that it is of.
        truth = book.snapshot(got["timestamp"] * MS, 50)
        assert [tuple(level) for level in got["bids"]] == truth.bids
        assert [tuple(level) for level in got["asks"]] == truth.asks


async def test_ticker_live(live: Simulator) -> None:
    """Deltas complete the snapshot."""
    async with client(live, "bybit") as it:
        for _ in range(3):
            got = await it.watch_ticker(PERP)
    at = got["timestamp"] * MS
    derivative = live.exchanges["bybit"].truth.derivative("BTC/USDT:perp")
    assert abs(at - live.clock.now()) < 3600 * NS
    assert got["markPrice"] == derivative.mark_price(at)


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, ccxt.RateLimitExceeded), (429, ccxt.RateLimitExceeded), (503, ccxt.ExchangeNotAvailable)],
)
async def test_errors_are_what_ccxt_knows(live: Simulator, status: int, error: type[Exception]) -> None:
    """ccxt's error classes, from our statuses and bodies."""
    async with client(live, "bybit") as it:
        await it.load_markets()
        live.faults.inject(HttpError(exchange="bybit", status=status, retry_after=1))
        with pytest.raises(error):
            await it.fetch_ohlcv(PERP, "1m")


async def test_refusals_are_what_ccxt_knows(live: Simulator) -> None:
    """Unknown symbols on REST, a refused subscription on WebSocket."""
    async with client(live, "bybit") as it:
        with pytest.raises(ccxt.BadSymbol, match="Not supported symbols"):
            await it.publicGetV5MarketKline({"category": "linear", "symbol": "NOPE", "interval": "1"})
        live.faults.inject(RefuseSubscription(symbol="BTC/USDT:perp"))
        with pytest.raises(ccxt.ExchangeError, match="handler not found"):
            await it.watch_trades(PERP)
