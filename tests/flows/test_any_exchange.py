"""An exchange without a folder through the whole daemon: live by ccxt.pro, its past by ccxt, and what it can't do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import BusConfig, Config, ExchangeConfig, Settings, StorageConfig
from dccd.errors import RequestError
from dccd.messages import RunStatus, StreamGap
from dccd.store.reader import Store
from dccd.symbols import NS, Dataset
from tests.elsewhere import Kucoin, venue
from tests.flows.support import watching

pytestmark = pytest.mark.anyio

MS = 1_000_000


@pytest.fixture
async def kucoin() -> AsyncIterator[Kucoin]:
    """KuCoin with a hundred minutes of trades, three a minute."""
    made = Kucoin()
    now = time.time_ns()
    for n in range(300):
        made.trade(now - (300 - n) * 20 * NS, 100 + n % 7, 0.5 + n)
    async with venue(made):
        yield made


@pytest.fixture
def config(kucoin: Kucoin, tmp_path: Path) -> Config:
    """A daemon's configuration that knows where KuCoin is."""
    return Config(
        settings=Settings(data_path=str(tmp_path / "data"), host="alpha"),
        bus=BusConfig(port=0),
        exchanges={"kucoin": ExchangeConfig(**kucoin.urls, rate_limit=False)},  # type: ignore[arg-type]  # two URLs
        storage=StorageConfig(flush_interval=0.1),
    )


@pytest.mark.slow  # a repair waits until history has what was missed
async def test_a_stream_and_its_repair_end_in_parquet(kucoin: Kucoin, config: Config) -> None:
    """What a lost connection left out is fetched from history: each trade is there once, also where both gave it."""
    dataset = Dataset.parse("kucoin.trades.BTC-USDT")
    begun = len(kucoin.prints)
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
        await client.start_stream("kucoin", "BTC/USDT", "trades")
        await kucoin.until_heard("subscribe", "/market/match:BTC-USDT")
        await kucoin.publish(*[kucoin.trade(time.time_ns(), 200 + n) for n in range(50)])
        await kucoin.drop()
        for n in range(5):
            kucoin.trade(time.time_ns(), 300 + n)
        await kucoin.until_heard("subscribe", "/market/match:BTC-USDT", times=2)
        await kucoin.publish(*[kucoin.trade(time.time_ns() + 5 * MS, 400 + n) for n in range(5)])
        gap = await expect(lambda event: isinstance(event, StreamGap))
        await expect(lambda event: isinstance(event, RunStatus) and event.run.state == "done")
        (entry,) = await client.inventory(dataset.name)
    assert gap.dataset == dataset.name and entry.gaps == []
    rows = Store(config.data_path).read(dataset).select("TS", "price", "amount", "side", "tid").rows()
    told = [(one.ts - one.ts % MS, one.price, one.amount, one.side, None) for one in kucoin.prints[begun:]]
    assert sorted(rows) == sorted(told)


async def test_a_backfill_ends_in_parquet(kucoin: Kucoin, config: Config) -> None:
    """Bars from the market's first on; trades as far as KuCoin serves them, with a warning where that begins."""
    async with daemon(config, jobs=False) as running, Client(running.bus_url) as client:
        bars = await client.backfill("kucoin", "BTC/USDT", span="1m", start="origin")
        trades = await client.backfill("kucoin", "BTC/USDT", "trades", start=kucoin.prints[0].ts)
    assert (bars.state, trades.state) == ("done", "done")
    assert trades.warning is not None and "serves nothing before" in trades.warning
    store = Store(config.data_path)
    found = store.read(Dataset.parse("kucoin.ohlc.BTC-USDT.1m"))
    expected = [bar for bar in kucoin.bars(60, 0, 1 << 40) if bar[0] <= found["TS"][-1] // NS]
    assert found.select("open", "high", "low", "close", "volume").rows() == [bar[1:] for bar in expected]
    assert found["TS"].to_list() == [bar[0] * NS for bar in expected] and len(expected) > 95
    assert found["quote_volume"].null_count() == found["trades"].null_count() == len(expected)
    rows = store.read(Dataset.parse("kucoin.trades.BTC-USDT")).select("price", "amount").rows()
    served = [(one.price, one.amount) for one in kucoin.prints[-100:]]
    assert rows == served[: len(rows)] and len(rows) >= 99


async def test_what_cannot_be_had_is_refused_with_what_can(config: Config) -> None:
    """An unknown name with those that are near, a span with those that there are; and nothing is harmed."""
    async with daemon(config, jobs=False) as running, Client(running.bus_url) as client:
        for exchange, pair, data_type, span, words in (
            ("kukoin", "BTC/USDT", "trades", None, "did you mean kucoin"),
            ("kucoin", "BTC/USDT", "ohlc", "7m", "5m"),
            ("kucoin", "BTC/USDT", "funding", None, "trades, ohlc"),
            ("bitstamp", "BTC/USD", "ohlc", "1m", "trades, orderbook"),
            ("bitmex", "BTC/USD:perp", "trades", None, "BitMEX closed.*exchanges.bitmex.ws_url"),
        ):
            with pytest.raises(RequestError, match=words) as caught:
                await client.start_stream(exchange, pair, data_type, span=span)
            assert (caught.value.code, caught.value.reason) == (422, "no_capability")
        with pytest.raises(RequestError, match="did you mean"):
            await client.backfill("bitfenix", "BTC/USDT", "trades")
        with pytest.raises(RequestError, match=r"BitMEX closed.*exchanges.bitmex.rest_url") as caught:
            await client.backfill("bitmex", "BTC/USD:perp", "trades")
        assert (caught.value.code, caught.value.reason, caught.value.field) == (422, "no_capability", "exchange")
        with pytest.raises(RequestError, match="depth is for order books, and kucoin") as caught:
            await client.start_stream("kucoin", "BTC/USDT", "trades", depth=5)
        assert (caught.value.code, caught.value.field) == (422, "depth")
        with pytest.raises(RequestError, match="one user's own trades"):
            await client.backfill("hyperliquid", "BTC/USDC:perp", "trades")
        with pytest.raises(RequestError, match="nothing that can be collected"):
            await client.exchanges("coinspot")
        heart, every = await client.exchanges(), await client.exchanges(all=True)
        assert set(heart) < set(every) and len(every) > 100
        assert "kucoin" in every and "kucoin" not in heart
        (one,) = (await client.exchanges("kucoin")).items()
        assert one == ("kucoin", every["kucoin"])
