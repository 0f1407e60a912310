"""``dccd tail``: ticks from a real bus to lines."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner

from dccd import messages as m
from dccd.bus.publisher import Publisher
from dccd.bus.streams import ensure_streams
from dccd.cli.app import App
from dccd.cli.main import cli
from dccd.cli.tail import line
from dccd.client.fake import FakeDaemon
from dccd.errors import IdentityError, RequestError
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.store.schema import table_from_records
from dccd.symbols import NS, DataType

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command, Done

TRADES = "binance.trades.BTC-USDT"
NOON = 1_704_110_400_123_456_789


def trade(number: int) -> Trade:
    return Trade(ts=NOON, price=42000.5, amount=0.25, side="buy", tid=str(number), recv_ts=NOON + 1)


async def tail(command: Command, daemon: FakeDaemon, *words: str) -> Done:
    """Run it with records published once it listens: it asks for the streams after it has subscribed."""
    process = await command.start("tail", *words)
    listening = asyncio.Event()

    def streams(_: m.Empty) -> m.Streams:
        listening.set()
        live = m.StreamEntry(dataset=TRADES, state="live")
        return m.Streams(host="fake", streams=[live])

    daemon.replies["streams.list"] = streams
    async with asyncio.timeout(30):
        await listening.wait()
        await daemon.tick(TRADES, trade(1), trade(2))
        await daemon.tick(TRADES, trade(3))
        return await command.finish(process)


@pytest.mark.anyio
async def test_records_are_lines(dccd: Command, daemon: FakeDaemon) -> None:
    """N records, and no more of a message than asked for, then it ends by itself."""
    done = await tail(dccd, daemon, "binance", "BTC/USDT", "-n", "2")
    assert (done.code, done.err) == (0, "")
    assert [text.split() for text in done.out.splitlines()] == [
        ["12:00:00.123", "buy", "42,000.5", "0.25", "1"],
        ["12:00:00.123", "buy", "42,000.5", "0.25", "2"],
    ]


@pytest.mark.anyio
async def test_json_is_a_line_a_record(dccd: Command, daemon: FakeDaemon) -> None:
    """Scripts get the records as they travel, with all digits of the time."""
    done = await tail(dccd, daemon, TRADES, "-n", "3", "--json")
    records = [json.loads(text) for text in done.out.splitlines()]
    assert [r["tid"] for r in records] == ["1", "2", "3"]
    assert records[0] == {
        "ts": NOON, "price": 42000.5, "amount": 0.25, "side": "buy", "tid": "1", "recv_ts": NOON + 1
    }  # fmt: skip


@pytest.mark.anyio
async def test_a_missing_stream_is_said(dccd: Command) -> None:
    """Who waits for nothing is told so, and how to start it; Ctrl-C ends the wait."""
    done = await dccd.interrupt(await dccd.start("tail", "kraken", "ETH/USD"), "dccd streams start")
    assert "no stream of kraken.trades.ETH-USD runs" in done.err
    assert done.code == 130


@pytest.mark.anyio
@pytest.mark.parametrize(
    "words", [["binance", "*"], ["binance.trades.*"], ["*", "BTC/USDT"], ["*.trades.BTC-USDT"]], ids=str
)
async def test_several_datasets(dccd: Command, daemon: FakeDaemon, words: list[str]) -> None:
    """Each line begins with whose it is, and each object does."""
    plain = await tail(dccd, daemon, *words, "-n", "1")
    assert plain.out.split()[:2] == [TRADES, "12:00:00.123"]
    done = await tail(dccd, daemon, *words, "-n", "2", "--json")
    assert [json.loads(text) | {"ts": 0} for text in done.out.splitlines()] == [
        {"dataset": TRADES, "ts": 0, "price": 42000.5, "amount": 0.25, "side": "buy", "tid": tid, "recv_ts": NOON + 1}
        for tid in "12"
    ]
    assert done.err == ""


@pytest.mark.anyio
async def test_from_the_past(dccd: Command, daemon: FakeDaemon) -> None:
    """What is stored comes first, then what the stream has; where that is all, it is said."""
    await ensure_streams(daemon._bus)
    now = time.time_ns()
    trades = [Trade(ts=now - 60 * NS + n, price=1.0, amount=1.0, side="buy", tid=str(n)) for n in range(4)]
    daemon.frames[TRADES] = pl.DataFrame(pl.from_arrow(table_from_records(DataType.TRADES, trades[:2])))
    async with Publisher(daemon._bus) as publisher:
        publisher.offer(f"dccd.ticks.{TRADES}", msgspec.json.encode(trades[2:]))
        assert await publisher.drain() == 0
    done = await dccd("tail", "binance", "BTC/USDT", "--since", "10m", "-n", "4", "--json")
    assert [json.loads(text)["tid"] for text in done.out.splitlines()] == ["0", "1", "2", "3"]
    assert "begins at" in done.err
    assert "binance.trades.BTC-USDT runs" in done.err
    done = await dccd("tail", "*", "*", "--since", "1h", "-n", "2", "--group", "g", "--json")
    assert [json.loads(text)["tid"] for text in done.out.splitlines()] == ["2", "3"]
    done = await dccd("tail", "binance", "BTC/USDT", "--since", "soon")
    assert done.code == 2 and "'soon' is no time" in done.err


@pytest.mark.anyio
async def test_an_exchange_that_nobody_knows_is_not_waited_for(dccd: Command, daemon: FakeDaemon) -> None:
    """Its name is misspelt: nothing would ever come."""
    daemon.replies["exchanges"] = RequestError(422, "no_capability", "did you mean binance?", "exchange")
    done = await dccd("tail", "binanc", "BTC/USDT", "-n", "1")
    assert done.code == 2
    assert "did you mean binance?" in done.err


@pytest.mark.parametrize(
    "words", [["*"], ["binance", "*", "--type", "ohlc"], ["binance.*", "--type", "trades"]], ids=str
)
def test_what_names_nothing(words: list[str]) -> None:
    """A wildcard that can't match is refused before anything is asked."""
    done = CliRunner().invoke(cli, ["tail", *words], obj=App())
    assert done.exit_code == 2 or isinstance(done.exception, IdentityError)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (trade(7), "12:00:00.123  buy   42,000.5  0.25  7"),
        (Trade(ts=NOON, price=1e-7, amount=12345.0, side=None, tid=None), "12:00:00.123  1e-07  12,345"),
        (
            Bar(ts=NOON, open=1.0, high=2.5, low=0.5, close=1234.5, volume=9.0),
            "2024-01-01 12:00:00  1  2.5  0.5  1234.5  9  closed",
        ),
        (
            BookSnapshot(ts=NOON, seq=1, bids=[(1.0, 2.0), (0.5, 1.0)], asks=[(3.0, 1.0)]),
            "12:00:00.123  snapshot  bid 1  ask 3  2+1 levels",
        ),
        (BookSnapshot(ts=NOON, seq=1, bids=[], asks=[]), "12:00:00.123  snapshot  bid  ask  0+0 levels"),
        (
            BookDelta(ts=NOON, seq=1, bids=[(1.0, 2.0), (2.0, 0.0)], asks=[(3.0, 1.0), (4.0, 0.0)]),
            "12:00:00.123  delta  bid 1 → 2  bid 2 → 0  ask 3 → 1  and 1 more",
        ),
        (FundingRate(ts=NOON, rate=0.0001, mark_price=42.0), "2024-01-01 12:00:00  rate 0.010000%  mark 42"),
        (OpenInterest(ts=NOON, open_interest=1e6), "2024-01-01 12:00:00  1,000,000  worth"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_each_kind_of_record_reads_well(record: Record, said: str) -> None:
    """Every record of every data type has a line (runs of blanks aside)."""
    assert line(record).split() == said.split()
