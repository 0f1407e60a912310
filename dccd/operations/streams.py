"""Live streams."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import CAPABILITY, DATASET, Operation, Refusal

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="streams.list",
        request=m.Empty,
        reply=m.Streams,
        description="Live streams with rates and last prices",
        role="viewer",
    ),
    Operation(
        name="streams.start",
        request=m.StreamStart,
        reply=m.StreamStarted,
        description="Start a live stream",
        role="operator",
        refusals=(
            DATASET,
            CAPABILITY,
        ),
        example={"dataset": "kraken.trades.SOL-USDT"},
    ),
    Operation(
        name="streams.stop",
        request=m.StreamStop,
        reply=m.StreamStopped,
        description="Stop a live stream",
        role="operator",
        refusals=(
            DATASET,
            Refusal(404, "no_stream", "no such stream runs on this host"),
        ),
        example={"dataset": "kraken.trades.SOL-USDT"},
        setup="dccd streams start kraken.trades.SOL-USDT",
    ),
)
