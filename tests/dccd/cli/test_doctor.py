"""``dccd doctor``: by a daemon or in the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from dccd.client.fake import FakeDaemon
from dccd.messages import Doctor

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A day of trades, and one whose end is missing."""
    folder = tmp_path / "store" / "binance" / "trades" / "BTC-USDT"
    folder.mkdir(parents=True)
    noon = 1_704_110_400_000_000_000
    frame = pl.DataFrame({"TS": [noon, noon + 1], "price": [1.0, 2.0], "amount": [1.0, 1.0]})
    frame.write_parquet(folder / "2024-01-01.parquet")
    whole = (folder / "2024-01-01.parquet").read_bytes()
    (folder / "2024-01-02.parquet").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "store"


async def test_files_are_looked_at_without_a_daemon(dccd: Command, stored: Path) -> None:
    """The damaged one is named, with what to do; set aside, all is well."""
    done = await dccd("doctor", "--data-path", str(stored))
    assert done.code == 1
    assert done.out.splitlines()[0].startswith(
        "damaged: binance/trades/BTC-USDT/2024-01-02.parquet, rows of 2024-01-02"
    )
    assert "2 files read" in done.err
    assert "--set-aside" in done.err
    done = await dccd("doctor", "--data-path", str(stored), "--set-aside")
    assert (done.code, "set aside as .dccd/damaged/binance.trades.BTC-USDT/2024-01-02/" in done.out) == (0, True)
    done = await dccd("doctor", "--data-path", str(stored))
    assert (done.code, done.out, "1 files read" in done.err) == (0, "", True)


async def test_findings_as_json(dccd: Command, stored: Path) -> None:
    """A line a finding."""
    done = await dccd("doctor", "--data-path", str(stored), "--json")
    (line,) = map(json.loads, done.out.splitlines())
    assert (line["what"], line["dataset"], done.code) == ("damaged", "binance.trades.BTC-USDT", 1)


async def test_a_daemon_is_asked(dccd: Command, daemon: FakeDaemon) -> None:
    """The request says what was meant."""
    done = await dccd("doctor", "binance", "--set-aside")
    assert (done.code, "3 files read, 9 B: all is well" in done.err) == (0, True)
    assert daemon.asked("doctor") == [Doctor(dataset="binance", set_aside=True)]
