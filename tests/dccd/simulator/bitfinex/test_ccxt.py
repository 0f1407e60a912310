"""The judge of fidelity: ccxt's own class, only its URLs changed, takes the simulator for Bitfinex."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from dccd.simulator import Simulator
from dccd.simulator.faults import BadChecksum, Drop, HttpError
from tests.dccd.simulator.support import bars_since, client

pytestmark = pytest.mark.anyio

MS = 1_000_000
PAIRS = ["BTC/USD", "BTC/USDT:USDT"]
OURS = {"BTC/USD": "BTC/USD", "BTC/USDT:USDT": "BTC/USDT:perp"}


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """What ``live`` simulates."""
    return ("bitfinex",)


async def test_markets(live: Simulator) -> None:
    """Spot and perpetuals, by their ids."""
    async with client(live, "bitfinex") as it:
        markets = await it.load_markets()
        assert set(live.config.symbols) <= set(markets)
        assert markets["BTC/USDT"]["id"] == "tBTCUST"
        perp = markets["BTC/USDT:USDT"]
        assert (perp["id"], perp["swap"], perp["linear"], perp["contractSize"]) == ("tBTCF0:USTF0", True, True, 1)
        assert (await it.fetch_status())["status"] == "ok"


@pytest.mark.parametrize("symbol", PAIRS)
async def test_pages_of_bars(live: Simulator, symbol: str) -> None:
    """From the market's first to the newest, without gap or overlap."""
    truth, ours = live.exchanges["bitfinex"].truth, OURS[symbol]
    async with client(live, "bitfinex") as it:
        got = await bars_since(it, symbol, "1m", truth.opened(ours) // MS, 2000)
    bars = truth.bars(ours, 60, truth.opened(ours), int(got[-1][0]) * MS)
    assert len(bars) > 2880
    assert got[: len(bars)] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]


