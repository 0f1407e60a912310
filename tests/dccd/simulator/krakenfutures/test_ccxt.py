"""The judge of fidelity: ccxt's own class, only its URLs changed, takes the simulator for Kraken Futures."""

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
PERP, OURS = "BTC/USD:USD", "BTC/USD:perp"
"""As ccxt writes it, and as we do."""


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    return ("krakenfutures",)


@pytest.fixture
def contracts() -> tuple[str, ...]:
    """Of both kinds."""
    return (OURS, "BTC/USD:quarter", "BTC/USD:next_quarter")


async def test_markets(live: Simulator) -> None:
    """A linear perpetual, a dated contract of each kind, with the precision that trades have."""
    async with client(live, "krakenfutures") as it:
        markets = await it.load_markets()
    perp, listing = markets[PERP], live.exchanges["krakenfutures"].venue.listings[OURS]
    assert perp["id"] == "PF_XBTUSD" and perp["swap"] and perp["linear"] and perp["contractSize"] == 1
    assert perp["active"] and perp["expiry"] is None
    assert perp["precision"]["price"] == pytest.approx(10**-listing.instrument.price_decimals)
    assert perp["precision"]["amount"] == pytest.approx(10**-listing.instrument.amount_decimals)
    dated = sorted((one for one in markets.values() if one["future"]), key=lambda one: one["expiry"])
    assert [(one["id"][:3], one["inverse"], one["settle"]) for one in dated] == [
        ("FI_", True, "BTC"),
        ("FF_", False, "USD"),
    ]


async def test_pages_of_bars(live: Simulator) -> None:
    """From the market's first to the newest closed one, without gap or overlap."""
    truth = live.exchanges["krakenfutures"].truth
    async with client(live, "krakenfutures") as it:
        it.seconds = lambda: live.clock.now() // NS  # ccxt asks for nothing later than its own clock
        got = await bars_since(it, PERP, "5m", truth.opened(OURS) // MS, 200)
    bars = truth.bars(OURS, 300, truth.opened(OURS), int(got[-1][0]) * MS)
    assert got[:-1] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]
    assert len(bars) > 500


@pytest.mark.parametrize("method", ["historyGetMarketSymbolExecutions", "publicGetHistory"])
async def test_trades(live: Simulator, method: str) -> None:
    """The newest of both histories, with the same ids."""
    truth = live.exchanges["krakenfutures"].truth
    async with client(live, "krakenfutures") as it:
        trades = await it.fetch_trades(PERP, limit=50, params={"method": method})
    first, last = trades[0]["timestamp"] * MS, trades[-1]["timestamp"] * MS
    known = {one.tid: one for one in truth.trades(OURS, first, last + MS)}
    assert len(trades) == 50
    for one in trades:
        it_is = known[one["id"]]
        got = (one["timestamp"] * MS, one["price"], one["amount"], one["side"])
        assert got == (it_is.ts, it_is.price, it_is.amount, it_is.side)


async def test_trades_from_a_time_on(live: Simulator) -> None:
    """The first hundred; of those of one millisecond ccxt turns the order round."""
    truth = live.exchanges["krakenfutures"].truth
    since = truth.opened(OURS) // MS + 3_600_000
    async with client(live, "krakenfutures") as it:
        trades = await it.fetch_trades(PERP, since=since, limit=100)
    expected = truth.trades(OURS, since * MS, since * MS + 3600 * NS)[:100]
    assert [one["timestamp"] * MS for one in trades] == [trade.ts for trade in expected]
    assert {one["id"] for one in trades} == {trade.tid for trade in expected} and len(expected) == 100


async def test_the_book(live: Simulator) -> None:
    """Of now, on both sides."""
    book = live.exchanges["krakenfutures"].truth.order_book(OURS)
    async with client(live, "krakenfutures") as it:
        got = await it.fetch_order_book(PERP)
    truth = book.snapshot(got["timestamp"] * MS, 1000)
    assert [tuple(level) for level in got["bids"]] == truth.bids
    assert [tuple(level) for level in got["asks"]] == truth.asks and len(truth.asks) > 500


