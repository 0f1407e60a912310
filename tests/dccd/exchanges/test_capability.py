"""What is refused, and in which words."""

from __future__ import annotations

import pytest

from dccd.errors import NoCapability
from dccd.exchanges.base import Market, Offer, StreamOptions
from dccd.exchanges.capability import check_options, depth_warning, snap_depth
from dccd.exchanges.registry import EXCHANGES, get
from dccd.store.schema import REQUIRED, SCHEMAS
from dccd.symbols import Dataset, DataType

SYMBOLS = {"spot": "BTC/USDT", "perp": "BTC/USDT:perp", "dated": "BTC/USDT:quarter"}
MARKET = Market("BTCUSDT", expires=2 * 10**18)


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
@pytest.mark.parametrize("kind", sorted(SYMBOLS))
@pytest.mark.parametrize("live", [True, False])
def test_all_that_is_declared_can_be_had(exchange: str, kind: str, live: bool) -> None:
    """Each data type and span of the capabilities has a protocol or pager; of all others there is none."""
    found = get(exchange)
    offer = getattr(found.capabilities, kind) or Offer()
    table = offer.live if live else offer.historical
    for data_type in DataType:
        capability = table.get(data_type)
        spans = (60,) if data_type is DataType.OHLC else (None,)
        for span in spans if capability is None else capability.spans or (None,):
            dataset = Dataset.make(exchange, data_type, SYMBOLS[kind], span)
            if capability is None:
                with pytest.raises(NoCapability):
                    found.check(dataset, live)
                continue
            found.check(dataset, live)
            if live:
                protocol = found.stream(dataset, StreamOptions(), MARKET)
                assert protocol.subscribe()
                # Bitfinex's go by an id that the answer tells.
                assert protocol.unsubscribe() or exchange == "bitfinex"
                assert protocol.url.startswith("wss://") and protocol.topic
            else:
                assert found.history(dataset, 15 * 10**17, 16 * 10**17, MARKET).requests(1)


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_capabilities_name_columns(exchange: str) -> None:
    """The fields that are said to be given are optional ones of the record; depths ascend."""
    found = get(exchange).capabilities
    offers = [offer for offer in (found.spot, found.perp, found.dated) if offer is not None]
    assert offers
    for offer in offers:
        assert DataType.TRADES in offer.live and DataType.OHLC in offer.historical
        for table in (offer.live, offer.historical):
            for data_type, capability in table.items():
                optional = set(SCHEMAS[data_type].names) - set(REQUIRED[data_type]) - {"recv_ts"}
                assert set(capability.fields) <= optional
                assert list(capability.depths) == sorted(capability.depths)
                assert bool(capability.spans) == (data_type is DataType.OHLC)


@pytest.mark.parametrize(
    ("name", "live", "field", "said"),
    [
        ("binance.ohlc.BTC-USDT.7777s", True, "span", "1s, 1m, 3m"),
        ("kraken.ohlc.BTC-USD.3m", True, "span", "1m, 5m, 15m"),
        ("kraken.ohlc.BTC-USD.3m", False, "span", "in its history"),
        ("binance.funding.BTC-USDT", True, "data_type", "trades, ohlc, orderbook"),
        ("kraken.trades.BTC-USDT_PERP", True, "symbol", "spot"),
        ("kraken.trades.BTC-USD_QUARTER", False, "symbol", "spot"),
    ],
)
def test_what_cannot_be_had(name: str, live: bool, field: str, said: str) -> None:
    """The error names the field and says what there is."""
    dataset = Dataset.parse(name)
    with pytest.raises(NoCapability, match=said) as caught:
        get(dataset.exchange).check(dataset, live)
    assert caught.value.field == field
    with pytest.raises(NoCapability):
        if live:
            get(dataset.exchange).stream(dataset, StreamOptions(), MARKET)
        else:
            get(dataset.exchange).history(dataset, 0, 10**18, MARKET)


def test_another_exchanges_dataset() -> None:
    """A dataset goes to its own exchange only."""
    with pytest.raises(NoCapability):
        get("binance").check(Dataset.parse("kraken.trades.BTC-USD"), live=True)


def test_depths() -> None:
    """A depth is cut from the next larger one that is offered, and the largest is the limit."""
    offered = (10, 25, 100)
    assert snap_depth(offered, None, 25) == (25, 25)
    assert snap_depth(offered, 7, 25) == (10, 7)
    assert snap_depth(offered, 26, 25) == (100, 26)
    assert snap_depth(offered, 500, 25) == (100, 100)


def test_a_deeper_book_than_there_is_gets_a_warning() -> None:
    """It says what is collected instead; a depth that can be had gets none."""
    found, dataset = get("kraken"), Dataset.parse("kraken.orderbook.BTC-USD")
    said = depth_warning(found.capabilities, dataset, StreamOptions(depth=5000))
    assert said is not None and "1000" in said and "5000" in said
    for depth in (None, 7, 1000):
        assert depth_warning(found.capabilities, dataset, StreamOptions(depth=depth)) is None
    trades = Dataset.parse("kraken.trades.BTC-USD")
    assert depth_warning(found.capabilities, trades, StreamOptions(depth=5000)) is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (StreamOptions(depth=5), "depth"),
        (StreamOptions(snapshot_interval=5.0), "snapshot_interval"),
        (StreamOptions(book="snapshots"), "book"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(options: StreamOptions, field: str) -> None:
    """Order books have use for it, trades haven't; the defaults are no option."""
    check_options(Dataset.parse("kraken.orderbook.BTC-USD"), options)
    trades = Dataset.parse("kraken.trades.BTC-USD")
    check_options(trades, StreamOptions())
    with pytest.raises(NoCapability, match=f"{field} is for order books, and kraken.trades.BTC-USD is none") as caught:
        check_options(trades, options)
    assert caught.value.field == field
