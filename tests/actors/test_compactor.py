"""When segments are folded: at an interval, and what has no base yet when the daemon stops."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import polars as pl
import pytest

from actors.compactor import Compactor
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from actors.tally import Tally
from dccd.config import Config, StorageConfig
from dccd.records import Trade
from dccd.store.layout import Layout
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import Dataset

pytestmark = pytest.mark.anyio

DATASET = Dataset.parse("binance.trades.BTC-USDT")
BASE = "binance/trades/BTC-USDT/2023-11-15.parquet"
TS = 1_700_006_400_000_000_000


class Desk(SimpleNamespace):
    """What a compactor takes of the daemon's shared names; ``changed`` is set when it says that files are new."""

    def __init__(self, root: Path) -> None:
        config = Config(storage=StorageConfig(fold_interval=60))
        super().__init__(config=config, layout=Layout(root), changed=anyio.Event(), tally=Tally())

    def stored(self, dataset: Dataset) -> None:
        assert dataset == DATASET
        self.changed.set()

    def put(self, number: int) -> None:
        trade = Trade(ts=TS + number, price=1.0, amount=1.0, side="buy", tid=str(number))
        SegmentWriter(self.layout, f"w{number}").write(DATASET, table_from_records(DATASET.data_type, [trade]))

    def in_base(self) -> list[str]:
        path = self.layout.root / BASE
        return pl.read_parquet(path)["tid"].to_list() if path.exists() else []


async def test_what_is_due_is_folded_at_an_interval(tmp_path: Path) -> None:
    """Not before it, and then without anybody asking."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    async with open_root(Compactor(desk), clock=clock):
        desk.put(1)
        await clock.advance(59)
        assert desk.in_base() == []
        await clock.advance(1)
        with anyio.fail_after(10):
            await desk.changed.wait()
        assert (desk.tally.folds, desk.tally.fold_rows) == (1, 1)
        assert desk.tally.fold_bytes > 0
        assert desk.in_base() == ["1"]


async def test_a_stop_makes_the_first_base(tmp_path: Path) -> None:
    """A backfill that has just ended can be read as plain Parquet when the daemon is gone."""
    desk: Any = Desk(tmp_path)
    async with open_root(Compactor(desk), clock=FakeClock()):
        desk.put(1)
    assert desk.in_base() == ["1"]


async def test_a_stop_rewrites_no_base(tmp_path: Path) -> None:
    """That may take long, and nobody misses it: the segments stay."""
    desk: Any = Desk(tmp_path)
    for number in range(20):
        async with open_root(Compactor(desk), clock=FakeClock()):
            desk.put(number)
    assert desk.in_base() == ["0"]
