"""What is wrong with a ``data_path``, file by file; and damaged files out of the way.

A layout flows in, what is found flows out, with the progress in between. Each file of rows is read whole, a batch at a
time: page checksums, footer and its seal, order, number of rows. Nothing is changed, but that with *set_aside* damaged
files are moved to ``.dccd/damaged/{dataset}/{period}/``, where they stay for whoever can mend them, and remains of
crashed writers are removed.

Before a file is moved its interval is noted as missing, so that it is asked for again: what the file says of its rows,
or where that can't be read, its whole period up to when it was written. The claims of other files hold against the
latter; what they claim of rows that are known to be gone is doubted. What a damaged base had folded in counts again
where it still lies about. The dataset's fold lock is held meanwhile, so that no file is moved that a fold has just
replaced.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from dccd.errors import CorruptFile, OldFile, StoreError
from dccd.store.claims import NoteBook, noted_datasets, read_notes
from dccd.store.files import clean_temps, locked, make_folder, os_errors, sync_folder, token
from dccd.store.intervals import Gap
from dccd.store.layout import Layout, is_period, parse_segment, period_bounds, segment_name
from dccd.store.parquet import MAX_TS, MIN_TS, OpenFile
from dccd.symbols import Dataset, is_under

__all__ = ["Finding", "Kind", "Progress", "examine"]

Kind = Literal["damaged", "unreadable", "old", "misnamed", "notes", "rejected", "leftover", "unknown"]

_TEMP = ".tmp"
_WRITER = "doctor"


class Finding(msgspec.Struct, frozen=True, kw_only=True, tag="finding", tag_field="kind"):
    """Something that was found; ``path`` is relative to the ``data_path``. ``what``:

    * ``damaged``: not the Parquet that it should be, so that its dataset can't be read there. ``[start, end)`` ns are
      its rows'; ``moved``: where it was set aside;
    * ``unreadable``: the system refuses to read it;
    * ``old``: of dccd 2.x, to be migrated;
    * ``misnamed``: a segment whose name nobody can parse: it is read, and holds up folding;
    * ``notes``: of the coverage, and not what they should be;
    * ``rejected``: a message of the bus that is no ticks;
    * ``leftover``: of a writer that crashed: harmless, removed a day later or by setting aside;
    * ``unknown``: none of ours, and read by nobody: harmless.
    """

    what: Kind
    path: str
    detail: str
    dataset: str | None = None
    start: int | None = None
    end: int | None = None
    moved: str | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress", tag_field="kind"):
    """So many of the files and bytes have been read."""

    files: int
    of_files: int
    bytes: int
    of_bytes: int


class _Place(msgspec.Struct, frozen=True):
    path: Path
    dataset: Dataset
    period: str
    level: int | None
    bytes: int


def examine(layout: Layout, prefix: str = "", set_aside: bool = False) -> Iterator[Finding | Progress]:
    """Look at every file, or at those of datasets whose names begin with *prefix*; yield what is found.

    Progress comes before each file and at the end. Files that vanish meanwhile were folded: their rows are in files
    that were written after all had been read. A file that can't be moved is told as it is, with the reason.
    """
    places, findings = _listed(layout, prefix)
    if set_aside:
        findings = [one for one in findings if one.what != "leftover" or not _remove(layout, one)]
    yield from findings
    total, done = sum(place.bytes for place in places), 0
    for number, place in enumerate(places):
        yield Progress(files=number, of_files=len(places), bytes=done, of_bytes=total)
        try:
            found = _look(layout, place)
            if found is not None and found.what == "damaged" and set_aside:
                found = _moved(layout, place, found)
        except FileNotFoundError:
            found = None
        if found is not None:
            yield found
        done += place.bytes
    yield Progress(files=len(places), of_files=len(places), bytes=done, of_bytes=total)


def _look(layout: Layout, place: _Place) -> Finding | None:
    """Read one file whole. Raises FileNotFoundError."""
    start = end = None

    def found(what: Kind, detail: str) -> Finding:
        path, dataset = _relative(layout, place.path), place.dataset.name
        return Finding(what=what, path=path, detail=detail, dataset=dataset, start=start, end=end)

    try:
        file = OpenFile(place.path, place.level, check=False)  # what is known of it is told first
        try:
            start, end = (None, None) if file.last_ts is None else (file.first_ts, file.last_ts + 1)
            file.check()
            rows = sum(frame.height for frame, _ in file.frames(MIN_TS, MAX_TS))
            if rows != file.rows:
                raise CorruptFile(place.path, f"{file.rows} rows by its footer, and {rows} in it")
            written_at = 0 if file.footer is None else file.footer.written_at
        finally:
            file.close()
    except OldFile as exc:
        return found("old", exc.reason)
    except CorruptFile as exc:
        if start is None or end is None:
            start, end = _at_most(place)
        return found("damaged", exc.reason)
    except StoreError as exc:
        return found("unreadable", exc.reason)
    try:
        if place.level is not None:
            parse_segment(place.path)
    except CorruptFile:
        name = segment_name(f"{_WRITER}.{token()}", 0, written_at, rows)
        detail = f"no name of a segment, which holds up folding; rename it to {name}.parquet"
        return found("misnamed", detail)
    return None


def _at_most(place: _Place) -> tuple[int, int]:
    """The time of which the rows of a file are whose footer can't be read: its period, up to when it was written."""
    start, end = period_bounds(place.period)
    return start, max(start + 1, min(end, place.path.stat().st_mtime_ns + 1))


