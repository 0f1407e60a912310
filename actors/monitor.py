"""Whether the daemon does what it should: looks at its parts, warns in the log, answers ``dccd.health``."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from actors.certificate import Certificate
from actors.control.streams import StreamDesk
from actors.events_kept import check_events
from actors.links import Links, Neighbours, RemoteState, Retention, WebhookState
from actors.mail import GetHealth
from actors.runtime.actor import Actor, run_together
from dccd.config import Alerts, Webhook, parse_duration, parse_size
from dccd.messages import Health, HealthCheck, StreamEntry
from dccd.symbols import NS

__all__ = [
    "Monitor",
    "check_archiver",
    "check_bus",
    "check_clock",
    "check_config",
    "check_metrics",
    "check_space",
    "check_store",
    "check_streams",
]

_INTERVAL = 5.0
_AHEAD = 30 * NS


def check_streams(
    streams: list[StreamEntry], alerts: Alerts, now: int, sockets: dict[str, Any] | None = None
) -> HealthCheck:
    """No stream may have been set aside, be refused, or be silent for longer than ``alerts`` allows it.

    *sockets*: each exchange's connections, of which it tells how many there are, and how many aren't read.
    """
    bad = [f"{s.dataset} gave up: {s.error or 'crashed too often'}" for s in streams if s.state == "gave_up"]
    bad += [f"{s.dataset} is refused: {s.error}" for s in streams if s.state == "refused"]
    bad += [f"{s.dataset} reconnects: {s.error}" for s in streams if s.state == "reconnecting"]
    bad += [
        f"{s.dataset} silent for {(now - s.last_recv_ts) / NS:.0f} s"
        for s in streams
        if s.last_recv_ts is not None and now - s.last_recv_ts > (alerts.silence_of(s.dataset) or math.inf) * NS
    ]
    return HealthCheck(
        name="streams", ok=not bad, detail="; ".join(bad) or _so_many(len(streams), "stream") + _shared(sockets)
    )


def check_clock(streams: list[StreamEntry]) -> HealthCheck:
    """No record may have come well before its own time: then this host's clock is behind."""
    ahead = {
        s.dataset: s.last_ts - s.last_recv_ts
        for s in streams
        if s.last_ts is not None and s.last_recv_ts is not None and s.last_ts > s.last_recv_ts + _AHEAD
    }
    if not ahead:
        return HealthCheck(name="clock", ok=True, detail="no record is ahead of it")
    name = max(ahead, key=lambda dataset: ahead[dataset])
    which = f"{_so_many(len(ahead), 'stream')}, those of {name} by {ahead[name] / NS:.0f} s"
    detail = f"ahead of this host's clock are times of {which}"
    return HealthCheck(name="clock", ok=False, detail=detail)


def _so_many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _shared(sockets: dict[str, Any] | None) -> str:
    found = [one for pool in (sockets or {}).values() for one in pool["connections"]]
    # Of ccxt.pro's one object there may be several, which can't be held up.
    count = sum(one.get("connections", 1) for one in found)
    held = sum(one.get("paused", False) for one in found)
    return f" on {_so_many(count, 'connection')}{f', {held} held up' if held else ''}" if count else ""


def check_bus(url: str, connected: bool, waiting: float, overflowing: bool, alerts: Alerts) -> HealthCheck:
    """The server must answer, and store what it gets: ticks must not be *waiting* (seconds) for that."""
    detail = url
    if not connected:
        detail = f"{url} is away: ticks are kept here"
    elif waiting > parse_duration(alerts.archiver_lag):
        detail = f"{url} stores nothing since {waiting:.0f} s: ticks are kept here"
    if overflowing:
        detail = f"{detail}, but there is no room for more: what comes now is dropped, and will be reported as gaps"
    return HealthCheck(name="bus", ok=detail == url, detail=detail)


def check_archiver(
    pending: int, oldest: int | None, rejected: int, error: str | None, alerts: Alerts, now: int
) -> HealthCheck:
    """The oldest message that isn't on disk (*oldest*, ns) must be young; none may have been set aside as no ticks."""
    age = 0.0 if oldest is None else (now - oldest) / NS
    detail = f"{_so_many(pending, 'message')} not on disk yet"
    if age > parse_duration(alerts.archiver_lag):
        return HealthCheck(
            name="archiver", ok=False, detail=f"{detail}, the oldest for {age:.0f} s: {error or 'too slow'}"
        )
    if rejected:
        detail = f"{rejected} messages on dccd.ticks are no ticks; they are kept under .dccd/rejected"
    return HealthCheck(name="archiver", ok=not rejected, detail=detail)


def check_space(free: int, alerts: Alerts) -> HealthCheck:
    """``free_space`` bytes must be left under ``data_path``."""
    return HealthCheck(name="space", ok=free >= parse_size(alerts.free_space), detail=f"{free / 2**30:.1f} GiB free")


