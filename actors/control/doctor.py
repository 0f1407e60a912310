"""Every file looked at over the bus: a request flows in, lines of JSON flow out, for as long as it takes.

The daemon sets nothing aside by itself: whether a damaged file is the disk's fault, the cable's or a person's, and
whether there is a copy to put back, it can't tell. It tells of it in its health until somebody has decided.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from actors.links import Links
from dccd import messages as m
from dccd.store.doctor import Finding, Progress, examine

__all__ = ["lines"]

_PAUSE = 0.5


def lines(links: Links, request: m.Doctor) -> Iterator[bytes]:
    """Yield a line a finding, and one with the progress now and then; each is a piece of work for a thread."""
    told = time.monotonic() - _PAUSE
    for one in examine(links.layout, request.dataset or "", request.set_aside):
        if isinstance(one, Progress) and one.files < one.of_files:
            if time.monotonic() - told < _PAUSE:
                continue
            told = time.monotonic()
        if isinstance(one, Finding) and one.moved is not None and one.dataset is not None:
            links.dirty.add(one.dataset)
        yield msgspec.json.encode(one) + b"\n"
