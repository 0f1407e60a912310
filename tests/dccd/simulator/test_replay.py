"""Recordings: captured frames come out again as they were, to who asks for their streams."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect

from dccd.simulator import ManualClock, SimConfig, Simulator
from dccd.simulator.binance import Binance
from dccd.simulator.replay import RecordingError, Replay, load
from dccd.simulator.venue import Reader
from dccd.simulator.venues import VENUES
from tests.dccd.simulator.fakes import Futures

pytestmark = pytest.mark.anyio

CAPTURE = Path(__file__).parents[3] / ".." / "shared" / "captures" / "frames" / "binance.tsv"

BINANCE = [
    (100.0, '{"stream":"abcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"ABCUSDT","a":7,"p":"1.50","q":"2.0"}}'),
    (100.5, '{"stream":"abcusdt@depth@100ms","data":{"e":"depthUpdate","s":"ABCUSDT","U":5,"u":6,"b":[],"a":[]}}'),
    (101.0, '{"stream":"abcusdt@aggTrade","data":{"e":"aggTrade","E":2,"s":"ABCUSDT","a":8,"p":"1.60","q":"3.0"}}'),
    (103.0, '{"stream":"abcusdt@aggTrade","data":{"e":"aggTrade","E":3,"s":"ABCUSDT","a":9,"p":"1.70","q":"4.0"}}'),
]
KRAKEN = [
    (10.0, '{"channel":"status","type":"update","data":[{"system":"online"}]}'),
    (10.1, '{"method":"subscribe","result":{"channel":"trade","symbol":"ABC/USD"},"success":true}'),
    (10.2, '{"channel":"trade","type":"update","data":[{"symbol":"ABC/USD","price":1.50,"trade_id":1}]}'),
    (10.3, '{"channel":"ohlc","type":"update","data":[{"symbol":"ABC/USD","interval":5,"open":1.0}]}'),
    (10.4, '{"channel":"heartbeat"}'),
    (10.5, '{"channel":"trade","type":"update","data":[{"symbol":"ABC/USD","price":1.60,"trade_id":2}]}'),
]
DEPTH = '{"lastUpdateId":5,"bids":[["1.4","1"]],"asks":[["1.6","1"]]}'


def written(folder: Path, frames: list[tuple[float, str]]) -> Path:
    path = folder / "some.tsv"
    path.write_text("".join(f"{at}\t<\t{text}\n" for at, text in frames))
    (folder / "some.rest.tsv").write_text(
        f"99.0\tGET\thttps://api.binance.com/api/v3/depth?symbol=ABCUSDT&limit=1000\t{DEPTH}\n"
        "99.5\tGET\thttps://api.binance.com/api/v3/depth?symbol=ABCUSDT&limit=1000\t{}\n"
    )
    return path


def simulator(path: Path, exchange: str, clock: ManualClock, speed: float = 1.0) -> Simulator:
    return Simulator(SimConfig(exchanges=(exchange,), replay=path, replay_speed=speed), clock)


async def received(it: Any, count: int) -> list[Any]:
    async with asyncio.timeout(60):
        return [json.loads(await it.recv()) for _ in range(count)]


async def test_frames_come_at_the_recorded_distances(tmp_path: Path, clock: ManualClock) -> None:
    """From the subscription on, to the letter, and only the streams asked for."""
    async with simulator(written(tmp_path, BINANCE), "binance", clock) as sim:
        async with connect(sim.binance.ws_url + "/ws/abcusdt@aggTrade", compression=None) as it:
            await sim.binance.hub.until(lambda: bool(sim.binance.hub.statistics()["subscriptions"]))
            clock.advance(0.9)
            assert [one["a"] for one in await received(it, 1)] == [7]
            clock.advance(0.1)
            assert [one["a"] for one in await received(it, 1)] == [8]
            assert sim.binance.hub.statistics()["frames_sent"] == 2
            venue = sim.binance.venue
            assert isinstance(venue, Replay) and not venue.finished
        # Who comes back joins where the stream stands.
        async with connect(sim.binance.ws_url + "/stream", compression=None) as it:
            await it.send('{"method":"SUBSCRIBE","params":["abcusdt@aggTrade","abcusdt@depth@100ms"],"id":1}')
            assert await received(it, 1) == [{"result": None, "id": 1}]
            clock.advance(60)
            got = {one["stream"]: one["data"] for one in await received(it, 2)}
            assert got["abcusdt@aggTrade"]["a"] == 9 and got["abcusdt@depth@100ms"]["U"] == 5
            assert venue.finished


async def test_all_at_once(tmp_path: Path, clock: ManualClock) -> None:
    """At speed 0 time plays no part; rewound, it plays again."""
    async with simulator(written(tmp_path, BINANCE), "binance", clock, speed=0) as sim:
        venue = sim.binance.venue
        assert isinstance(venue, Replay)
        for _ in range(2):
            async with connect(sim.binance.ws_url + "/stream?streams=abcusdt@aggTrade") as it:
                assert [one["data"]["a"] for one in await received(it, 3)] == [7, 8, 9]
            venue.rewind()


async def test_kraken_s_subscriptions_are_answered(tmp_path: Path, clock: ManualClock) -> None:
    """Status and acknowledgements are given anew; recorded ones and heartbeats are not repeated."""
    async with (
        simulator(written(tmp_path, KRAKEN), "kraken", clock, speed=0) as sim,
        connect(sim.kraken.ws_url + "/v2") as it,
    ):
        for channel, symbols in (("trade", ["ABC/USD", "XYZ/USD"]), ("ohlc", ["ABC/USD"])):
            params = {"channel": channel, "symbol": symbols} | ({"interval": 5} if channel == "ohlc" else {})
            await it.send(json.dumps({"method": "subscribe", "params": params}))
        got = await received(it, 7)
        assert got[0]["channel"] == "status"
        assert sorted(one["success"] for one in got if "method" in one) == [False, True, True]
        assert [one["data"][0]["trade_id"] for one in got if one.get("channel") == "trade"] == [1, 2]
        assert [one["data"][0]["open"] for one in got if one.get("channel") == "ohlc"] == [1.0]


async def test_rest_answers(tmp_path: Path, clock: ManualClock) -> None:
    """The recorded ones in their order, the last one for good; metadata from the exchange; else a refusal."""
    async with (
        asyncio.timeout(60),
        simulator(written(tmp_path, BINANCE), "binance", clock) as sim,
        aiohttp.ClientSession(sim.binance.rest_url) as http,
    ):
        bodies = []
        for limit in (1000, 5000, 100):
            async with http.get(f"/api/v3/depth?limit={limit}&symbol=ABCUSDT") as answer:
                bodies.append(await answer.text())
        assert bodies == [DEPTH, "{}", "{}"]
        async with http.get("/api/v3/time") as answer:
            assert answer.status == 200
        async with http.get("/api/v3/depth?symbol=XYZUSDT") as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.0\t<\n", "some.tsv:1: found 2 fields"),
        ("1.0\t<\t{}\n1.0\t?\t{}\n", "some.tsv:2: found '\\?'"),
        ("1.0\t<\t{\n", "no JSON"),
        ('now\t<\t{"e":"aggTrade"}\n', "no time"),
    ],
)
def test_broken_recordings_name_the_line(tmp_path: Path, text: str, words: str) -> None:
    """File, line and what is wrong."""
    path = tmp_path / "some.tsv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=words):
        load(path, "binance")


def test_raw_frames_know_their_stream(tmp_path: Path) -> None:
    """A recording of a raw connection has no stream names: they follow from the payloads."""
    path = tmp_path / "raw.tsv"
    payloads = [
        '{"e":"trade","s":"ABCUSDT"}',
        '{"e":"depthUpdate","s":"ABCUSDT"}',
        '{"e":"kline","s":"ABCUSDT","k":{"i":"5m"}}',
        '{"result":null,"id":1}',
    ]
    path.write_text("".join(f"{n}.25\t<\t{text}\n" for n, text in enumerate(payloads)))
    frames = load(path, "binance").frames
    assert [frame.stream for frame in frames] == ["abcusdt@trade", "abcusdt@depth@100ms", "abcusdt@kline_5m"]
    assert frames[1].at == 1_250_000_000


async def test_an_exchange_says_itself_what_its_recordings_are_of(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames whose stream an earlier one told; they are wrapped anew for who subscribes now."""
    monkeypatch.setitem(VENUES, "futures", Futures)
    path = tmp_path / "made.tsv"
    frames = ['[7,"ab@aggTrade"]', '[7,{"a":1}]', '[8,"cd@trade"]', '[7,{"a":2}]', '[8,{"t":5}]']
    path.write_text("".join(f"{n}.5\t<\t{text}\n" for n, text in enumerate(frames)))
    async with simulator(path, "futures", clock, speed=0) as sim:
        venue = sim.exchanges["futures"].venue
        assert isinstance(venue, Replay) and venue.streams == {"ab@aggTrade": 2, "cd@trade": 1}
        async with connect(sim.exchanges["futures"].ws_url + "/") as it:
            await it.send('{"method":"SUBSCRIBE","params":["ab@aggTrade"],"id":1}')
            assert (await received(it, 3))[1:] == [[2, "ab@aggTrade", {"a": 1}], [3, "ab@aggTrade", {"a": 2}]]