def check_store(unreadable: dict[str, str]) -> HealthCheck:
    """The files of every dataset must be readable (*unreadable*: dataset → why not)."""
    detail = "; ".join(f"{name}: {why}" for name, why in sorted(unreadable.items()))
    return HealthCheck(name="store", ok=not unreadable, detail=detail or "all files can be read")


def check_config(path: Path | None, error: str | None) -> HealthCheck:
    """The configuration file must say what runs: an edit of it with an error changes nothing."""
    return HealthCheck(name="config", ok=error is None, detail=error or str(path))


def check_remotes(remotes: dict[str, RemoteState], retention: Retention) -> HealthCheck:
    """The last sync of each remote must have come to its end, and retention must find the room that it is to keep."""
    bad = [f"{name}: {state.error}" for name, state in remotes.items() if state.error is not None]
    if retention.short:
        bad.append(f"{retention.short / 2**30:.1f} GiB short of storage.retention.free_space, and nothing that may go")
    elif retention.kept:
        bad.append(f"{len(retention.kept)} periods can't be purged, as {retention.kept[0]}")
    return HealthCheck(name="remotes", ok=not bad, detail="; ".join(bad) or _so_many(len(remotes), "remote"))


def check_metrics(listening: str | None, refused: str | None) -> HealthCheck:
    """What the configuration wants served to Prometheus must be served."""
    return HealthCheck(name="metrics", ok=refused is None, detail=refused or listening or "about to be served")


def check_webhooks(webhooks: Iterable[Webhook], states: Mapping[str, WebhookState]) -> HealthCheck:
    """Each webhook of the configuration must have taken what it was sent last."""
    names = [webhook.id for webhook in webhooks]
    bad = [f"{name}: {state.error}" for name in names if (state := states.get(name)) and state.error]
    return HealthCheck(name="webhooks", ok=not bad, detail="; ".join(bad) or _so_many(len(names), "webhook"))


def check_hosts(neighbours: Neighbours) -> HealthCheck:
    """No other daemon on the bus may go by this host's id: they would take each other's requests and ticks."""
    others = len(neighbours.known)
    detail = neighbours.double or (f"{_so_many(others, 'other')} on this bus" if others else "the only one on this bus")
    return HealthCheck(name="hosts", ok=neighbours.double is None, detail=detail)


class Monitor(Actor):
    """Keeps the last finding; a check that turns is told in the log once."""

    def __init__(self, links: Links, desk: StreamDesk) -> None:
        self.links, self.desk = links, desk
        self._ok: dict[str, bool] = {}
        self._certificate = Certificate()

    async def on_start(self) -> None:
        self.links.monitor = self.context.ref

    async def run(self) -> None:
        await run_together(self._watch, self.serve)

    async def on_message(self, message: Any) -> Any:
        return self._look() if isinstance(message, GetHealth) else None

    async def _watch(self) -> None:
        while True:
            checks = self._look().checks
            self.links.tally.checks = {check.name: check.ok for check in checks}
            for check in checks:
                before = self._ok.get(check.name, True)
                if check.ok != before:
                    log = self.context.log.info if check.ok else self.context.log.warning
                    log("recovered" if check.ok else "unhealthy", check=check.name, detail=check.detail)
                self._ok[check.name] = check.ok
            await self.context.clock.sleep(_INTERVAL)

    def _look(self) -> Health:
        links, now = self.links, self.links.clock.wall_ns()
        alerts, archive = links.config.alerts, links.archive
        streams = self.desk.list()
        since = links.publisher.waiting_since
        waiting = 0.0 if since is None else time.monotonic() - since
        set_aside = [c.id for c in links.backfills.nodes() if c.status == "gave_up"]
        checks = [
            check_bus(links.bus_shown, links.bus.connected, waiting, links.publisher.overflowing, alerts),
            check_archiver(archive.pending, archive.oldest, archive.rejected, archive.error, alerts, now),
            check_streams(streams, alerts, now, links.sockets.statistics()),
            check_clock(streams),
            HealthCheck(name="backfills", ok=not set_aside, detail=", ".join(set_aside) or "none set aside"),
            check_store(links.unreadable),
            check_hosts(links.neighbours),
            *([check_events(links.events_kept)] if links.events_kept else []),
            check_space(shutil.disk_usage(links.data_path).free, alerts),
            *([check_webhooks(alerts.webhooks, links.webhooks)] if alerts.webhooks else []),
            *([check_metrics(links.tally.listening, links.tally.refused)] if links.config.metrics.listen else []),
            *([check_config(links.config_path, links.config_error)] if links.config_path is not None else []),
            *self._certificate.checks(links.config.bus, now),
            *([check_remotes(links.remotes, links.retention)] if links.remotes or links.retention.short else []),
        ]
        return Health(
            ok=all(check.ok for check in checks),
            host=links.host,
            version=links.version,
            uptime=round((now - links.started) / NS, 3),
            bus_url=links.bus_shown,
            data_path=str(links.data_path),
            archiver_lag=archive.pending,
            checks=checks,
        )
