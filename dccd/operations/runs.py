"""Backfills and runs."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import CAPABILITY, DATASET, RUN, Operation, Refusal
from dccd.runs import Run

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="backfill.start",
        request=m.BackfillStart,
        reply=m.BackfillStarted,
        description="Fetch history; answers at once with a run_id",
        role="operator",
        refusals=(
            DATASET,
            CAPABILITY,
            Refusal(422, "empty_range", "`start` is not before `end`"),
            Refusal(
                422, "stream_runs", "a stream of this order book runs: a book over REST has no place among its changes"
            ),
        ),
        example={"exchange": "binance", "symbol": "BTC/USDT", "data_type": "ohlc", "span": "1m", "start": "origin"},
    ),
    Operation(
        name="backfill.status",
        request=m.BackfillStatus,
        reply=Run,
        description="How far a backfill is",
        role="viewer",
        refusals=(RUN,),
        example={"run_id": "$run"},
        setup="run=$(dccd backfill kraken BTC/USD --type trades --start origin --detach)",
    ),
    Operation(
        name="backfill.cancel",
        request=m.BackfillCancel,
        reply=Run,
        description="Stop a backfill; what it stored is kept",
        role="operator",
        refusals=(
            RUN,
            Refusal(409, "not_running", "the run is over"),
            Refusal(503, "not_now", "another host is at it, and doesn't answer"),
        ),
        example={"run_id": "$run"},
        setup="run=$(dccd backfill kraken BTC/USD --type trades --start origin --detach)",
    ),
    Operation(
        name="runs.list",
        request=m.RunsList,
        reply=m.Runs,
        description="Runs, newest first",
        role="viewer",
        refusals=(Refusal(400, "malformed", "`before` is neither the `next` of a page nor a run"),),
        example={"limit": 5, "state": ["done", "failed"], "operation": "backfill"},
    ),
    Operation(
        name="runs.get",
        request=m.RunsGet,
        reply=Run,
        description="One run, with the last lines of its log",
        role="viewer",
        refusals=(RUN,),
        example={"run_id": "$run"},
        setup="run=$(dccd backfill kraken BTC/USD --type trades --start origin --detach)",
    ),
)
