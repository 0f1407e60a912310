"""The listings: what people see, and that scripts get the same as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dccd import messages as m
from dccd.cli.lists import _history
from dccd.client.fake import FakeDaemon
from dccd.errors import BusError, RequestError
from dccd.symbols import DataType

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

DAY = 1_704_067_200_000_000_000
HOUR = 3_600_000_000_000

STORED = [
    m.DatasetEntry(
        dataset="binance.trades.BTC-USDT",
        host="fake",
        rows=1_234_567,
        files=3,
        bytes=5 << 20,
        first_ts=DAY,
        last_ts=DAY + HOUR,
        live=True,
        start=DAY,
        end=DAY + HOUR,
        coverage=0.975,
        missing=90.0,
        age=4.0,
        gaps=[m.GapEntry(start=DAY, end=DAY + 90_000_000_000, reason="socket closed (1006)", state="repairing")],
        gaps_total=8,
        looked_at=DAY + HOUR,
    ),
    m.DatasetEntry(
        dataset="kraken.ohlc.ETH-USD.1h", host="fake", rows=0, files=0, bytes=0, first_ts=None, last_ts=None
    ),
]
STREAMS = [
    m.StreamEntry(dataset="binance.trades.BTC-USDT", state="live", records=12_345, rate=12.25, last_price=42000.5),
    m.StreamEntry(dataset="kraken.trades.ETH-USD", state="refused", error="Currency pair not supported", restarts=2),
]
JOBS = [
    m.JobEntry(
        name="stream.binance.trades.BTC-USDT",
        operation="stream",
        dataset="binance.trades.BTC-USDT",
        trigger_kind="supervised",
    ),
    m.JobEntry(
        name="backfill.binance.ohlc.BTC-USDT.1m",
        operation="backfill",
        dataset="binance.ohlc.BTC-USDT.1m",
        trigger_kind="interval",
        every=3600.0,
        start="last",
        next_run=DAY,
        last_run_id="018c",
    ),
]
OFFERED = {
    "binance": [
        m.CapabilityEntry(market="spot", data_type=DataType.TRADES, mode="live"),
        m.CapabilityEntry(
            market="spot",
            data_type=DataType.OHLC,
            mode="historical",
            spans=["1m", "1h"],
            recent=43_200,
            note="720 bars",
        ),
    ],
    "bitmex": [
        m.CapabilityEntry(
            market="perp", data_type=DataType.FUNDING, mode="live", closed="BitMEX closed", note="of the next payment"
        )
    ],
    "kraken": [m.CapabilityEntry(market="spot", data_type=DataType.ORDERBOOK, mode="live", depths=[10, 25])],
}


def as_json(value: Any) -> Any:
    """*value* as a script reads it."""
    return json.loads(msgspec.json.encode(value))


@pytest.fixture
def told(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon with something to tell."""
    daemon.replies["inventory"] = m.Inventory(host="fake", data_path="/data", datasets=STORED)
    daemon.replies["streams.list"] = m.Streams(host="fake", streams=STREAMS)
    daemon.replies["jobs.list"] = m.Jobs(host="fake", jobs=JOBS)
    daemon.replies["exchanges"] = m.Exchanges(exchanges=OFFERED)
    return daemon


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["inventory"],
            [
                "binance.trades.BTC-USDT 1,234,567 3 5.0 MiB 2024-01-01 00:00:00 2024-01-01 01:00:00 "
                "4.0s 97.50% 1m 30s 8 live",
                "kraken.ohlc.ETH-USD.1h 0 0 0 B not looked at yet",
            ],
        ),
        (
            ["inventory", "--gaps"],
            [
                "binance.trades.BTC-USDT 7 earlier dccd coverage binance.trades.BTC-USDT has them all",
                "binance.trades.BTC-USDT 2024-01-01 00:00:00 … 2024-01-01 00:01:30 1m 30s "
                "socket closed (1006) repairing",
            ],
        ),
        (
            ["streams"],
            [
                "binance.trades.BTC-USDT live 12,345 12.2 42,000.5",
                "kraken.trades.ETH-USD refused 0 0.0 2 Currency pair not supported",
            ],
        ),
        (
            ["jobs"],
            [
                "stream.binance.trades.BTC-USDT supervised",
                "backfill.binance.ohlc.BTC-USDT.1m every 1h last 2024-01-01 00:00:00 018c",
            ],
        ),
        (
            ["exchanges"],
            [
                "binance spot trades live",
                "binance spot ohlc historical 1m 1h last 12h 00m 720 bars",
                "bitmex perp funding live BitMEX closed; of the next payment",
                "kraken spot orderbook live 10 25",
            ],
        ),
        (["exchanges", "kraken"], ["kraken spot orderbook live 10 25"]),
    ],
)
async def test_people_get_a_table(dccd: Command, told: FakeDaemon, words: list[str], lines: list[str]) -> None:
    """A line an entry under a line of headings (runs of blanks aside)."""
    done = await dccd(*words)
    assert (done.code, done.err) == (0, "")
    assert [text.split() for text in done.out.splitlines()[1:]] == [text.split() for text in lines]


