"""Measures the event loop, and offers all metrics to Prometheus where the configuration says so.

It stands beside the bus in the tree: metrics can be fetched also while that is away. A port that is taken harms nobody:
the log and the health check say so, and it is tried again.
"""

from __future__ import annotations

import asyncio
import time

from actors.links import Links
from actors.measure import measure
from actors.runtime.actor import Actor, run_together
from actors.scrape import Endpoint
from dccd.errors import ListenError
from dccd.exposition import text

__all__ = ["Meter"]

_BEAT = 0.5
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 10.0


class Meter(Actor):
    """``tally.listening`` and ``tally.refused`` say what became of the endpoint."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._endpoint: Endpoint | None = None
        self._served: str | None = None  # what the configuration said when it was last tried
        self._retry_at = 0.0

    def __repr__(self) -> str:
        return f"<Meter {self._endpoint}>"

    async def run(self) -> None:
        await run_together(self._beat, self._serve_now_and_then, self.serve)

    async def on_stop(self) -> None:
        await self._close()

    async def _beat(self) -> None:
        """Count by how much the loop comes late: what holds it up holds up every stream and every request."""
        delay = self.links.tally.loop_delay
        while True:
            due = time.monotonic() + _BEAT
            await asyncio.sleep(_BEAT)  # of the loop itself: an injected clock knows nothing of it
            delay.observe(max(0.0, time.monotonic() - due))

    async def _serve_now_and_then(self) -> None:
        while True:
            await self._look()
            await self.context.clock.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        """Serve where the configuration, which may change, says so by now."""
        wanted, tally, now = self.links.config.metrics.listen, self.links.tally, self.context.clock.now()
        if wanted != self._served:
            await self._close()
            self._served, self._retry_at = wanted, now
        if self._endpoint is not None:
            self._endpoint.sweep()
        elif wanted is not None and now >= self._retry_at:
            try:
                self._endpoint = await Endpoint.open(wanted, self._render)
            except ListenError as exc:
                self._retry_at = now + _RETRY_SECONDS
                if str(exc) != tally.refused:  # once, and not at every try
                    self.context.log.error("no metrics for Prometheus", error=str(exc))
                tally.refused = str(exc)
            else:
                tally.listening, tally.refused = self._endpoint.url, None
                self.context.log.info("metrics for Prometheus", url=self._endpoint.url)

    async def _close(self) -> None:
        endpoint, self._endpoint, tally = self._endpoint, None, self.links.tally
        tally.listening = tally.refused = None
        if endpoint is not None:
            await endpoint.aclose()

    async def _render(self, accept: str) -> tuple[bytes, str]:
        metrics = await measure(self.links)
        # In a thread: of a thousand streams it takes a second.
        return await asyncio.to_thread(text, metrics, accept)
