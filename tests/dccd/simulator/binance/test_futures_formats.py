"""The payloads of Binance's futures have the fields of the captured ones, in their types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.binance.futures_formats import FuturesFormats, contract_id
from dccd.simulator.config import SimConfig
from dccd.simulator.instruments import instrument
from dccd.simulator.venue import Listing
from dccd.symbols import NS, Symbol

OPENED = 1_714_521_600 * NS
LISTING = Listing(instrument(Symbol.parse("BTC/USDT:perp"), digits=7), SimConfig(rate=5), "binance", OPENED)
FORMATS = FuturesFormats(LISTING, 1, OPENED)
EVENT = {"e": str, "E": int, "s": str, "st": int}


def kinds(text: str) -> dict[str, type]:
    payload: dict[str, Any] = json.loads(text)
    return {name: type(value) for name, value in payload.items()}


def test_fields_and_types() -> None:
    """Of each payload and row."""
    runs, at = list(LISTING.market.runs(5, 6)), OPENED + 7 * NS
    agg = {"a": int, "p": str, "q": str, "nq": str, "f": int, "l": int, "T": int, "m": bool}
    assert kinds(FORMATS.agg_frames(runs)[0]) == EVENT | agg
    assert kinds(FORMATS.agg_rows(runs)[0]) == agg
    assert kinds(FORMATS.trade_frames(runs)[0]) == EVENT | {
        "t": int, "p": str, "q": str, "T": int, "X": str, "m": bool
    }  # fmt: skip
    assert kinds(FORMATS.trade_rows(runs)[0]) == {
        "id": int, "price": str, "qty": str, "quoteQty": str, "time": int, "isBuyerMaker": bool
    }  # fmt: skip
    depth = {"ps": str, "T": int, "U": int, "u": int, "pu": int, "b": list, "a": list}
    assert kinds(FORMATS.depth_frame(at, 3, 90, [(6_400_000, 10)], [])) == EVENT | depth
    mark = {**dict.fromkeys(("p", "ap", "i", "P", "r"), str), "T": int}
    assert kinds(FORMATS.mark_frame(at)) == EVENT | mark


def test_decimals() -> None:
    """As many as the tick and the lot have."""
    frame = json.loads(FORMATS.depth_frame(OPENED, 3, 90, [(6_400_000, 10)], [(6_400_100, 0)]))
    assert (frame["b"], frame["a"]) == ([["64000.00", "0.00010"]], [["64001.00", "0.00000"]])


def test_updates_are_numbered_with_gaps() -> None:
    """``pu`` is the update before; an event of few updates ends with its last all the same."""
    frame = json.loads(FORMATS.depth_frame(OPENED, 65, 128, [], []))
    assert (frame["pu"], frame["U"], frame["u"]) == (64, 70, 128)
    frame = json.loads(FORMATS.depth_frame(OPENED, 65, 66, [], []))
    assert (frame["pu"], frame["U"], frame["u"]) == (64, 66, 66)


@pytest.mark.parametrize(
    ("symbol", "id"),
    [("BTC/USDT:perp", "BTCUSDT"), ("BTC/USDT:quarter", "BTCUSDT_240628"), ("ETH/USDC:next_quarter", "ETHUSDC_240927")],
)
def test_ids(symbol: str, id: str) -> None:
    """Of contracts that expire with the day."""
    assert contract_id(Symbol.parse(symbol), OPENED) == id
