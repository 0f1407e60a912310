"""Segments into fewer, larger ones, and at last into the base.

Segments and a base flow in, a merged segment or a new base flows out; then what it was made of is removed.
:func:`plan` decides, from what a listing shows; :func:`fold` performs.

What is rewritten grows with the logarithm of the rows. :attr:`FoldPolicy.fan_in` segments of a level make one of the
next (a size-tiered log-structured merge: O'Neil et al., "The Log-Structured Merge-Tree", 1996), and when all segments
together have grown to the base's size they are merged into it, so that the base doubles each time. Where there is no
base yet it is made at once. After a period has ended and been quiet for a while, or when rows have waited for a day,
they go into the base as well.

A crash at any step is harmless. A merged file says in its footer which segments it holds, so that they don't count
while they still lie about; and they are removed, durably, before that file is itself rewritten by the next fold.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from dccd.store.coverage import Claims, IntervalSet, holds, rows_of
from dccd.store.files import Step, clean_temps, locked, no_step, remove, remove_empty, token, write_durably
from dccd.store.layout import MAX_LEVEL, Layout, is_daily, parse_segment, period_bounds, segment_name
from dccd.store.merge import merged, unified_schema
from dccd.store.parquet import ROW_GROUP, YEARLY_GROUP, BusPosition, Footer, OpenFile, write_parquet
from dccd.store.period import open_period
from dccd.symbols import NS, Dataset

__all__ = ["FoldPolicy", "FoldResult", "Piece", "Plan", "fold", "plan"]

_OWNER = "fold"
_EPOCHS = 16


class FoldPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When to fold: so many segments of a level make one of the next; a period that has ended is folded after
    ``settle`` ns without new rows; rows don't wait longer than ``max_age`` ns; up to ``max_sources`` files are
    open."""

    fan_in: int = 8
    settle: int = 600 * NS
    max_age: int = 86_400 * NS
    max_sources: int = 128


class Piece(msgspec.Struct, frozen=True):
    """A segment as the listing shows it: its stem, level, rows, when it was written and when the oldest rows in
    it were (ns)."""

    name: str
    level: int
    rows: int
    written_at: int
    since: int


class Plan(msgspec.Struct, frozen=True):
    """Merge the segments called ``names`` into one of ``level``, or, for ``None``, into the base."""

    names: tuple[str, ...]
    level: int | None


class FoldResult(msgspec.Struct, frozen=True):
    """What a fold did: how many files it wrote and merged, rows and bytes it wrote, and whether the base is new."""

    dataset: Dataset
    period: str
    written: int
    merged: int
    rows: int
    bytes: int
    base: bool


def plan(
    base_rows: int | None,
    pieces: Sequence[Piece],
    period_end: int,
    now: int,
    policy: FoldPolicy = FoldPolicy(),  # noqa: B008  # frozen
    force: bool = False,
) -> Plan | None:
    """Decide what to rewrite next, if anything; asked again after each step. Pure.

    ``base_rows`` is 0 where there is no base, ``None`` where it doesn't matter how many there are; ``period_end`` and
    ``now`` in ns. *force*: into the base, whatever there is.
    """
    if not pieces:
        return None
    few = len(pieces) <= policy.max_sources
    settled = now >= period_end and now >= max(piece.written_at for piece in pieces) + policy.settle
    waited = now >= min(piece.since for piece in pieces) + policy.max_age
    if base_rows == 0:
        grown = True  # the first base rewrites nothing, and who reads Parquet without dccd waits for it
    else:
        grown = base_rows is not None and len(pieces) >= policy.fan_in and sum(p.rows for p in pieces) >= base_rows
    level = _full_level(pieces, policy.fan_in)
    if (few or level is None) and (force or settled or waited or grown or level == MAX_LEVEL):
        return Plan(tuple(piece.name for piece in pieces), None)
    if level is None:
        return None
    # Of levels up to this one all, oldest first: what is older is in higher levels, so that the merged segment
    # stands for an unbroken stretch of the order in which rows were written.
    lower = sorted((p for p in pieces if p.level <= level), key=lambda p: (p.since, p.name))
    return Plan(tuple(piece.name for piece in lower[: policy.max_sources]), level + 1)


