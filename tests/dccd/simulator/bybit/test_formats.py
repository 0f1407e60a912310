"""Bybit's numbers as text."""

from __future__ import annotations

import json

from dccd.simulator.bybit import Bybit
from dccd.simulator.bybit.formats import trade_name
from dccd.simulator.bybit.names import spot_trade_id, uuid
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.symbols import NS

START = 1_714_564_800 * NS


def test_as_many_decimals_as_the_market_has() -> None:
    """Of prices, amounts and their products."""
    formats = Bybit(SimConfig(history=1), FaultPlan(lambda: START), START).formats["spot", "BTCUSDT"]
    pair = formats.listing.instrument
    (row,) = [json.loads(formats.kline_row(START, formats.listing.market.bar(START, START + NS)))]
    assert [len(text.partition(".")[2]) for text in row[1:]] == [
        *[pair.price_decimals] * 4,
        pair.amount_decimals,
        pair.price_decimals + pair.amount_decimals,
    ]


def test_ids_by_kind() -> None:
    """Of spot and of contracts."""
    assert trade_name("") is spot_trade_id and trade_name("perp") is trade_name("quarter") is uuid
