"""The whole of it against real remotes: copied, compared, purged, read through, damaged, lost and brought back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dccd.errors import RemoteAway
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.remote.opening import open_remote
from dccd.store.remote.past import Past
from dccd.store.remote.verify import verify
from tests.s3 import S3Server, serving

DAY = 86_400_000_000_000


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with serving(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_a_store_lives_on_its_remote(copied: Any, kind: str, s3: S3Server, tmp_path_factory: Any) -> None:
    """Three days of trades and a gap in the middle of one, on an S3 server and in a folder: rows and coverage are the
    same to a reader whether they are here, purged, or restored."""
    bench, days = copied.bench, ["2023-11-15", "2023-11-16", "2023-11-17"]
    place = tmp_path_factory.mktemp("place")
    copied.remote = (
        open_remote("s3", "s3://data/cycle", s3.options) if kind == "s3" else open_remote("folder", place.as_uri())
    )
    for day in range(3):
        at = bench.noon + day * DAY
        bench.put(
            [bench.trade(n, at + n * 1_000_000) for n in range(day * 10, day * 10 + 5)], covered=[(at, at + DAY // 4)]
        )
    tids = copied.tids()
    assert copied.sync().files == 3
    bench.put([bench.trade(n, bench.noon + n * 1_000_000) for n in range(5, 10)])
    copied.fold()
    result = copied.sync()
    assert (result.files, result.removed) == (1, 1)
    tids = copied.tids()
    coverage = bench.store.coverage(bench.trades)
    assert verify(copied.layout, copied.remote, copied.host).different == ()
    for day in days[:2]:
        assert copied.purge(day) is None
    assert copied.tids() == tids[-5:]
    assert copied.tids(past=True) == tids
    assert bench.store.coverage(bench.trades).fraction < coverage.fraction
    copied.restore()
    assert copied.tids(copied.elsewhere) == tids
    assert Store(copied.elsewhere).coverage(bench.trades) == coverage
    copied.restore(copied.layout)
    assert copied.tids() == tids
    assert bench.store.coverage(bench.trades) == coverage


def test_a_server_that_is_away_is_an_error_to_readers(copied: Any, s3: S3Server) -> None:
    """And what they have asked for before is still there."""
    bench = copied.bench
    copied.remote = open_remote("s3", "s3://data/away", s3.options)
    for day in range(2):
        bench.put([bench.trade(day, bench.noon + day * DAY)])
    copied.sync()
    for day in ("2023-11-15", "2023-11-16"):
        assert copied.purge(day) is None
    store = Store(copied.layout, copied.past())
    assert store.read(bench.trades, end=bench.noon + 1)["tid"].to_list() == ["0"]
    s3.stop()
    try:
        assert store.read(bench.trades, end=bench.noon + 1)["tid"].to_list() == ["0"]
        with pytest.raises(RemoteAway, match="2023-11-16 was purged here"):
            store.read(bench.trades)
    finally:
        s3.start()
    assert store.read(bench.trades)["tid"].to_list() == ["0", "1"]


def test_what_is_on_a_remote_is_plain_parquet(copied: Any, s3: S3Server, tmp_path: Path) -> None:
    """Who has the bucket reads the bases without dccd."""
    import polars as pl

    copied.remote = open_remote("s3", "s3://data/plain", s3.options)
    copied.put(1, 2)
    copied.fold()
    copied.sync()
    files = sorted((s3.root / "data" / "plain" / "alpha" / "binance").rglob("*.parquet"))
    assert pl.read_parquet(files)["tid"].to_list() == ["1", "2"]
    assert isinstance(Past(Layout(tmp_path), [], "alpha", 0).periods(copied.bench.trades), list)
