"""A store in a temporary folder, and rows to put there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pytest

from dccd.records import Record, Trade
from dccd.store.coverage import IntervalSet
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import BusPosition, Segment, SegmentWriter
from dccd.symbols import NS, Dataset
from tests.dccd.store.copies import Copied

DAY = 86_400 * NS
NOON = 1_700_049_600 * NS  # 2023-11-15T12:00:00Z


class Killed(BaseException):
    """Stops a writer where a kill would: no `except Exception` tidies up after it."""


class Bench:
    """What a test of the store needs: its folder, a writer, a reader, and short ways to fill it."""

    Killed = Killed
    day = "2023-11-15"
    noon = NOON

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.writer = SegmentWriter(self.layout, "test")
        self.store = Store(root)
        self.trades = Dataset.parse("binance.trades.BTC-USDT")
        self.bars = Dataset.parse("binance.ohlc.BTC-USDT.1m")
        self.book = Dataset.parse("binance.orderbook.BTC-USDT")

    def trade(self, n: int, ts: int | None = None, recv: int | None = None, price: float = 1.0) -> Trade:
        """Trade number *n*, a millisecond after the one before."""
        return Trade(NOON + n * 1_000_000 if ts is None else ts, price, 2.0, "buy", str(n), recv)

    def put(
        self,
        records: Iterable[Record],
        dataset: Dataset | None = None,
        seq: int | None = None,
        epoch: str = "e",
        writer: SegmentWriter | None = None,
        covered: list[tuple[int, int]] | None = None,
    ) -> list[Segment]:
        """Store *records* (trades by default) as one write, from the bus's message *seq* if given, with claims if
        given."""
        dataset = dataset or self.trades
        table = table_from_records(dataset.data_type, list(records))
        bus = None if seq is None else BusPosition("S", epoch, seq, seq)
        claims = None if covered is None else IntervalSet(covered)
        return (writer or self.writer).write(dataset, table, bus, covered=claims)

    def tids(self, dataset: Dataset | None = None) -> list[str]:
        """The ids of all stored trades, as read."""
        return self.store.read(dataset or self.trades)["tid"].to_list()

    def files(self) -> list[str]:
        """Every file below the root but locks, relative to it."""
        root = self.layout.root
        found = (path for path in root.rglob("*") if path.is_file() and path.name != "fold.lock")
        return sorted(str(path.relative_to(root)) for path in found)

    def base(self, frame: pl.DataFrame, dataset: Dataset | None = None, period: str | None = None) -> Path:
        """Write *frame* as a base file as another program would, without our footer."""
        path = self.layout.base_path(dataset or self.trades, period or self.day)
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def copied(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Copied:
    """A store, and a remote in memory."""
    return Copied(bench, tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture
def killed_at(bench: Bench) -> Callable[[Callable[[Callable[[str], None]], object], int], bool]:
    """Call a function with a hook that ends it, as a kill would, at its step number *n*; returns whether it came to
    that."""

    def run(work: Callable[[Callable[[str], None]], object], n: int) -> bool:
        left = n

        def step(name: str) -> None:
            nonlocal left
            if left == 0:
                raise bench.Killed(name)
            left -= 1

        try:
            work(step)
        except bench.Killed:
            return True
        return False

    return run


@pytest.fixture
def every_step() -> Callable[[Callable[[Callable[[str], None]], object]], list[str]]:
    """Call a function with a hook that notes the steps it takes; returns their names in order."""

    def note(run: Callable[[Callable[[str], None]], object]) -> list[str]:
        steps: list[str] = []
        run(steps.append)
        return steps

    return note
