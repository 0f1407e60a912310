"""The judge of fidelity: ccxt's own classes, only their URLs changed, take the simulator for the exchanges."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from dccd.simulator import Simulator
from dccd.simulator.faults import BadChecksum, Drop, HttpError
from dccd.symbols import NS
from tests.dccd.simulator.support import bars_since, client

pytestmark = pytest.mark.anyio

# Not by import statement: ccxt hides its package behind an attribute of the same name.
ccxt_ws = importlib.import_module("ccxt.async_support.base.ws.client")

MS = 1_000_000
PAIRS = [("binance", "BTC/USDT"), ("kraken", "BTC/USD")]


@pytest.fixture
def contracts() -> tuple[str, ...]:
    """None: ccxt tells Binance's spot frames from its futures' by the host's name, and here all are of one."""
    return ()


@pytest.mark.parametrize("id", ["binance", "kraken"])
async def test_markets(live: Simulator, id: str) -> None:
    """All symbols, with the precision that trades have."""
    async with client(live, id) as it:
        markets = await it.load_markets()
        assert set(live.config.symbols) <= set(markets)
        tick = markets["BTC/USD"]["precision"]["price"]
        pair = live.exchanges[id].venue.listings["BTC/USD"].instrument
        assert tick == pytest.approx(10**-pair.price_decimals)
        assert markets["BTC/USD"]["spot"] and markets["BTC/USD"]["active"]


async def test_pages_of_bars(live: Simulator) -> None:
    """Binance's bars from the market's first to the newest closed one, without gap or overlap."""
    truth = live.binance.truth
    async with client(live, "binance") as it:
        got = await bars_since(it, "BTC/USDT", "1m", truth.opened("BTC/USDT") // MS, 1000)
    bars = truth.bars("BTC/USDT", 60, truth.opened("BTC/USDT"), int(got[-1][0]) * MS)
    assert len(bars) > 2880
    assert got[:-1] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]