def _moved(layout: Layout, place: _Place, found: Finding) -> Finding | None:
    """The same, moved; or as it is, with the reason why it couldn't be."""
    try:
        return _move(layout, place)
    except StoreError as exc:
        return msgspec.structs.replace(found, detail=f"{found.detail}; not set aside: {exc.reason}")


def _move(layout: Layout, place: _Place) -> Finding | None:
    """Note what a damaged file held as missing and move it, if it still is damaged. Raises FileNotFoundError."""
    with locked(layout.lock_path(place.dataset), wait=True):
        found = _look(layout, place)
        if found is None or found.what != "damaged" or found.start is None or found.end is None:
            return found
        gap = Gap(found.start, found.end, f"damaged file: {found.path}")
        # A stream claims a time seconds after its rows, so that the claim for these may be in the file after this one.
        # Where nobody knows when its rows were, a whole period isn't doubted for the sake of one segment.
        known = (found.start, found.end) != _at_most(place)
        NoteBook(layout, _WRITER).add(place.dataset, missing=[gap], doubted=[(found.start, found.end)] if known else [])
        target = layout.root / ".dccd" / "damaged" / place.dataset.name / place.period / f"{token()}-{place.path.name}"
        with os_errors(target):
            make_folder(target.parent)
            os.rename(place.path, target)
            sync_folder(target.parent)
            sync_folder(place.path.parent)
        return msgspec.structs.replace(found, moved=_relative(layout, target))


# ---------------------------------------------------------------- what there is


def _listed(layout: Layout, prefix: str) -> tuple[list[_Place], list[Finding]]:
    """The files of rows, and what is seen without reading any."""
    places: list[_Place] = []
    findings: list[Finding] = []
    for path in _files(layout.segments_root):
        dataset = layout.dataset_of(path)
        if path.name == "fold.lock" or not _meant(dataset, prefix):
            continue
        place = None if dataset is None else _segment(layout, dataset, path)
        _sort(layout, path, place, dataset, places, findings)
    for path in _files(layout.root, skip=".dccd"):
        dataset = layout.dataset_of(path)
        if not _meant(dataset, prefix):
            continue
        place = None
        if dataset is not None and path.suffix == ".parquet" and is_period(dataset.data_type, path.stem):
            place = _place(path, dataset, path.stem, None)
        _sort(layout, path, place, dataset, places, findings)
    for dataset in noted_datasets(layout):
        if _meant(dataset, prefix):
            try:
                read_notes(layout, dataset)
            except StoreError as exc:
                findings.append(_finding(layout, "notes", exc.path, exc.reason, dataset))
    if not prefix:
        told = "a message that is no ticks; look at it, then remove it"
        rejected = _files(layout.root / ".dccd" / "rejected")
        findings += [_finding(layout, "rejected", path, told) for path in rejected]
    return places, findings


def _sort(
    layout: Layout,
    path: Path,
    place: _Place | None,
    dataset: Dataset | None,
    places: list[_Place],
    findings: list[Finding],
) -> None:
    if place is not None:
        places.append(place)
    elif path.name.startswith(".") and path.suffix == _TEMP:
        if not _lives(path):
            findings.append(_finding(layout, "leftover", path, "of a writer that crashed", dataset))
    elif not path.name.startswith("."):
        findings.append(_finding(layout, "unknown", path, "none of ours", dataset))


def _segment(layout: Layout, dataset: Dataset, path: Path) -> _Place | None:
    """Where a reader of *dataset* would look, and find *path* a segment."""
    if path.suffix != ".parquet" or path.name.startswith("."):
        return None
    period = path.relative_to(layout.dataset_segments(dataset)).parts[0]
    if not is_period(dataset.data_type, period):
        return None
    level = next((level for level, folder in layout.levels(dataset, period) if folder == path.parent), None)
    return None if level is None else _place(path, dataset, period, level)


def _place(path: Path, dataset: Dataset, period: str, level: int | None) -> _Place | None:
    try:
        return _Place(path, dataset, period, level, path.stat().st_size)
    except FileNotFoundError:
        return None


def _files(folder: Path, skip: str = "") -> Iterator[Path]:
    """Every file below *folder*, through links too, as readers go; a folder that is linked into itself once."""
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = [] if real in seen else sorted(name for name in folders if name != skip)
        seen.add(real)
        yield from (Path(parent) / name for name in sorted(names))


def _meant(dataset: Dataset | None, prefix: str) -> bool:
    return not prefix or (dataset is not None and is_under(dataset.name, prefix))


def _lives(path: Path) -> bool:
    """Whether who writes the temporary file *path* holds it, or it is gone."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _remove(layout: Layout, finding: Finding) -> bool:
    path = layout.root / finding.path
    clean_temps(path.parent, None, older_than=-1.0)
    return not path.exists()


def _finding(layout: Layout, what: Kind, path: Path, detail: str, dataset: Dataset | None = None) -> Finding:
    name = None if dataset is None else dataset.name
    return Finding(what=what, path=_relative(layout, path), detail=detail, dataset=name)


def _relative(layout: Layout, path: Path) -> str:
    return str(path.relative_to(layout.root))
