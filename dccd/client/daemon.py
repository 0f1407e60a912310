"""What is asked of the daemon itself."""

from __future__ import annotations

from dccd import messages as m
from dccd.client.base import Requests

__all__ = ["DaemonRequests"]


class DaemonRequests(Requests):
    """The daemon itself, and its exchanges."""

    async def operations(self) -> list[m.OperationEntry]:
        """Every operation of the daemon with its request and reply schema."""
        return (await self._ask("operations", m.Operations)).operations

    async def health(self) -> m.Health:
        """Whether the daemon does what it should."""
        return await self._ask("health", m.Health)

    async def tree(self) -> m.Tree:
        """The daemon's supervision tree with restarts and mailboxes."""
        return await self._ask("tree", m.Tree)

    async def hosts(self) -> list[m.HostEntry]:
        """The hosts on this bus, as each last said of itself; one that is gone disappears within seconds."""
        return (await self._ask("hosts", m.Hosts)).hosts

    async def exchanges(self, exchange: str | None = None, *, all: bool = False) -> dict[str, list[m.CapabilityEntry]]:
        """What can be collected, by exchange: of those with a folder in dccd, of *all*, or of one."""
        return (await self._ask("exchanges", m.Exchanges, m.ExchangesList(all=all, exchange=exchange))).exchanges
