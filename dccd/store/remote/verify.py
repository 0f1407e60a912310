"""Whether a remote has what its manifests say: objects flow in, are hashed, and what differs flows out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

import msgspec

from dccd.errors import RemoteDamaged, RemoteMissing
from dccd.store.coverage import Notes
from dccd.store.layout import Layout
from dccd.store.remote.base import Remote, Wait, checked, patiently, waiting
from dccd.store.remote.manifest import Entry, Manifest, decoded, manifest_key, manifests_prefix, notes_key, owner_key
from dccd.store.remote.sync import Progress, forget, using
from dccd.symbols import Dataset

__all__ = ["Different", "Verified", "manifests", "noted", "noted_there", "verify"]


class Different(msgspec.Struct, frozen=True):
    """An object that isn't what its manifest says, and why; ``mended``: the manifest doesn't name it any more, so that
    the next sync uploads it anew where the store has it."""

    dataset: str
    period: str
    key: str
    why: str
    mended: bool = False


class Verified(msgspec.Struct, frozen=True):
    """What was read, what differs, and how many objects no manifest names (of a sync that was killed)."""

    files: int = 0
    bytes: int = 0
    different: tuple[Different, ...] = ()
    loose: int = 0


def verify(
    layout: Layout,
    remote: Remote,
    host: str,
    *,
    datasets: Collection[Dataset] | None = None,
    mend: bool = False,
    tell: Callable[[Progress], None] = lambda progress: None,
    wait: Wait | None = None,
) -> Verified:
    """Read every object that the manifests of *host* name, of *datasets* or all, and compare sizes and hashes.

    *mend*: take what differs out of the manifests, and remove what no manifest names. Raises RemoteAway, RemoteError,
    StoreLocked when another run is at it for long, Stopped.
    """
    wait = wait or waiting()
    with using(layout, remote, wait):
        found = list(manifests(remote, host, datasets, wait))
        there = {o.key: o.size for o in patiently(lambda: list(remote.list(f"{host}/")), wait)}
        progress = Progress(all_bytes=sum(entry.size for _, _, manifest in found for entry in manifest.files))
        different: list[Different] = []
        for dataset, year, manifest in found:
            bad = []
            for entry in manifest.files:
                if (why := _compare(remote, entry, there.get(entry.key), wait)) is not None:
                    bad.append(entry)
                    different.append(Different(dataset.name, entry.period, entry.key, why, mend))
                progress = msgspec.structs.replace(
                    progress, files=progress.files + 1, bytes=progress.bytes + entry.size
                )
                tell(progress)
            if bad and mend:
                _mend(remote, host, dataset, year, manifest, bad, wait)
        named = {entry.key for _, _, manifest in found for entry in manifest.files}
        loose = [] if datasets is not None else [key for key in there if key not in named and _is_data(host, key)]
        if mend:
            patiently(lambda: remote.delete(loose), wait)
            forget(layout, remote)
        return Verified(progress.files, progress.bytes, tuple(different), len(loose))


def manifests(
    remote: Remote, host: str, datasets: Collection[Dataset] | None, wait: Wait
) -> Iterator[tuple[Dataset, str, Manifest]]:
    """Yield each dataset's manifests, by year. Raises RemoteAway, RemoteError."""
    listed = patiently(lambda: list(remote.list(manifests_prefix(host))), wait)
    for found in sorted(listed, key=lambda found: found.key):
        name, _, file = found.key.removeprefix(manifests_prefix(host)).partition("/")
        year, _, suffix = file.partition(".")
        dataset = Dataset.parse(name)
        if suffix != "json" or not year.isdecimal() or (datasets is not None and dataset not in datasets):
            continue
        try:
            text = patiently(lambda key=found.key: b"".join(remote.read(key)), wait)  # type: ignore[misc]  # bound now
        except RemoteMissing:
            continue
        yield dataset, year, decoded(remote.name, found.key, text)


def noted_there(remote: Remote, host: str, datasets: Collection[Dataset] | None, wait: Wait) -> list[Dataset]:
    """The datasets that the remote knows anything of, in order. Raises RemoteAway, RemoteError."""
    prefix = manifests_prefix(host)
    names = {
        found.key.removeprefix(prefix).partition("/")[0] for found in patiently(lambda: list(remote.list(prefix)), wait)
    }
    return sorted(dataset for dataset in map(Dataset.parse, names) if datasets is None or dataset in datasets)


def noted(remote: Remote, host: str, dataset: Dataset, wait: Wait) -> Notes:
    """What was noted about *dataset*. Raises RemoteAway, RemoteDamaged."""
    key = notes_key(host, dataset)
    try:
        return msgspec.json.decode(patiently(lambda: b"".join(remote.read(key)), wait), type=Notes)
    except RemoteMissing:
        return Notes()
    except msgspec.MsgspecError as exc:
        raise RemoteDamaged(remote.name, key, f"not the notes of a dataset: {exc}") from exc


def _compare(remote: Remote, entry: Entry, size: int | None, wait: Wait) -> str | None:
    if size is None:
        return "it isn't there"
    if size != entry.size:
        return f"it has {size:,} bytes, where its manifest says {entry.size:,}"

    def read() -> None:
        for _ in checked(remote, entry.key, entry.size, entry.sha256, wait):
            pass

    try:
        patiently(read, wait)
    except RemoteMissing:
        return "it isn't there"
    except RemoteDamaged as exc:
        return str(exc).rpartition(f"{entry.key}: ")[2]
    return None


def _mend(
    remote: Remote, host: str, dataset: Dataset, year: str, manifest: Manifest, bad: list[Entry], wait: Wait
) -> None:
    files = tuple(entry for entry in manifest.files if entry not in bad)
    said = msgspec.json.encode(msgspec.structs.replace(manifest, files=files, written_at=time.time_ns()))
    patiently(lambda: remote.put(manifest_key(host, dataset, year), [said], len(said)), wait)


def _is_data(host: str, key: str) -> bool:
    return not key.startswith(manifests_prefix(host)) and key != owner_key(host)