async def test_funding(live: Simulator) -> None:
    """Its history, and the present rate, which ccxt makes of the money it comes to."""
    truth = live.exchanges["krakenfutures"].truth
    async with client(live, "krakenfutures") as it:
        rates = await it.fetch_funding_rate_history(PERP)
        announced = (await it.fetch_funding_rates([PERP]))[PERP]
    paid = truth.funding(OURS, truth.opened(OURS), rates[-1]["timestamp"] * MS + 1)
    assert [(one["timestamp"] * MS, one["fundingRate"]) for one in rates] == [(one.ts, one.rate) for one in paid]
    assert len(rates) >= 48
    recent = {one.rate for one in paid[-2:]} | {truth.derivative(OURS).predicted(live.clock.now()).rate}
    assert any(announced["fundingRate"] == pytest.approx(rate, rel=1e-3) for rate in recent)


async def test_trades_live(live: Simulator) -> None:
    """ccxt's trades are the truth's, without gap."""
    truth = live.exchanges["krakenfutures"].truth
    async with client(live, "krakenfutures") as it:
        seen: dict[str, Any] = {}
        while len(seen) < 160:
            for one in await it.watch_trades(PERP):
                seen[one["id"]] = one
    times = [one["timestamp"] * MS for one in seen.values()]
    # Those of the first and last millisecond may be cut off.
    inner = truth.trades(OURS, min(times) + MS, max(times))
    assert {one.tid for one in inner} <= set(seen) and len(inner) > 140
    for trade in inner:
        got = seen[str(trade.tid)]
        row = (got["timestamp"] * MS, got["price"], got["amount"], got["side"])
        assert row == (trade.ts, trade.price, trade.amount, trade.side)


async def test_the_book_live(live: Simulator) -> None:
    """The snapshot and each level after it give the truth's book, on both sides, once a moment is complete."""
    book = live.exchanges["krakenfutures"].truth.order_book(OURS)
    async with client(live, "krakenfutures") as it:
        await it.load_markets()
        for _ in range(30):
            got = await it.watch_order_book(PERP)
        moments = [book.snapshot(got["timestamp"] * MS, 1000)]
        # The last moment's levels may be under way: its removals come first.
        bids, asks = ({price: amount for price, amount in got[side]} for side in ("bids", "asks"))
        assert len(bids) > 400 and max(bids) < min(asks)
        for side, truth in ((bids, dict(moments[0].bids)), (asks, dict(moments[0].asks))):
            assert len({price for price, amount in side.items() if truth.get(price) != amount}) < 60


async def test_the_ticker_live(live: Simulator) -> None:
    """It has the truth's mark price."""
    async with client(live, "krakenfutures") as it:
        for _ in range(3):
            got = await it.watch_ticker(PERP)
    derivative = live.exchanges["krakenfutures"].truth.derivative(OURS)
    assert got["markPrice"] == derivative.mark_price(got["info"]["time"] * MS)


@pytest.mark.parametrize(("status", "error"), [(429, ccxt.DDoSProtection), (503, ccxt.ExchangeNotAvailable)])
async def test_errors_are_what_ccxt_knows(live: Simulator, status: int, error: type[Exception]) -> None:
    """ccxt's error classes, from our statuses and bodies."""
    async with client(live, "krakenfutures") as it:
        await it.load_markets()
        live.faults.inject(HttpError(exchange="krakenfutures", status=status, retry_after=1))
        with pytest.raises(error):
            await it.fetch_ohlcv(PERP, "1m")


async def test_refusals_are_what_ccxt_knows(live: Simulator) -> None:
    """Unknown symbols on REST, a refused subscription on WebSocket."""
    async with client(live, "krakenfutures") as it:
        with pytest.raises(ccxt.BadRequest, match="Argument invalid: symbol"):
            await it.publicGetOrderbook({"symbol": "NOPE"})
        live.faults.inject(RefuseSubscription(symbol=OURS))
        with pytest.raises(ccxt.ExchangeError, match="invalid product `PF_XBTUSD`"):
            await it.watch_trades(PERP)
