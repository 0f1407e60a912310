"""``dccd replay``: orders to a daemon on a real bus, and records as lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dccd import messages as m
from dccd.client.fake import FakeDaemon
from dccd.records import Trade

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

A, B = "binance.trades.BTC-USDT", "kraken.trades.BTC-USD"
NOON = 1_704_110_400_123_456_789


def trade(number: int) -> Trade:
    return Trade(NOON + number, 42000.5, 0.25, "buy", str(number), None)


async def test_a_replay_is_started_for_others(dccd: Command, daemon: FakeDaemon) -> None:
    """Its id is on stdout for scripts, the rest on stderr: how to listen, and what may be missing."""
    daemon.replays.missing = [
        m.ReplayMissing(dataset=A, start=0, end=10**9, state="missing", reason="lost") for _ in range(5)
    ]
    words = ("--start", "2024-01-01", "--speed", "10x", "--id", "mine", "--paused", "--skip-gaps")
    done = await dccd("replay", A, "kraken.>", *words)
    assert (done.code, done.out) == (0, "mine\n")
    assert "nats sub 'dccd.replay.mine.>'" in done.err and "is paused" in done.err
    assert "missing (lost): 1970-01-01 00:00:00 … 1970-01-01 00:00:01" in done.err and "2 more intervals" in done.err
    assert daemon.asked("replay.start") == [
        m.ReplayStart(
            datasets=[A, "kraken.>"], start="2024-01-01", speed=10.0, id="mine", start_paused=True, skip_gaps=True
        )
    ]


async def test_records_are_printed(dccd: Command, daemon: FakeDaemon) -> None:
    """For people with their dataset, for scripts as JSON; N of them, or up to the end."""
    script = [(A, [trade(1), trade(2)]), (B, [trade(3)]), "ended"]
    daemon.replays.script = [*script]  # type: ignore[list-item]  # states and records
    done = await dccd("replay", A, B, "--speed", "max", "--print")
    assert [text.split() for text in done.out.splitlines()] == [
        [A, "12:00:00.123", "buy", "42,000.5", "0.25", "1"],
        [A, "12:00:00.123", "buy", "42,000.5", "0.25", "2"],
        [B, "12:00:00.123", "buy", "42,000.5", "0.25", "3"],
    ]
    daemon.replays.script = [*script]  # type: ignore[list-item]  # as above
    done = await dccd("replay", A, "-n", "1", "--json")
    (record,) = [json.loads(text) for text in done.out.splitlines()]
    assert (record["dataset"], record["ts"], record["tid"]) == (A, NOON + 1, "1")
    assert daemon.replays.entries == {}


async def test_replays_are_listed_and_directed(dccd: Command, daemon: FakeDaemon) -> None:
    """A table for people, JSON for scripts; each order says what the replay is at then."""
    assert (await dccd("replay")).err == "no replays\n"
    await dccd("replay", A, B, "--id", "mine")
    listed = await dccd("replay")
    assert listed.out.splitlines()[1].split()[:3] == ["mine", "waiting", "1×"]
    assert f"{A} and 1 more" in listed.out
    assert json.loads((await dccd("replay", "list", "--json")).out)[0]["id"] == "mine"
    orders = [("pause",), ("resume",), ("speed", "max"), ("seek", "1704110400000000000")]
    said = [(await dccd("replay", order, "mine", *rest)).out for order, *rest in orders]
    assert said == [
        "mine: paused at 1970-01-01 00:00:00, 1×\n",
        "mine: playing at 1970-01-01 00:00:00, 1×\n",
        "mine: playing at 1970-01-01 00:00:00, max\n",
        "mine: playing at 2024-01-01 12:00:00, max\n",
    ]
    assert json.loads((await dccd("replay", "stop", "mine", "--json")).out)["state"] == "stopped"
    gone = await dccd("replay", "pause", "mine")
    assert (gone.code, gone.err) == (3, "error: no replay mine is here (field: id)\n")


async def test_what_makes_no_sense_is_refused(dccd: Command, daemon: FakeDaemon) -> None:
    """A speed that is none, and options that don't go together."""
    for words in (("--speed", "fast"), ("--speed", "-1"), ("--print", "--paused"), ("-n", "1", "--id", "mine")):
        done = await dccd("replay", A, *words)
        assert done.code == 2, words
    assert daemon.asked("replay.start") == []
