"""Same rows once: files of one period as one sequence of rows.

Sorted files flow in, in the order they were written, frames of rows in order flow out, a chunk of some 100,000 rows
at a time: what is held is a chunk and a batch of each file that reaches into it, whatever the files' sizes.

What is the same row, and which of two stays:

* trades by ``tid``: one that was seen live (with ``recv_ts``) before its backfilled twin, else the later written.
  Twins may differ in ``TS`` by less than :data:`SLACK` (a REST answer and a live message round differently).
* trades without ``tid``: identical in time, price, amount and side. Of identical prints in one file all are kept; of
  those in several files as many as the file with the most has, so that a backfill fetched twice adds nothing. (An
  exchange that gives no ids *and* splits identical prints of one instant over two reads is undercounted, when a flush
  falls in between.)
* ohlc, funding, open interest by ``TS``: the later written.
* book rows: each is a row, by ``TS``, then ``seq``, then as written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence

import polars as pl
import pyarrow as pa

from dccd.store.order import in_order, is_in_order
from dccd.store.parquet import MAX_TS, MIN_TS, OpenFile, as_frame, between, corrupt
from dccd.store.schema import KEYS, SCHEMAS
from dccd.symbols import NS, DataType

__all__ = ["CHUNK", "SLACK", "merged", "once", "unified_schema"]

CHUNK = 131_072
"""Rows in a chunk, about."""
SLACK = NS
"""Twins of a trade are found when their times are less than this apart (ns)."""

_FILE, _NTH, _ROW = "__file", "__nth", "__row"
_PRINT = ["TS", "price", "amount", "side"]


def unified_schema(data_type: DataType, files: Sequence[OpenFile]) -> pa.Schema:
    """Return the columns of *data_type*, then those unknown to us that *files* have. Raises CorruptFile where two
    differ in type beyond reconciling."""
    known = SCHEMAS[data_type]
    unknown = pa.schema([])
    for file in files:
        extra = pa.schema([field for field in file.schema if field.name not in known.names])
        with corrupt(file.path):
            unknown = pa.unify_schemas([unknown, extra], promote_options="permissive")
    return pa.schema([*known, *(field.remove_metadata() for field in unknown)])


def merged(
    data_type: DataType,
    files: Sequence[OpenFile],
    lo: int = MIN_TS,
    hi: int = MAX_TS,
    columns: Collection[str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the rows of *files* (in the order they were written) with ``TS`` in ``[lo, hi)``, each once, in order.

    *columns* (default: all) come in the order of the schema; ``TS`` is always there. A column that a file lacks is
    null. Raises CorruptFile.
    """
    schema = unified_schema(data_type, files)
    names = [name for name in schema.names if columns is None or name in columns or name == "TS"]
    alone = len(files) == 1 and files[0].footer is not None and files[0].footer.kind == "base"
    # The twin of a row at the edge may lie beyond it; what was folded has no twins any more.
    slack = SLACK if KEYS[data_type] == "tid" and not alone else 0
    needed = set(names)
    if not alone:
        needed |= {"TS", "seq"} if data_type is DataType.ORDERBOOK else {"TS"}
        needed |= set(SCHEMAS[DataType.TRADES].names) if slack else set()
    dtypes = _dtypes(schema)
    target = {name: dtypes[name] for name in schema.names if name in needed}
    inputs = [_Input(n, file, max(lo - slack, MIN_TS), min(hi + slack, MAX_TS), target) for n, file in enumerate(files)]
    for frame in _chunks(inputs) if alone else _deduplicated(data_type, inputs, slack):
        rows = between(frame, lo, hi)
        if rows.height:
            yield rows.select(names)


