"""Tests of what a look at the copies finds, and of what is mended."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.errors import RemoteDamaged
from dccd.store.remote.sync import Progress
from dccd.store.remote.verify import Verified, verify


def look(copied: Any, **options: Any) -> Verified:
    return verify(copied.layout, copied.remote, copied.host, wait=lambda seconds: None, **options)


def test_a_whole_copy_is_read_and_found_so(copied: Any) -> None:
    """Every byte of it."""
    copied.put(1)
    copied.fold()
    copied.put(2)
    copied.sync()
    told: list[Progress] = []
    found = look(copied, tell=told.append)
    size = sum(len(copied.remote.objects[key]) for key in copied.data())
    assert found == Verified(files=2, bytes=size)
    assert told[-1].bytes == told[-1].all_bytes == size


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda whole: None, "it isn't there"),
        (lambda whole: whole[:-1], "where its manifest says"),
        (lambda whole: whole[:-1] + b"?", "the hash differs"),
    ],
)
def test_what_differs_is_named_and_copied_anew(copied: Any, harm: Any, why: str) -> None:
    """A sync alone believes the manifest; once it is mended, what the store has is uploaded again."""
    copied.put(1)
    copied.sync()
    (key,) = copied.data()
    harmed = harm(copied.remote.objects.pop(key))
    if harmed is not None:
        copied.remote.objects[key] = harmed
    (different,) = look(copied).different
    assert (different.dataset, different.period, different.key) == (copied.bench.trades.name, copied.bench.day, key)
    assert why in different.why and not different.mended
    assert copied.sync().files == 0
    (mended,) = look(copied, mend=True).different
    assert mended.mended
    assert copied.sync().files == 1
    assert look(copied).different == ()


def test_what_no_manifest_names_is_counted_and_removed(copied: Any) -> None:
    """As of a sync that was killed between its uploads and the manifest."""
    copied.put(1)
    copied.sync()
    copied.remote.objects["alpha/binance/trades/BTC-USDT/2023-11-15.0123456789abcdef.parquet"] = b"x"
    assert look(copied).loose == 1
    assert look(copied, mend=True).loose == 1
    assert look(copied).loose == 0
    copied.restore()
    assert copied.tids(copied.elsewhere) == ["1"]


def test_a_manifest_that_is_none_is_an_error(copied: Any) -> None:
    """Nothing is taken for all there is."""
    copied.put(1)
    copied.sync()
    key = "alpha/.dccd/manifests/binance.trades.BTC-USDT/2023.json"
    copied.remote.objects[key] = copied.remote.objects[key][:-5]
    with pytest.raises(RemoteDamaged, match=r"2023\.json: not a manifest"):
        look(copied)
    copied.remote.objects[key] = b'{"dataset": "binance.trades.BTC-USDT", "written_at": 1, "version": 2}'
    with pytest.raises(RemoteDamaged, match="written by a newer dccd"):
        look(copied)
