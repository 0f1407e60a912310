"""Whose a run is: its record and its mark flow in, what is to be done flows out. Pure.

The record says whose a run is, is written by its host alone, and changes hands only by compare-and-set: of two hosts
one is first, and one that stood still until it passed for gone finds out at its next write. The mark says that the run
isn't over, for whoever looks for it, and whose it is as far as its writer knew. So a run that isn't over always has a
mark, whatever is killed: the mark is made before the record, moved after it, and removed after its last state.
"""

from __future__ import annotations

from typing import Literal

from dccd.runs import ACTIVE, Run

__all__ = ["MarkVerdict", "is_said", "judge", "may_claim", "may_close", "may_write"]

MarkVerdict = Literal["keep", "move", "remove"]


def judge(marked: str, run: Run | None, *, left: bool) -> MarkVerdict:
    """Return what becomes of a mark that names the host *marked*, beside the record *run*.

    *left*: that host isn't about to write the record that its mark was made for. ``move``: to the record's host.
    """
    if run is None:
        return "remove" if left else "keep"
    if run.state not in ACTIVE:
        return "remove"
    return "keep" if run.host == marked else "move"


def may_claim(found: Run, host: str, since: str) -> bool:
    """May *host* go on with the run that is on record as *found*, and was *since*'s when it decided to?

    With its own; with another's only once that is interrupted, and nobody else was first. What is its own already, it
    has claimed before, and hasn't heard of it.
    """
    return found.state in ACTIVE if found.host == host else may_close(found, since)


def may_write(found: Run, run: Run) -> bool:
    """May the host that *run* names write it over what is on record as *found*? As long as it is its own, and not
    over."""
    return found.host == run.host and found.state in ACTIVE


def is_said(found: Run, run: Run) -> bool:
    """Is the end that *run* tells on record already, as *found*? Its host may have written it, and not heard of it."""
    return found.host == run.host and found.state == run.state and run.state not in ACTIVE


def may_close(found: Run, since: str) -> bool:
    """May any host end the run that is on record as *found*? Only what *since* has left, and nobody went on with."""
    return found.host == since and found.state == "interrupted"