def once(data_type: DataType, rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* (with ``__file``, the number of their file, and ``__nth`` for trades) in order, each once.
    Pure."""
    key = KEYS[data_type]
    if key is None:
        return in_order(data_type, rows)
    rows = rows.sort(["TS", _FILE], maintain_order=True)
    if key == "tid" and not is_in_order(data_type, rows):
        rows = in_order(data_type, rows, _FILE)
    if key == "TS":
        return rows if _distinct(rows["TS"]) else rows.unique("TS", keep="last", maintain_order=True)
    tids = rows["tid"]
    if not tids.null_count():
        if tids.n_unique() == rows.height:
            return rows
    elif tids.null_count() == rows.height:
        return rows.unique([*_PRINT, _NTH], keep="last", maintain_order=True)
    rows = rows.with_row_index(_ROW)
    named = rows.filter(pl.col("tid").is_not_null())
    twins = pl.col("tid").is_duplicated()
    # The last of each after this sort stays: with recv_ts, then the later written.
    kept = named.filter(twins).sort(pl.col("recv_ts").is_not_null(), _FILE, _ROW).unique("tid", keep="last")
    nameless = rows.filter(pl.col("tid").is_null()).unique([*_PRINT, _NTH], keep="last")
    return pl.concat([named.filter(~twins), kept, nameless]).sort(_ROW).drop(_ROW)


def _distinct(times: pl.Series) -> bool:
    return bool((times.diff().drop_nulls() != 0).all())


def _dtypes(schema: pa.Schema) -> dict[str, pl.DataType]:
    return dict(as_frame(schema.empty_table()).schema)


class _Input:
    """One file's rows, held a batch at a time; ``more`` while there are rows that aren't held yet."""

    def __init__(self, number: int, file: OpenFile, lo: int, hi: int, target: dict[str, pl.DataType]) -> None:
        groups = file.groups(lo, hi)
        self._number, self._path, self._target = number, file.path, target
        self._frames = file.frames(lo, hi, target)
        self.first = max(lo, min((first for first, _, _ in groups), default=MAX_TS))
        self.more = bool(groups)
        self.held: pl.DataFrame | None = None

    @property
    def height(self) -> int:
        return 0 if self.held is None else self.held.height

    @property
    def last(self) -> int:
        assert self.held is not None
        return int(self.held["TS"][-1])

    def pull(self) -> None:
        """Hold one batch more."""
        rows, self.more = next(self._frames)
        with corrupt(self._path):
            rows = rows.select(
                (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
                for name, dtype in self._target.items()
            )
        self.held = rows if self.held is None else pl.concat([self.held, rows])

    def take(self, until: int | None) -> pl.DataFrame:
        """Hand out the held rows before *until* (all for ``None``), with the number of the file.

        That is all that the file has of these times: identical prints of a file can be counted here.
        """
        assert self.held is not None
        taken = self.held if until is None else between(self.held, MIN_TS, until)
        self.held = self.held.slice(taken.height)
        return taken.with_columns(pl.lit(self._number, pl.UInt32).alias(_FILE))


def _chunks(inputs: list[_Input]) -> Iterator[pl.DataFrame]:
    """The rows of all *inputs* in chunks of time that don't overlap, each complete; unsorted within.

    An input is read when its time has come: those that follow each other in time are held one after the other.
    """
    waiting = deque(sorted((i for i in inputs if i.more), key=lambda i: i.first))
    active: list[_Input] = []
    while waiting or active:
        for one in active:
            while one.more and not one.height:
                one.pull()
        active = [one for one in active if one.height]
        held = sum(one.height for one in active)
        while waiting and held < CHUNK:
            active.append(waiting.popleft())
            active[-1].pull()
            held += active[-1].height
        # Up to the first time of which rows may still come, exclusively, what is held is all there is.
        open_ends = [one.last for one in active if one.more and one.height] + [one.first for one in list(waiting)[:1]]
        until = min(open_ends, default=None)
        taken = [rows for one in active if one.height and (rows := one.take(until)).height]
        if taken:
            yield pl.concat(taken)
            continue
        # All that is held is of the very time `until`: more of it has to be held first.
        for one in active:
            if one.more and one.height and one.last == until:
                one.pull()
        while waiting and waiting[0].first == until:
            active.append(waiting.popleft())
            active[-1].pull()


def _deduplicated(data_type: DataType, inputs: list[_Input], slack: int) -> Iterator[pl.DataFrame]:
    """Each chunk's rows once. With *slack*, rows so near to a chunk's end wait for the next: their twins may be
    there."""
    carried: pl.DataFrame | None = None
    for rows in _chunks(inputs):
        if slack:
            # Which of identical prints of its file a row is, before any is dropped.
            nth = pl.int_range(pl.len(), dtype=pl.UInt32).over([*_PRINT, _FILE])
            rows = rows.with_columns((nth if rows["tid"].null_count() else pl.lit(0, pl.UInt32)).alias(_NTH))
        whole = once(data_type, rows if carried is None else pl.concat([carried, rows]))
        cut = int(whole["TS"][-1]) - slack if slack else MAX_TS
        ready = between(whole, MIN_TS, cut)
        carried = whole.slice(ready.height) if slack else None
        yield ready
    if carried is not None:
        yield carried
