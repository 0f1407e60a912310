"""What is asked about what a daemon counts."""

from __future__ import annotations

import msgspec

from dccd import messages as m
from dccd.client.base import Requests

__all__ = ["MetricRequests", "joined"]


class MetricRequests(Requests):
    """Metrics."""

    async def metrics(self, prefix: str | None = None, *, host: str | None = None) -> m.Metrics:
        """All metrics whose name begins with *prefix*, as ``dccd_stream``; of *host*, where otherwise any may answer.

        More than a message holds are asked for page by page. Raises RequestError 404 for a prefix that none has.
        """
        pages: list[m.Metrics] = []
        while not pages or pages[-1].next is not None:
            asked = m.MetricsGet(prefix=prefix, after=pages[-1].next if pages else None)
            # All of one host: another one's next page is of other counts.
            pages.append(await self.request("metrics", asked, host=pages[0].host if pages else host))
        return joined(pages)


def joined(pages: list[m.Metrics]) -> m.Metrics:
    """The pages as one reply, the metrics that were told in pieces whole."""
    families: dict[str, m.MetricFamily] = {}
    for page in pages:
        for family in page.families:
            before = families[family.name].samples if family.name in families else []
            families[family.name] = msgspec.structs.replace(family, samples=before + family.samples)
    return msgspec.structs.replace(pages[0], families=list(families.values()), next=None)
