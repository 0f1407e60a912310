"""A data_path of each older release: what is said is what is done, and each row is there afterwards as it was."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import IdentityError, OldFile, StoreLocked
from dccd.records import Trade
from dccd.store.files import locked
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.old.commit import staging_root
from dccd.store.old.migrate import FileReport, Migration, Options
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

NEW_YEAR, DAY = 1_704_067_200 * NS, 1_709_251_200 * NS


def migrate(root: Path, **options: Any) -> dict[str, FileReport]:
    """Migrate, after the plan said exactly what is going to happen."""
    asked = Options(**options)
    before = snapshot(root)
    planned = list(Migration(Layout(root), asked).plan())
    assert snapshot(root) == before
    done = list(Migration(Layout(root), asked).perform())
    assert [msgspec.structs.replace(report, aside=None) for report in done] == planned
    return {report.path: report for report in done}


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def read(root: Path, name: str) -> pl.DataFrame:
    return Store(root).read(Dataset.parse(name))


def test_dccd_3_works_as_it_is(old: Callable[[str], Path]) -> None:
    """Before any migration its files are read, added to and folded, and no row is lost or changed."""
    root = old("dccd3")
    layout, store = Layout(root), Store(root)
    here = [dataset for dataset in store.datasets() if "600s" not in dataset.name]
    assert len(here) == 5
    before = {dataset: store.read(dataset) for dataset in here}
    theirs = {d: pl.concat(pl.read_parquet(f) for f in sorted(layout.folder(d).glob("*.parquet"))) for d in here}
    for dataset, rows in before.items():
        assert rows.select(theirs[dataset].columns).equals(theirs[dataset].sort("TS", maintain_order=True))
    dataset = Dataset.parse("binance.trades.BTC-USDT")
    more = table_from_records(dataset.data_type, [Trade(DAY + 9 * NS, 1.0, 2.0, "buy", "9999")])
    SegmentWriter(layout, "test").write(dataset, more)
    for one in here:
        for period in layout.periods(one):
            fold(layout, one, period, force=True)
    after = {one: Store(root).read(one) for one in here}
    assert after[dataset].height == before[dataset].height + 1
    for one in here:
        assert after[one].filter(pl.col("TS") != DAY + 9 * NS).equals(before[one])


def test_dccd_3(old: Callable[[str], Path]) -> None:
    """What is spelt otherwise is brought to its place; the rest is read as it is."""
    root = old("dccd3")
    reports = migrate(root)
    assert Counter(report.action for report in reports.values()) == {"keep": 7, "migrate": 3, "refuse": 1, "ignore": 1}
    assert read(root, "kraken.ohlc.ETH-USD.10m").height == 12
    assert (root / "kraken/ohlc/ETH-USD/10m/2024.parquet").exists()
    assert not (root / "kraken/ohlc/ETH-USD/600s").exists()
    hours = reports["binance/open_interest/BTC-USDT_PERP/1h/2024.parquet"]
    assert (hours.rows, hours.new, hours.same, hours.conflicts) == (4, 1, 2, 1)
    interest = read(root, "binance.open_interest.BTC-USDT_PERP")
    assert interest.height == 26
    assert interest.filter(TS=DAY + 2 * 3600 * NS)["open_interest"].to_list() == [5024.0]
    assert hours.aside is not None and (root / hours.aside).exists()


def test_dccd_2(old: Callable[[str], Path]) -> None:
    """Seconds, other names, numbers for text: before, the files are refused, since their times would be of 1970."""
    root = old("dccd2")
    with pytest.raises(OldFile, match="dccd migrate"):
        read(root, "binance.ohlc.BTC-USDT.1h")
    reports = migrate(root)
    assert read(root, "binance.ohlc.BTC-USDT.1h")["TS"].to_list() == [NEW_YEAR + i * 3600 * NS for i in range(-4, 8)]
    bars = read(root, "kraken.ohlc.BTC-EUR.1m")
    assert bars["weightedAverage"].to_list() == [50.7, 51.7, 52.7, 53.7, 54.7]
    assert reports["kraken/ohlc/XBT-EUR/1m/2024.parquet"].left == 2
    trades = read(root, "binance.trades.BTC-USDT")
    assert trades["tid"].to_list() == [str(7000 + i) for i in range(10)]
    assert trades["TS"].to_list() == [DAY + i * NS // 8 + 1_000_000 for i in range(10)]
    assert set(trades["side"]) == {"buy", "sell"}
    assert reports["dump/trades.dat"].action == "refuse"
    assert reports["bitfinex/orderbook/BTC-USD/2024-03-01.parquet"].action == "refuse"


def test_files_that_lie_anywhere(old: Callable[[str], Path]) -> None:
    """Named, they are migrated; the same rows in another format are known."""
    root = old("dccd2")
    reports = migrate(root, datasets={"dump": "okx.trades.BTC-USDT"})
    assert [reports[f"dump/trades.{kind}"].new for kind in ("csv", "db", "parquet")] == [10, 0, 0]
    assert [reports[f"dump/trades.{kind}"].same for kind in ("csv", "db", "parquet")] == [0, 10, 10]
    assert "write_parquet" in (reports["dump/trades.dat"].problem or "")
    assert read(root, "okx.trades.BTC-USDT").height == 10


def test_dccd_2_and_3_in_one_file(old: Callable[[str], Path]) -> None:
    """dccd 3 adds nanoseconds to a file of seconds."""
    root = old("dccd2then3")
    migrate(root)
    times = read(root, "binance.ohlc.BTC-USDT.1h")["TS"].to_list()
    assert times == [NEW_YEAR + i * 3600 * NS for i in (*range(-4, 8), 12, 13)]


def test_dccd_2_0(old: Callable[[str], Path]) -> None:
    """CSV and Excel, a pair of which may mean two things until it is said."""
    root = old("dccd20")
    assert sum(report.action == "refuse" for report in migrate(root).values()) == 2
    migrate(root, symbols={"BTCBUSD": "BTC/BUSD"})
    for name in ("binance.ohlc.ETH-USDT.1h", "kraken.ohlc.BTC-USD.1h", "binance.ohlc.BTC-BUSD.1h"):
        rows = read(root, name)
        assert rows["TS"].to_list() == [NEW_YEAR + i * 3600 * NS for i in range(-2, 4)]
        assert rows["close"].to_list() == [100.1 + i for i in range(6)]


def test_twice_is_once(old: Callable[[str], Path]) -> None:
    """A second migration finds nothing to do."""
    root = old("dccd2")
    migrate(root)
    rows = {dataset: Store(root).read(dataset) for dataset in Store(root).datasets() if "bitfinex" not in dataset.name}
    assert {report.action for report in migrate(root).values()} == {"keep", "refuse"} - {"keep"}
    assert all(Store(root).read(dataset).equals(frame) for dataset, frame in rows.items())


def test_what_is_stored_stays(old: Callable[[str], Path]) -> None:
    """A row of ours is never replaced by an old one, and an old one that says otherwise stays where it is kept."""
    root = old("dccd2")
    dataset = Dataset.parse("binance.trades.BTC-USDT")
    ours = [
        Trade(DAY + 1_000_000, 55.0, 0.5, "sell", "7000", DAY),
        Trade(DAY + 126_000_000, 100.125, 1.5, "buy", "7001", 7),
    ]
    SegmentWriter(Layout(root), "test").write(dataset, table_from_records(dataset.data_type, ours))
    report = migrate(root, remove_originals=True)["binance/trades/BTC-USDT/2024-03-01.parquet"]
    assert (report.new, report.same, report.conflicts) == (8, 1, 1)
    assert report.aside is not None and (root / report.aside).exists()
    rows = read(root, dataset.name)
    assert rows.filter(tid="7000")["price"].to_list() == [55.0]
    assert rows.filter(tid="7001")["recv_ts"].to_list() == [7]


def test_originals_go_once_their_rows_are_read_again(old: Callable[[str], Path]) -> None:
    """Those with rows that are nowhere else are kept."""
    root = old("dccd2")
    reports = migrate(root, remove_originals=True)
    assert reports["binance/ohlc/BTC-USDT/1h/2024.parquet"].aside is None
    assert reports["binance/orderbook/BTC-USDT/2024-03-01.parquet"].aside is None
    kept = [path.relative_to(root / ".dccd/migrated").as_posix() for path in (root / ".dccd/migrated").rglob("*.*")]
    assert kept == ["kraken/ohlc/XBT-EUR/1m/2024.parquet"]


@pytest.mark.parametrize(
    "options",
    [{"symbols": {"NONE": "BTC/USDT"}}, {"datasets": {"nowhere": "okx.trades.BTC-USDT"}}, {"symbols": {"dump": "?"}}],
)
def test_options_that_fit_nothing_are_refused(old: Callable[[str], Path], options: dict[str, Any]) -> None:
    """A misspelt one would be passed over in silence."""
    with pytest.raises(IdentityError):
        list(Migration(Layout(old("dccd2")), Options(**options)).plan())


def test_two_migrations_are_one_too_many(old: Callable[[str], Path]) -> None:
    """The second is refused."""
    layout = Layout(old("dccd2"))
    with locked(staging_root(layout) / "lock"), pytest.raises(StoreLocked, match="another migration"):
        list(Migration(layout).perform())


def test_a_damaged_file_is_named(old: Callable[[str], Path]) -> None:
    """It stays where it is, and the others are migrated."""
    root = old("dccd3")
    path = root / "kraken/ohlc/ETH-USD/600s/2024.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    report = migrate(root)["kraken/ohlc/ETH-USD/600s/2024.parquet"]
    assert report.action == "refuse" and path.exists()
    assert read(root, "binance.open_interest.BTC-USDT_PERP").height == 26


PRICES = st.floats(1e-9, 1e9)
TRADES = st.lists(
    st.tuples(
        st.integers(0, 30), PRICES, st.sampled_from([0.5, 1.0]), st.sampled_from(["buy", "sell", None]),
        st.one_of(st.none(), st.integers(0, 25)),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(TRADES, TRADES, st.sampled_from(["s", "ms", "ns"]), st.booleans())
def test_no_trade_is_lost_or_changed(first: list[Any], second: list[Any], unit: str, text: bool) -> None:
    """Of two files of one day, in any order, with duplicates, nulls, and ids as numbers or text: each row is stored,
    is the same as one that is, or is counted as a conflict and kept aside."""
    scale = {"s": 1, "ms": 1000, "ns": NS}[unit]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for pair, found in (("BTC-EUR", first), ("XBT-EUR", second)):
            path = root / "kraken/trades" / pair / "2024-03-01.parquet"
            path.parent.mkdir(parents=True)
            old_trades(found, scale, text=text).write_parquet(path)
        reports = migrate(root)
        told = [report for report in reports.values() if report.action == "migrate"]
        for report in told:
            assert report.rows == report.new + report.same + report.conflicts
        stored = rows_of(read(root, "kraken.trades.BTC-EUR"))
        wanted = [Counter(rows_of(as_ours(found))) for found in (first, second)]
        for found in wanted:
            found.update({row: 1 - count for row, count in found.items() if row[4] is not None})  # a trade by its id
        # Nothing that wasn't in a file, and of each print as many as the file with the most has.
        assert not Counter(stored) - (wanted[0] | wanted[1])
        lost = (wanted[0] | wanted[1]) - Counter(stored)
        sideless = Counter({(*row[:3], None, row[4]): 1 for row in stored})
        lost -= sideless  # who doesn't say the side says nothing else
        assert all(row[4] is not None for row in lost)
        # What isn't stored contradicts what is, and can be read from the old file.
        ids = {row[4] for row in stored}
        assert {row[4] for row in lost} <= ids
        # A file that lies where ours do is read as it is: of two rows of one id in it, one.
        in_place = not any("/BTC-EUR/" in report.path for report in told)
        assert bool(lost) <= (in_place or any(report.conflicts for report in told))
        kept = sum(len(list((root / ".dccd/migrated").rglob(f"{pair}/*.parquet"))) for pair in ("BTC-EUR", "XBT-EUR"))
        assert kept == len(told)


def old_trades(found: list[Any], scale: int, *, text: bool) -> pl.DataFrame:
    """As dccd 2 (or 3, in ns with text for ids) has them."""
    schema = {"TS": pl.Int64, "price": pl.Float64, "amount": pl.Float64, "type": pl.String, "tid": pl.Int64}
    frame = pl.DataFrame([(DAY // NS + ts, *rest) for ts, *rest in found], schema=schema, orient="row")
    frame = frame.with_columns(pl.col("TS") * scale)
    if text:
        frame = frame.with_columns(pl.col("tid").cast(pl.String)).rename({"type": "side"})
    return frame


def as_ours(found: list[Any]) -> pl.DataFrame:
    frame = old_trades(found, NS, text=True)
    return frame.select("TS", "price", "amount", "side", "tid")


def rows_of(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return frame.select("TS", "price", "amount", "side", "tid").rows()


LEVELS = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(["bid", "ask"]), PRICES, PRICES, st.one_of(st.none(), st.integers(1, 9))
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(LEVELS, LEVELS)
def test_no_row_of_a_book_is_lost_or_doubled(first: list[Any], second: list[Any]) -> None:
    """Each is a row, equal ones as well, in whichever of two files, seconds or nanoseconds."""
    schema = {"TS": pl.Int64, "side": pl.String, "price": pl.Float64, "amount": pl.Float64, "count": pl.Int64}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for pair, found, scale in (("BTC-EUR", first, 1), ("XBT-EUR", second, NS)):
            path = root / "kraken/orderbook" / pair / "2024-03-01.parquet"
            path.parent.mkdir(parents=True)
            rows = [((DAY // NS + ts) * scale, *rest) for ts, *rest in found]
            pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
        migrate(root, remove_originals=True)
        names = ["TS", "side", "price", "amount", "count"]
        stored = Counter(read(root, "kraken.orderbook.BTC-EUR").select(names).rows())
        assert stored == Counter((DAY + ts * NS, *rest) for ts, *rest in first + second)
        shutil.rmtree(root / ".dccd")
        assert Counter(read(root, "kraken.orderbook.BTC-EUR").select(names).rows()) == stored
