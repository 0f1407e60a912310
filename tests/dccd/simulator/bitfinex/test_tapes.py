"""Recordings of Bitfinex, played to a client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dccd.simulator.bitfinex import Bitfinex
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.replay import RecordingError, Replay, load
from dccd.symbols import NS

START = 1_714_564_800 * NS
LINES = [
    '>\t{"event":"conf","flags":65536}',
    '<\t{"event":"info","version":2}',
    '<\t{"event":"conf","status":"OK","flags":65536}',
    '<\t{"event":"subscribed","channel":"ticker","chanId":1,"symbol":"tBTCUSD"}',
    "<\t[1,[1,2,3],1]",
    '<\t{"event":"subscribed","channel":"book","chanId":2,"symbol":"tBTCUSD","len":"25"}',
    "<\t[2,[[60400,1,0.5],[60401,1,-0.25]],2]",
    '<\t{"event":"subscribed","channel":"trades","chanId":3,"symbol":"tDOGE:USD"}',
    '<\t[3,"tu",[5,1714564800000,-1.5,0.12],3]',
    '<\t[2,"hb",4]',
    "<\t[2,[60400,0,1],5]",
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "bitfinex.tsv"
    path.write_text("".join(f"1618677543.{n:02d}\t{line}\n" for n, line in enumerate(LINES)))
    return path


def test_frames_by_stream(recording: Path) -> None:
    """Channels that aren't simulated, heartbeats and answers are left out, numbers are left off."""
    frames = load(recording, "bitfinex").frames
    assert [(frame.stream, frame.text) for frame in frames] == [
        ("book:tBTCUSD", "0 [[60400,1,0.5],[60401,1,-0.25]]"),
        ("trades:tDOGE:USD", '0 "tu",[5,1714564800000,-1.5,0.12]'),
        ("book:tBTCUSD", "0 [60400,0,1]"),
    ]


def test_played(recording: Path) -> None:
    """To whoever subscribes to one of its streams, numbered and timed anew; others don't exist."""
    config = SimConfig(exchanges=("bitfinex",), replay=recording)
    faults = FaultPlan(lambda: START)
    replay = Replay(Bitfinex(config, faults, START), config, faults, START)
    session = replay.open("/ws/2", START)
    assert session is not None

    def send(**request: Any) -> Any:
        (answer,) = session.receive(json.dumps(request), START)
        return json.loads(answer)

    send(event="conf", flags=98304)
    assert send(event="subscribe", channel="trades", symbol="tBTCUSD")["event"] == "error"
    chan = send(event="subscribe", channel="book", symbol="tBTCUSD", len="25")["chanId"]
    (stream,) = session.streams.values()
    assert (stream.symbol, stream.data_type) == ("tBTCUSD", "orderbook")
    frames = [json.loads(frame) for frame in session.wrap(stream, stream.due(START + 10 * NS))]
    assert frames == [
        [chan, [[60400, 1, 0.5], [60401, 1, -0.25]], 1, START // 10**6],
        [chan, [60400, 0, 1], 2, START // 10**6],
    ]


def test_identities() -> None:
    """The symbol as Bitfinex has it, and the data type."""
    assert Bitfinex.identity("candles:trade:1m:tDOGE:USD") == ("tDOGE:USD", "ohlc")
    assert Bitfinex.identity("status:deriv:tBTCF0:USTF0") == ("tBTCF0:USTF0", "open_interest")
    assert Bitfinex.identity("trades:tBTCUSD") == ("tBTCUSD", "trades")


@pytest.mark.parametrize("line", ["<\t{", "<\t[]", "<\t5", '<\t{"event":"subscribed"}'])
def test_what_is_no_recording(tmp_path: Path, line: str) -> None:
    """A line that can't be read is named."""
    path = tmp_path / "bad.tsv"
    path.write_text(f"1.0\t{line}\n")
    with pytest.raises(RecordingError, match=r"bad\.tsv:1"):
        load(path, "bitfinex")


def test_a_real_recording() -> None:
    """All of its book messages and snapshots of trades; its tickers aren't simulated."""
    path = Path(__file__).parents[4].parent / "shared" / "captures" / "frames" / "bitfinex.tsv"
    if not path.is_file():
        pytest.skip("no recordings of real sessions beside the repository")
    streams = [frame.stream.partition(":")[0] for frame in load(path, "bitfinex").frames]
    assert (streams.count("book"), streams.count("trades"), len(streams)) == (1600, 7, 1607)
