"""The hosts: what each says of itself."""

from __future__ import annotations

from dccd.messages.base import Reply

__all__ = ["HostEntry", "Hosts"]


class HostEntry(Reply, frozen=True, kw_only=True):
    """A host as it last said of itself, at ``at`` (ns), a second ago or so: one that is gone disappears within seconds.

    ``instance`` is another one each time it starts, ``format`` that of this entry. ``hostname`` and ``pid`` are where
    it runs, ``streams`` and ``backfills`` how many it has.
    """

    id: str
    instance: str
    format: int = 1
    version: str
    hostname: str
    pid: int
    data_path: str
    started: int
    at: int
    streams: int = 0
    backfills: int = 0


class Hosts(Reply, frozen=True, kw_only=True):
    """The hosts on this bus, by id; ``host`` has answered."""

    host: str
    hosts: list[HostEntry]
