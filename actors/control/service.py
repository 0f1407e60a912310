"""The micro service of this host: last to start and first to stop, so that who is answered can be served."""

from __future__ import annotations

import anyio

from actors.control.handlers import Handlers
from actors.links import Links
from actors.runtime.actor import Actor
from dccd.bus.service import Service
from dccd.operations import OPERATIONS, Operation, schema

__all__ = ["Control"]


class Control(Actor):
    """Puts every operation of the table on the bus."""

    def __init__(self, links: Links, handlers: Handlers) -> None:
        self.links, self.handlers = links, handlers
        self._service: Service | None = None

    def __repr__(self) -> str:
        return f"<Control {self._service}>"

    async def on_start(self) -> None:
        service = Service(self.links.bus, host_id=self.links.host, version=self.links.version)
        try:
            await service.start()
            # Health last: who waits for its answer before asking for more finds everything there.
            for operation in sorted(OPERATIONS.values(), key=_is_last):
                await service.add(
                    operation.name,
                    self.handlers.handler(operation),
                    request_schema=schema(operation.request),
                    reply_schema=schema(operation.reply),
                    description=operation.description,
                    wait=_is_last(operation),
                )
        except BaseException:
            # Half of a service would answer beside the next incarnation's.
            with anyio.CancelScope(shield=True):
                await service.stop()
            raise
        self._service = self.links.service = service

    async def on_stop(self) -> None:
        if self._service is not None:
            self.handlers.kept.release()  # else these would be waited for
            await self._service.stop()


def _is_last(operation: Operation) -> bool:
    return operation.name == "health"
