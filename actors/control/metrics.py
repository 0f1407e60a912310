"""``dccd.metrics``: a request flows in, as many metrics as a message holds flow out."""

from __future__ import annotations

import msgspec

from actors.links import Links
from actors.measure import measure
from dccd import messages as m
from dccd.errors import RequestError

__all__ = ["metrics", "page"]


async def metrics(links: Links, request: m.MetricsGet) -> m.Metrics:
    """Answer *request*. Raises RequestError 404 when no metric has such a name."""
    found = await measure(links, request.prefix or "")
    if not found.families:
        raise RequestError(
            404, "no_metric", f"no metric's name begins with {request.prefix!r}; without prefix all are told", "prefix"
        )
    families, following = page(found.families, request.after, links.page)
    return msgspec.structs.replace(found, families=families, next=following)


def page(families: list[m.MetricFamily], after: str | None, room: int) -> tuple[list[m.MetricFamily], str | None]:
    """Return what has *room* (bytes of JSON) of *families* from *after* (metric:samples to skip) on, and where the next
    page begins. A metric that has no room as a whole is told in pieces. Pure.

    Raises RequestError 404 when *after* names none of them.
    """
    names = [family.name for family in families]
    name, _, skip = (after or f"{names[0]}:0").partition(":")
    if name not in names:
        raise RequestError(404, "no_metric", f"after names {name!r}, which is none of these metrics", "after")
    skipped = int(skip)
    told: list[m.MetricFamily] = []
    for family in families[names.index(name) :]:
        samples = family.samples[skipped:]
        room -= len(msgspec.json.encode(msgspec.structs.replace(family, samples=[]))) + 1
        fit, size = _fitting(samples, room)
        if told and (room < 0 or (samples and not fit)):
            return told, f"{family.name}:{skipped}"
        if samples and not told:
            fit = max(fit, 1)  # a page that has nothing would have no end
        told.append(msgspec.structs.replace(family, samples=samples[:fit]))
        if fit < len(samples):
            return told, f"{family.name}:{skipped + fit}"
        room -= size
        skipped = 0
    return told, None


def _fitting(samples: list[m.MetricSample], room: int) -> tuple[int, int]:
    """How many of *samples* have room, from the first on, and the bytes that they take."""
    if (size := len(msgspec.json.encode(samples))) <= room:
        return len(samples), size
    size = 0
    for fit, sample in enumerate(samples):
        more = len(msgspec.json.encode(sample)) + 1
        if size + more > room:
            return fit, size
        size += more
    return len(samples), size
