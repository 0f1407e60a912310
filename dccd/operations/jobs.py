"""The jobs."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import CAPABILITY, Operation, Refusal

__all__ = ["TABLE"]

NO_JOB = Refusal(404, "no_job", "there is no job of this name; the message names those near")

TABLE = (
    Operation(
        name="jobs.list",
        request=m.JobsList,
        reply=m.Jobs,
        description="The jobs, when each runs next, and what became of the last run",
        role="viewer",
        refusals=(Refusal(404, "no_job", "there is no job `after` any more: ask anew"),),
        example={"operation": "backfill"},
    ),
    Operation(
        name="jobs.run",
        request=m.JobRun,
        reply=m.JobStarted,
        description="Run one job now; answers at once with a run_id",
        role="operator",
        refusals=(
            NO_JOB,
            CAPABILITY,
            Refusal(422, "empty_range", "there is nothing to fetch: all is there, or `start` lies ahead"),
            Refusal(422, "stream_runs", "a stream of this order book runs"),
        ),
        example={"name": "backfill.kraken.ohlc.BTC-USD.5m"},
    ),
    Operation(
        name="jobs.run_all",
        request=m.JobRunAll,
        reply=m.JobsStarted,
        description="Run all backfill jobs now, or some; answers at once with an outcome for each",
        role="operator",
        refusals=(Refusal(422, "too_many", "more than 1,000 jobs match: ask for some of them"),),
        example={"exchange": "binance", "data_type": "ohlc"},
    ),
)