def _full_level(pieces: Sequence[Piece], fan_in: int) -> int | None:
    """The lowest level with *fan_in* segments; a higher one where those merged would fill that too."""
    counts = [0] * (MAX_LEVEL + 1)
    for piece in pieces:
        counts[piece.level] += 1
    full = next((level for level, count in enumerate(counts) if count >= fan_in), None)
    while full is not None and full < MAX_LEVEL and counts[full + 1] + 1 >= fan_in:
        full += 1
    return full


def fold(
    layout: Layout,
    dataset: Dataset,
    period: str,
    force: bool = False,
    *,
    now: int | None = None,
    policy: FoldPolicy = FoldPolicy(),  # noqa: B008  # frozen
    step: Step = no_step,
) -> FoldResult | None:
    """Rewrite what :func:`plan` asks for in one period; ``None`` when that is nothing. Looking costs a listing.

    *now* (ns, the clock's by default); *step* is called before each step, and what it raises ends the fold. Raises
    StoreLocked when another process folds the dataset, StoreFull and CorruptFile: the stored rows are then as they
    were.
    """
    if not layout.segment_dir(dataset, period).is_dir():
        return None
    when = time.time_ns() if now is None else now
    done = FoldResult(dataset, period, 0, 0, 0, 0, False)
    end = period_bounds(period)[1]
    with locked(layout.lock_path(dataset)):
        _clean(layout, dataset, period)
        while True:
            pieces = _pieces(layout, dataset, period)
            # Only so many are compared with the base: else it needn't be opened to know its rows.
            base = layout.base_path(dataset, period)
            base_rows = _rows(base) if len(pieces) >= policy.fan_in or not base.exists() else None
            todo = plan(base_rows, pieces, end, when, policy, force)
            if todo is None:
                break
            with open_period(layout, dataset, period) as (files, held):
                if not held:
                    sources = [file for file in files if file.level is None or file.name in todo.names]
                    if todo.level is not None:
                        sources = [file for file in sources if file.level is not None]
                    rows, size = _write(layout, dataset, period, sources, files, todo.level, step)
                    done = msgspec.structs.replace(
                        done,
                        written=done.written + 1,
                        merged=done.merged + len(todo.names),
                        rows=done.rows + rows,
                        bytes=done.bytes + size,
                        base=done.base or todo.level is None,
                    )
                    held = [file for file in sources if file.level is not None]
            # What a crashed fold left behind goes first, before what says so is rewritten; then it is planned anew.
            remove([file.path for file in held], step)
            step("removed")
        for _, folder in reversed(layout.levels(dataset, period)):
            remove_empty(folder)
    return done if done.written else None


def _write(
    layout: Layout,
    dataset: Dataset,
    period: str,
    sources: list[OpenFile],
    files: list[OpenFile],
    level: int | None,
    step: Step,
) -> tuple[int, int]:
    """Write the rows of *sources* as one file; return its rows and bytes. *files*: all that count of the period."""
    schema = unified_schema(dataset.data_type, sources)
    footers = [file.footer for file in sources if file.footer is not None]
    claimed, after = _claimed(sources, files)

    def footer(first: int, last: int) -> Footer:
        return Footer(
            kind="base" if level is None else "segment",
            writer=_OWNER,
            written_at=max(footer.written_at for footer in footers),
            first_ts=first,
            last_ts=last,
            bus=_positions(footers),
            folds=tuple(file.name for file in sources if file.level is not None),
            covered=tuple(claimed.verified),
            unverified=tuple(claimed.unverified),
            after=after,
        )

    rows = 0

    def write(file: Any) -> None:
        nonlocal rows
        frames = _each(merged(dataset.data_type, sources), step)
        # Merged segments are rewritten soon: little compression. The base is there to stay.
        group = ROW_GROUP if is_daily(dataset.data_type) else YEARLY_GROUP
        compression = 3 if level is None else 1
        groups = _row_groups(frames, schema, group)
        rows, _ = write_parquet(file, groups, schema, footer, level=compression, group=group)

    if level is None:
        path = layout.base_path(dataset, period)
    else:
        named = [parse_segment(file.path) for file in sources]
        name = segment_name(f"{_OWNER}.{token()}", 0, min(since for since, _ in named), sum(rows for _, rows in named))
        path = layout.segment_dir(dataset, period, level) / f"{name}.parquet"
    size = write_durably(path, _OWNER, write, step)
    return rows, size


