"""The jobs."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import Operation

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="jobs.list",
        request=m.Empty,
        reply=m.Jobs,
        description="The jobs of the configuration",
        role="viewer",
    ),
)
