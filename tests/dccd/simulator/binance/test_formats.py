"""Binance's payloads have the fields of the captured ones, in their types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.binance.formats import Formats
from dccd.simulator.config import SimConfig
from dccd.simulator.instruments import instrument
from dccd.simulator.intervals import INTERVALS
from dccd.simulator.venue import Listing
from dccd.symbols import NS, Symbol

OPENED = 1_714_521_600 * NS
LISTING = Listing(instrument(Symbol.parse("BTC/USDT"), digits=7), SimConfig(rate=5), "binance", OPENED)
FORMATS = Formats(LISTING, first_id=1)

AGG_TRADE = {"e": str, "E": int, "s": str, "a": int, "p": str, "q": str, "f": int, "l": int, "T": int, "m": bool}
TRADE = {"e": str, "E": int, "s": str, "t": int, "p": str, "q": str, "T": int, "m": bool, "M": bool}
KLINE = {
    **dict.fromkeys(("t", "T", "f", "L", "n"), int),
    **dict.fromkeys(("s", "i", "o", "c", "h", "l", "v", "q", "V", "Q", "B"), str),
    "x": bool,
}
DEPTH = {"e": str, "E": int, "s": str, "U": int, "u": int, "b": list, "a": list}


def kinds(payload: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in payload.items()}


def test_fields_and_types() -> None:
    """Of each stream's payload."""
    runs = list(LISTING.market.runs(5, 6))
    assert kinds(json.loads(FORMATS.agg_frames(runs)[0])) == {**AGG_TRADE, "M": bool}
    assert kinds(json.loads(FORMATS.trade_frames(runs)[0])) == TRADE
    frame = json.loads(FORMATS.kline_frame(INTERVALS["1m"], OPENED, OPENED + 60 * NS, OPENED + 30 * NS, closed=False))
    assert kinds(frame["k"]) == KLINE and frame["e"] == "kline"
    depth = json.loads(FORMATS.depth_frame(OPENED, 3, 4, [(6_400_000, 10)], []))
    assert kinds(depth) == DEPTH and depth["b"] == [["64000.00000000", "0.00010000"]]


@pytest.mark.parametrize("closed", [False, True])
def test_a_kline_without_trades_has_no_ids(closed: bool) -> None:
    """-1 for first and last, as Binance has it."""
    quiet = Listing(instrument(Symbol.parse("BTC/USDT"), digits=7), SimConfig(rate=0.001), "binance", OPENED)
    market = quiet.market
    start = next(
        at for at in range(OPENED + 3600 * NS, OPENED + 7200 * NS, 60 * NS) if not market.bar(at, at + 60 * NS).trades
    )
    frame = Formats(quiet, 1).kline_frame(INTERVALS["1m"], start, start + 60 * NS, start + NS, closed=closed)
    kline = json.loads(frame)["k"]
    assert (kline["f"], kline["L"], kline["n"], kline["x"]) == (-1, -1, 0, closed)
    assert kline["o"] == kline["c"] and kline["v"] == "0.00000000"
