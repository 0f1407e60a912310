"""The simulated OKX's channels."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.okx import Okx
from dccd.simulator.okx.streams import OkxStream, make_stream
from dccd.simulator.truth import Truth
from dccd.symbols import NS

START = 1_714_564_800 * NS + 123_456_789
MS = 1_000_000


@pytest.fixture(scope="module")
def venue() -> Okx:
    """Two trades a second."""
    return Okx(SimConfig(exchanges=("okx",), seed=3, rate=5, history=1), FaultPlan(lambda: START), START)


def stream(venue: Okx, channel: str, inst: str = "BTC-USDT", at: int = START) -> OkxStream:
    made = make_stream(venue, channel.startswith(("trades-all", "candle")), channel, inst, at)
    assert made is not None
    return made


def data(frames: list[str]) -> list[Any]:
    return [item for frame in frames for item in json.loads(frame)["data"]]


def test_each_match_in_a_frame(venue: Okx) -> None:
    """From the subscription on, none twice."""
    made = stream(venue, "trades-all")
    frames = [*made.due(START + 5 * NS), *made.due(START + 5 * NS), *made.due(START + 10 * NS)]
    truth = Truth(venue)
    first = truth.last_id("BTC/USDT", START) + 1
    assert [row["tradeId"] for row in data(frames)] == [
        one.tid for one in truth.numbered("BTC/USDT", first, truth.last_id("BTC/USDT", START + 10 * NS))
    ]
    assert len(data(frames)) == len(frames)
    assert frames[0].startswith('{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{')


def test_summed_up_matches(venue: Okx) -> None:
    """Their counts add up to all there were."""
    rows = data(stream(venue, "trades").due(START + 60 * NS))
    all = data(stream(venue, "trades-all").due(START + 60 * NS))
    assert sum(int(row["count"]) for row in rows) == len(all)
    assert sum(float(row["sz"]) for row in rows) == pytest.approx(sum(float(row["sz"]) for row in all))


def test_candles(venue: Okx) -> None:
    """The open one at once and then each second, each once complete, with the truth's values."""
    made = stream(venue, "candle1m")
    rows = data(made.first(START))
    for second in range(1, 130):
        rows += data(made.due(START + second * NS))
    complete = [row for row in rows if row[8] == "1"]
    bars = Truth(venue).bars("BTC/USDT", 60, int(complete[0][0]) * MS, int(complete[-1][0]) * MS + 1)
    assert len(complete) == 2
    assert [[float(text) for text in row[1:6]] for row in complete] == [
        [bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars
    ]


def test_books(venue: Okx) -> None:
    """A snapshot and updates, each naming the one before, give the truth's book; no checksum."""
    made = stream(venue, "books", "BTC-USDT-SWAP")
    (snapshot,) = frames = made.first(START)
    assert json.loads(snapshot)["action"] == "snapshot"
    frames += made.due(START + 3 * NS)
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    before = -1
    for row in data(frames):
        assert (row["prevSeqId"], row["checksum"]) == (before, 0)
        before = row["seqId"]
        for side, name in zip(sides, ("bids", "asks"), strict=True):
            side.update({float(price): float(size) / 100 for price, size, *_ in row[name]})
            for price in [price for price, size in side.items() if not size]:
                del side[price]
    truth = Truth(venue).book("BTC/USDT:perp", START + 3 * NS, 400)
    assert (sorted(sides[0].items(), reverse=True), sorted(sides[1].items())) == (truth.bids, truth.asks)
    assert before == truth.seq and len(frames) == 31


@pytest.mark.parametrize(("channel", "depth"), [("books5", 5), ("bbo-tbt", 1)])
def test_the_best_levels(venue: Okx, channel: str, depth: int) -> None:
    """Whole each time."""
    made = stream(venue, channel)
    rows = data(made.first(START) + made.due(START + NS))
    assert all(len(row["bids"]) == len(row["asks"]) == depth for row in rows) and len(rows) > 5


def test_funding_and_open_interest(venue: Okx) -> None:
    """Each minute; every three seconds when it has changed, with the truth's values."""
    truth = Truth(venue)
    made = stream(venue, "funding-rate", "BTC-USDT-SWAP")
    rows = data(made.first(START) + made.due(START + 180 * NS))
    assert len(rows) == 4
    for row in rows:
        expected = truth.derivative("BTC/USDT:perp").predicted(int(row["ts"]) * MS)
        assert (float(row["fundingRate"]), int(row["fundingTime"]) * MS) == expected
    for inst, symbol in (("BTC-USDT-SWAP", "BTC/USDT:perp"), ("BTC-USD-SWAP", "BTC/USD:perp")):
        made = stream(venue, "open-interest", inst)
        rows = data(made.first(START) + made.due(START + 30 * NS))
        assert len(rows) > 5
        for row in rows:
            one = truth.open_interest(symbol, int(row["ts"]) * MS)
            assert (one.ts, one.open_interest, one.open_interest_value) == (
                int(row["ts"]) * MS, float(row["oiCcy"]), float(row["oiUsd"]),
            )  # fmt: skip


def test_tickers_and_mark_price(venue: Okx) -> None:
    """Whenever they change."""
    for channel in ("tickers", "mark-price"):
        made = stream(venue, channel, "BTC-USDT-SWAP")
        assert len(data(made.first(START) + made.due(START + 2 * NS))) > 1


def test_numbered_trades() -> None:
    """In benchmark mode as many as asked for, as fast as they are taken."""
    config = SimConfig(exchanges=("okx",), history=1, total=250)
    made = stream(Okx(config, FaultPlan(lambda: START), START), "trades-all")
    ids = [int(row["tradeId"]) for row in data(made.take(200) + made.take(200))]
    assert len(ids) == 250 and ids == list(range(ids[0], ids[0] + 250))
    assert made.due(START + 60 * NS) == []
