"""The jobs: list them, and run them now."""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd import messages as m
from dccd.client.base import Requests

__all__ = ["JobRequests"]

_RUN_SECONDS = 30.0
_ALL_SECONDS = 120.0
"""A thousand orders are given one after the other."""


class JobRequests(Requests):
    """The jobs of a host."""

    async def jobs(
        self,
        *,
        operation: Literal["stream", "backfill"] | None = None,
        exchange: str | None = None,
        data_type: str | None = None,
        trigger_kind: Literal["once", "interval", "cron", "supervised", "manual"] | None = None,
    ) -> list[m.JobEntry]:
        """The jobs, one a dataset: when each runs next and what became of its last run. All, or those that match; of
        every host that is there, or of the client's own, each in its configuration's order.

        Raises BusUnavailable when one of them doesn't answer.
        """
        ask = m.JobsList(operation=operation, exchange=exchange, data_type=data_type, trigger_kind=trigger_kind)
        return [job for host in await self._hosts() for job in await self._jobs_of(host, ask)]

    async def _jobs_of(self, host: str | None, ask: m.JobsList) -> list[m.JobEntry]:
        page = await self._ask("jobs.list", m.Jobs, ask, host=host)
        found = list(page.jobs)
        while page.next is not None:
            # All of one host: another has other jobs.
            more = msgspec.structs.replace(ask, after=page.next)
            page = await self._ask("jobs.list", m.Jobs, more, host=page.host)
            found += page.jobs
        return found

    async def run_job(self, name: str) -> m.JobStarted:
        """Run the job *name* now and return at once; a run of it that goes on is returned as it is.

        :meth:`follow` tells how the run goes. Raises RequestError: 404 for an unknown name, or why it is refused.
        """
        return await self._ask("jobs.run", m.JobStarted, m.JobRun(name=name), timeout=_RUN_SECONDS)

    async def run_jobs(
        self,
        *,
        operation: Literal["stream", "backfill"] = "backfill",
        exchange: str | None = None,
        data_type: str | None = None,
        trigger_kind: Literal["once", "interval", "cron", "supervised", "manual"] | None = None,
    ) -> list[m.JobOutcome]:
        """Run all backfill jobs now, or those that match; return what became of each: its run, or why it has none."""
        ask = m.JobRunAll(operation=operation, exchange=exchange, data_type=data_type, trigger_kind=trigger_kind)
        return (await self._ask("jobs.run_all", m.JobsStarted, ask, timeout=_ALL_SECONDS)).jobs
