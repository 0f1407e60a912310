"""The whole supervision tree on one screen, and what each restart means.

::

    dccd              one_for_one: the bus may die and come back; nothing else stops for it
    ├── meter         the event loop's delay; metrics for Prometheus, also while the bus is away
    ├── nats          the embedded nats-server (absent with bus.url)
    └── work          rest_for_one: what stands on a dead connection is started anew
        ├── link      connection, streams, buckets
        └── core      one_for_one: each of these can crash alone
            ├── hosts       that this host is there, and which others are
            ├── catalogue   what there is and what is missing
            ├── archiver    bus → Parquet
            ├── compactor   segments → base
            ├── keeper      copies to remotes when they are due; what leaves the store
            ├── backfills   dynamic: a Backfiller (or Migrator, Mirror, Folder) a run
            ├── streams     dynamic: a Collector a stream
            ├── replays     dynamic: a Player a replay
            ├── runner      which backfills run
            ├── historian   old runs leave the history; those whose host is gone are interrupted
            ├── reconciler  the configuration, and which streams run
            ├── scheduler   when backfill jobs run
            ├── monitor     health
            ├── alerter     incidents, and the webhooks that are told
            └── control     requests; last, so that who is answered can be served

Children start in this order and stop in reverse: requests end first, then the jobs, then streams and backfills (which
write what they hold), then the archiver (which writes what the streams have published), and the bus last.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.alerter import Alerter
from actors.archiver import Archiver
from actors.backfiller import Backfiller
from actors.catalogue import Catalogue
from actors.collector import Collector
from actors.compactor import Compactor
from actors.control.handlers import Handlers
from actors.control.replays import MAX_REPLAYS, ReplayDesk
from actors.control.runner import Runner
from actors.control.service import Control
from actors.control.streams import StreamDesk
from actors.folder import Folder
from actors.historian import Historian
from actors.hosts import Hosts
from actors.keeper import Keeper
from actors.links import Links
from actors.meter import Meter
from actors.migrator import Migrator
from actors.mirror import Mirror
from actors.monitor import Monitor
from actors.nats import BusLink, NatsServer
from actors.player import Player
from actors.reconciler import Reconciler
from actors.runtime.actor import Actor, ActorNode
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.events import ActorEvent
from actors.runtime.exits import path_text
from actors.runtime.spec import Backoff, ChildSpec
from actors.runtime.supervisor import Supervisor
from actors.scheduler import Scheduler
from dccd import subjects
from dccd.messages import ActorChanged, TreeNode
from dccd.runs import Run

__all__ = ["build", "node"]

_SOON = Backoff(initial=0.1, maximum=10.0)
"""Of the supervisors, too: a bus that refuses at once, for a minute, would use up the restarts of one after the other,
and the daemon would end."""
_MAX_STREAMS = 10_000
_RUNS: dict[str, Callable[[Links, Run], Actor]] = {
    "backfill": Backfiller,
    "storage.migrate": Migrator,
    "storage.sync": Mirror,
    "storage.verify": Mirror,
    "storage.restore": Mirror,
    "storage.fold": Folder,
}
"""Who does a run, by its operation."""


def build(links: Links, *, jobs: bool, extra: list[ChildSpec] | None = None) -> ChildSpec:
    """Return the spec of the whole tree.

    *jobs*: start the configuration's, and go on with interrupted backfills. *extra*: further children of core.
    """
    desk = StreamDesk(links, lambda state: Collector(links, state))
    replay_desk = ReplayDesk(links, lambda plan, source: Player(links, plan, source))
    handlers = Handlers(links, desk, replay_desk)

    def streams() -> Actor:
        links.streams = DynamicSupervisor(intensity=5, period=300.0, max_children=_MAX_STREAMS, on_excess="give_up")
        return links.streams

    def backfills() -> Actor:
        links.backfills = DynamicSupervisor(intensity=3, period=300.0, max_children=_MAX_STREAMS, on_excess="give_up")
        return links.backfills

    def replays() -> Actor:
        links.replays = DynamicSupervisor(max_children=MAX_REPLAYS)
        return links.replays

    def worker(name: str, make: Callable[[], Actor], shutdown: float = 5.0) -> ChildSpec:
        return ChildSpec(id=name, start=make, shutdown=shutdown, backoff=_SOON)

    core = [
        worker("hosts", lambda: Hosts(links)),
        worker("catalogue", lambda: Catalogue(links)),
        worker("archiver", lambda: Archiver(links), shutdown=20.0),
        worker("compactor", lambda: Compactor(links), shutdown=10.0),
        ChildSpec(id="backfills", start=backfills, type="supervisor"),
        ChildSpec(id="streams", start=streams, type="supervisor"),
        ChildSpec(id="replays", start=replays, type="supervisor"),
        worker("runner", lambda: Runner(links, lambda run: _RUNS[run.operation](links, run), resume=jobs)),
        *([worker("historian", lambda: Historian(links))] if jobs else []),
        worker("reconciler", lambda: Reconciler(links, desk, enabled=jobs), shutdown=10.0),
        worker("scheduler", lambda: Scheduler(links, enabled=jobs)),
        *([worker("keeper", lambda: Keeper(links), shutdown=20.0)] if jobs else []),
        worker("monitor", lambda: Monitor(links, desk)),
        *([worker("alerter", lambda: Alerter(links, desk))] if jobs else []),
        worker("control", lambda: Control(links, handlers)),
        *(extra or []),
    ]
    work = [
        worker("link", lambda: BusLink(links), shutdown=10.0),
        ChildSpec(
            id="core",
            start=lambda: Supervisor(core, strategy="one_for_one", intensity=10, period=60.0),
            type="supervisor",
            backoff=_SOON,
        ),
    ]
    root = [
        ChildSpec(
            id="work",
            start=lambda: Supervisor(work, strategy="rest_for_one", intensity=10, period=60.0),
            type="supervisor",
            backoff=_SOON,
        )
    ]
    if links.config.bus.url is None:
        root.insert(0, worker("nats", lambda: NatsServer(links), shutdown=10.0))
    if jobs:
        root.insert(0, worker("meter", lambda: Meter(links)))
    return ChildSpec(
        id="dccd",
        start=lambda: Supervisor(root, strategy="one_for_one", intensity=20, period=60.0),
        type="supervisor",
    )


def observer(links: Links) -> Callable[[ActorEvent], None]:
    """What the runtime calls for each thing that happens to an actor: an event on the bus."""

    def observe(event: ActorEvent) -> None:
        links.tally.saw(event)
        if event.kind == "gave_up" and event.path[-2:-1] == ("backfills",):
            links.gave_up(event.path[-1], event.reason)
        changed = ActorChanged(
            at=event.at,
            host=links.host,
            path=path_text(event.path),
            change=event.kind,
            reason=event.reason,
            restarts=event.restarts,
        )
        links.emit(subjects.actor_event(event.kind), changed)

    return observe


def node(actor: ActorNode) -> TreeNode:
    """The tree as the bus tells it."""
    fields = {
        name: getattr(actor, name) for name in ("id", "type", "status", "restarts", "mailbox", "mailbox_size", "uptime")
    }
    return TreeNode(**fields, reason=actor.reason, children=[node(child) for child in actor.children])