async def test_what_several_hosts_store_is_told_apart(dccd: Command, told: FakeDaemon) -> None:
    """A column says whose it is, also of holes, where there is more than one host."""
    beside = [*STORED, msgspec.structs.replace(STORED[0], host="beta")]
    told.replies["inventory"] = m.Inventory(host="fake", data_path="/data", datasets=beside)
    told_of = {}
    for words in (["inventory"], ["inventory", "--gaps"]):
        told_of[len(words)] = [line.split()[1] for line in (await dccd(*words)).out.splitlines()]
    mine = STORED[0].host
    assert told_of == {1: ["host", "beta", mine, mine], 2: ["host", "beta", "beta", mine, mine]}


async def test_streams_and_jobs_of_several_hosts_are_told_apart(dccd: Command, told: FakeDaemon) -> None:
    """A column says whose each is; JSON says it of each, of one host too."""
    streams = [msgspec.structs.replace(STREAMS[0], host=host) for host in ("alpha", "beta")]
    jobs = [msgspec.structs.replace(JOBS[0], host=host) for host in ("alpha", "beta")]
    told.replies["streams.list"] = m.Streams(host="alpha", streams=streams)
    told.replies["jobs.list"] = m.Jobs(host="alpha", jobs=jobs)
    for command in ("streams", "jobs"):
        lines = (await dccd(command)).out.splitlines()
        assert [line.split()[1] for line in lines] == ["host", "alpha", "beta"]
        assert [one["host"] for one in json.loads((await dccd(command, "--json")).out)] == ["alpha", "beta"]


@pytest.mark.parametrize(
    "words", [["health"], ["tree"], ["alerts"], ["metrics"], ["remote"], ["retention"], ["replay"]]
)
async def test_what_is_of_one_of_several_hosts_is_said_to_be(
    dccd: Command, daemon: FakeDaemon, words: list[str]
) -> None:
    """To people, on stderr, with how to ask another; not where one was named, and not to scripts."""
    (one,) = daemon.replies["hosts"].hosts
    beside = [one, msgspec.structs.replace(one, id="other")]
    daemon.replies["hosts"] = msgspec.structs.replace(daemon.replies["hosts"], hosts=beside)
    assert "of host fake; --host asks another: other" in (await dccd(*words)).err
    assert "--host" not in (await dccd(*words, "--host", "fake")).err
    assert "--host" not in (await dccd(*words, "--json")).err


