"""What counts as unhealthy."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.links import RemoteState, Retention
from actors.monitor import (
    check_archiver,
    check_bus,
    check_clock,
    check_config,
    check_remotes,
    check_space,
    check_store,
    check_streams,
)
from dccd.config import Alerts
from dccd.messages import HealthCheck, StreamEntry
from dccd.store.remote.fake import FakeRemote
from dccd.symbols import NS

ALERTS = Alerts(archiver_lag="1m")
NOW = 1_700_000_000 * NS


@pytest.mark.parametrize(
    ("connected", "waiting", "overflowing", "says"),
    [
        (True, 59.0, False, ""),
        (False, 0.0, False, "is away"),
        (True, 61.0, False, "stores nothing since 61 s"),
        (True, 1.0, True, "dropped"),
        (False, 99.0, True, "is away: ticks are kept here, but there is no room for more"),
    ],
)
def test_a_bus_that_answers_and_stores_nothing_is_no_healthy_one(
    connected: bool, waiting: float, overflowing: bool, says: str
) -> None:
    """As one whose disk was full, or whose stream somebody has deleted."""
    check = check_bus("nats://b", connected, waiting, overflowing, ALERTS)
    assert check.ok == (not says)
    assert says in check.detail


def test_every_unreadable_dataset_is_named() -> None:
    """With the reason."""
    assert check_store({}).ok
    check = check_store({"b.trades.X-Y": "b.parquet: cut off", "a.trades.X-Y": "a.parquet: no Parquet"})
    assert not check.ok
    assert check.detail == "a.trades.X-Y: a.parquet: no Parquet; b.trades.X-Y: b.parquet: cut off"


def stream(state: str, **fields: object) -> StreamEntry:
    return StreamEntry(dataset="binance.trades.BTC-USDT", state=state, **fields)  # type: ignore[arg-type]  # a test


@pytest.mark.parametrize(
    ("entry", "ok", "says"),
    [
        (stream("live"), True, "1 stream"),
        (stream("connecting"), True, "1 stream"),
        (stream("gave_up", error="crashed"), False, "gave up: crashed"),
        (stream("refused", error="no such pair"), False, "is refused: no such pair"),
        (stream("reconnecting", error="closed"), False, "reconnects: closed"),
        (stream("live", last_recv_ts=NOW - 61 * NS), False, "silent for 61 s"),
        (stream("live", last_recv_ts=NOW - 59 * NS), True, "1 stream"),
    ],
)
def test_a_stream_that_does_not_collect_is_told(entry: StreamEntry, ok: bool, says: str) -> None:
    """Set aside, refused, away or silent for too long: each is unhealthy, and says why."""
    check = check_streams([entry], Alerts(stream_silence="1m"), NOW)
    assert (check.ok, says in check.detail) == (ok, True), check


def test_how_many_connections_the_streams_share_is_told() -> None:
    """Those of ccxt.pro's, too, and which aren't read since one of their streams lags."""
    sockets = {
        "binance": {"opens": 3, "failed": 0, "connections": [{"paused": True}, {"paused": False}]},
        "kucoin": {"opened": 1, "connections": [{"streams": 5, "connections": 2, "unread": 0}]},
        "gate": {"opened": 0, "connections": []},
    }
    assert check_streams([], ALERTS, NOW, sockets).detail == "0 streams on 4 connections, 1 held up"
    assert check_streams([], ALERTS, NOW, {}).detail == "0 streams"


def test_a_remote_that_is_not_up_to_date_is_told() -> None:
    """And what can't be purged, or that nothing is left that may be."""
    remotes = {"backup": RemoteState(FakeRemote(), 900.0)}
    assert check_remotes(remotes, Retention()).ok
    check = check_remotes(remotes, Retention(kept=["a 2024: the next sync copies it", "b"]))
    assert (check.ok, check.detail) == (False, "2 periods can't be purged, as a 2024: the next sync copies it")
    assert "2.0 GiB short of storage.retention.free_space" in check_remotes({}, Retention(short=2**31)).detail
    remotes["backup"].error = "away"
    check = check_remotes(remotes, Retention())
    assert (check.ok, check.detail) == (False, "backup: away")


def test_too_little_space_is_told() -> None:
    """The floor is what the configuration says."""
    assert not check_space(99, Alerts(free_space=100)).ok
    assert check_space(100, Alerts(free_space=100)).ok


def test_an_archiver_that_lags_or_sets_aside_is_told() -> None:
    """The oldest message that isn't on disk must be young, and none may be no ticks."""
    alerts = Alerts(archiver_lag="1m")
    assert check_archiver(5, NOW - 59 * NS, 0, None, alerts, NOW).ok
    late = check_archiver(5, NOW - 61 * NS, 0, "no space", alerts, NOW)
    assert not late.ok
    assert "no space" in late.detail
    assert not check_archiver(0, None, 2, None, alerts, NOW).ok


def test_a_host_whose_clock_is_behind_is_told() -> None:
    """By the stream whose records are most ahead; a bar's time says nothing, being that of its opening."""
    usual = [stream("live"), stream("live", last_ts=NOW - 60 * NS, last_recv_ts=NOW), stream("live", last_ts=NOW)]
    assert check_clock([*usual, stream("live", last_ts=NOW + 20 * NS, last_recv_ts=NOW)]).ok
    check = check_clock([*usual, stream("live", last_ts=NOW + 600 * NS, last_recv_ts=NOW)])
    assert not check.ok
    assert "binance.trades.BTC-USDT by 600 s" in check.detail


def test_a_file_with_an_error_is_told() -> None:
    """Until it is right, since what runs isn't what it says."""
    path = Path("/etc/dccd.yml")
    assert check_config(path, None) == HealthCheck(name="config", ok=True, detail="/etc/dccd.yml")
    assert check_config(path, "jobs: found 5") == HealthCheck(name="config", ok=False, detail="jobs: found 5")
