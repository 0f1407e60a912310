"""SQL over the datasets of a store, by DuckDB: a query flows in, record batches flow out.

A dataset is a table by its name in quotes: ``select * from "binance.trades.BTC-USDT"``. It has what any read of it has:
base and segments as one, each row once, bars made of other data where none are stored. DuckDB asks for the columns that
the query needs, and of the row groups only those whose times the query's conditions on ``TS`` allow are read.

``ns('2024-01-01')`` is that time as ``TS`` has it, ``make_timestamp_ns(TS)`` is ``TS`` as DuckDB's times.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyarrow import fs

from dccd.errors import BadQuery, IdentityError
from dccd.store.duck import duckdb_errors, load
from dccd.store.intervals import Interval, IntervalSet
from dccd.store.parquet import MAX_TS, MIN_TS
from dccd.store.reader import Store
from dccd.store.scan import About, Scan
from dccd.symbols import Dataset, DataType

__all__ = ["Result", "named", "query", "ranges"]

_QUOTED = re.compile(r"\"((?:[^\"]|\"\")+)\"|'((?:[^']|'')+)'")
_NAME = re.compile(rf"\w+\.(?:{'|'.join(DataType)})\.[\w-]+")
_BATCH = 65_536


class Result(msgspec.Struct, frozen=True):
    """What a query gives: the columns, the rows, and the tables that were made of other data."""

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    derived: tuple[About, ...] = ()


@contextmanager
def query(store: Store, sql: str) -> Iterator[Result]:
    """Run *sql* over the datasets of *store*; rows come as they are taken within the block.

    Raises Uninstalled without DuckDB, BadQuery when it refuses, NotStored, CorruptFile.
    """
    duckdb = load()
    tables = {dataset.name: _Table(store, dataset) for dataset in named(sql)}
    with (
        _scratch() as folder,
        duckdb_errors(),
        duckdb.connect(config={"python_enable_replacements": "false", "temp_directory": str(folder)}) as connection,
    ):
        connection.execute("CREATE MACRO ns(t) AS epoch_ns(CAST(t AS TIMESTAMP_NS))")
        for name, table in tables.items():
            connection.register(name, table)
        with _hinted(sql), _causes(tables.values()):
            asked = connection.sql(sql)
            if asked is None:
                raise BadQuery("a statement without a result: write one that selects rows")
            reader = asked.to_arrow_reader(_BATCH)
        derived = tuple(table.derived for table in tables.values() if table.derived is not None)
        yield Result(reader.schema, _batches(reader, tables.values()), derived)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for what DuckDB has no room for in memory.

    Its name is there before it is: a Ctrl-C while ``tempfile`` makes one would leave it behind.
    """
    folder = Path(tempfile.gettempdir(), f"dccd-sql-{secrets.token_hex(8)}")
    try:
        folder.mkdir(0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def named(sql: str) -> list[Dataset]:
    """The datasets that *sql* names in quotes."""
    found = {}
    for match in _QUOTED.finditer(sql):
        try:
            dataset = Dataset.parse(match[1] or match[2])
        except IdentityError:
            continue
        # Under the name that the query has: DuckDB looks for just that.
        if dataset.name == (match[1] or match[2]):
            found[dataset.name] = dataset
    return list(found.values())


def _batches(reader: Any, tables: Iterable[_Table]) -> Iterator[pa.RecordBatch]:
    while True:
        with _causes(tables):
            batch = next(reader, None)
        if batch is None:
            return
        if batch.num_rows:
            yield batch


@contextmanager
def _hinted(sql: str) -> Iterator[None]:
    """Say of a query that names a dataset without quotes that it wants them."""
    try:
        yield
    except BadQuery as exc:
        if found := _NAME.search(_QUOTED.sub("", sql)):
            raise BadQuery(f'{exc}\nA dataset is written in double quotes: "{found[0]}"') from exc
        raise


@contextmanager
def _causes(tables: Iterable[_Table]) -> Iterator[None]:
    """Raise what went wrong in a table as it was: DuckDB has words of its own for it, and a traceback in them."""
    try:
        with duckdb_errors():
            yield
    except BadQuery:
        for table in tables:
            if table.failed is not None:
                raise table.failed from None
        raise


class _Table(pads.Dataset):  # type: ignore[misc]  # pyarrow publishes no types
    """A dataset as DuckDB takes it: asked for its columns, then for a scanner of some of them under a condition."""

    def __init__(self, store: Store, dataset: Dataset) -> None:
        self._store, self._dataset = store, dataset
        scan = Scan(store, dataset)
        self._schema = scan.schema
        self._source = scan.derived_from or dataset
        self.derived = None if scan.derived_from is None else scan.about
        self.failed: Exception | None = None

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def scanner(self, columns: list[str] | None = None, filter: Any = None, **_: Any) -> Any:
        """Called by DuckDB once a scan."""
        needed = None if columns is None and filter is None else self._needed(columns, filter)
        schema = pa.schema([f for f in self._schema if needed is None or f.name in needed])
        batches = self._rows(needed, None if filter is None else ranges(filter, self._schema, self._bounds()))
        return pads.Scanner.from_batches(batches, schema=schema, columns=columns, filter=filter)

    def _needed(self, columns: list[str] | None, filter: Any) -> list[str]:
        wanted = self._schema.names if columns is None else columns
        # The condition may be on columns that the query doesn't give out.
        return ["TS", *(n for n in self._schema.names if n != "TS" and (n in wanted or _mentions(filter, n)))]

    def _bounds(self) -> list[Interval]:
        """The times of the row groups, as intervals that don't overlap and cover all time."""
        edges: set[int] = set()
        for period in self._store.layout.periods(self._source):
            with self._store.open(self._source, period) as files:
                edges.update(first for file in files for first, _, _ in file.groups(MIN_TS, MAX_TS))
        cuts = [MIN_TS, *sorted(edges - {MIN_TS}), MAX_TS]
        return list(pairwise(cuts))

    def _rows(self, columns: list[str] | None, wanted: list[Interval] | None) -> Iterator[pa.RecordBatch]:
        try:
            for start, end in [(None, None)] if wanted is None else wanted:
                yield from Scan(self._store, self._dataset, start, end, columns).batches(_BATCH)
        except Exception as exc:
            self.failed = exc
            raise


def ranges(condition: Any, schema: pa.Schema, bounds: Iterable[Interval]) -> list[Interval]:
    """Return those of *bounds* (ns) in which a row may meet *condition*, an Arrow expression over the columns of
    *schema*; neighbours as one.

    Arrow's own way to leave out the parts of a dataset is asked, so that any condition on ``TS`` is understood that it
    understands.
    """
    time = pc.field("TS")
    form, system = pads.ParquetFileFormat(), fs.LocalFileSystem()
    parts = {f"{start}:{end}": (start, end) for start, end in bounds}
    fragments = [
        form.make_fragment(name, system, (time >= start) & (time < end)) for name, (start, end) in parts.items()
    ]
    everything = pads.FileSystemDataset(fragments, schema, form, system)
    return list(IntervalSet(parts[fragment.path] for fragment in everything.get_fragments(filter=condition)))


def _mentions(condition: Any, name: str) -> bool:
    return condition is not None and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(condition)) is not None
