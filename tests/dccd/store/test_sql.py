"""Tests of SQL over the datasets of a store."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dccd.errors import BadQuery, CorruptFile, NotStored, Uninstalled
from dccd.store.fold import fold
from dccd.store.parquet import MAX_TS, MIN_TS
from dccd.store.schema import SCHEMAS
from dccd.store.sql import named, query, ranges
from dccd.symbols import DataType

TABLE = '"binance.trades.BTC-USDT"'
DAY = 86_400_000_000_000


def rows(bench: Any, sql: str) -> list[dict[str, Any]]:
    """What *sql* gives, TRADES in it being the table of trades."""
    with query(bench.store, sql.replace("TRADES", TABLE)) as result:
        return pa.Table.from_batches(list(result.batches), result.schema).to_pylist()


@pytest.fixture
def stored(bench: Any) -> Any:
    """1,500 trades on three days; a base of the first, with a segment that holds some of it again."""
    bench.put([bench.trade(n) for n in range(500)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    bench.put([bench.trade(n) for n in range(250, 500)])
    for day in (1, 2):
        bench.put([bench.trade(500 * day + n, bench.noon + day * DAY + n) for n in range(500)])
    return bench


def test_each_row_is_there_once(stored: Any) -> None:
    """Base and segments are one table, without twins."""
    assert rows(stored, "SELECT count(*) n, count(DISTINCT tid) ids, sum(amount) a FROM TRADES") == [
        {"n": 1500, "ids": 1500, "a": 3000.0}
    ]


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("TS >= {day1}", 1000),
        ("TS BETWEEN {day1} AND {day1} + 9", 10),
        ("TS = {day1} OR TS = {day2}", 2),
        ("TS IN ({day1}, {day2} + 5, 7)", 2),
        ("NOT TS < {day2}", 500),
        ("TS < ns('2023-11-16')", 500),
        ("TS >= ns('2023-11-16 12:00:00') AND tid = '501'", 1),
        ("make_timestamp_ns(TS) >= '2023-11-17'::TIMESTAMP_NS", 500),
        ("price > 2", 0),
        ("side IS NULL", 0),
        ("TS IS NOT NULL AND (TS < {day1} OR side = 'buy')", 1500),
        ("TS > {day2} * 2", 0),
    ],
)
def test_conditions(stored: Any, condition: str, count: int) -> None:
    """Whatever is pushed down to the files, the rows are those that the condition says."""
    filled = condition.format(day1=stored.noon + DAY, day2=stored.noon + 2 * DAY)
    assert rows(stored, f"SELECT count(tid) n FROM TRADES WHERE {filled}") == [{"n": count}]


def test_only_the_row_groups_of_the_times_are_read(stored: Any) -> None:
    """A condition on the time reaches the files."""
    before = stored.store.statistics()
    rows(stored, f"SELECT avg(price) FROM TRADES WHERE TS >= {stored.noon + 2 * DAY}")
    after = stored.store.statistics()
    assert (after["row_groups"] - before["row_groups"], after["rows"] - before["rows"]) == (1, 500)


def test_only_the_columns_of_the_query_are_read(bench: Any) -> None:
    """And those of its condition, where files need no more to tell twins."""
    bench.put([bench.trade(n) for n in range(500)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert rows(bench, "SELECT max(price) p FROM TRADES WHERE amount > 1") == [{"p": 1.0}]
    assert bench.store.statistics()["columns"] == 3


def test_tables_are_joined(stored: Any) -> None:
    """A query may use a dataset twice, and several."""
    stored.put([stored.trade(0)], dataset=stored.trades.parse("kraken.trades.BTC-USD"))
    sql = 'SELECT a.tid FROM TRADES a JOIN TRADES b USING (tid) JOIN "kraken.trades.BTC-USD" c USING (tid)'
    assert rows(stored, sql) == [{"tid": "0"}]


def test_bars_are_made_and_told(stored: Any) -> None:
    """A table that isn't stored is made, and the result says of what."""
    with query(stored.store, 'SELECT sum(trades) n FROM "binance.ohlc.BTC-USDT.100s"') as result:
        assert [about.derived_from for about in result.derived] == ["binance.trades.BTC-USDT"]
        list(result.batches)
    with query(stored.store, f"SELECT 1 FROM {TABLE}") as result:
        assert result.derived == ()
        list(result.batches)


