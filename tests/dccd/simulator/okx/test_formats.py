"""The simulated OKX's JSON."""

from __future__ import annotations

import json

from dccd.simulator import SimConfig
from dccd.simulator.aggregate import Tick
from dccd.simulator.faults import FaultPlan
from dccd.simulator.market import Run
from dccd.simulator.okx import Okx
from dccd.simulator.okx.formats import Formats

START = 1_714_564_800_123_456_789


def formats(id: str) -> Formats:
    return Okx(SimConfig(exchanges=("okx",), history=1), FaultPlan(lambda: START), START).formats[id]


RUN = Run(10, 1_000_000_000, 640_000, (Tick(0, 0, 200, False), Tick(1, 0, 300, False), Tick(2, 5, 100, False)))


def test_each_match() -> None:
    """Without trailing zeros; of contracts in those."""
    rows = [json.loads(row) for row in formats("BTC-USDT").trades([RUN])]
    assert rows[0] == {
        "instId": "BTC-USDT", "tradeId": "11", "px": "64000", "sz": "0.000002", "side": "buy", "source": "0",
        "ts": "1000",
    }  # fmt: skip
    assert [row["px"] for row in rows] == ["64000", "64000", "64000.5"]
    assert [json.loads(row)["sz"] for row in formats("BTC-USDT-SWAP").trades([RUN])] == ["200", "300", "100"]
    assert [json.loads(row)["sz"] for row in formats("BTC-USD-SWAP").trades([RUN])] == ["2", "3", "1"]


def test_matches_summed_up() -> None:
    """Those at one price are one, under the id of the last."""
    rows = [json.loads(row) for row in formats("BTC-USDT-SWAP").summed_trades(RUN)]
    assert [(row["tradeId"], row["count"], row["sz"], row["px"]) for row in rows] == [
        ("12", "2", "500", "64000"),
        ("13", "1", "100", "64000.5"),
    ]


def test_volumes() -> None:
    """In contracts, base asset and quote asset; on spot in base and twice in quote asset."""
    lots, quote = 500, 640_000 * 500
    assert formats("BTC-USDT").volumes(lots, quote) == ("0.000005", "0.32", "0.32")
    assert formats("BTC-USDT-SWAP").volumes(lots, quote) == ("500", "5", "320000")
    assert formats("BTC-USD-SWAP").volumes(lots, quote) == ("5", "0.0078125", "500")
    assert formats("BTC-USD-SWAP").volumes(0, 0) == ("0", "0.0", "0")


def test_books() -> None:
    """Four values a level; none is left where there is nothing."""
    data = json.loads(f"{{{formats('BTC-USDT').book([(640_000, 100_000_000)], [(640_001, 0)], 5_000_000)}}}")
    assert data == {"asks": [["64000.1", "0", "0", "0"]], "bids": [["64000", "1", "0", "2"]], "ts": "5"}
