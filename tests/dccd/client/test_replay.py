"""Replays as their receiver has them: order, merging, ends; against a daemon that only answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec
import polars as pl
import pytest

from dccd import messages as m
from dccd import subjects
from dccd.client import Client
from dccd.client import replay as replaying
from dccd.client.fake import FakeDaemon
from dccd.errors import IdentityError, ReplayFailed, RequestError
from dccd.records import Bar, Record, Trade
from tests.waiting import until

pytestmark = pytest.mark.anyio

A, B, BARS = "binance.trades.BTC-USDT", "kraken.trades.BTC-USD", "binance.ohlc.BTC-USDT.1m"


def trade(ts: int, tid: str = "1") -> Trade:
    return Trade(ts, 1.0, 2.0, "buy", tid, None)


async def test_a_replay_is_asked_for_with_flow_control(client: Client, daemon: FakeDaemon) -> None:
    """By names or patterns, one or several, with a name of its own; it ends with what there was."""
    daemon.replays.script = [(A, [trade(1), trade(2)]), (B, [trade(3)]), "ended"]
    async with client.replay([A, B], "2024-01-01", speed=10, skip_gaps=True) as replay:
        found = [(str(dataset), record.ts) async for dataset, record in replay]
        assert [batch async for batch in replay.batches()] == []
    assert found == [(A, 1), (A, 2), (B, 3)]
    (asked,) = daemon.asked("replay.start")
    assert asked == m.ReplayStart(
        datasets=[A, B], start="2024-01-01", speed=10, id=replay.id, flow=True, blocks=True, skip_gaps=True
    )
    assert daemon.replays.acks[0] == b"0"
    assert daemon.replays.entries == {}
    assert (await client.replays()) == []


async def test_messages_of_a_step_are_merged(client: Client, daemon: FakeDaemon) -> None:
    """Records of several datasets that share a step come by time, then by dataset; not before all are there."""
    async with client.replay([A, B], start_paused=True) as replay:

        async def publish(number: int, dataset: int, step: str, records: list[Record]) -> None:
            subject = subjects.replay_ticks(replay.id, replay.datasets[dataset])
            headers = {subjects.NUMBER: str(number), subjects.STEP: step}
            await client.bus.publish(subject, msgspec.json.encode(records), headers)

        await publish(1, 1, "1 1/3", [trade(1), trade(5)])
        await publish(2, 0, "1 2/3", [trade(1), trade(2)])
        await publish(3, 0, "1 3/3", [trade(5), trade(9)])
        found = []
        async for batch in replay.batches():
            found.append((str(batch.dataset), [record.ts for record in batch]))
            if sum(len(times) for _, times in found) == 6:
                break
    assert found == [(A, [1]), (B, [1]), (A, [2, 5]), (B, [5]), (A, [9])]


async def test_a_step_that_is_broken_off_is_nothing(client: Client, daemon: FakeDaemon) -> None:
    """When somebody else seeks in the middle of a step, the rest of it never comes: what did isn't of the next one."""
    async with asyncio.timeout(60), client.replay([A, B], start_paused=True) as replay:
        subject = subjects.replay_ticks(replay.id, replay.datasets[0])
        for number, (step, ts) in enumerate([("1 1/2", 5), ("2 1/2", 1), ("2 2/2", 2)], 1):
            headers = {subjects.NUMBER: str(number), subjects.STEP: step}
            await client.bus.publish(subject, msgspec.json.encode([trade(ts)]), headers)
        async for batch in replay.batches():
            assert [record.ts for record in batch] == [1, 2]
            break


async def test_a_message_that_is_lost_without_a_sign_is_asked_for(client: Client, daemon: FakeDaemon) -> None:
    """A sign of life says how far the replay is, and that tells what hasn't come."""
    daemon.replays.script = [(A, [trade(1)])]
    async with asyncio.timeout(60), client.replay(A) as replay:
        async for _ in replay:
            entry = msgspec.structs.replace(daemon.replays.entries[replay.id], number=2)
            changed = m.ReplayChanged(at=1, host="fake", replay=entry)
            daemon.replays.script = ["ended"]  # comes with what is said next on the flow subject
            await client.bus.publish(subjects.replay_status(replay.id), msgspec.json.encode(changed))
    assert b"1 again" in daemon.replays.acks


async def test_an_end_before_the_end_is_an_error(client: Client, daemon: FakeDaemon) -> None:
    """Whether it failed, was stopped by somebody or expired; not when we stopped it."""
    for state in ("failed", "stopped", "expired"):
        daemon.replays.script = [(A, [trade(1)]), state]  # type: ignore[list-item]  # a state
        with pytest.raises(ReplayFailed) as failed:
            async with client.replay(A) as replay:
                async for _ in replay:
                    pass
        assert (failed.value.state, failed.value.replay_id) == (state, replay.id)
    daemon.replays.script = [(A, [trade(1)]), "stopped"]
    async with client.replay(A) as replay:
        async for _ in replay:
            await replay.stop()


