"""Tests of what is copied to a remote: as little as there is new, and whole whatever is killed."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from dccd.errors import RemoteAway, RemoteTaken, Stopped, StoreLocked
from dccd.store.claims import NoteBook
from dccd.store.remote.base import waiting
from dccd.store.remote.fake import FakeRemote
from dccd.store.remote.manifest import Manifest, manifest_key
from dccd.store.remote.sync import Progress, sync, using


def puts(remote: FakeRemote) -> int:
    """How many objects with rows were uploaded so far."""
    return sum(call.startswith("put") and call.endswith(".parquet") for call in remote.calls)


def test_what_is_copied_reads_as_the_store_does(copied: Any) -> None:
    """Base, segments and notes: a store restored from them has the same rows and the same coverage."""
    copied.put(1, 2, covered=[(0, copied.bench.noon + 5_000_000)])
    copied.fold()
    copied.put(2, 3)
    NoteBook(copied.layout, "alpha").add(copied.bench.trades, empty=[(5, 10)])
    assert copied.sync().files == 2
    copied.restore()
    assert copied.tids(copied.elsewhere) == copied.tids() == ["1", "2", "3"]
    coverage = copied.bench.store.coverage(copied.bench.trades)
    assert type(copied.bench.store)(copied.elsewhere).coverage(copied.bench.trades) == coverage


def test_a_sync_of_nothing_new_moves_nothing(copied: Any) -> None:
    """It costs a listing here, and a look at whose the files are there."""
    copied.put(1)
    copied.sync()
    copied.remote.calls.clear()
    assert copied.sync().files == 0
    assert copied.remote.calls == ["read alpha/.dccd/owner.json"]


def test_only_what_is_new_is_uploaded(copied: Any) -> None:
    """A segment beside one that is there, and after a fold the base that holds both, which replaces them."""
    copied.put(1)
    copied.sync()
    copied.put(2)
    assert copied.sync().files == 1
    assert len(copied.data()) == 2
    copied.fold()
    result = copied.sync()
    assert (result.files, result.removed) == (1, 2)
    assert len(copied.data()) == 1
    assert "alpha/binance/trades/BTC-USDT/2023-11-15." in copied.data()[0]


def test_what_a_lost_memory_forgets_is_not_uploaded_again(copied: Any) -> None:
    """Without the marks of what was copied all is compared by hash; a file that was only touched is the same."""
    copied.put(1)
    copied.fold()
    copied.sync()
    for path in (copied.layout.root / ".dccd" / "remotes").glob("*.msgpack"):
        path.unlink()
    assert copied.sync().files == 0
    base = copied.layout.base_path(copied.bench.trades, copied.bench.day)
    base.touch()
    assert copied.sync().files == 0


def test_every_kill_leaves_what_can_be_restored(
    copied: Any, killed_at: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A kill at each step of a sync that replaces segments by a base: what is restored then has all rows of one of
    the two states, and the next sync brings it to the newer one."""
    copied.put(1)
    copied.put(2)
    copied.sync()
    before = dict(copied.remote.objects)
    copied.put(3)
    copied.fold()
    copied.put(4)
    memory = copied.layout.root / ".dccd" / "remotes"
    kept = {path.name: path.read_bytes() for path in memory.iterdir() if path.is_file()}
    states, n = set(), 0
    while killed_at(lambda step: copied.sync(step=step), n):
        for again in (False, True):
            if again:
                copied.sync()
            copied.elsewhere = type(copied.layout)(tmp_path_factory.mktemp("elsewhere"))
            copied.restore()
            found = tuple(copied.tids(copied.elsewhere))
            assert found == ("1", "2", "3", "4") if again else found in (("1", "2"), ("1", "2", "3", "4"))
            states.add(found)
        copied.remote.objects = dict(before)
        for name, content in kept.items():
            (memory / name).write_bytes(content)
        n += 1
    assert n >= 6
    assert len(states) == 2


