"""The daemon itself."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import Operation, Refusal

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="operations",
        request=m.Empty,
        reply=m.Operations,
        description="Every operation with its request and reply schema",
        role="viewer",
    ),
    Operation(
        name="health",
        request=m.Empty,
        reply=m.Health,
        description="Whether the daemon does what it should, and what it doesn't",
        role="viewer",
    ),
    Operation(
        name="tree",
        request=m.Empty,
        reply=m.Tree,
        description="The supervision tree with restarts and mailboxes",
        role="viewer",
    ),
    Operation(
        name="hosts",
        request=m.Empty,
        reply=m.Hosts,
        description="The hosts on this bus, as each last said of itself",
        role="viewer",
    ),
    Operation(
        name="exchanges",
        request=m.ExchangesList,
        reply=m.Exchanges,
        description="What can be collected, per exchange and data type",
        role="viewer",
        refusals=(
            Refusal(422, "no_capability", "nobody knows `exchange`, or has anything of it; it names those near"),
        ),
        example={"exchange": "kucoin"},
    ),
)
