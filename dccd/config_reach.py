"""What backfills ask for that their exchanges don't serve any more: a configuration flows in, warnings flow out. Pure.

A run is clamped to what is served, and says so; this tells it before one runs, as far as it follows from the file.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice, pairwise

from cronsim import CronSim

from dccd.config import Config, Job
from dccd.config_units import parse_duration
from dccd.exchanges.registry import get as get_exchange
from dccd.exchanges.registry import knows
from dccd.symbols import NS, Dataset, DataType, format_time, parse_time, span_label

__all__ = ["beyond_reach"]

_FIRINGS = 60
"""Of a cron expression that are looked at for its longest pause."""


def beyond_reach(config: Config, now: int) -> list[str]:
    """A warning for each dataset of *config*'s jobs that its runs won't get whole, if they run at *now* (ns)."""
    return [
        told
        for index, job in enumerate(config.jobs)
        if job.operation == "backfill"
        for dataset in job.datasets
        if (told := _beyond_reach(job, dataset, f"jobs[{index}]", now)) is not None
    ]


def _beyond_reach(job: Job, dataset: Dataset, path: str, now: int) -> str | None:
    """What a job's runs won't get, when its exchange serves recent data only."""
    if dataset.data_type is DataType.ORDERBOOK or not knows(job.exchange):
        return None
    capability = get_exchange(job.exchange).capabilities.of(dataset.symbol).historical[dataset.data_type]
    reach = capability.reach(dataset.span)
    if reach is None:
        return None
    earliest, bars = now - reach * NS, capability.recent_bars
    far = f"{span_label(reach)} back" if bars is None else f"{bars} bars back, which is {span_label(reach)}"
    start = 0 if job.start == "origin" else None if job.start in (None, "last") else parse_time(job.start, "start")
    if start is not None and start < earliest:
        return (
            f"{path}.start: {job.exchange} serves {dataset.data_type} of {dataset.symbol} no further than {far}: "
            f"{job.start} is beyond, and a run starts at {format_time(earliest - earliest % NS)} or later"
        )
    pause = _pause(job)
    if pause > reach:
        return (
            f"{path}: {job.exchange} serves {dataset.data_type} of {dataset.symbol} no further than {far}: with up to "
            f"{span_label(round(pause))} from one run to the next, some of it is never fetched"
        )
    return None


def _pause(job: Job) -> float:
    """The longest time from one run to the next, in seconds; 0 for what doesn't run again by itself."""
    if job.every is not None:
        return parse_duration(job.every)
    if job.cron is None:
        return 0.0
    times = list(islice(CronSim(job.cron, datetime(2024, 1, 1)), _FIRINGS))
    return max((later - time).total_seconds() for time, later in pairwise(times))