@pytest.mark.parametrize("words", [["start"], ["stop"]])
async def test_of_several_hosts_one_is_named(dccd: Command, daemon: FakeDaemon, words: list[str]) -> None:
    """Whose stream it is isn't left to who answers first."""
    (one,) = daemon.replies["hosts"].hosts
    beside = [one, msgspec.structs.replace(one, id="other")]
    daemon.replies["hosts"] = msgspec.structs.replace(daemon.replies["hosts"], hosts=beside)
    done = await dccd("streams", *words, "kraken.trades.BTC-USD")
    assert (done.code, done.out) == (2, "")
    assert "--host names one of fake, other" in done.err
    assert (await dccd("streams", *words, "kraken.trades.BTC-USD", "--host", "fake")).code == 0


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["inventory"], STORED),
        (["streams"], STREAMS),
        (["jobs"], JOBS),
        (["exchanges"], OFFERED),
        (["exchanges", "kraken"], {"kraken": OFFERED["kraken"]}),
    ],
)
async def test_scripts_get_json(dccd: Command, told: FakeDaemon, words: list[str], value: Any) -> None:
    """``--json`` is one document with all that the daemon said."""
    done = await dccd(*words, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == as_json(value)


@pytest.mark.parametrize("command", ["inventory", "streams", "jobs", "runs"])
async def test_an_empty_listing_is_said_to_people_only(dccd: Command, command: str) -> None:
    """An empty listing prints nothing to stdout, where a script counts lines, and a word to stderr."""
    done = await dccd(command)
    assert (done.code, done.out) == (0, "")
    assert len(done.err.splitlines()) == 1


async def test_an_unknown_exchange_is_2(dccd: Command, told: FakeDaemon) -> None:
    """The error lists those there are."""
    done = await dccd("exchanges", "bitfenix")
    assert done.code == 2
    assert "binance, bitmex, kraken" in done.err


async def test_all_exchanges_are_a_line_each(dccd: Command, told: FakeDaemon) -> None:
    """And kind of market: what there is live, and of the past, and that it has closed; JSON has all of it."""
    done = await dccd("exchanges", "--all")
    assert [" ".join(line.split()) for line in done.out.splitlines()[1:]] == [
        "binance spot trades ohlc",
        "bitmex perp funding BitMEX closed",
        "kraken spot orderbook",
    ]
    assert told.asked("exchanges") == [m.ExchangesList(all=True)]
    done = await dccd("exchanges", "--all", "--json")
    assert json.loads(done.out) == as_json(OFFERED)


async def test_streams_are_started_and_stopped(dccd: Command, daemon: FakeDaemon) -> None:
    """The book's options travel; a name of one piece does, too."""
    done = await dccd("streams", "start", "kraken", "XBT/USD", "--type", "orderbook", "--depth", "25")
    assert (done.code, done.out) == (0, "kraken.orderbook.BTC-USD: started\n")
    assert daemon.asked("streams.start")[0].depth == 25
    done = await dccd("streams", "stop", "kraken.orderbook.BTC-USD")
    assert (done.code, done.out) == (0, "kraken.orderbook.BTC-USD: stopped\n")
    daemon.replies["streams.stop"] = RequestError(404, "no_stream", "no such stream", "dataset")
    assert (await dccd("streams", "stop", "kraken.orderbook.BTC-USD", "--json")).code == 3


async def test_books_are_kept_at_an_interval_as_anywhere(dccd: Command, daemon: FakeDaemon) -> None:
    """With a unit, or in seconds; anything else is told what is allowed."""
    words = ["streams", "start", "kraken.orderbook.BTC-USD", "--snapshot-interval"]
    for given in ("2m", "120"):
        assert (await dccd(*words, given)).code == 0
    assert [ask.snapshot_interval for ask in daemon.asked("streams.start")] == [120.0, 120.0]
    done = await dccd(*words, "soon")
    assert done.code == 2 and "500ms, 30s, 5m" in done.err


async def test_errors_name_commands_to_people(dccd: Command, daemon: FakeDaemon) -> None:
    """And requests to scripts."""
    told = "no stream of that runs here; dccd.streams.list has them"
    daemon.replies["streams.stop"] = RequestError(404, "no_stream", told, "dataset")
    words = ["streams", "stop", "kraken.trades.BTC-USD"]
    assert "runs here; `dccd streams` lists them" in (await dccd(*words)).err
    assert json.loads((await dccd(*words, "--json")).err)["error"]["message"] == told


async def test_health_is_an_exit_code_too(dccd: Command, daemon: FakeDaemon) -> None:
    """0 when all is well, 1 when the daemon says that something isn't."""
    done = await dccd("health")
    assert done.code == 0
    assert done.out.startswith("dccd 4.0.0 on fake, up 12s: ok\n")
    sick = msgspec.structs.replace(
        daemon.replies["health"], ok=False, checks=[m.HealthCheck(name="space", ok=False, detail="0.1 GiB free")]
    )
    daemon.replies["health"] = sick
    done = await dccd("health")
    assert done.code == 1
    assert "NOT OK  space  0.1 GiB free" in done.out
    done = await dccd("health", "--json")
    assert (done.code, json.loads(done.out)["ok"]) == (1, False)


async def test_hosts_are_listed(dccd: Command) -> None:
    """What each is, where it runs, how much it has to do, and since when."""
    done = await dccd("hosts")
    assert done.out.splitlines()[1].split()[:7] == ["fake", "4.0.0", "rack-1,", "process", "42", "3", "1"]
    assert json.loads((await dccd("hosts", "--json")).out)[0]["id"] == "fake"


async def test_the_tree_is_drawn(dccd: Command) -> None:
    """Actors under their supervisors, with mailboxes."""
    done = await dccd("tree")
    assert [text.split() for text in done.out.splitlines()[1:]] == [
        ["daemon", "running", "0/64", "12s"],
        ["├─", "bus", "running", "0/64", "12s"],
        ["└─", "streams", "running", "0/64", "12s"],
        ["└─", "stream", "running", "0/64", "12s"],
    ]


async def test_a_fault_in_the_daemon_is_1(dccd: Command, daemon: FakeDaemon) -> None:
    """What goes wrong over there is told in one line here."""
    daemon.replies["tree"] = BusError("boom")
    done = await dccd("tree")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1


def test_bars_that_nobody_counts_are_told_as_a_time() -> None:
    """Of an exchange that keeps seconds for some months, and all longer spans."""
    entry = m.CapabilityEntry(
        market="spot", data_type=DataType.OHLC, mode="historical", spans=["1m", "1s"], recent_bars=85 * 86_400
    )
    assert _history(entry).startswith("1s: last 85d")
    assert _history(msgspec.structs.replace(entry, recent_bars=720)) == "last 720 bars"
