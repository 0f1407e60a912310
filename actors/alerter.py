"""Incidents: what the daemon knows of its parts flows in, each few seconds; messages to webhooks, events and the
entries of ``dccd_alerts`` flow out.

What is an incident is decided in :mod:`dccd.alerts`, what a webhook is sent in :mod:`dccd.notify.forms`. A webhook is
told of an incident once when it is opened and once when it is over: what each was told last is on record, so that
neither a restart nor a webhook that is away makes it more or less than that. (A kill between a webhook's answer and
the record has it told again.) An incident that is over before a webhook could be told isn't told there at all.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec

from actors.control.streams import StreamDesk
from actors.links import Links, WebhookState
from actors.mail import GetHealth, GetIncidents, GetJobs
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError
from dccd import subjects
from dccd.alerts import Facts, Pending, findings, forgotten, settled
from dccd.config import Webhook, parse_duration
from dccd.errors import BusError, NotTold
from dccd.messages import AlertChanged, AlertsListed, Incident, WebhookEntry
from dccd.notify.forms import MOST, post
from dccd.notify.webhook import Sender

__all__ = ["Alerter"]

_LOOK = 2.0
_ASK = 10.0
_FIRST_RETRY, _LAST_RETRY = 2.0, 300.0


class Alerter(Actor):
    """Looks, remembers, tells."""

    def __init__(self, links: Links, desk: StreamDesk) -> None:
        self.links, self.desk = links, desk
        self._open: dict[str, Incident] = {}
        self._over: dict[str, Incident] = {}
        self._pending = Pending()
        self._unsaved: dict[str, Incident | None] = {}
        self._saving = anyio.Lock()
        self._seen: dict[str, int] = {}
        self._telling: set[str] = set()
        self._sender = Sender()

    def __repr__(self) -> str:
        return f"<Alerter {len(self._open)} open, {self._sender}>"

    def statistics(self) -> dict[str, Any]:
        return {"open": len(self._open), "over": len(self._over), "unsaved": len(self._unsaved)}

    async def on_start(self) -> None:
        """Take over what was known before."""
        for entry in await self.links.alerts.find(self.links.host):
            incident = msgspec.json.decode(entry.value, type=Incident)
            (self._open if incident.state == "open" else self._over)[incident.key] = incident
        self.links.alerter = self.context.ref

    async def run(self) -> None:
        async with self._sender:
            await run_together(self._look_now_and_then, self._tell_now_and_then, self.serve)

    async def on_message(self, message: Any) -> Any:
        match message:
            case GetIncidents(everything, limit):
                return self._list(everything, limit)
        return None

    # ------------------------------------------------------------ looking

    async def _look_now_and_then(self) -> None:
        while True:
            try:
                await self._look()
            except (ActorError, TimeoutError) as exc:
                # A part that is asked restarts, or is slow: it is asked again soon.
                self.context.log.debug("not all is known", error=str(exc))
            await self._save()
            await self.context.clock.sleep(_LOOK)

    async def _look(self) -> None:
        links = self.links
        if links.scheduler is None:
            return
        health = await links.monitor.ask(GetHealth(), timeout=_ASK)
        jobs = await links.scheduler.ask(GetJobs(), timeout=_ASK)
        now, alerts = self.context.clock.wall_ns(), links.config.alerts
        streams = self.desk.list()
        self._seen = {one.dataset: self._seen.get(one.dataset, now) for one in streams}
        facts = Facts(
            now=now,
            checks=health.checks,
            streams=streams,
            jobs={spec.name: state for spec, state in jobs},
            datasets=list(links.entries.values()),
            first_seen=self._seen,
        )
        verdict = findings(facts, alerts, self._open)
        changed, self._pending = settled(
            self._open, self._pending, verdict, now, parse_duration(alerts.settle), links.host
        )
        for incident in changed:
            before = self._over.get(incident.key)
            if incident.state == "open" and before is not None:
                # Who has not heard yet that it was over still knows that it is open.
                knows = {name: state for name, state in before.told.items() if state == "open"}
                incident = msgspec.structs.replace(incident, told=knows)
            self._put(incident)
            opened = incident.state == "open"
            log = self.context.log.warning if opened else self.context.log.info
            log("incident" if opened else "incident over", about=incident.key, detail=incident.detail)
            event = AlertChanged(at=now, host=links.host, incident=incident)
            links.emit(subjects.alert_event(links.host, "opened" if opened else "resolved"), event)
        for incident in [one for one in (*self._open.values(), *self._over.values()) if forgotten(one, now)]:
            self._open.pop(incident.key, None)
            self._over.pop(incident.key, None)
            self._unsaved[incident.key] = None

    def _put(self, incident: Incident) -> None:
        here, there = (self._open, self._over) if incident.state == "open" else (self._over, self._open)
        here[incident.key] = incident
        there.pop(incident.key, None)
        self._unsaved[incident.key] = incident

    async def _save(self) -> None:
        """Write what isn't on record yet; with the bus away, later: that may be what is to be told."""
        async with self._saving:
            for key in list(self._unsaved):
                incident, at = self._unsaved[key], subjects.alert_key(self.links.host, key)
                try:
                    if incident is None:
                        await self.links.alerts.remove(at)
                    else:
                        await self.links.alerts.put(at, msgspec.json.encode(incident))
                except BusError as exc:
                    self.context.log.debug("incidents wait for the bus", error=str(exc))
                    return
                if self._unsaved[key] is incident:
                    del self._unsaved[key]

    # ------------------------------------------------------------ telling

    async def _tell_now_and_then(self) -> None:
        """Tell each webhook on its own: one that doesn't answer keeps none of the others waiting."""
        clock = self.context.clock
        async with anyio.create_task_group() as group:
            while True:
                for webhook in self.links.config.alerts.webhooks:
                    state = self._state(webhook)
                    due = self._due(webhook)
                    state.waiting = len(due)
                    if due and clock.now() >= state.not_before and webhook.id not in self._telling:
                        self._telling.add(webhook.id)
                        group.start_soon(self._tell, webhook, state, due)
                await clock.sleep(_LOOK / 4)

    def _state(self, webhook: Webhook) -> WebhookState:
        """What it last did. One that was changed has done nothing yet: what is put right is tried at once."""
        state = self.links.webhooks.get(webhook.id)
        if state is None or state.of != webhook:
            state = self.links.webhooks[webhook.id] = WebhookState(webhook)
        return state

    def _due(self, webhook: Webhook) -> list[Incident]:
        """What *webhook* doesn't know: an incident that it wasn't told of, or that one which it was told of is over."""
        fits = [one for one in (*self._open.values(), *self._over.values()) if self._is_for(webhook, one)]
        return [
            one
            for one in fits
            if (one.state == "open" and one.told.get(webhook.id) != "open")
            or (one.state == "resolved" and one.told.get(webhook.id) == "open")
        ]

    def _is_for(self, webhook: Webhook, incident: Incident) -> bool:
        return not webhook.rules or incident.rule in webhook.rules

    async def _tell(self, webhook: Webhook, state: WebhookState, due: list[Incident]) -> None:
        clock = self.context.clock
        told = due if webhook.format == "json" else due[: 10 * MOST]
        try:
            await self._sender.send(webhook.url, post(webhook, self.links.host, told, clock.wall_ns()))
        except NotTold as exc:
            self._telling.discard(webhook.id)
            state.retry = min(_LAST_RETRY, max(_FIRST_RETRY, 2 * state.retry))
            wait = max(state.retry, min(exc.retry_after or 0.0, _LAST_RETRY))
            state.not_before = clock.now() + wait
            if state.error != str(exc):
                self.context.log.warning("webhook not told", webhook=webhook.id, error=str(exc), again_in=wait)
            state.error = str(exc)
            return
        state.sent += 1
        state.error, state.retry, state.waiting = None, 0.0, 0
        for one in told:
            latest = self._open.get(one.key) or self._over.get(one.key)
            if latest is not None:  # it may have turned meanwhile: then the next message says so
                self._put(msgspec.structs.replace(latest, told={**latest.told, webhook.id: one.state}))
        self._telling.discard(webhook.id)  # as soon as it is known what it was told
        await self._save()

    def _list(self, everything: bool, limit: int) -> AlertsListed:
        found = [*self._open.values(), *(self._over.values() if everything else ())]
        newest = sorted(found, key=lambda one: (one.state == "open", one.resolved or one.opened), reverse=True)
        webhooks = []
        for webhook in self.links.config.alerts.webhooks:
            state = self.links.webhooks.get(webhook.id, WebhookState())
            webhooks.append(
                WebhookEntry(
                    name=webhook.id, format=webhook.format, sent=state.sent, waiting=state.waiting, error=state.error
                )
            )
        return AlertsListed(host=self.links.host, incidents=newest[:limit], webhooks=webhooks)
