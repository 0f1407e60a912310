"""The async client: one method an operation of the bus, typed as ``dccd.messages`` has them.

Its methods are where what they are about is: ``runs``, ``jobs``, ``streams``, ``data``, ``feeds``, ``replays``,
``daemon``.
"""

from __future__ import annotations

from typing import Any

from dccd.client.alerts import AlertRequests
from dccd.client.base import Time
from dccd.client.config import ConfigRequests
from dccd.client.daemon import DaemonRequests
from dccd.client.data import DataRequests
from dccd.client.events import EventRequests
from dccd.client.feeds import TickRequests
from dccd.client.jobs import JobRequests
from dccd.client.metrics import MetricRequests
from dccd.client.replays import ReplayRequests
from dccd.client.runs import RunEvent, RunRequests
from dccd.client.streams import StreamRequests
from dccd.client.sync import SyncClient

__all__ = ["Client", "RunEvent", "Time"]


class Client(
    AlertRequests,
    ConfigRequests,
    DaemonRequests,
    DataRequests,
    EventRequests,
    JobRequests,
    MetricRequests,
    ReplayRequests,
    RunRequests,
    StreamRequests,
    TickRequests,
):
    """A client of the daemons on one bus; ``async with`` opens and closes its connection, ``with`` a SyncClient's.

    *target* is a URL (``nats://host:4222``; several, separated by commas, for a cluster), or nothing for what
    :func:`find_target` says; *context* is a ``nats`` context, *credentials* a file of ``dccd auth``, an NKEY's seed or
    a ``.creds`` file. *host* is who is to answer, where otherwise any host may. *timeout* is how long a request waits
    for its reply, in seconds.
    """

    _sync: SyncClient | None = None

    def __enter__(self) -> SyncClient:
        self._sync = SyncClient(self)
        return self._sync.__enter__()

    def __exit__(self, *exc_info: Any) -> None:
        if self._sync is not None:
            self._sync.__exit__(*exc_info)