def test_recordings_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an exchange that says nothing about its own, before anything listens."""

    class Mute(Futures):
        id = "mute"

        @classmethod
        def reader(cls) -> Reader:
            return super(Binance, cls).reader()

    monkeypatch.setitem(VENUES, "mute", Mute)
    with pytest.raises(ValueError, match="recordings of mute"):
        Simulator(SimConfig(exchanges=("mute",), replay=written(tmp_path, BINANCE)))


@pytest.mark.parametrize("captured", [False, True] if CAPTURE.exists() else [False])
async def test_a_recording_comes_through_whole(tmp_path: Path, clock: ManualClock, captured: bool) -> None:
    """Every frame as it was captured, by Binance where a capture is at hand, and the answers beside them."""
    path = CAPTURE if captured else written(tmp_path, BINANCE)
    symbol, last_id = ("NKNUSDT", 499869752) if captured else ("ABCUSDT", 5)
    lines = [line.split("\t", 2)[2] for line in path.read_text().splitlines()]
    async with simulator(path, "binance", clock, speed=0) as sim:
        venue = sim.binance.venue
        assert isinstance(venue, Replay)
        names = "/".join(venue.streams)
        async with asyncio.timeout(20), connect(f"{sim.binance.ws_url}/stream?streams={names}") as it:
            got = [str(await it.recv()) for _ in lines]
        assert sorted(got) == sorted(lines) and venue.finished
        url = f"{sim.binance.rest_url}/api/v3/depth?symbol={symbol}&limit=1000"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            assert (await answer.json())["lastUpdateId"] == last_id