@pytest.mark.parametrize("symbol", PAIRS)
async def test_trades(live: Simulator, symbol: str) -> None:
    """Forward in time from the first one."""
    truth, ours = live.exchanges["bitfinex"].truth, OURS[symbol]
    async with client(live, "bitfinex") as it:
        got = await it.fetch_trades(symbol, since=truth.opened(ours) // MS, limit=3000)
    assert {one["id"]: (one["timestamp"] * MS, one["price"], one["amount"], one["side"]) for one in got} == {
        one.tid: (one.ts, one.price, one.amount, one.side) for one in truth.numbered(ours, 1, 3000)
    }


@pytest.mark.parametrize("precision", ["P0", "R0"])
async def test_order_book(live: Simulator, precision: str) -> None:
    """Both sides, by price or by order, are the truth's within some steps of when it was asked for."""
    venue = live.exchanges["bitfinex"].venue
    book = venue.listings["BTC/USD"].book
    async with client(live, "bitfinex", fetchOrderBook={"precision": precision}) as it:
        await it.load_markets()
        first = book.step(live.clock.now())
        got = await it.fetch_order_book("BTC/USD", 25)
        last = book.step(live.clock.now())
    truths = [book.snapshot(book.time(step), 25) for step in range(first, last + 1)]
    sides = [tuple(level) for level in got["bids"]], [tuple(level) for level in got["asks"]]
    assert sides in [(truth.bids, truth.asks) for truth in truths]


@pytest.mark.parametrize("symbol", PAIRS)
async def test_trades_live(live: Simulator, symbol: str) -> None:
    """Each of the truth's, without gap."""
    truth, ours = live.exchanges["bitfinex"].truth, OURS[symbol]
    async with client(live, "bitfinex") as it:
        seen: dict[int, Any] = {}
        while len(seen) < 60:
            for one in await it.watch_trades(symbol):
                seen[int(one["id"])] = one
    found = [seen[tid] for tid in sorted(seen)]
    expected = truth.trades(ours, found[0]["timestamp"] * MS, found[-1]["timestamp"] * MS + MS)
    # At both ends others may share the millisecond.
    got = [(one["id"], one["timestamp"] * MS, one["price"], one["amount"], one["side"]) for one in found]
    all_ = [(one.tid, one.ts, one.price, one.amount, one.side) for one in expected]
    assert got == all_[all_.index(got[0]) : all_.index(got[0]) + len(got)]


async def test_bars_live(live: Simulator) -> None:
    """They grow and are followed by the next."""
    async with client(live, "bitfinex") as it:
        bars: dict[int, list[float]] = {}
        while len(bars) < 3:
            for bar in await it.watch_ohlcv("BTC/USD", "1m"):
                if bar[0] * MS > live.started:
                    bars[int(bar[0])] = bar
    start = min(bars)
    (truth,) = live.exchanges["bitfinex"].truth.bars("BTC/USD", 60, start * MS, start * MS + 1)
    assert bars[start] == [start, truth.open, truth.high, truth.low, truth.close, truth.volume]


@pytest.mark.parametrize("limit", [25, 100])
async def test_the_book_live_with_checksums(live: Simulator, limit: int) -> None:
    """ccxt's own code verifies the checksum of each step, and notices a wrong one."""
    book = live.exchanges["bitfinex"].venue.listings["BTC/USD"].book
    async with client(live, "bitfinex") as it:
        first = book.step(live.clock.now())
        checks = 0
        handle = it.handle_checksum

        def counted(*given: Any) -> None:
            nonlocal checks
            checks += 1
            handle(*given)

        it.handle_checksum = counted
        while checks < 40:
            got = await it.watch_order_book("BTC/USD", limit)
        sides = [tuple(level[:2]) for level in got["bids"]], [tuple(level[:2]) for level in got["asks"]]
        assert len(sides[0]) <= limit
        assert sides[0][0][0] < sides[1][0][0]
        prices = {price for step in range(first, book.step(live.clock.now()) + 1)
                  for side in book.levels(step, limit) for price, _ in side}  # fmt: skip
        assert {price for side in sides for price, _ in side} <= prices
        live.faults.inject(BadChecksum())
        # ccxt throws its book away then, and can't take another message without.
        live.faults.inject(Drop(data_type="orderbook", count=0))
        with pytest.raises(ccxt.ChecksumError):
            while True:
                await it.watch_order_book("BTC/USD", limit)


async def test_open_interest(live: Simulator) -> None:
    """Of now, and of minutes past; and the funding rates of the same states."""
    truth = live.exchanges["bitfinex"].truth
    async with client(live, "bitfinex") as it:
        # ccxt's own fetch_open_interest_history looks for the time in another field, and drops what has none.
        rows = await it.publicGetStatusDerivSymbolHist({"symbol": "tBTCF0:USTF0", "sort": 1})
        past = [(int(row[0]), it.parse_open_interest(row)["openInterestAmount"]) for row in rows]
        now = await it.fetch_open_interest("BTC/USDT:USDT")
        rates = await it.fetch_funding_rates(["BTC/USDT:USDT"])
    assert len(past) == 100
    for ms, amount in [*past, (now["timestamp"], now["openInterestAmount"])]:
        assert amount == truth.open_interest("BTC/USDT:perp", ms * MS).open_interest
    found = rates["BTC/USDT:USDT"]
    rate, due = truth.derivative("BTC/USDT:perp").predicted(found["timestamp"] * MS)
    assert (found["nextFundingRate"], found["nextFundingTimestamp"] * MS) == (rate, due)


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, ccxt.RateLimitExceeded), (418, ccxt.DDoSProtection), (502, ccxt.ExchangeNotAvailable),
     (503, ccxt.ExchangeNotAvailable)],
)  # fmt: skip
async def test_errors_are_what_ccxt_knows(live: Simulator, status: int, error: type[Exception]) -> None:
    """ccxt's error classes, from our statuses and bodies."""
    async with client(live, "bitfinex") as it:
        await it.load_markets()
        live.faults.inject(HttpError(exchange="bitfinex", status=status, retry_after=1))
        with pytest.raises(error):
            await it.fetch_ohlcv("BTC/USD", "1m")


async def test_unknown_symbols_are_what_ccxt_knows(live: Simulator) -> None:
    """BadSymbol, from Bitfinex's own words."""
    async with client(live, "bitfinex") as it:
        with pytest.raises(ccxt.BadSymbol, match="symbol: invalid"):
            await it.publicGetBookSymbolPrecision({"symbol": "tNOPE", "precision": "P0"})
