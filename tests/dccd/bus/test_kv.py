"""Entries by key, and the newest of many."""

from __future__ import annotations

import asyncio

import pytest

from dccd.bus.kv import Bucket
from dccd.bus.streams import ensure_bucket
from dccd.errors import BusError, BusUnavailable, Conflict
from tests.dccd.bus.not_now import NotNow

pytestmark = pytest.mark.anyio


async def fill(bucket: Bucket, keys: list[str]) -> None:
    """Put each of *keys*, in order, with its own name as value: pipelined, one answer for all."""
    client = bucket._bus.client
    for number, key in enumerate(keys):
        await client.publish(f"$KV.{bucket.name}.{key}", key.encode())
        if number % 500 == 499:
            await bucket.put("last", b"")
    await bucket.delete("last")


async def test_get_put_update_delete(bucket: Bucket) -> None:
    """A value is read as it was written, with the revision that an update needs."""
    assert await bucket.get("a.b") is None
    first = await bucket.put("a.b", b"1")
    assert await bucket.get("a.b") == (b"1", first)
    second = await bucket.update("a.b", b"2", first)
    assert await bucket.get("a.b") == (b"2", second)
    await bucket.delete("a.b")
    assert await bucket.get("a.b") is None
    await bucket.delete("never.there")


async def test_conflicts(bucket: Bucket) -> None:
    """An update of an old revision, and a create of what exists, raise Conflict and change nothing."""
    first = await bucket.create("a", b"1")
    await bucket.put("a", b"2")
    with pytest.raises(Conflict):
        await bucket.update("a", b"3", first)
    with pytest.raises(Conflict):
        await bucket.create("a", b"3")
    with pytest.raises(Conflict):
        await bucket.delete("a", first)
    found = await bucket.get("a")
    assert found is not None and found[0] == b"2"
    await bucket.delete("a", found[1])
    await bucket.create("a", b"4")
    assert await bucket.get("a") is not None


