"""Backfills and runs: how they are asked for, and listed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from dccd.messages.base import Limit, Name, OfDataset, Reply, Request, RunId, Time
from dccd.runs import Run, RunState, Trigger

__all__ = [
    "BackfillCancel",
    "BackfillStart",
    "BackfillStarted",
    "BackfillStatus",
    "RunStarted",
    "Runs",
    "RunsGet",
    "RunsList",
]


class BackfillStart(OfDataset, frozen=True, kw_only=True):
    """Fetch history of a dataset. ``start``: ``last`` (go on from what is stored), ``origin``, an ISO date or time,
    or ns; ``end`` likewise (default: now)."""

    start: Time = "last"
    end: Time | None = None


class BackfillStarted(Reply, frozen=True, kw_only=True):
    """The run that does it; ``already_running`` when it was running before this request."""

    run_id: str
    already_running: bool
    run: Run


class BackfillStatus(Request, frozen=True, kw_only=True):
    """Ask for the state of one backfill."""

    run_id: RunId


class BackfillCancel(Request, frozen=True, kw_only=True):
    """Stop one backfill; what it stored is kept."""

    run_id: RunId


class RunsGet(Request, frozen=True, kw_only=True):
    """Ask for one run."""

    run_id: RunId


class RunsList(Request, frozen=True, kw_only=True):
    """List runs, the last changed first, without their logs. ``job`` is a name as ``backfill.binance.ohlc.BTC-USDT.1m``
    or ``storage.sync``, ``state`` one or several. ``since``: those that have changed since (what is over changed last
    when it ended); ``until``: those that were asked for before. ``before`` is the ``next`` of the page before, or a
    run: those changed before it.
    """

    limit: Limit = 50
    job: Name | None = None
    operation: Name | None = None
    dataset: Name | None = None
    state: RunState | Annotated[list[RunState], Meta(min_length=1)] | None = None
    host: Name | None = None
    trigger: Trigger | None = None
    since: Time | None = None
    until: Time | None = None
    before: RunId | None = None


class Runs(Reply, frozen=True, kw_only=True):
    """Runs, newest first; ``next`` asks for the following page, null at the end. A page may hold fewer than it might:
    no more of the history is looked through for one, and no more bytes are sent, than can be had soon."""

    runs: list[Run]
    next: str | None = None


class RunStarted(Reply, frozen=True, kw_only=True):
    """The run of the whole store that does it; ``already_running`` when it was running before this request."""

    run_id: str
    already_running: bool
    run: Run
