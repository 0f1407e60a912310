"""Where things lie: the names of folders and files, and what they say.

Datasets and times flow in, paths and periods flow out. Touches no disk but to list.

::

    {root}/{exchange}/{data_type}/{SYMBOL}[/{span}]/{period}.parquet          the base
    {root}/.dccd/segments/{dataset}/{period}/{writer}-{seq}-{since}-{rows}.parquet           level 0: as written
    {root}/.dccd/segments/{dataset}/{period}/m{level}/{writer}-{seq}-{since}-{rows}.parquet  merged from lower ones
    {root}/.dccd/segments/{dataset}/fold.lock
    {root}/.dccd/coverage/{dataset}/{writer}.json                             see ``claims``
    {root}/.dccd/hosts/{host}                                                 see ``hosts``

``since`` (ns, when the oldest rows in it were written) and the number of rows are in a segment's name so that
planning a fold costs a listing.

Rows only ever move up: from a level to a higher one, at last to the base. So who lists the levels upwards and looks
at the base last can't miss a row that moves meanwhile (see ``reader``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from dccd.errors import CorruptFile, IdentityError
from dccd.symbols import NS, Dataset, DataType

__all__ = [
    "MAX_LEVEL",
    "Layout",
    "is_daily",
    "is_period",
    "parse_segment",
    "period_bounds",
    "period_of",
    "segment_name",
]

MAX_LEVEL = 12
"""The highest level of a merged segment: with 8 a merge, enough for 8**12 flushes in a period."""

_DAILY = (DataType.TRADES, DataType.ORDERBOOK)
_PERIOD = {True: re.compile(r"\d{4}-\d\d-\d\d"), False: re.compile(r"\d{4}")}
_DAY = 86400 * NS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_daily(data_type: DataType) -> bool:
    """Whether a period of *data_type* is a day, and not a year."""
    return data_type in _DAILY


def period_of(data_type: DataType, ts: int) -> str:
    """Return the period of *ts* (ns): ``2024-01-31`` for trades and order books, ``2024`` for the others."""
    day = date.fromordinal(_EPOCH.toordinal() + ts // _DAY)
    return day.isoformat() if data_type in _DAILY else f"{day.year:04d}"


@lru_cache(maxsize=4096)
def period_bounds(period: str) -> tuple[int, int]:
    """Return ``[start, end)`` of *period* in ns. Raises ValueError when it is none."""
    if len(period) == 4:
        first = datetime(int(period), 1, 1, tzinfo=UTC)
        last = datetime(int(period) + 1, 1, 1, tzinfo=UTC)
    else:
        first = datetime.fromisoformat(period).replace(tzinfo=UTC)
        last = first + timedelta(days=1)
    return (first - _EPOCH).days * _DAY, (last - _EPOCH).days * _DAY


def segment_name(writer: str, seq: int, since: int, rows: int) -> str:
    """Return the stem of a segment's file name; *writer* and *seq* must never have been together in one before."""
    return f"{writer}-{seq:08d}-{since}-{rows}"


def parse_segment(path: Path) -> tuple[int, int]:
    """Return ``since`` (ns) and the number of rows from a segment's name. Raises CorruptFile when it has another
    form."""
    _, *numbers = path.stem.rsplit("-", 2)
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise CorruptFile(path, "not the name of a segment")
    return int(numbers[0]), int(numbers[1])


def is_period(data_type: DataType, text: str) -> bool:
    """Whether *text* names a period of *data_type*."""
    if not _PERIOD[data_type in _DAILY].fullmatch(text):
        return False
    try:
        period_bounds(text)
    except ValueError:
        return False
    return True