async def test_recent_bars_of_kraken(live: Simulator) -> None:
    """720 of them at most."""
    truth = live.kraken.truth
    async with client(live, "kraken") as it:
        got = await it.fetch_ohlcv("BTC/USD", "5m", since=truth.opened("BTC/USD") // MS)
        capped = await it.fetch_ohlcv("BTC/USD", "1m", since=truth.opened("BTC/USD") // MS)
    bars = truth.bars("BTC/USD", 300, int(got[0][0]) * MS, int(got[-1][0]) * MS)
    assert got[:-1] == [[bar.ts // MS, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]
    assert 2 * 288 <= len(got) <= len(capped) == 720


async def test_pages_of_trades_of_binance(live: Simulator) -> None:
    """By id, each trade once."""
    truth = live.binance.truth
    async with client(live, "binance") as it:
        got: list[Any] = []
        for _ in range(3):
            got += await it.fetch_trades("BTC/USDT", limit=1000, params={"fromId": 1 + len(got)})
        window = await it.fetch_trades("BTC/USDT", since=got[100]["timestamp"], limit=1000)
    expected = truth.numbered("BTC/USDT", 1, 3000)
    # ccxt sorts by time and then by id as text, where "10" comes before "9".
    got.sort(key=lambda one: int(one["id"]))
    assert [(one["id"], one["timestamp"] * MS, one["price"], one["amount"], one["side"]) for one in got] == [
        (one.tid, one.ts, one.price, one.amount, one.side) for one in expected
    ]
    assert window[0]["timestamp"] == got[100]["timestamp"] and len(window) == 1000


async def test_pages_of_trades_of_kraken(live: Simulator) -> None:
    """By the cursor that Kraken gives, each trade once."""
    truth = live.kraken.truth
    async with client(live, "kraken") as it:
        rows: list[Any] = []
        since = "0"
        for _ in range(3):
            answer = await it.publicGetTrades({"pair": "XXBTZUSD", "since": since})
            rows += answer["result"]["XXBTZUSD"]
            since = answer["result"]["last"]
        unified = await it.fetch_trades("BTC/USD", since=truth.opened("BTC/USD") // MS, limit=1000)
    assert [int(row[6]) for row in rows] == list(range(1, 3001))
    assert {one["id"]: one["price"] for one in unified} == {
        one.tid: one.price for one in truth.numbered("BTC/USD", 1, 1000)
    }


@pytest.mark.parametrize(("id", "symbol"), PAIRS)
async def test_trades_live(live: Simulator, id: str, symbol: str) -> None:
    """ccxt's trades are the truth's, without gap."""
    truth = live.exchanges[id].truth
    async with client(live, id) as it:
        seen: dict[str, Any] = {}
        while len(seen) < 60:
            for one in await it.watch_trades(symbol):
                seen[one["id"]] = one
    ids = sorted(map(int, seen))
    offset = 1_000_000 if id == "binance" else 0  # ccxt takes Binance's single trades
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for trade in truth.numbered(symbol, ids[0] - offset, ids[-1] - offset):
        got = seen[str(int(trade.tid or 0) + offset)]
        assert (got["timestamp"], got["price"], got["amount"], got["side"]) == (
            trade.ts // MS,
            trade.price,
            trade.amount,
            trade.side,
        )


@pytest.mark.parametrize(("id", "symbol"), PAIRS)
async def test_bars_live(live: Simulator, id: str, symbol: str) -> None:
    """Bars grow and are followed by the next."""
    async with client(live, id) as it:
        bars: dict[int, list[float]] = {}
        while len(bars) < 3:
            for bar in await it.watch_ohlcv(symbol, "1m"):
                if bar[0] * MS > live.started:
                    bars[int(bar[0])] = bar
    start = min(bars)
    (truth,) = live.exchanges[id].truth.bars(symbol, 60, start * MS, start * MS + 1)
    assert bars[start] == [start, truth.open, truth.high, truth.low, truth.close, truth.volume]


async def test_binance_s_book_live(live: Simulator) -> None:
    """ccxt joins snapshot and updates, checks their sequence, and has the truth's book."""
    book = live.binance.truth.order_book("BTC/USDT")
    async with client(live, "binance") as it:
        got: Any = {}
        while got.get("nonce", 0) < book.last_id(book.step(live.started + 20 * NS)):
            got = await it.watch_order_book("BTC/USDT")
        step = got["nonce"] // book.last_id(0) - 1
        truth = book.snapshot(book.time(step), 100)
        assert [tuple(level) for level in got["bids"][:100]] == truth.bids
        assert [tuple(level) for level in got["asks"][:100]] == truth.asks
        with pytest.raises(ccxt.ChecksumError):
            while True:
                live.faults.inject(Drop(data_type="orderbook"))  # again: of many updates at once ccxt tells no error
                await it.watch_order_book("BTC/USDT")


class Digits(float):
    """A number that remembers how it was written.

    ccxt's floats forget trailing zeros, which Kraken's checksum counts; its own check takes numbers that know them.
    """

    text: str

    def __new__(cls, text: str) -> Digits:
        it = super().__new__(cls, text)
        it.text = text
        return it

    def __str__(self) -> str:
        return self.text

    def split(self, separator: str) -> list[str]:
        """As ccxt's checksum asks of a price."""
        return self.text.split(separator)


@pytest.mark.parametrize("depth", [10, 100])
async def test_kraken_s_book_live_with_checksums(live: Simulator, depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """ccxt's own code verifies the checksum of every frame, and notices a wrong one."""
    usual = ccxt_ws.json_parser
    lossless = SimpleNamespace(loads=lambda data: json.loads(data, parse_float=str), dumps=usual.dumps)
    monkeypatch.setattr(ccxt_ws, "json_parser", lossless)
    truth = live.kraken.truth
    async with client(live, "kraken", watchOrderBook={"checksum": True}) as it:
        await it.load_markets()
        it.number = Digits
        for _ in range(40):
            got = await it.watch_order_book("BTC/USD", depth)
        assert len(got["bids"]) == len(got["asks"]) == depth
        at = it.parse8601(got["datetime"]) * MS
        snapshot = truth.book("BTC/USD", at, depth)
        assert [tuple(level) for level in got["bids"]] == snapshot.bids
        assert [tuple(level) for level in got["asks"]] == snapshot.asks
        live.faults.inject(BadChecksum())
        # ccxt throws its book away then, and can't take another update without.
        live.faults.inject(Drop(data_type="orderbook", count=0))
        with pytest.raises(ccxt.ChecksumError):
            while True:
                await it.watch_order_book("BTC/USD", depth)


@pytest.mark.parametrize(
    ("id", "status", "error"),
    [
        ("binance", 429, ccxt.DDoSProtection),
        ("binance", 418, ccxt.DDoSProtection),
        ("binance", 502, ccxt.ExchangeNotAvailable),
        ("binance", 503, ccxt.ExchangeError),
        ("kraken", 429, ccxt.DDoSProtection),
        ("kraken", 503, ccxt.ExchangeNotAvailable),
    ],
)
async def test_errors_are_what_ccxt_knows(live: Simulator, id: str, status: int, error: type[Exception]) -> None:
    """ccxt's error classes, from our statuses and bodies."""
    async with client(live, id) as it:
        await it.load_markets()
        live.faults.inject(HttpError(exchange=id, status=status, retry_after=1))
        with pytest.raises(error):
            await it.fetch_ohlcv("BTC/USD", "1m")


async def test_unknown_symbols_are_what_ccxt_knows(live: Simulator) -> None:
    """BadSymbol and ExchangeError, from the exchanges' own words."""
    async with client(live, "binance") as it:
        with pytest.raises(ccxt.BadSymbol, match="Invalid symbol"):
            await it.publicGetKlines({"symbol": "NOPE", "interval": "1m"})
    async with client(live, "kraken") as it:
        with pytest.raises(ccxt.ExchangeError, match="Unknown asset pair"):
            await it.publicGetTrades({"pair": "NOPE"})
