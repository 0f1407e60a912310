"""Counting how long things take, for Prometheus: values flow in one by one or many at once, counts a bucket flow out.

One number is kept a bucket and none a value, and noting a value makes no object that outlives the call: this stands in
the path of every tick message. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["LAGS", "PAUSES", "REQUESTS", "Histogram"]

LAGS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds, from a colocated exchange to an archiver that has lost touch."""
REQUESTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
"""Seconds, from what is answered from memory to a long read."""
PAUSES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds by which an event loop may come late."""


class Histogram:
    """Counts of values by bucket. ``bounds`` are the buckets' upper ones, inside them; above the last is one more.

    Negative values, which a lag has when two clocks differ, are in no bucket and not in the ``total``: ``negative``
    counts them.
    """

    __slots__ = ("bounds", "counts", "negative", "total")

    def __init__(self, bounds: Sequence[float] = LAGS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0
        self.negative = 0

    def __repr__(self) -> str:
        return f"<Histogram {self.count} values, mean {self.total / max(self.count, 1):.3g}, {self.negative} negative>"

    @property
    def count(self) -> int:
        """How many values there were, those that are negative left out."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count one value."""
        if value < 0:
            self.negative += 1
            return
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, counts: Sequence[int], total: float, negative: int = 0) -> None:
        """Count many that were sorted into the same buckets elsewhere."""
        for index, count in enumerate(counts):
            self.counts[index] += count
        self.total += total
        self.negative += negative

    def cumulative(self) -> list[tuple[str, int]]:
        """Each bucket's bound, as Prometheus writes it, with the values up to it; ``+Inf`` last."""
        found, so_far = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            found.append(("+Inf" if bound == float("inf") else repr(float(bound)), so_far))
        return found
