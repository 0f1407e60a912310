"""The supervisor of a fixed set of children in a fixed order: Erlang/OTP's ``supervisor``.

https://www.erlang.org/doc/apps/stdlib/supervisor. Children start in order, each after the one before is ready, and
stop in reverse. Where several are to be stopped and started (a group restart), all stops come before the first start.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Sequence

import anyio

from actors.runtime.children import Child
from actors.runtime.events import Observer
from actors.runtime.policy import Limits
from actors.runtime.spec import AutoShutdownMode, ChildSpec, Strategy, check_specs
from actors.runtime.supervision import BaseSupervisor

__all__ = ["Supervisor"]


class Supervisor(BaseSupervisor):
    """Supervises *children*.

    ``strategy``: a child that is to be restarted is restarted alone (``one_for_one``), with all (``one_for_all``) or
    with those after it (``rest_for_one``). More than ``intensity`` restarts within ``period`` seconds stop all and end
    the supervisor; a group restart counts once. ``auto_shutdown`` ends it when its significant children are done.
    *observer* is told of the children (that of the parent, if none is given); *random* gives [0, 1) for the backoff.

    Raises SpecError for impossible flags or specs, and for an id that is there twice, before anything is started.
    """

    keeps_specs = True

    def __init__(
        self,
        children: Sequence[ChildSpec] = (),
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdownMode = "never",
        observer: Observer | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        limits = Limits(strategy=strategy, intensity=intensity, period=period, auto_shutdown=auto_shutdown)
        super().__init__(limits, observer, random)
        check_specs(children, auto_shutdown)
        self.children = {spec.id: Child(spec) for spec in children}
        self._in_order = True

    async def on_start(self) -> None:
        """Start the children; ready when the last one is. Raises StartFailed from the cause when one can't be."""
        try:
            self._advance()
            await self._loop(self._all_started)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stop_children()
            raise
        self._in_order = self.limits.strategy != "one_for_one"

    def _all_started(self) -> bool:
        return all(child.origin != "initial" or child.status == "stopped" for child in self.children.values())

    async def on_stop(self) -> None:
        self._in_order = True
        await super().on_stop()

    def _advance(self) -> None:
        doomed = [child for child in self.children.values() if child.doomed]
        if doomed:
            # One at a time, the last one first; nothing is started before all of them have ended.
            self._stop(doomed[-1])
            return
        now = self.context.clock.now()
        for child in self.children.values():
            if child.waits_for_start and child.due <= now:
                self._start(child)
            if self._in_order and (child.waits_for_start or child.status == "starting"):
                return