async def test_only_one_of_many_creates_wins(bucket: Bucket) -> None:
    """Of creates of one key at the same time exactly one succeeds."""
    results = await asyncio.gather(
        *(bucket.create("a", b"%d" % number) for number in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 49


@pytest.mark.parametrize("key", ["", "a b", "a..b", ".a", "a.", "a:b", "a*", ">", "é"])
async def test_what_is_no_key(bucket: Bucket, key: str) -> None:
    """A key that NATS wouldn't take is refused before it is sent."""
    with pytest.raises(BusError, match="no key"):
        await bucket.put(key, b"")


async def test_find_by_prefix(bucket: Bucket) -> None:
    """A run is found by its id alone, and not another whose id begins alike."""
    await fill(bucket, [f"r{number}.backfill.binance.ohlc.X.1m" for number in range(3000)])
    before = bucket.entries_read
    (entry,) = await bucket.find("r12")
    assert entry.key == "r12.backfill.binance.ohlc.X.1m" and entry.value == entry.key.encode()
    assert bucket.entries_read - before == 1
    assert await bucket.find("r99999") == []
    assert len(await bucket.all()) == 3000


async def test_newest_of_many(bucket: Bucket) -> None:
    """The newest 50 of 20,000 come in order, also with a filter, paged, and read about as many as they return."""
    kinds = ["stream.binance.trades.BTC-USDT", "backfill.binance.ohlc.BTC-USDT.1m", "backfill.kraken.trades.BTC-USD"]
    keys = [f"{number:06}.{kinds[number % 3]}" for number in range(20_000)]
    await fill(bucket, keys)

    before = bucket.entries_read
    page = await bucket.newest(50)
    assert [entry.key for entry in page] == keys[:-51:-1]
    assert bucket.entries_read - before < 250
    older = await bucket.newest(50, before=page[-1].revision)
    assert [entry.key for entry in older] == keys[-51:-101:-1]

    before = bucket.entries_read
    wanted = [key for key in reversed(keys) if key.endswith(kinds[2])]
    assert [entry.key for entry in await bucket.newest(40, f"*.{kinds[2]}")] == wanted[:40]
    assert [entry.key for entry in await bucket.newest(10, "*.backfill.kraken.>")] == wanted[:10]
    assert bucket.entries_read - before < 250


async def test_newest_of_a_bucket_that_is_written_again_and_again(bucket: Bucket) -> None:
    """Few entries among many revisions are found in few steps, and each once."""
    await fill(bucket, [f"k{number}" for number in range(40)])
    for _ in range(50):
        await fill(bucket, ["k3"] * 100)
    before = bucket.entries_read
    assert [entry.key for entry in await bucket.newest(5)] == ["k3", "k39", "k38", "k37", "k36"]
    assert bucket.entries_read - before < 150


async def test_newest_where_matches_are_far_back_and_dense(bucket: Bucket) -> None:
    """Matches that are all at the beginning are found without reading all of them."""
    keys = [f"{number:06}.old.x" for number in range(6000)] + [f"{number:06}.new.x" for number in range(6000, 12_000)]
    await fill(bucket, keys)
    before = bucket.entries_read
    assert [entry.key for entry in await bucket.newest(20, "*.old.>")] == keys[5999:5979:-1]
    assert bucket.entries_read - before < 150
    assert await bucket.newest(5, "*.never.>") == []
    assert len(await bucket.newest(20_000, "*.old.>")) == 6000


async def test_newest_after_updates_and_deletions(bucket: Bucket) -> None:
    """An entry appears once, where it was written last; a deleted one not at all."""
    for number in range(30):
        await bucket.put(f"k{number}", b"")
    for number in range(0, 30, 3):
        await bucket.put(f"k{number}", b"again")
    for number in range(1, 30, 3):
        await bucket.delete(f"k{number}")
    expected = [f"k{number}" for number in range(27, -1, -3)] + [f"k{number}" for number in range(29, 1, -3)]
    assert [entry.key for entry in await bucket.newest(100)] == expected
    assert [entry.key for entry in await bucket.newest(12)] == expected[:12]


async def test_newest_while_entries_change(bucket: Bucket) -> None:
    """A list that is read while its entries are written again has each of them, and once."""
    await bucket.put("rare.one", b"0")
    for number in range(99):
        await bucket.put(f"k{number}", b"0")

    async def change() -> None:
        for _ in range(40):
            await bucket.put("rare.one", b"1")
            for number in range(0, 99, 7):
                await bucket.put(f"k{number}", b"1")

    changing = asyncio.create_task(change())
    while not changing.done():
        keys = [entry.key for entry in await bucket.newest(1000)]
        assert len(keys) == len(set(keys)) == 100
        found = await bucket.newest(10, "*.*") + await bucket.newest(3, "rare.*")
        assert [entry.key for entry in found] == ["rare.one"] * 2
    await changing
    assert len(await bucket.newest(1000)) == 100


@pytest.mark.parametrize(
    ("filter", "key", "fits"),
    [
        (">", "a", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("*.b", "a.c", False),
        ("*.*.*.*.>", "active.run", False),
        ("*.*.*.*.>", "run.backfill.binance.ohlc.X.1m", True),
        ("*.*.*.*.>", "run.backfill.binance.ohlc", False),
        ("a.b", "a.b", True),
    ],
)
async def test_filters_mean_here_what_they_mean_to_the_server(
    bucket: Bucket, filter: str, key: str, fits: bool
) -> None:
    """An entry is listed if and only if the server too would say that its key matches."""
    await bucket.put(key, b"")
    assert [entry.key for entry in await bucket.newest(1, filter)] == [key] * fits
    found = await bucket._between(1, 1, f"$KV.{bucket.name}.{filter}")
    assert bool(found) == fits


async def test_other_clients_see_a_bucket(bucket: Bucket) -> None:
    """nats-py's own KV reads and writes the same entries."""
    revision = await bucket.put("run1.backfill", b"{}")
    theirs = await bucket._bus.jetstream.key_value(bucket.name)
    entry = await theirs.get("run1.backfill")
    assert (entry.value, entry.revision) == (b"{}", revision)
    await theirs.put("run2.backfill", b"{}")
    assert [entry.key for entry in await bucket.newest(1)] == ["run2.backfill"]
    await theirs.delete("run2.backfill")
    assert await bucket.get("run2.backfill") is None


async def test_nats_command_sees_a_bucket(nats_command, bucket: Bucket) -> None:
    """`nats kv get` and `nats kv ls` work on it."""
    await bucket.put("run1.backfill", b'{"state": "running"}')
    assert (await nats_command("kv", "get", bucket.name, "run1.backfill", "--raw")).strip() == '{"state": "running"}'
    assert "run1.backfill" in await nats_command("kv", "ls", bucket.name)


async def test_a_bucket_that_can_not_now(refusing: NotNow) -> None:
    """Whatever is asked of it, it is the bus that is away: neither a conflict, nor a key that isn't there."""
    await ensure_bucket(refusing, "b")
    bucket = Bucket(refusing, "b")
    revision = await bucket.put("a", b"1")
    for refuses, asked in (
        (r"^\$KV", lambda: bucket.put("a", b"2")),
        (r"^\$KV", lambda: bucket.create("c", b"2")),
        (r"^\$KV", lambda: bucket.update("a", b"2", revision)),
        (r"^\$KV", lambda: bucket.delete("a")),
        ("STREAM.PURGE", lambda: bucket.remove("a")),
        ("STREAM.INFO", lambda: bucket.newest(1)),
    ):
        refusing.refuses = refuses
        with pytest.raises(BusUnavailable):
            await asked()
    refusing.refuses = None
    assert await bucket.get("a") == (b"1", revision)
