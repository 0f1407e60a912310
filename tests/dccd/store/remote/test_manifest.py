"""What of a remote stays when the store has moved on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dccd.store.coverage import Notes
from dccd.store.layout import period_bounds
from dccd.store.remote.manifest import Entry, Manifest, entry_key, manifest_key, outlived
from dccd.store.remote.sync import next_manifest
from dccd.symbols import Dataset

BARS = Dataset.parse("binance.ohlc.BTC-USDT.1m")
BASE = Entry(
    period="2023", name="2023", level=None, key="old", size=1, sha256="a", rows=10, first_ts=100, last_ts=200,
    verified=((100, 150),), unverified=((150, 201),),
)  # fmt: skip
SEGMENT = msgspec.structs.replace(BASE, name="s", level=0, key="segment", rows=10)


def fresh(**changes: Any) -> Entry:
    """A base like the old one, of other content."""
    return msgspec.structs.replace(BASE, key="new", **changes)


@pytest.mark.parametrize(
    ("now", "goes"),
    [
        ([fresh()], True),
        ([fresh(rows=50, first_ts=1, last_ts=900, verified=((0, 901),))], True),
        # What nobody vouched for may have been found complete since; not the other way round.
        ([fresh(verified=((100, 201),), unverified=())], True),
        ([fresh(verified=(), unverified=((100, 201),))], False),
        ([fresh(rows=9)], False),
        ([fresh(first_ts=101)], False),
        ([fresh(last_ts=199)], False),
        ([fresh(unverified=())], False),
        ([], False),
        # Segments alone aren't what a fold makes of a base.
        ([msgspec.structs.replace(SEGMENT, key="other")], False),
    ],
)
def test_a_base_goes_when_another_stands_for_it(now: list[Entry], goes: bool) -> None:
    """It claims as much, reaches as far, has as many rows."""
    kept, gone = outlived([BASE], now, Notes())
    assert (kept, gone) == (([], [BASE]) if goes else ([BASE], []))


def test_a_segment_goes_with_fewer_rows() -> None:
    """Those that were there twice are once in the base."""
    assert outlived([SEGMENT], [fresh(rows=3)], Notes()) == ([], [SEGMENT])


def test_what_is_there_is_neither() -> None:
    """The manifest names it anew."""
    assert outlived([BASE], [BASE], Notes()) == ([], [])


def test_nothing_goes_of_what_was_purged() -> None:
    """What came since may claim what it likes: it was written without the rows of before."""
    start, _ = period_bounds("2023")
    notes = Notes(purged=((start + 5, start + 6),))
    assert outlived([BASE], [fresh()], notes) == ([BASE], [])
    assert outlived([BASE], [fresh()], Notes(purged=((5, 6),))) == ([], [BASE])


def test_a_manifest_changes_where_the_store_did() -> None:
    """Other periods stay as they are, also those that aren't here any more."""
    other = msgspec.structs.replace(BASE, period="2022", key="other")
    found, gone = next_manifest(Manifest(BARS.name, 1, (other, BASE)), {"2023": [fresh()]}, Notes(), 2)
    assert found == Manifest(BARS.name, 2, (other, fresh()))
    assert gone == [BASE]


def test_keys_tell_content_apart() -> None:
    """A base is rewritten under the same name, a segment never is."""
    keys = {entry_key("alpha", BARS, "2023", level, "n", sha * 64) for level in (None, 1) for sha in "ab"}
    assert keys == {
        "alpha/binance/ohlc/BTC-USDT/1m/2023.aaaaaaaaaaaaaaaa.parquet",
        "alpha/binance/ohlc/BTC-USDT/1m/2023.bbbbbbbbbbbbbbbb.parquet",
        "alpha/.dccd/segments/binance.ohlc.BTC-USDT.1m/2023/n.parquet",
    }
    assert manifest_key("alpha", BARS, "2023") == "alpha/.dccd/manifests/binance.ohlc.BTC-USDT.1m/2023.json"
