"""The store as a whole: damaged files, older releases, remotes, retention."""

from __future__ import annotations

from typing import Literal

from dccd.messages.base import HostId, Name, Reply, Request, Rule, Time

__all__ = [
    "Doctor",
    "DoctorLine",
    "RemoteEntry",
    "Remotes",
    "Retention",
    "RetentionEntry",
    "StorageFold",
    "StorageMigrate",
    "StorageRestore",
    "StorageSync",
    "StorageVerify",
]


class Doctor(Request, frozen=True, kw_only=True):
    """Read every stored file whole, or those of datasets whose names begin with ``dataset``, and tell what is wrong.
    ``set_aside``: move damaged files to ``.dccd/damaged``, and note their intervals as missing."""

    dataset: Name | None = None
    set_aside: bool = False


class DoctorLine(Reply, frozen=True, kw_only=True):
    """A line of the answer, which is as many as it takes, a line a message. ``kind`` is ``progress``: so many files
    and bytes of how many have been read, all of them in the last line; or ``finding``: ``what`` of ``path``, below the
    ``data_path``. ``[start, end)`` ns are the rows of a damaged file, ``moved`` is where it is now."""

    kind: Literal["progress", "finding"]
    files: int = 0
    of_files: int = 0
    bytes: int = 0
    of_bytes: int = 0
    what: Literal["damaged", "unreadable", "old", "misnamed", "notes", "rejected", "leftover", "unknown"] | None = None
    path: str = ""
    detail: str = ""
    dataset: str | None = None
    start: int | None = None
    end: int | None = None
    moved: str | None = None

    @property
    def wrong(self) -> bool:
        """Whether somebody should do something about it."""
        return self.what not in (None, "leftover", "unknown") and self.moved is None


class StorageMigrate(Request, frozen=True, kw_only=True):
    """Bring the files of older releases in the ``data_path`` into this layout; with ``dry_run`` only say what would be
    done. ``symbols`` says what pairs mean (``{"BTCUSDT": "BTC/USDT"}``), ``datasets`` what files or folders hold
    (``{"dump/24.csv": "binance.trades.BTC-USDT"}``). ``remove_originals``: old files whose every row is stored are
    removed, and not kept aside."""

    dry_run: bool = True
    symbols: dict[str, Name] = {}
    datasets: dict[str, Name] = {}
    remove_originals: bool = False


class StorageSync(Request, frozen=True, kw_only=True):
    """Copy to ``remotes`` (null: to all) what they lack of datasets whose name is or begins with ``dataset`` (null:
    all). ``adopt``: go on in a folder that has another store's files."""

    remotes: list[Name] | None = None
    dataset: Name | None = None
    adopt: bool = False


class StorageVerify(Request, frozen=True, kw_only=True):
    """Read every copy on ``remotes`` (null: on all) and compare it with what its manifest says. ``mend``: take what
    differs out of the manifests, so that it is copied anew, and remove what none names."""

    remotes: list[Name] | None = None
    dataset: Name | None = None
    mend: bool = False


class StorageRestore(Request, frozen=True, kw_only=True):
    """Bring back from ``remote`` (null: the first) the periods of ``dataset`` (a name, or a prefix; null: all) that
    have a part in ``[start, end)``. ``host``: whose copies (null: this host's)."""

    remote: Name | None = None
    dataset: Name | None = None
    start: Time | None = None
    end: Time | None = None
    host: HostId | None = None


class StorageFold(Request, frozen=True, kw_only=True):
    """Fold now, whatever is due when: every row of datasets whose name is or begins with ``dataset`` (null: all) goes
    into the Parquet files that anything can read. What is written meanwhile waits for its turn, as always."""

    dataset: Name | None = None


class RemoteEntry(Reply, frozen=True, kw_only=True):
    """A remote: ``interval`` seconds between syncs (0: only when asked), when all that there was had last been copied
    (ns), and what has kept a later sync from it since the daemon started."""

    name: str
    url: str
    interval: float
    synced: int | None = None
    error: str | None = None


class Remotes(Reply, frozen=True, kw_only=True):
    """The remotes of a host."""

    host: str
    remotes: list[RemoteEntry]


class RetentionEntry(Reply, frozen=True, kw_only=True):
    """A period that is to go, its bytes, and the rule by which. ``kept``: why it can't yet, by what the remotes'
    manifests say."""

    dataset: str
    period: str
    bytes: int
    reason: Rule
    kept: str | None = None


class Retention(Reply, frozen=True, kw_only=True):
    """What would be purged now: so many ``periods`` of so many ``bytes``, the first thousand in ``purge``, oldest
    first. ``free`` bytes of the disk are free, ``floor`` are to be, and ``short`` lack all the same."""

    host: str
    free: int
    floor: int
    short: int
    periods: int
    bytes: int
    purge: list[RetentionEntry]
