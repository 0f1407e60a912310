"""ccxt, the judge of fidelity, takes the simulated OKX for the real one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ccxt
import pytest

from dccd.simulator import Simulator
from dccd.simulator.faults import Drop, HttpError
from dccd.simulator.okx.names import inst_id
from dccd.symbols import NS, Symbol
from tests.dccd.simulator.support import bars_since, client

pytestmark = pytest.mark.anyio

MS = 1_000_000
SWAP = "BTC/USDT:USDT"
DATED = ("quarter", "next_quarter")


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """OKX alone."""
    return ("okx",)


async def test_markets(live: Simulator) -> None:
    """Spot, swaps linear and inverse, dated futures, with the sizes of contracts."""
    async with client(live, "okx") as it:
        markets = await it.load_markets()
    kinds = {market["id"]: (market["type"], market["linear"], market["contractSize"]) for market in markets.values()}
    assert kinds["BTC-USDT"] == ("spot", None, None)
    assert kinds["BTC-USDT-SWAP"] == ("swap", True, 0.01)
    assert kinds["BTC-USD-SWAP"] == ("swap", False, 100.0)
    dated = [id for id, kind in kinds.items() if kind[0] == "future"]
    assert sorted(dated) == sorted(inst_id(Symbol.parse(f"BTC/USDT:{name}"), live.started) for name in DATED)
    assert all(market["active"] for market in markets.values())


@pytest.mark.parametrize(("symbol", "ours"), [("BTC/USDT", "BTC/USDT"), (SWAP, "BTC/USDT:perp")])
async def test_pages_of_bars(live: Simulator, symbol: str, ours: str) -> None:
    """From the market's first to the newest one, without gap or overlap, from both endpoints that ccxt asks."""
    truth = live.exchanges["okx"].truth
    async with client(live, "okx") as it:
        got = await bars_since(it, symbol, "5m", truth.opened(ours) // MS, 300)
    bars = truth.bars(ours, 300, truth.opened(ours), int(got[-1][0]) * MS)
    assert len(bars) > 2 * 288
    assert got[:-1] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]


async def test_pages_of_trades(live: Simulator) -> None:
    """By id, each match once."""
    truth = live.exchanges["okx"].truth
    async with client(live, "okx") as it:
        got: list[Any] = []
        for after in (301, 201, 101):
            params = {"method": "publicGetMarketHistoryTrades", "after": after}
            got += await it.fetch_trades("BTC/USDT", limit=100, params=params)
    got.sort(key=lambda one: int(one["id"]))
    assert [(one["id"], one["timestamp"] * MS, one["price"], one["amount"], one["side"]) for one in got] == [
        (one.tid, one.ts, one.price, one.amount, one.side) for one in truth.numbered("BTC/USDT", 1, 300)
    ]


async def test_book(live: Simulator) -> None:
    """Both sides of one moment."""
    async with client(live, "okx") as it:
        got = await it.fetch_order_book("BTC/USDT", 50)
    truth = live.exchanges["okx"].truth.book("BTC/USDT", got["timestamp"] * MS, 50)
    assert [tuple(level[:2]) for level in got["bids"]] == truth.bids
    assert [tuple(level[:2]) for level in got["asks"]] == truth.asks


async def test_trades_live(live: Simulator) -> None:
    """Those summed up, which ccxt can have without an account: under the last match's id, nothing missing."""
    truth = live.exchanges["okx"].truth
    async with client(live, "okx") as it:
        seen: dict[int, Any] = {}
        while len(seen) < 60:
            for one in await it.watch_trades("BTC/USDT"):
                seen[int(one["id"])] = one
    ids = sorted(seen)
    for before, id in pairwise(ids):
        matches = truth.numbered("BTC/USDT", before + 1, id)
        assert len(matches) == int(seen[id]["info"]["count"])
        assert (seen[id]["price"], seen[id]["side"], seen[id]["timestamp"] * MS) == (
            matches[-1].price, matches[-1].side, matches[0].ts,
        )  # fmt: skip
        assert seen[id]["amount"] == pytest.approx(sum(match.amount for match in matches))