def test_calls_that_fail_midway_leave_what_can_be_restored(
    copied: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The remote goes away for good at its call number n, whichever that is: what is there is whole."""
    copied.put(1)
    copied.fold()
    copied.sync()
    before = dict(copied.remote.objects)
    copied.put(2)
    copied.fold()
    copied.put(3)
    n = 0
    while True:
        left = n

        def step(name: str) -> None:
            nonlocal left
            left -= 1
            copied.remote.away = 1 if left < 0 else 0

        copied.remote.objects, copied.remote.step = dict(before), step
        for path in (copied.layout.root / ".dccd" / "remotes").glob("*.msgpack"):
            path.unlink()
        try:
            copied.sync()
            break
        except RemoteAway:
            copied.remote.step, copied.remote.away = lambda name: None, 0
            copied.elsewhere = type(copied.layout)(tmp_path_factory.mktemp("elsewhere"))
            copied.restore()
            assert copied.tids(copied.elsewhere) in (["1"], ["1", "2", "3"])
        n += 1
    assert n >= 5


def test_a_remote_that_comes_back_is_tried_again(copied: Any) -> None:
    """Some calls that fail in between cost a pause each, no more."""
    copied.put(1)
    copied.remote.away = 3
    told: list[Progress] = []
    assert copied.sync(tell=told.append).files == 1
    assert told[-1].bytes == told[-1].all_bytes > 0


def test_a_file_that_was_removed_by_hand_stays_on_the_remote(copied: Any) -> None:
    """A new base of other rows doesn't stand for it: both are there, and restored."""
    copied.put(1, 2, 3)
    copied.fold()
    copied.sync()
    copied.layout.base_path(copied.bench.trades, copied.bench.day).unlink()
    copied.put(9)
    copied.fold()
    copied.sync()
    assert len(copied.data()) == 2
    copied.restore()
    assert copied.tids(copied.elsewhere) == ["1", "2", "3", "9"]


def test_a_corrupt_file_is_told_and_keeps_nothing_else_back(copied: Any) -> None:
    """The other dataset is copied, the remote's older copy stays."""
    copied.put(1)
    copied.fold()
    copied.sync()
    base = copied.layout.base_path(copied.bench.trades, copied.bench.day)
    base.write_bytes(base.read_bytes()[:-20])
    copied.bench.put([copied.bench.trade(1)], dataset=type(copied.bench.trades).parse("kraken.trades.BTC-USD"))
    result = copied.sync()
    assert result.files == 1
    assert str(base) in result.problems[0]
    assert len(copied.data()) == 2


def test_two_hosts_share_a_remote(copied: Any) -> None:
    """Each has a folder of its own."""
    copied.put(1)
    copied.sync()
    sync(copied.layout, copied.remote, "beta", wait=lambda seconds: None)
    assert [key.partition("/")[0] for key in copied.data()] == ["alpha", "beta"]


def test_another_store_of_the_same_name_is_refused(copied: Any, bench: Any) -> None:
    """Until it is told to go on there; then the files that it hasn't got stay."""
    copied.put(1)
    copied.sync()
    other = type(copied)(bench, copied.elsewhere.root)
    other.layout, other.remote = copied.elsewhere, copied.remote
    with pytest.raises(RemoteTaken, match=r"alpha/: give this one another settings\.host .* --adopt"):
        other.sync()
    assert other.sync(adopt=True).files == 0
    assert len(copied.data()) == 1
    with pytest.raises(RemoteTaken):
        copied.sync()


def test_a_wiped_remote_is_filled_again(copied: Any) -> None:
    """Whose files these are is gone with them: all is copied anew."""
    copied.put(1)
    copied.sync()
    copied.remote.objects.clear()
    assert copied.sync().files == 1


def test_two_runs_do_not_sync_at_once(copied: Any) -> None:
    """The second waits for the first; when that goes on for minutes it says so."""
    copied.put(1)
    first = using(copied.layout, copied.remote, waiting())
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 5:
            first.__exit__(None, None, None)

    first.__enter__()
    assert sync(copied.layout, copied.remote, "alpha", wait=wait).files == 1
    assert sum(waited) == 5.0
    held = using(copied.layout, copied.remote, waiting())
    with held, pytest.raises(StoreLocked, match="another run works on remote fake"):
        sync(copied.layout, copied.remote, "alpha", wait=waited.append)
    assert sum(waited) >= 300.0


def test_a_stop_ends_it_in_the_middle(copied: Any) -> None:
    """While it waits for a remote that is away, too; what was uploaded stays."""
    copied.put(1)
    stop = threading.Event()
    copied.remote.away = 1000
    copied.remote.step = lambda name: stop.set()
    with pytest.raises(Stopped):
        sync(copied.layout, copied.remote, "alpha", wait=waiting(stop))


def test_a_year_of_days_has_one_manifest(copied: Any) -> None:
    """And another year another: a sync rewrites what it must."""
    day = 86_400_000_000_000
    for days in (0, 1, 400):
        copied.bench.put([copied.bench.trade(days, copied.bench.noon + days * day)])
    copied.sync()
    text = copied.remote.objects[manifest_key("alpha", copied.bench.trades, "2023")]
    found = msgspec.json.decode(text, type=Manifest)
    assert [entry.period for entry in found.files] == ["2023-11-15", "2023-11-16"]
    assert manifest_key("alpha", copied.bench.trades, "2024") in copied.remote.objects


def test_each_state_of_a_remote_is_one_that_the_store_was_in(copied: Any, tmp_path_factory: Any) -> None:
    """Trades are written and folded while syncs go on: whenever the remote is looked at, what is restored from it are
    all trades up to one of them."""
    states: list[dict[str, bytes]] = []
    done = threading.Event()

    def write() -> None:
        try:
            for n in range(60):
                copied.put(n)
                if n % 7 == 0:
                    with suppress(StoreLocked):  # a sync looks at it just then
                        copied.fold()
        finally:
            done.set()

    copied.remote.step = lambda name: states.append(dict(copied.remote.objects))
    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        copied.sync()
    writer.join()
    copied.sync()
    copied.remote.step = lambda name: None
    states = [state for state in states if any("manifests" in key for key in state)]
    lengths = []
    for state in [*states[:: len(states) // 40 + 1], dict(copied.remote.objects)]:
        copied.remote.objects = state
        copied.elsewhere = type(copied.layout)(tmp_path_factory.mktemp("elsewhere"))
        copied.restore()
        found = [int(tid) for tid in copied.tids(copied.elsewhere)]
        assert found == list(range(len(found)))
        lengths.append(len(found))
    assert lengths == sorted(lengths)
    assert lengths[-1] == 60
    assert len(set(lengths)) > 2
