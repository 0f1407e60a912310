"""What the daemon counts of itself."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import Operation, Refusal

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="metrics",
        request=m.MetricsGet,
        reply=m.Metrics,
        description="Rates, lags, sizes and counts of everything, as Prometheus names them",
        role="viewer",
        refusals=(Refusal(404, "no_metric", "no metric's name begins with `prefix`"),),
        example={"prefix": "dccd_archiver"},
    ),
)
