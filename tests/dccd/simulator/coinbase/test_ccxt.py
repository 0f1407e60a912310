"""ccxt's own classes take the simulated Coinbase for the real one."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from dccd.simulator import Simulator
from dccd.simulator.faults import HttpError
from dccd.symbols import NS
from tests.dccd.simulator.support import bars_since, client

pytestmark = pytest.mark.anyio

MS = 1_000_000
SIDES = {"buy": "sell", "sell": "buy"}
"""ccxt hands Coinbase's side on as it is, which is the maker's."""


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """Coinbase."""
    return ("coinbase",)


async def test_markets(live: Simulator) -> None:
    """All symbols, with the precision that trades have."""
    async with client(live, "coinbase") as it:
        markets = await it.load_markets()
        assert set(live.config.symbols) == set(markets)
        pair = live.exchanges["coinbase"].venue.listings["BTC/USD"].instrument
        assert markets["BTC/USD"]["precision"]["price"] == pytest.approx(10**-pair.price_decimals)
        assert markets["BTC/USD"]["spot"] and markets["BTC/USD"]["active"] and markets["BTC/USD"]["id"] == "BTC-USD"
        assert it.currencies["BTC"]["type"] == "crypto" and it.currencies["USD"]["type"] == "fiat"


async def test_pages_of_bars(live: Simulator) -> None:
    """From the market's first to the newest closed one, without gap or overlap."""
    truth = live.exchanges["coinbase"].truth
    async with client(live, "coinbase") as it:
        got = await bars_since(it, "BTC/USD", "5m", truth.opened("BTC/USD") // MS, 300)
    bars = truth.bars("BTC/USD", 300, truth.opened("BTC/USD"), int(got[-1][0]) * MS)
    assert len(bars) > 570
    assert got[:-1] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]


async def test_trades_of_a_range(live: Simulator) -> None:
    """The truth's, the newest hundred of a range."""
    truth = live.exchanges["coinbase"].truth
    start = (live.started // NS - 7200) * NS
    async with client(live, "coinbase") as it:
        got = await it.fetch_trades("BTC/USD", start // MS, 1000, {"until": start // MS + 20_000})
        most = await it.fetch_trades("BTC/USD", start // MS, 1000, {"until": start // MS + 600_000})
    expected = truth.trades("BTC/USD", start, start + 20 * NS)
    assert [(one["id"], one["timestamp"], one["price"], one["amount"], SIDES[one["side"]]) for one in got] == [
        (one.tid, one.ts // MS, one.price, one.amount, one.side) for one in expected
    ]
    assert len(most) == 100


async def test_the_book(live: Simulator) -> None:
    """Both sides, at its own time."""
    truth = live.exchanges["coinbase"].truth
    async with client(live, "coinbase") as it:
        got = await it.fetch_order_book("BTC/USD", 50)
    snapshot = truth.book("BTC/USD", got["timestamp"] * MS, 50)
    assert [tuple(level) for level in got["bids"]] == snapshot.bids
    assert [tuple(level) for level in got["asks"]] == snapshot.asks


async def test_trades_live(live: Simulator) -> None:
    """ccxt's trades are the truth's, without gap."""
    truth = live.exchanges["coinbase"].truth
    async with client(live, "coinbase") as it:
        seen: dict[str, Any] = {}
        while len(seen) < 300:
            for one in await it.watch_trades("BTC/USD"):
                seen[one["id"]] = one
    ids = sorted(map(int, seen))
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for trade in truth.numbered("BTC/USD", ids[0], ids[-1]):
        got = seen[str(trade.tid)]
        assert (got["timestamp"], got["price"], got["amount"], SIDES[got["side"]]) == (
            trade.ts // MS,
            trade.price,
            trade.amount,
            trade.side,
        )


async def test_the_book_live(live: Simulator) -> None:
    """ccxt's book is the truth's, both sides, after a minute of updates."""
    truth = live.exchanges["coinbase"].truth
    async with client(live, "coinbase") as it:
        got: Any = {}
        while not got or got["timestamp"] * MS < live.started + 60 * NS:
            got = await it.watch_order_book("BTC/USD")
        snapshot = truth.book("BTC/USD", got["timestamp"] * MS, 200)
        assert [tuple(level) for level in got["bids"][:200]] == snapshot.bids
        assert [tuple(level) for level in got["asks"][:200]] == snapshot.asks


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, ccxt.RateLimitExceeded), (500, ccxt.ExchangeError), (503, ccxt.ExchangeError)],
)
async def test_errors_are_what_ccxt_knows(live: Simulator, status: int, error: type[Exception]) -> None:
    """ccxt's error classes, from our statuses and bodies."""
    async with client(live, "coinbase") as it:
        await it.load_markets()
        live.faults.inject(HttpError(exchange="coinbase", status=status, retry_after=1))
        with pytest.raises(error):
            await it.fetch_ohlcv("BTC/USD", "1m")


async def test_refusals_are_what_ccxt_knows(live: Simulator) -> None:
    """In Coinbase's words, on REST and on the WebSocket."""
    async with client(live, "coinbase") as it:
        with pytest.raises(ccxt.BadRequest, match="less than 350"):
            params = {"product_id": "BTC-USD", "granularity": "ONE_MINUTE", "start": 0, "end": 10**6}
            await it.v3PublicGetBrokerageMarketProductsProductIdCandles(params)
        with pytest.raises(ccxt.ExchangeError, match="NO-PE not supported"):
            await it.v3PublicGetBrokerageMarketProductsProductIdTicker({"product_id": "NO-PE", "limit": 1})
