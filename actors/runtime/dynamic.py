"""The supervisor of children that come and go: OTP's ``simple_one_for_one``, each with a spec of its own.

Children are independent of each other: each starts, backs off and stops on its own, and all of them stop at the same
time. A child that has ended for good is forgotten, as is one that was terminated. Ours: ``on_excess="give_up"``.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable

from actors.runtime.children import Child
from actors.runtime.events import Observer
from actors.runtime.exits import MaxChildren
from actors.runtime.policy import Exhaust, Limits
from actors.runtime.supervision import BaseSupervisor

__all__ = ["DynamicSupervisor"]


class DynamicSupervisor(BaseSupervisor):
    """Supervises children that ``start_child`` adds.

    With ``on_excess="exit"`` more than ``intensity`` restarts of all children within ``period`` seconds end the
    supervisor, as in OTP. With ``give_up`` each child has that many of its own, and one that exceeds them is set
    aside: the supervisor goes on, ``which_children`` shows it as ``gave_up``, ``restart_child`` brings it back with a
    clean history, ``terminate_child`` forgets it. At most ``max_children`` at once (None: no limit), without those
    set aside; one more raises MaxChildren.
    """

    keeps_specs = False

    def __init__(
        self,
        intensity: int = 1,
        period: float = 5.0,
        max_children: int | None = None,
        on_excess: Exhaust = "exit",
        observer: Observer | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        super().__init__(Limits(intensity=intensity, period=period, on_excess=on_excess), observer, random)
        self.max_children = max_children
        # Not all children are looked at for each message: there may be thousands.
        self._touched: dict[str, Child] = {}

    def _touch(self, child: Child) -> None:
        self._touched[child.spec.id] = child

    def _advance(self) -> None:
        touched, self._touched = self._touched, {}
        now = self.context.clock.now()
        for id, child in touched.items():
            if self.children.get(id) is not child:
                continue
            if child.doomed:
                if child.status != "stopping":
                    self._stop(child)
            elif child.waits_for_start and child.due <= now:
                self._start(child)

    def _check_room(self, id: str) -> None:
        if self.max_children is None:
            return
        taken = sum(child.status != "gave_up" for child in self.children.values())
        if taken >= self.max_children:
            raise MaxChildren(id, self.max_children)
