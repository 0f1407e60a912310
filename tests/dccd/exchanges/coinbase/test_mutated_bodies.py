"""Any answer of Coinbase's REST gives records or a ParseError."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Market
from dccd.exchanges.coinbase import Coinbase
from dccd.symbols import NS, Dataset
from tests.dccd.exchanges.test_mutations import MUTATION, Mutation, sound

T0 = 1_600_000_200 * NS
BODIES = {
    "coinbase.trades.BTC-USD": {
        "trades": [
            {"trade_id": str(tid), "product_id": "BTC-USD", "price": "2.5", "size": "3", "side": "BUY", "bid": "",
             "time": f"2020-09-13T12:30:{tid:02d}.123456Z"} for tid in (3, 2, 1)
        ],
        "best_bid": "1",
    },
    "coinbase.ohlc.BTC-USD.1m": {
        "candles": [
            {"start": str(start), "low": "1", "high": "4", "open": "2", "close": "3", "volume": "2.5"}
            for start in (1_600_000_260, 1_600_000_200)
        ]
    },
    "coinbase.orderbook.BTC-USD": {
        "pricebook": {
            "product_id": "BTC-USD",
            "bids": [{"price": "10", "size": "1"}, {"price": "9", "size": "2"}],
            "asks": [{"price": "11", "size": "1"}],
            "time": "2020-09-13T12:30:00.662782Z",
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BODIES))
@settings(max_examples=100)
@given(mutations=st.lists(MUTATION, min_size=0, max_size=3))
def test_mutated_bodies(name: str, mutations: list[Mutation]) -> None:
    """A valid body cut, with bits flipped, values replaced or bytes left out is a page, or is asked for again."""
    body = msgspec.json.encode(BODIES[name])
    for mutation in mutations:
        body = mutation(body)
    pager = Coinbase().history(Dataset.parse(name), T0, T0 + 600 * NS, Market("BTC-USD"))
    (request,) = pager.requests(1)
    if "trades" in name:
        # The first page only tells whether there is anything before.
        pager.receive(request, msgspec.json.encode(BODIES[name]).replace(b"2020-", b"2019-"), T0 + 10**12)
        (request,) = pager.requests(1)
    try:
        page = pager.receive(request, body, T0 + 10**12)
    except ParseError:
        assert mutations and not pager.done
    else:
        assert all(sound(record) for record in page.records)
        assert T0 <= page.start <= page.end or "orderbook" in name
        assert mutations or page.records
