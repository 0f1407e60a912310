"""The book of now over REST, of every exchange: one that is crossed is none."""

from __future__ import annotations

import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market
from dccd.exchanges.registry import EXCHANGES, get
from dccd.exchanges.unified.history import DepthPager
from dccd.records import BookSnapshot
from dccd.symbols import Dataset

NOW = 1_764_000_016_500_000_000
BIDS, ASKS = [(100.0, 1.0), (99.0, 2.0)], [(101.0, 1.0), (102.0, 2.0)]
BODIES = {
    "binance": '{"lastUpdateId":9,"bids":[["99","2"],["%s","1"]],"asks":[["102","2"],["101","1"]]}',
    "bitfinex": "[[99,1,2],[%s,1,1],[102,1,-2],[101,1,-1]]",
    "bitmex": "["
    '{"symbol":"XBTUSD","id":1,"side":"Buy","size":2,"price":99},{"symbol":"XBTUSD","id":2,"side":"Buy","size":1,"price":%s},'
    '{"symbol":"XBTUSD","id":3,"side":"Sell","size":2,"price":102},{"symbol":"XBTUSD","id":4,"side":"Sell","size":1,"price":101}]',
    "bybit": '{"retCode":0,"retMsg":"OK","result":{"s":"XBTUSD","b":[["%s","1"],["99","2"]],'
    '"a":[["101","1"],["102","2"]],"ts":1764000016500,"u":18,"seq":7}}',
    "coinbase": '{"pricebook":{"product_id":"XBTUSD","bids":[{"price":"%s","size":"1"},{"price":"99","size":"2"}],'
    '"asks":[{"price":"101","size":"1"},{"price":"102","size":"2"}],"time":"2025-11-24T16:00:16.5Z"}}',
    "kraken": '{"error":[],"result":{"XBTUSD":{"bids":[["%s","1",1],["99","2",1]],'
    '"asks":[["101","1",1],["102","2",1]]}}}',
    "krakenfutures": '{"result":"success","orderBook":{"bids":[[99,2],[%s,1]],"asks":[[102,2],[101,1]]},'
    '"serverTime":"2025-11-24T16:00:16.500Z"}',
    "okx": '{"code":"0","msg":"","data":[{"bids":[["%s","1","0","1"],["99","2","0","1"]],'
    '"asks":[["101","1","0","1"],["102","2","0","1"]],"ts":"1764000016500","seqId":99}]}',
    "anywhere": '{"bids":[[%s,1],[99,2]],"asks":[[101,1],[102,2]],"timestamp":1764000016500,"nonce":7}',
}


def pager(exchange: str) -> HistoryPager:
    if exchange == "anywhere":  # by ccxt
        return DepthPager(exchange, Market("XBTUSD"))
    symbol = {"bitmex": "BTC-USDT_PERP", "krakenfutures": "BTC-USD_PERP"}.get(exchange, "BTC-USD")
    return get(exchange).history(Dataset.parse(f"{exchange}.orderbook.{symbol}"), NOW - 1, NOW, Market("XBTUSD"))


def test_all_exchanges_are_here() -> None:
    """A new one is not forgotten."""
    assert set(EXCHANGES) == set(BODIES) - {"anywhere"}


@pytest.mark.parametrize("exchange", BODIES)
def test_a_book(exchange: str) -> None:
    """Both sides are the best level first, in whatever order they come."""
    found = pager(exchange)
    page = found.receive(found.requests(1)[0], (BODIES[exchange] % "100").encode(), NOW)
    (book,) = page.records
    assert isinstance(book, BookSnapshot)
    assert (book.bids, book.asks) == (BIDS, ASKS)


@pytest.mark.parametrize("price", ["101", "101.5"])
@pytest.mark.parametrize("exchange", BODIES)
def test_a_crossed_book(exchange: str, price: str) -> None:
    """A best bid at or above the best ask is an error, as it is live, and the page can be asked for again."""
    found = pager(exchange)
    (request,) = found.requests(1)
    with pytest.raises(ParseError, match="crossed"):
        found.receive(request, (BODIES[exchange] % price).encode(), NOW)
    assert not found.done
    assert found.receive(request, (BODIES[exchange] % "100").encode(), NOW).records
