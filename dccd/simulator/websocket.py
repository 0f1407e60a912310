"""The WebSocket side of a simulated exchange: connections flow in, and what is due flows out to all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from dccd.simulator.clock import Clock
from dccd.simulator.faults import Disconnect, FaultPlan, Injected, Silence, matches
from dccd.simulator.peer import Peer
from dccd.simulator.venue import Venue

__all__ = ["Hub"]


class Hub:
    """All connections to one exchange's WebSocket port."""

    def __init__(self, venue: Venue, clock: Clock, faults: FaultPlan) -> None:
        self.venue = venue
        self.clock = clock
        self.faults = faults
        self.peers: set[Peer] = set()
        self.flooding = venue.config.total is not None or (
            venue.config.replay is not None and not venue.config.replay_speed
        )
        self.slow_clients = 0
        self._sent_before = self._received_before = 0
        self._server: asyncio.Server | None = None
        self._pumping: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        faults.performers.append(self._perform)

    def __repr__(self) -> str:
        return f"<Hub {self.venue.id} peers={len(self.peers)}>"

    def statistics(self) -> dict[str, Any]:
        """Clients, subscriptions, frames sent and received."""
        return {
            "clients": sum(peer.is_open() for peer in self.peers),
            "subscriptions": sorted(name for peer in self.peers if peer.session for name in peer.session.streams),
            "frames_sent": self._sent_before + sum(peer.sent for peer in self.peers),
            "frames_received": self._received_before + sum(peer.received for peer in self.peers),
            "slow_clients_dropped": self.slow_clients,
        }

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises OSError when it is taken."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Peer(self), host, port)
        self._pumping = asyncio.create_task(self.clock.run(self.pump))
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close all connections, and listen no more."""
        if self._pumping is not None:
            self._pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pumping
        if self._server is not None:
            self._server.close()
        for peer in list(self.peers):
            peer.close(1001, "going away")
            if peer.transport is not None:
                peer.transport.close()
        # One turn of the loop, in which the transports call connection_lost.
        await asyncio.sleep(0)
        for peer in list(self.peers):
            if peer.transport is not None:
                peer.transport.abort()

    def forget(self, peer: Peer) -> None:
        """A connection is gone."""
        if peer in self.peers:
            self.peers.discard(peer)
            self._sent_before += peer.sent
            self._received_before += peer.received
        self.note()

    def note(self) -> None:
        """A client has connected, asked for something, or gone: see who waited for that."""
        for met, waiting in self._waiting:
            if not waiting.done() and met():
                waiting.set_result(None)

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until *met*, which is looked at whenever a client connects, asks for something or goes."""
        if met():
            return
        entry = (met, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            await entry[1]
        finally:
            self._waiting.remove(entry)

    def pump(self, now: int) -> None:
        """Send all clients what is due."""
        for peer in list(self.peers):
            peer.pump(now)

    def silent(self, peer: Peer) -> bool:
        """Whether a fault keeps this connection silent."""
        if peer.session is None or not self.faults.has(Silence):
            return False
        return self.faults.silent(self.venue.id, peer.pairs(), peer.session.opened_at)

    def _perform(self, injected: Injected) -> None:
        fault = injected.fault
        if not isinstance(fault, Disconnect) or fault.skip or fault.exchange not in ("", self.venue.id):
            return
        for peer in list(self.peers):
            if peer.is_open() and any(matches(fault, self.venue.id, *pair) for pair in peer.pairs() or [("", "")]):
                injected.hits += 1
                peer.disconnect(fault)
