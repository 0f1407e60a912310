"""Which of a dataset's missing intervals are one order, and which are over: intervals flow in and out. Pure.

Losses come in swarms: a connection whose frames nobody can read makes a hole in each of its streams, again and again.
"""

from __future__ import annotations

from collections.abc import Iterable

from dccd.store.intervals import Gap
from dccd.symbols import NS

__all__ = ["together"]

_NEAR = 60 * NS
"""Holes that are nearer to each other are fetched in one run, with what lies between."""
_SOON = 5 * NS


def together(gaps: Iterable[Gap], until: int, *, at_once: bool = False) -> list[Gap]:
    """Return what to order of *gaps*: the near ones as one, nothing beyond *until* (ns); the newest first.

    A stream tells losses upon losses in advance, so that a hole may end in the future: it is waited for, but of one
    that goes on for long what is over is ordered; *at_once*: of every one, since somebody asks for it now.
    """
    found: list[Gap] = []
    for gap in sorted(gaps):
        last = found[-1] if found else None
        if last is not None and gap.start <= last.end + _NEAR:
            reason = last.reason if last.reason == gap.reason else "several"
            found[-1] = Gap(last.start, max(last.end, gap.end), reason)
        else:
            found.append(gap)
    cut = [
        Gap(gap.start, until, gap.reason)
        if gap.end > until and (at_once or (gap.start <= until - _NEAR and gap.end > until + _SOON))
        else gap
        for gap in found
    ]  # fmt: skip
    return [gap for gap in reversed(cut) if gap.start < gap.end <= until]