async def test_a_replay_that_is_gone_is_noticed(
    client: Client, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a sign of life the daemon is asked, and when it knows of none, that is said."""
    monkeypatch.setattr(replaying, "_QUIET", 0.05)
    daemon.replays.script = [(A, [trade(1)])]
    with pytest.raises(ReplayFailed, match="gone"):
        async with client.replay(A) as replay:
            async for _ in replay:
                daemon.replays.entries.clear()


async def test_a_host_that_is_busy_is_not_gone(
    client: Client, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one that stops taken for one that has lost the replay: the iteration goes on."""
    monkeypatch.setattr(replaying, "_QUIET", 0.05)
    daemon.replays.script = [(A, [trade(1)])]

    ended: list[asyncio.Future[None]] = []
    asked = 0

    def listed(_: object) -> m.Replays:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RequestError(503, "busy", "try again")
        ended.append(asyncio.ensure_future(daemon.replays._publish(replay.id, "ended")))
        return m.Replays(host="fake", replays=[*daemon.replays.entries.values()])

    daemon.replies["replay.list"] = listed
    async with asyncio.timeout(20), client.replay(A) as replay:
        assert [record async for _, record in replay] == [trade(1)]
    await ended[0]


async def test_a_host_that_is_gone_is_noticed(
    client: Client, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nobody answers for it any more, though the bus is there."""
    monkeypatch.setattr(replaying, "_QUIET", 0.05)
    daemon.replays.script = [(A, [trade(1)])]
    with pytest.raises(ReplayFailed, match="doesn't answer"):
        async with client.replay(A) as replay:
            async for _ in replay:
                await daemon.__aexit__()


async def test_it_is_directed(client: Client, daemon: FakeDaemon) -> None:
    """Pause, resume, speed and seek are requests to its host, and what they answer is what is known of it."""
    async with client.replay([A]) as replay:
        assert (await replay.pause()).state == replay.entry.state == "paused"
        assert (await replay.resume()).state == "playing"
        assert (await replay.speed("max")).speed == 0
        assert (await replay.seek(17)).position == 17
        assert daemon.asked("replay.seek") == [m.ReplaySeek(id=replay.id, to=17)]
        assert repr(replay) == f"<Replay {replay.id} playing 0 records>"


async def test_what_was_sent_before_a_seek_is_left_out(client: Client, daemon: FakeDaemon) -> None:
    """Also the rest of the batch at hand."""
    daemon.replays.script = [(A, [trade(1), trade(2)]), (A, [trade(3)])]
    found = []
    async with client.replay(A) as replay:
        async for _, record in replay:
            found.append(record.ts)
            if record.ts == 1:
                while replay.entry.number < 2:
                    await replay.seek(0)
                for step in ((A, [trade(0)]), "ended"):
                    await daemon.replays._publish(replay.id, step)  # type: ignore[arg-type]  # a state
    assert found == [1, 0]


async def test_frames_are_of_one_data_type(client: Client, daemon: FakeDaemon) -> None:
    """Of several datasets with a column that says whose; of several data types there is none."""
    daemon.replays.script = [(A, [trade(1)]), (B, [trade(2)]), (A, [trade(3)]), "ended"]
    async with client.replay([A, B]) as replay:
        (frame,) = [frame async for frame in replay.frames()]
    assert frame.select("dataset", "TS").rows() == [(A, 1), (A, 3), (B, 2)]
    async with client.replay([A, BARS]) as replay:
        with pytest.raises(IdentityError, match="one data type"):
            await anext(replay.frames())


async def test_frames_have_nothing_of_before_a_seek(client: Client, daemon: FakeDaemon) -> None:
    """Also where nothing comes after it."""
    daemon.replays.script = [(A, [trade(1)])]
    async with asyncio.timeout(60), client.replay(A) as replay:
        frames = asyncio.ensure_future(_all(replay.frames()))
        await until(lambda: replay._receiver is not None and replay._receiver.number == 1)
        await replay.seek(5)
        await daemon.replays._publish(replay.id, "ended")
        assert await frames == []


async def _all(frames: AsyncGenerator[pl.DataFrame, None]) -> list[pl.DataFrame]:
    return [frame async for frame in frames]


async def test_what_is_refused_is_raised(client: Client, daemon: FakeDaemon) -> None:
    """And nothing is left behind; a replay that isn't started has no state."""
    daemon.replies["replay.start"] = RequestError(404, "no_dataset", "nothing is stored of it", "dataset")
    replay = client.replay(A)
    with pytest.raises(RequestError, match="nothing is stored"):
        await replay.open()
    with pytest.raises(ReplayFailed, match="isn't started"):
        _ = replay.entry
    await replay.aclose()


async def test_foreign_datasets_are_passed_over(client: Client, daemon: FakeDaemon) -> None:
    """Who publishes what isn't of the replay below its subject is not heard."""
    daemon.replays.script = [(BARS, [Bar(1, 1.0, 1.0, 1.0, 1.0, 1.0)]), (A, [trade(2)]), "ended"]
    async with client.replay(A) as replay:
        assert [record.ts async for _, record in replay] == [2]
