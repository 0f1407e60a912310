"""Live streams: list, start, stop."""

from __future__ import annotations

from typing import Literal

from dccd import messages as m
from dccd.client.base import Requests

__all__ = ["StreamRequests"]


class StreamRequests(Requests):
    """Live streams."""

    async def streams(self) -> list[m.StreamEntry]:
        """The live streams with rates and last prices, of every host that is there, or of the client's own.

        Raises BusUnavailable when one of them doesn't answer.
        """
        lists = [await self._ask("streams.list", m.Streams, host=host) for host in await self._hosts()]
        return sorted((entry for one in lists for entry in one.streams), key=lambda entry: (entry.dataset, entry.host))

    async def start_stream(
        self,
        exchange: str,
        symbol: str,
        data_type: str = "trades",
        span: str | int | None = None,
        *,
        depth: int | None = None,
        snapshot_interval: float = 60.0,
        book: Literal["deltas", "snapshots"] = "deltas",
    ) -> m.StreamStarted:
        """Start a live stream until it is stopped or the daemon ends. The last three are for order books."""
        message = m.StreamStart(
            exchange=exchange,
            symbol=symbol,
            data_type=data_type,
            span=span,
            depth=depth,
            snapshot_interval=snapshot_interval,
            book=book,
        )
        return await self._ask("streams.start", m.StreamStarted, message)

    async def stop_stream(
        self, exchange: str, symbol: str, data_type: str = "trades", span: str | int | None = None
    ) -> m.StreamStopped:
        """Stop a live stream; a job's starts again with the daemon."""
        message = m.StreamStop(exchange=exchange, symbol=symbol, data_type=data_type, span=span)
        return await self._ask("streams.stop", m.StreamStopped, message)
