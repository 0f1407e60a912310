"""What lies on a remote, and what of it stays when the store has moved on. Pure.

Entries of files flow in; keys, and the next manifest of a dataset's year, flow out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from dccd.errors import RemoteDamaged
from dccd.store.coverage import Interval, IntervalSet, Notes
from dccd.store.layout import period_bounds
from dccd.symbols import Dataset

__all__ = [
    "Entry",
    "Manifest",
    "Owner",
    "decoded",
    "entry_key",
    "manifest_key",
    "manifests_prefix",
    "notes_key",
    "outlived",
    "owner_key",
    "year_of",
]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a period: where its object is, what is in it.

    ``level`` is the segment's, None for a base; ``name`` the file's stem. ``first_ts`` and ``last_ts`` (ns) are of its
    rows, ``verified`` and ``unverified`` what it claims, as the store's ``coverage`` has it, ``columns`` those that the
    store doesn't know.
    """

    period: str
    name: str
    level: int | None
    key: str
    size: int
    sha256: str
    rows: int
    first_ts: int | None = None
    last_ts: int | None = None
    verified: tuple[Interval, ...] = ()
    unverified: tuple[Interval, ...] = ()
    columns: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """The objects that make up a dataset's periods of one year; ``written_at`` in ns."""

    dataset: str
    written_at: int
    files: tuple[Entry, ...] = ()
    version: int = 1


class Owner(msgspec.Struct, frozen=True):
    """Whose files lie under a host's name: the ``store`` is a ``data_path``, by an id that it keeps."""

    store: str
    host: str


def owner_key(host: str) -> str:
    return f"{host}/.dccd/owner.json"


def manifests_prefix(host: str, dataset: Dataset | None = None) -> str:
    """Below which the manifests of *dataset* are, or of all."""
    return f"{host}/.dccd/manifests/" if dataset is None else f"{host}/.dccd/manifests/{dataset.name}/"


def manifest_key(host: str, dataset: Dataset, year: str) -> str:
    return f"{manifests_prefix(host, dataset)}{year}.json"


def notes_key(host: str, dataset: Dataset) -> str:
    return f"{manifests_prefix(host, dataset)}notes.json"


def year_of(period: str) -> str:
    """The year whose manifest has *period*."""
    return period[:4]


def entry_key(host: str, dataset: Dataset, period: str, level: int | None, name: str, sha256: str) -> str:
    """The key of a file's object: never that of other content, since a segment's name is given once."""
    if level is None:
        return f"{host}/{dataset.folder}/{period}.{sha256[:16]}.parquet"
    return f"{host}/.dccd/segments/{dataset.name}/{period}/{name}.parquet"


def decoded(remote: str, key: str, text: bytes) -> Manifest:
    """The manifest in *text*. Raises RemoteDamaged."""
    try:
        found = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise RemoteDamaged(remote, key, f"not a manifest: {exc}") from exc
    if found.version != 1:
        raise RemoteDamaged(remote, key, f"a manifest of version {found.version}, written by a newer dccd")
    return found


def outlived(old: Sequence[Entry], now: Sequence[Entry], notes: Notes) -> tuple[list[Entry], list[Entry]]:
    """Return those of *old* that stay beside *now*, and those that *now* stands for. All are of one period.

    What a fold has made of a file has its rows. But a file may also be gone since retention, ``dccd doctor`` or a
    person removed it; then the remote's is the one that there is. So an old file goes only when the present ones claim
    all that it claims and reach as far as its rows do, and a base only for no fewer rows (a fold never makes a base
    smaller); and none while the period is noted as purged.
    """
    kept: list[Entry] = []
    gone: list[Entry] = []
    present = {entry.key for entry in now}
    rows = sum(entry.rows for entry in now)
    verified = IntervalSet(chain.from_iterable(entry.verified for entry in now))
    claimed = verified.union(IntervalSet(chain.from_iterable(entry.unverified for entry in now)))
    first, last = _hull(now)
    purged = IntervalSet(notes.purged)
    for entry in old:
        if entry.key in present:
            continue
        low, high = _hull([entry])
        stands = (
            bool(now)
            and not purged.within(*period_bounds(entry.period))
            and not IntervalSet(entry.verified).minus(verified)
            and not IntervalSet(entry.unverified).minus(claimed)
            and first <= low
            and high <= last
            and (entry.level is not None or (rows >= entry.rows and any(e.level is None for e in now)))
        )
        (gone if stands else kept).append(entry)
    return kept, gone


def _hull(entries: Iterable[Entry]) -> tuple[float, float]:
    """The first and last time of the rows; of none a pair that lies within any."""
    found = list(entries)
    first = min((e.first_ts for e in found if e.first_ts is not None), default=float("inf"))
    last = max((e.last_ts for e in found if e.last_ts is not None), default=float("-inf"))
    return first, last