def _claimed(sources: Sequence[OpenFile], files: Iterable[OpenFile]) -> tuple[Claims, int | None]:
    """What *sources* claim together, as far as it holds beside the other *files* of the period, and the row that this
    relies on still."""
    there = rows_of(files)
    first = there.bounds[0] if there.bounds else 0
    inside = rows_of(sources)
    verified: list[IntervalSet] = []
    after: tuple[int, int] | None = None
    for file in sources:
        claims, relies = file.claims.verified, file.footer.after if file.footer else None
        # One from before the period's first row is of the period before, which isn't open here.
        if relies is not None and relies >= first and relies not in there:
            claims, relies = holds(claims, file.first_ts, relies, there), None
        verified.append(claims)
        if relies is not None and relies not in inside and file.first_ts is not None:
            after = min(after or (file.first_ts, relies), (file.first_ts, relies))
    unverified = IntervalSet(chain.from_iterable(file.claims.unverified for file in sources))
    return Claims(IntervalSet(chain.from_iterable(verified)), unverified), after[1] if after else None


def _each(frames: Iterable[pl.DataFrame], step: Step) -> Iterator[pl.DataFrame]:
    """*frames*, with a step before each: a large base takes a while, and who folds may be told to stop."""
    for frame in frames:
        step("rows")
        yield frame


def _row_groups(frames: Iterable[pl.DataFrame], schema: pa.Schema, group: int) -> Iterator[pa.Table]:
    """*frames* cut anew into whole row groups of *group* rows, since a small one costs its readers as much as a large
    one."""
    waiting: list[pl.DataFrame] = []
    rows = 0
    for frame in frames:
        waiting.append(frame)
        rows += frame.height
        if rows >= group:
            whole = pl.concat(waiting)
            full = rows - rows % group
            yield _table(whole.slice(0, full), schema)
            waiting, rows = [whole.slice(full)], rows - full
    if rows:
        yield _table(pl.concat(waiting), schema)


def _table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)


def _positions(footers: Iterable[Footer]) -> tuple[BusPosition, ...]:
    """One position an epoch: of its first and its last message. Those of the epochs last written to; older streams
    are gone, and nothing is redelivered from them."""
    found: dict[tuple[str, str], BusPosition] = {}
    for footer in footers:
        for bus in footer.bus:
            key = (bus.stream, bus.epoch)
            known = found.pop(key, bus)
            found[key] = BusPosition(*key, min(known.first, bus.first), max(known.last, bus.last))
    return tuple(found.values())[-_EPOCHS:]


def _pieces(layout: Layout, dataset: Dataset, period: str) -> list[Piece]:
    found = []
    for level, folder in layout.levels(dataset, period):
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.name.endswith(".parquet") and not entry.name.startswith("."):
                path = folder / entry.name
                since, rows = parse_segment(path)
                found.append(Piece(path.stem, level, rows, entry.stat().st_mtime_ns, since))
    return found


def _rows(path: Path) -> int:
    try:
        file = OpenFile(path)
    except FileNotFoundError:
        return 0
    file.close()
    return file.rows


def _clean(layout: Layout, dataset: Dataset, period: str) -> None:
    """Remove what crashed folds left; those of the dataset are all dead, since we hold its lock."""
    clean_temps(layout.folder(dataset), _OWNER)
    for _, folder in layout.levels(dataset, period):
        clean_temps(folder, _OWNER)
