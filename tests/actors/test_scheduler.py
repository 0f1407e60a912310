"""When a job runs next."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from actors.scheduler import next_run
from dccd.config import Job
from dccd.symbols import NS, parse_time


def job(**fields: object) -> Job:
    return Job(
        exchange="binance",
        pairs=["BTC/USDT"],
        data_type="trades",
        operation="backfill",
        **fields,  # type: ignore[arg-type]  # a test
    )


AFTER = parse_time("2024-07-01T10:30:00Z")


@pytest.mark.parametrize(
    ("what", "zone", "due"),
    [
        (job(trigger_kind="interval", every="90m"), "UTC", AFTER + 5400 * NS),
        (job(trigger_kind="cron", cron="0 12 * * *"), "UTC", parse_time("2024-07-01T12:00:00Z")),
        (job(trigger_kind="cron", cron="0 12 * * *"), "Europe/Paris", parse_time("2024-07-02T10:00:00Z")),
        (job(trigger_kind="cron", cron="*/15 * * * *"), "UTC", parse_time("2024-07-01T10:45:00Z")),
        (job(trigger_kind="once"), "UTC", None),
        (job(trigger_kind="manual"), "UTC", None),
    ],
)
def test_the_next_run(what: Job, zone: str, due: int | None) -> None:
    """Intervals count from the last run, cron fields are read in the configured zone, the others have no next run."""
    assert next_run(what, AFTER, ZoneInfo(zone)) == due