class Layout:
    """The names below one ``data_path``."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.segments_root = self.root / ".dccd" / "segments"

    def __repr__(self) -> str:
        return f"Layout({str(self.root)!r})"

    def folder(self, dataset: Dataset) -> Path:
        """The folder of the base files."""
        return self.root / dataset.folder

    def base_path(self, dataset: Dataset, period: str) -> Path:
        """The base file of *period*."""
        return self.folder(dataset) / f"{period}.parquet"

    def dataset_segments(self, dataset: Dataset) -> Path:
        """The folder of the dataset's segments, a folder a period in it."""
        return self.segments_root / dataset.name

    def segment_dir(self, dataset: Dataset, period: str, level: int = 0) -> Path:
        """The folder of the segments of *level*; 0 is as written, above are merged ones."""
        folder = self.dataset_segments(dataset) / period
        return folder / f"m{level}" if level else folder

    def lock_path(self, dataset: Dataset) -> Path:
        """The file whose lock (``flock``) who folds *dataset* holds."""
        return self.dataset_segments(dataset) / "fold.lock"

    @property
    def archive_lock_path(self) -> Path:
        """The file whose lock a daemon holds that stores what comes over its bus here: two would store it twice."""
        return self.root / ".dccd" / "archive.lock"

    def levels(self, dataset: Dataset, period: str) -> list[tuple[int, Path]]:
        """The folders of segments to list, lowest level first. The higher ones need not be there."""
        return [(level, self.segment_dir(dataset, period, level)) for level in range(MAX_LEVEL + 1)]

    def periods(self, dataset: Dataset) -> list[str]:
        """The periods with segments or a base, in order.

        Segments are listed first: what is folded meanwhile is found as a base.
        """
        kind = dataset.data_type
        found = set(self.segment_periods(dataset))
        for name in _names(self.folder(dataset)):
            stem, dot, suffix = name.partition(".")
            if dot and suffix == "parquet" and is_period(kind, stem):
                found.add(stem)
        return sorted(found)

    def segment_periods(self, dataset: Dataset) -> list[str]:
        """The periods with a folder of segments, in order: those that a fold may have to do with."""
        return sorted(n for n in _names(self.dataset_segments(dataset)) if is_period(dataset.data_type, n))

    def datasets(self) -> list[Dataset]:
        """Every dataset with segments or a base file, in order. Folders that are none of ours are passed over."""
        return sorted(dataset for dataset in self._candidates() if self._any(dataset))

    def _any(self, dataset: Dataset) -> bool:
        """Whether there are periods of *dataset*. Segments first: what is folded meanwhile is found as a base."""
        kind = dataset.data_type
        if any(is_period(kind, name) for name in _names(self.dataset_segments(dataset))):
            return True
        ends = (name.partition(".") for name in _names(self.folder(dataset)))
        return any(suffix == "parquet" and is_period(kind, stem) for stem, _, suffix in ends)

    def bars_beside(self, dataset: Dataset) -> list[Dataset]:
        """The stored ohlc datasets of the same symbol on the same exchange, the shortest span first."""
        stem = f"{dataset.exchange}.{DataType.OHLC}.{dataset.symbol.token}."
        names = {stem + span for span in _names(self.root / stem.replace(".", "/"))}
        names.update(name for name in _names(self.segments_root) if name.startswith(stem))
        found = {bars for name in names for bars in _parse(name)}
        return sorted((bars for bars in found if self.periods(bars)), key=lambda bars: bars.span or 0)

    def dataset_of(self, path: Path) -> Dataset | None:
        """The dataset whose base or segment *path* is by its place; None when it is neither's."""
        try:
            parts = path.relative_to(self.root).parts
        except ValueError:
            return None
        name = parts[2] if parts[:2] == (".dccd", "segments") and len(parts) > 3 else ".".join(parts[:-1])
        return next(_parse(name), None)

    def named_in(self, folder: Path) -> list[Dataset]:
        """The datasets whose names are the names in *folder*, in order."""
        return sorted(dataset for name in _names(folder) for dataset in _parse(name))

    def _candidates(self) -> set[Dataset]:
        found = set(self.named_in(self.segments_root))
        for exchange in _names(self.root):
            if exchange.startswith("."):
                continue
            for kind in DataType:
                for symbol in _names(self.root / exchange / kind):
                    if kind is DataType.OHLC:
                        for span in _names(self.root / exchange / kind / symbol):
                            found.update(_parse(f"{exchange}.{kind}.{symbol}.{span}"))
                    else:
                        found.update(_parse(f"{exchange}.{kind}.{symbol}"))
        return found


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _parse(name: str) -> Iterator[Dataset]:
    """The dataset whose name is exactly *name*: a folder spelt otherwise isn't where its rows would be looked for."""
    try:
        dataset = Dataset.parse(name)
    except IdentityError:
        return
    if dataset.name == name:
        yield dataset
