"""What is stored, what is missing, and its repair."""

from __future__ import annotations

from typing import Literal

from dccd.messages.base import Limit, Name, OfDataset, Reply, Request, Time

__all__ = [
    "Coverage",
    "CoverageEntry",
    "CoverageGet",
    "DatasetEntry",
    "GapEntry",
    "Inventory",
    "InventoryList",
    "Repair",
    "RepairEntry",
    "Repaired",
]


class InventoryList(Request, frozen=True, kw_only=True):
    """List datasets, by name; ``dataset`` may be a prefix, as ``binance.trades``. ``limit``: so many at most (default:
    as many as 1 MiB holds); ``after``: those after the ``next`` of the page before."""

    dataset: Name | None = None
    limit: Limit | None = None
    after: Name | None = None


class GapEntry(Reply, frozen=True, kw_only=True, gc=False):
    """A hole: ``[start, end)`` ns, why, and what became of it; ``run_id`` is the run that repairs it."""

    start: int
    end: int
    reason: str
    state: Literal["missing", "repairing", "repaired", "unavailable", "purged"] = "missing"
    run_id: str | None = None


class DatasetEntry(Reply, frozen=True, kw_only=True, gc=False):
    """One stored dataset: times in ns, sizes in bytes. ``rows`` is as the files have them: what was fetched again
    counts twice until it is folded.

    ``start`` and ``end`` bound what was asked for or is there, ``coverage`` is how much of that is there or known to
    be empty (0 to 1), ``missing`` the seconds that are missing. ``gaps``: the newest 100 of the ``gaps_total`` holes
    that are not repaired. ``age``: seconds since the newest record. ``looked_at`` (ns): when its files last were; null:
    not yet since the daemon started, and the figures are those of before, or 0.
    """

    dataset: str
    host: str
    rows: int
    files: int
    bytes: int
    first_ts: int | None
    last_ts: int | None
    live: bool = False
    start: int | None = None
    end: int | None = None
    coverage: float | None = None
    missing: float = 0.0
    age: float | None = None
    gaps: list[GapEntry] = []
    gaps_total: int = 0
    looked_at: int | None = None


class Inventory(Reply, frozen=True, kw_only=True):
    """The datasets of a host, in order of their names; ``next``: ask again with this ``after`` for the following page,
    null at the end."""

    host: str
    data_path: str
    datasets: list[DatasetEntry]
    next: str | None = None


class CoverageGet(OfDataset, frozen=True, kw_only=True):
    """Ask what is there of a dataset's time, and what isn't and why; of ``[start, end)`` where given."""

    start: Time | None = None
    end: Time | None = None


class CoverageEntry(Reply, frozen=True, kw_only=True):
    """``[start, end)`` ns in one state; ``reason`` of what is missing or unavailable, ``run_id``: it fetches this."""

    start: int
    end: int
    state: Literal["verified", "empty", "unverified", "purged", "unavailable", "missing"]
    reason: str = ""
    run_id: str | None = None


class Coverage(Reply, frozen=True, kw_only=True):
    """The states of all time between ``start`` and ``end`` (ns), in order; ``seconds`` by state, ``fraction`` of it
    that is there or known to be empty. ``next``: ask again with this ``start`` for the rest, null at the end."""

    dataset: str
    host: str
    start: int
    end: int
    fraction: float
    seconds: dict[str, float]
    intervals: list[CoverageEntry]
    next: int | None = None


class Repair(Request, frozen=True, kw_only=True):
    """Ask the exchanges for what is missing now; ``dataset`` may be a prefix, as ``binance.trades``, or all.

    That is also what nobody ever asked for between what is there, and what a cancelled backfill left; of ``[start,
    end)`` only where given. ``unavailable``: and what an exchange didn't serve before. ``dry_run``: only tell.
    """

    dataset: Name | None = None
    start: Time | None = None
    end: Time | None = None
    unavailable: bool = False
    dry_run: bool = False


class RepairEntry(Reply, frozen=True, kw_only=True):
    """One missing interval (ns) and the run that fetches it; without one, ``why`` not."""

    dataset: str
    start: int
    end: int
    reason: str
    run_id: str | None = None
    why: str | None = None


class Repaired(Reply, frozen=True, kw_only=True):
    """The intervals that are asked for, newest first a dataset; ``waiting``: so many more follow by themselves."""

    repairs: list[RepairEntry]
    waiting: int = 0