def test_columns_unknown_to_us_are_there(bench: Any) -> None:
    """A file of another program may have more."""
    import polars as pl

    bench.base(pl.DataFrame({"TS": [bench.noon], "price": [1.0], "amount": [2.0], "venue": ["x"]}))
    assert rows(bench, "SELECT venue, tid FROM TRADES") == [{"venue": "x", "tid": None}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT foo FROM TRADES",
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT 1 FROM trades",
        "",
        "SELECT CAST(side AS INTEGER) FROM TRADES",
    ],
)
def test_what_duckdb_refuses_comes_in_its_words(stored: Any, sql: str) -> None:
    """Before or in the middle of the rows."""
    with pytest.raises(BadQuery):
        rows(stored, sql)


def test_a_name_without_quotes_is_told_to_want_them(stored: Any) -> None:
    """DuckDB takes it for something else, and its words say nothing of quotes."""
    with pytest.raises(BadQuery, match=r'in double quotes: "binance\.trades\.BTC-USDT"'):
        rows(stored, "SELECT 'x.trades.A-B' FROM binance.trades.BTC-USDT")
    with pytest.raises(BadQuery) as caught:
        rows(stored, "SELECT foo FROM TRADES")
    assert "double quotes" not in str(caught.value)


def test_a_dataset_that_is_not_stored_is_named(stored: Any) -> None:
    """And not left to DuckDB, which knows nothing of datasets."""
    with pytest.raises(NotStored, match="ETH-USDT"):
        rows(stored, 'SELECT * FROM "binance.trades.ETH-USDT"')


def test_a_corrupt_file_is_named(stored: Any) -> None:
    """As by any read: never fewer rows in silence."""
    path = stored.layout.base_path(stored.trades, stored.day)
    data = bytearray(path.read_bytes())
    data[50] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CorruptFile, match=path.name):
        rows(stored, "SELECT sum(price), max(tid), min(side), sum(amount), max(TS), max(recv_ts) FROM TRADES")


def test_variables_of_ours_are_no_tables(stored: Any) -> None:
    """DuckDB by itself takes any frame in sight for a table."""
    with pytest.raises(BadQuery):
        rows(stored, "SELECT * FROM stored")


def test_without_duckdb_it_says_what_to_install(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that has it."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(Uninstalled, match=r"pip install 'dccd\[sql\]'"):
        rows(stored, "SELECT 1")


def test_datasets_are_found_by_their_quotes() -> None:
    """In either kind, with what else may be in them."""
    sql = """select "a""b", 'it''s', x from "binance.trades.BTC-USDT" join 'kraken.ohlc.ETH-USD.60' z
             join "kraken.ohlc.ETH-USD.1m" join binance.funding.X where "binance.trades.btc-usdt" = 1"""
    assert [d.name for d in named(sql)] == ["binance.trades.BTC-USDT", "kraken.ohlc.ETH-USD.1m"]


def test_ranges_that_meet_a_condition() -> None:
    """Neighbours as one; a condition that says nothing of the time leaves none out."""
    schema, ts = SCHEMAS[DataType.TRADES], pc.field("TS")
    bounds = list(pairwise([MIN_TS, 0, 10, 20, 30, MAX_TS]))
    assert ranges((ts >= 10) & (ts < 20), schema, bounds) == [(10, 20)]
    assert ranges((ts < 5) | (ts > 25), schema, bounds) == [(MIN_TS, 10), (20, MAX_TS)]
    assert ranges(pc.field("price") > 1, schema, bounds) == [(MIN_TS, MAX_TS)]
    assert ranges(ts == 9, schema, bounds) == [(0, 10)]
