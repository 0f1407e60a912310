"""A ``data_path`` of an older release, a file after the other.

Paths flow in, a :class:`FileReport` each flows out: of what would be done (:meth:`Migration.plan`, which touches
nothing) or of what was (:meth:`Migration.perform`). Both look at the files in the same order with the same eyes, so
that the plan is what happens.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import polars as pl

from dccd.errors import CorruptFile, IdentityError, OldFileProblem, StoreLocked
from dccd.store.files import Step, locked, no_step, remove, remove_empty
from dccd.store.fold import fold
from dccd.store.layout import Layout, period_bounds, period_of
from dccd.store.merge import merged
from dccd.store.old.commit import commit, read_journal, resume, stage, staging_root, stat_of, unfinished
from dccd.store.old.convert import convert
from dccd.store.old.fits import fits
from dccd.store.old.names import Source, recognise
from dccd.store.old.read import read_old
from dccd.store.old.sift import missing, sift
from dccd.store.period import open_period
from dccd.store.schema import KEYS
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["FileReport", "Migration", "Options"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of a migration: what pairs and files mean (see ``names``), and whether old files whose every
    row is stored are removed instead of kept aside."""

    symbols: dict[str, str] = {}
    datasets: dict[str, str] = {}
    remove_originals: bool = False


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is, or was, done about one old file.

    ``keep``: it is read as it is. ``migrate``: of its ``rows``, ``new`` ones are stored in the periods ``to`` of
    ``dataset``, the ``same`` ones are stored already, ``conflicts`` say something else of a thing that is, and ``left``
    have no time or price; the last two stay in the old file only, which is kept (``aside``). ``finish``: a crash left
    it half migrated. ``refuse``: the ``problem`` says why. ``ignore``: nothing to do.
    """

    path: str
    action: Literal["keep", "migrate", "finish", "refuse", "ignore"]
    bytes: int = 0
    dataset: str | None = None
    to: tuple[str, ...] = ()
    rows: int = 0
    new: int = 0
    same: int = 0
    conflicts: int = 0
    left: int = 0
    changes: tuple[str, ...] = ()
    aside: str | None = None
    problem: str | None = None


class _Found(msgspec.Struct, frozen=True):
    """What is new in a file, what is to be written again with it, and all its rows in our columns."""

    report: FileReport
    new: pl.DataFrame
    again: pl.DataFrame
    rows: pl.DataFrame


class Migration:
    """Brings the old files below one ``data_path`` into the store. Nothing else may write those meanwhile; what this
    release writes may go on."""

    def __init__(self, layout: Layout, options: Options = Options(), step: Step = no_step) -> None:  # noqa: B008  # frozen
        self.layout, self.options, self._step = layout, options, step
        self._old: set[Path] = set()
        self._done = Counter[str]()

    def __repr__(self) -> str:
        return f"<Migration of {self.layout.root}: {dict(self._done)}>"

    def total(self) -> int:
        """The bytes of all files that are looked at: of their reports' ``bytes`` the sum."""
        return sum(_size(self.layout.root / path) for path in self._paths())

    def plan(self) -> Iterator[FileReport]:
        """Yield what :meth:`perform` would do; touches nothing. Raises IdentityError for options that fit no file."""
        begun = set()
        for folder in unfinished(self.layout):
            if (journal := read_journal(folder)) is not None:
                begun.add(journal.source)
                yield self._told(FileReport(path=journal.source, action="finish", dataset=journal.dataset))
        yield from self._walk(dry=True, begun=begun)

    def perform(self) -> Iterator[FileReport]:
        """Do it, and yield what was done, a file after the other; stop anywhere, and call it again to go on.

        A file that can't be migrated is reported and stays. Raises StoreLocked when another migration runs,
        StoreFull and StoreError when writing fails: that file is as it was, or finished by the next call.
        """
        with _alone(self.layout):
            for journal in resume(self.layout, self._step):
                dataset = Dataset.parse(journal.dataset)
                self._fold(dataset, self.layout.segment_periods(dataset))
                yield self._told(
                    FileReport(path=journal.source, action="finish", dataset=journal.dataset, aside=journal.aside)
                )
            yield from self._walk(dry=False, begun=set())

    # ------------------------------------------------------------ files

    def _walk(self, *, dry: bool, begun: set[str]) -> Iterator[FileReport]:
        sources = [self._recognised(path) for path in self._paths() if path not in begun]
        self._check_options(sources)
        todo = []
        for source in sources:
            report = self._at_once(source)
            if report is None:
                todo.append(source)
            elif report.action != "ignore" or report.problem is not None:
                yield self._told(report)
        self._old = {self.layout.root / source.path for source in todo if source.in_place}
        spread = {source.dataset for source in todo if source.period is None}
        # What a plan found in the files before, of the same dataset and, where all have one, period.
        before: list[pl.DataFrame] = []
        group: object = None
        for source in sorted(todo, key=lambda one: (_group(one, spread), one.order)):
            if (now := _group(source, spread)) != group:
                before, group = [], now
            yield self._told(self._file(source, before, dry=dry))

    def _file(self, source: Source, before: list[pl.DataFrame], *, dry: bool) -> FileReport:
        path = self.layout.root / source.path
        size = _size(path)
        try:
            stat = stat_of(path)
            found = self._look(source, before)
            if dry:
                before.append(found.new)
                return found.report
            assert source.dataset is not None
            rows = pl.concat([found.new, found.again])
            folder = stage(self.layout, source.dataset, rows, source.path, stat, self._step)
            journal = commit(self.layout, folder, self._step)
        except (CorruptFile, OldFileProblem) as exc:
            named = exc.path != path
            problem = str(exc) if named else str(exc).removeprefix(f"{exc.path}: ")
            return FileReport(
                path=source.path, action="refuse", bytes=size, dataset=_name(source.dataset), problem=problem
            )
        if journal is None:
            changed = "it was changed while it was read: nothing was done about it"
            return FileReport(
                path=source.path, action="refuse", bytes=size, dataset=_name(source.dataset), problem=changed
            )
        self._old.discard(path)
        _prune(path.parent, self.layout.root)
        self._fold(source.dataset, found.report.to)
        aside: str | None = journal.aside
        if self.options.remove_originals and self._all_stored(source.dataset, found):
            remove([self.layout.root / journal.aside], self._step)
            _prune((self.layout.root / journal.aside).parent, self.layout.root)
            aside = None
        return msgspec.structs.replace(found.report, aside=aside)

    def _look(self, source: Source, before: Sequence[pl.DataFrame]) -> _Found:
        """What is in the file. Raises OldFileProblem, CorruptFile, StoreError."""
        assert source.dataset is not None
        kind, path = source.dataset.data_type, self.layout.root / source.path
        frame = read_old(path)
        converted = convert(kind, frame, path)
        rows = converted.rows
        stored = [*self._stored(source.dataset, rows), *before] if KEYS[kind] is not None else []
        sifted = sift(kind, rows, pl.concat([rows.clear(), *stored], how="diagonal_relaxed"))
        to = sorted({period_of(kind, ts) for ts in _moments(kind, sifted.new)})
        report = FileReport(
            path=source.path,
            action="migrate",
            bytes=_size(path),
            dataset=source.dataset.name,
            to=tuple(to),
            rows=frame.height,
            new=sifted.new.height,
            same=sifted.same,
            conflicts=sifted.conflicts,
            left=converted.left,
            changes=converted.changes,
        )
        return _Found(report, sifted.new, sifted.again, rows)

    def _stored(self, dataset: Dataset, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """What is stored of the time of *rows* (trades: of their days), without the old files that lie where base files
        do."""
        if not rows.height:
            return
        kind = dataset.data_type
        lo, hi = int(rows["TS"].min()), int(rows["TS"].max()) + 1  # type: ignore[arg-type]  # integers
        if KEYS[kind] == "tid":
            lo, hi = period_bounds(period_of(kind, lo))[0], period_bounds(period_of(kind, hi - 1))[1]
        for period in self.layout.periods(dataset):
            first, end = period_bounds(period)
            if end <= lo or first >= hi:
                continue
            corrupt: list[CorruptFile] = []
            with open_period(self.layout, dataset, period, corrupt) as (files, _):
                for exc in corrupt:
                    if exc.path not in self._old:
                        raise exc
                ours = [file for file in files if file.path not in self._old]
                if ours:
                    yield from merged(kind, ours, lo, hi)

    def _all_stored(self, dataset: Dataset, found: _Found) -> bool:
        """Whether each row of the file is read from the store again: asked before it is removed."""
        if found.report.conflicts or found.report.left:
            return False
        stored = pl.concat([found.rows.clear(), *self._stored(dataset, found.rows)], how="diagonal_relaxed")
        return missing(dataset.data_type, found.rows, stored) == 0

    def _fold(self, dataset: Dataset, periods: Sequence[str]) -> None:
        """Into base files, which anybody can read. What can't be folded now is in segments, and folded later."""
        for period in periods:
            try:
                fold(self.layout, dataset, period, force=True)
            except (StoreLocked, CorruptFile):
                continue

    # ------------------------------------------------------------ what there is

    def _at_once(self, source: Source) -> FileReport | None:
        """The report of a file that needn't be read, or None."""
        path = self.layout.root / source.path
        if source.dataset is None:
            action: Literal["ignore", "refuse"] = "ignore" if source.ignored else "refuse"
            return FileReport(path=source.path, action=action, bytes=_size(path), problem=source.problem)
        if not source.in_place:
            return None
        state = fits(path, source.dataset.data_type)
        if state == "old":
            return None
        # What this release wrote is none of a migration's business.
        action2: Literal["ignore", "keep"] = "ignore" if state == "ours" else "keep"
        return FileReport(path=source.path, action=action2, bytes=_size(path), dataset=source.dataset.name)

    def _recognised(self, path: str) -> Source:
        return recognise(path, self.options.symbols, self.options.datasets)

    def _paths(self) -> list[str]:
        """All files below the data_path but those under a folder with a dot, in order."""
        found = []
        for folder, folders, names in os.walk(self.layout.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            below = Path(folder).relative_to(self.layout.root)
            found += [(below / name).as_posix() for name in sorted(names) if not name.startswith(".")]
        return found

    def _check_options(self, sources: Sequence[Source]) -> None:
        paths = {part for source in sources for part in _parts(source.path)}
        for path, name in self.options.datasets.items():
            Dataset.parse(name)
            if path not in paths:
                raise IdentityError("datasets", f"there is no file or folder {path!r} in {self.layout.root}")
        names = {piece for source in sources for piece in source.path.split("/")}
        for pair, symbol in self.options.symbols.items():
            Symbol.parse(symbol)
            if pair not in names:
                raise IdentityError("symbols", f"no folder in {self.layout.root} is called {pair!r}")

    def _told(self, report: FileReport) -> FileReport:
        self._done[report.action] += 1
        return report


def _group(source: Source, spread: set[Dataset | None]) -> tuple[str, str]:
    name = _name(source.dataset) or ""
    return (name, "" if source.dataset in spread else source.period or "")


def _moments(kind: DataType, rows: pl.DataFrame) -> list[int]:
    """A time of each day of *rows*."""
    day = 86_400_000_000_000
    return rows.select((pl.col("TS") // day * day).unique())["TS"].to_list()


def _name(dataset: Dataset | None) -> str | None:
    return None if dataset is None else dataset.name


def _parts(path: str) -> list[str]:
    pieces = path.split("/")
    return ["/".join(pieces[:count]) for count in range(1, len(pieces) + 1)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _prune(folder: Path, root: Path) -> None:
    """Remove *folder* and those above it, below *root*, as far as nothing is in them."""
    while folder != root and folder.is_relative_to(root):
        remove_empty(folder)
        if folder.exists():
            return
        folder = folder.parent


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    path = staging_root(layout) / "lock"
    try:
        with locked(path):
            yield
    except StoreLocked as exc:
        if exc.path != path:
            raise
        raise StoreLocked(path, "another migration of this data_path runs") from exc
