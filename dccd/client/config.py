"""The configuration: get it and put it, and create, change and delete jobs in it."""

from __future__ import annotations

from typing import Any, Literal

from dccd import messages as m
from dccd.client.base import Requests

__all__ = ["ConfigRequests"]

_SECONDS = 120.0
"""Streams that stop may hold rows to write."""


class ConfigRequests(Requests):
    """The configuration of a host."""

    async def config(self, *, yaml: bool = False) -> m.ConfigReply:
        """The whole configuration, without its secrets; *yaml*: its text, too."""
        return await self._ask("config.get", m.ConfigReply, m.ConfigGet(yaml=yaml))

    async def put_config(
        self, config: dict[str, Any] | str, revision: str, *, dry_run: bool = False, host: str | None = None
    ) -> m.ConfigApplied:
        """Put the whole configuration, as a mapping or as YAML text, in place of the one at *revision*; where several
        hosts are on the bus, that of *host*, which the reply to the get has named.

        Returns what that did (or would do, with *dry_run*). Raises RequestError: 409 when another was put meanwhile,
        422 that says what is wrong with it.
        """
        put = m.ConfigPut(
            revision=revision,
            config=None if isinstance(config, str) else config,
            yaml=config if isinstance(config, str) else None,
            dry_run=dry_run,
        )
        return await self._ask("config.put", m.ConfigApplied, put, timeout=_SECONDS, host=host)

    async def create_job(
        self,
        exchange: str,
        pairs: str | list[str],
        data_type: str = "trades",
        span: str | int | None = None,
        *,
        operation: Literal["stream", "backfill"] = "stream",
        **fields: Any,
    ) -> m.ConfigApplied:
        """Create a job for each of *pairs*; *fields* are the others of an entry of ``jobs`` in a file, as
        ``trigger_kind="interval", every="1h"``. Raises RequestError: 409 when there is one, 422 what is wrong with it.
        """
        job = m.JobCreate(
            exchange=exchange,
            pairs=[pairs] if isinstance(pairs, str) else pairs,
            data_type=data_type,
            operation=operation,
            span=span,
            **fields,
        )
        return await self._ask("jobs.create", m.ConfigApplied, job, timeout=_SECONDS)

    async def update_job(self, name: str, **fields: Any) -> m.ConfigApplied:
        """Change *fields* of the job *name*; None makes one the default again. Raises RequestError: 404, 422."""
        return await self._ask("jobs.update", m.ConfigApplied, m.JobUpdate(name=name, **fields), timeout=_SECONDS)

    async def delete_job(self, name: str) -> m.ConfigApplied:
        """Delete the job *name*; its stream stops, what it has stored stays. Raises RequestError 404."""
        return await self._ask("jobs.delete", m.ConfigApplied, m.JobDelete(name=name), timeout=_SECONDS)