async def test_bars_live(live: Simulator) -> None:
    """Bars grow and are followed by the next."""
    async with client(live, "okx") as it:
        bars: dict[int, list[float]] = {}
        while len(bars) < 3:
            for bar in await it.watch_ohlcv("BTC/USDT", "1m"):
                if bar[0] * MS > live.started:
                    bars[int(bar[0])] = bar
    start = min(bars)
    (truth,) = live.exchanges["okx"].truth.bars("BTC/USDT", 60, start * MS, start * MS + 1)
    assert bars[start] == [start, truth.open, truth.high, truth.low, truth.close, truth.volume]


async def test_book_live(live: Simulator) -> None:
    """ccxt checks the numbers, has the truth's book, and notices a missing update."""
    book = live.exchanges["okx"].truth.order_book("BTC/USDT")
    async with client(live, "okx") as it:
        got: Any = {}
        while got.get("nonce", 0) < book.last_id(book.step(live.started + 20 * NS)):
            got = await it.watch_order_book("BTC/USDT")
        truth = book.snapshot(book.time(got["nonce"] // book.last_id(0) - 1), 400)
        assert [tuple(level[:2]) for level in got["bids"]] == truth.bids
        assert [tuple(level[:2]) for level in got["asks"]] == truth.asks
        with pytest.raises(ccxt.InvalidNonce):
            while True:
                live.faults.inject(Drop(data_type="orderbook"))  # again: of many updates at once ccxt tells no error
                await it.watch_order_book("BTC/USDT")


async def test_funding(live: Simulator) -> None:
    """Paid and announced."""
    truth = live.exchanges["okx"].truth
    async with client(live, "okx") as it:
        paid = await it.fetch_funding_rate_history(SWAP, limit=100)
        now = await it.watch_funding_rate(SWAP)
    expected = truth.funding("BTC/USDT:perp", 0, paid[-1]["timestamp"] * MS + 1)
    assert [(one["timestamp"] * MS, one["fundingRate"]) for one in paid] == [(one.ts, one.rate) for one in expected]
    announced = truth.derivative("BTC/USDT:perp").predicted(int(now["info"]["ts"]) * MS)
    assert (now["fundingRate"], now["fundingTimestamp"] * MS) == announced


async def test_open_interest(live: Simulator) -> None:
    """Now, and its history."""
    truth = live.exchanges["okx"].truth
    async with client(live, "okx") as it:
        now = await it.fetch_open_interest(SWAP)
        past = await it.fetch_open_interest_history(SWAP, "5m", limit=50)
    expected = truth.open_interest("BTC/USDT:perp", now["timestamp"] * MS)
    assert now["openInterestAmount"] * 0.01 == pytest.approx(expected.open_interest)
    assert len(past) == 50
    for one in past:
        value = truth.open_interest("BTC/USDT:perp", one["timestamp"] * MS)
        assert one["openInterestAmount"] * 0.01 == pytest.approx(value.open_interest)
        assert one["openInterestValue"] == pytest.approx(value.open_interest_value)


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, ccxt.RateLimitExceeded), (503, ccxt.ExchangeNotAvailable), (502, ccxt.ExchangeNotAvailable)],
)
async def test_errors_are_what_ccxt_knows(live: Simulator, status: int, error: type[Exception]) -> None:
    """ccxt's error classes, from our statuses and bodies."""
    async with client(live, "okx") as it:
        await it.load_markets()
        live.faults.inject(HttpError(exchange="okx", status=status, retry_after=1))
        with pytest.raises(error):
            await it.fetch_ohlcv("BTC/USDT", "1m")


async def test_unknown_symbols_are_what_ccxt_knows(live: Simulator) -> None:
    """Over REST and WebSocket."""
    async with client(live, "okx") as it:
        with pytest.raises(ccxt.BadSymbol):
            await it.publicGetMarketBooks({"instId": "NOPE-USDT"})
        await it.load_markets()
        with pytest.raises(ccxt.ExchangeError, match="doesn't exist"):
            await it.subscribe("public", "tickers", "nothing", "BTC/USDT")
