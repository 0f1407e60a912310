"""What the bus keeps, handed to who may not use JetStream: a request flows in, a delivery or a page comes of it."""

from __future__ import annotations

from actors.links import Links
from dccd import messages as m
from dccd.bus.connection import Bus
from dccd.bus.following import Followers
from dccd.bus.journal import EventLog

__all__ = ["Kept"]


class Kept:
    """Makes deliveries and reads pages, on the connection that there is when it is asked."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._on: tuple[Bus, Followers, EventLog] | None = None

    def __repr__(self) -> str:
        return f"<Kept {self._on}>"

    async def follow(self, request: m.Follow) -> m.Followed:
        """Have a stream delivered. Raises RequestError, BusUnavailable, JetStreamError."""
        return await self._here()[1].follow(request)

    async def journal(self, request: m.Journal) -> m.JournalPage:
        """A page of events. Raises the same."""
        return await self._here()[2].read(request)

    def release(self) -> None:
        """Let nobody wait any more for what is to come: the daemon stops."""
        if self._on is not None:
            self._on[2].release()
            self._on = None

    def _here(self) -> tuple[Bus, Followers, EventLog]:
        bus = self.links.bus
        if self._on is None or self._on[0] is not bus:
            self._on = bus, Followers(bus, self.links.host), EventLog(bus, self.links.host, self.links.page)
        return self._on
