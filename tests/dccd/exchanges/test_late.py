"""Statistics of contracts that come late: the same of every exchange whose past ones are asked for by time."""

from __future__ import annotations

import pytest

from dccd.exchanges.base import Market
from dccd.exchanges.registry import get
from dccd.symbols import NS, Dataset

DUE = 1_699_999_200 * NS  # a full hour, and a multiple of five minutes
NOTHING = {
    "binance.funding.BTC-USDT_PERP": b"[]",
    "binance.open_interest.BTC-USDT_PERP": b"[]",
    "bybit.funding.BTC-USDT_PERP": b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[]},"time":1}',
    "bybit.open_interest.BTC-USDT_PERP": (
        b'{"retCode":0,"retMsg":"OK","result":{"symbol":"m","category":"linear","list":[]},"time":1}'
    ),
    "krakenfutures.funding.BTC-USD_PERP": b'{"rates":[]}',
    "krakenfutures.open_interest.BTC-USD_PERP": b'{"result":{"timestamp":[],"more":false,"data":[]},"errors":[]}',
    "okx.funding.BTC-USDT_PERP": b'{"code":"0","msg":"","data":[]}',
    "okx.open_interest.BTC-USDT_PERP": b'{"code":"0","msg":"","data":[]}',
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_not_published_yet_is_not_covered(name: str) -> None:
    """Half a minute after its time a value that isn't there may still come; much later, there is none."""
    dataset = Dataset.parse(name)
    for later, covered in ((30 * NS, DUE), (3600 * NS, DUE + 60 * NS)):
        pager = get(dataset.exchange).history(dataset, DUE - 100 * NS, DUE + 60 * NS, Market("m"))
        (request,) = pager.requests(1)
        page = pager.receive(request, NOTHING[name], DUE + later)
        assert pager.done and page.end == pager.position
        assert page.end <= covered if later < 3600 * NS else page.end == covered
