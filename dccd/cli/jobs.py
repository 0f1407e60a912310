"""``dccd jobs``: the jobs flow in as a table, orders to run them flow out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from dccd.cli.app import DONE, FAILED, App, note, options
from dccd.cli.backfill import follow
from dccd.cli.group import Group
from dccd.cli.job_changes import TRIGGERS, TriggerKind, create, delete, update
from dccd.cli.output import duration, json_document, of_hosts, table, when
from dccd.symbols import DataType

if TYPE_CHECKING:
    from dccd.messages import JobEntry

__all__ = ["jobs"]

F = TypeVar("F", bound=Callable[..., Any])

_SMALLER = re.compile(r" 00[smh]$|\.0(?=s$)")
"""``1h``, where others are ``1h 30m``."""

_Operation = Literal["stream", "backfill"]


def _filters(command: F) -> F:
    """--operation, --exchange, --type and --trigger."""
    for option in (
        click.option(
            "--trigger",
            "trigger_kind",
            type=click.Choice(TRIGGERS),
            help="Only jobs that run so.",
        ),
        click.option("--type", "data_type", type=click.Choice([str(t) for t in DataType]), help="Only of this data."),
        click.option("--exchange", metavar="EXCHANGE", help="Only of this exchange."),
        click.option("--operation", type=click.Choice(["stream", "backfill"]), help="Only these."),
    ):
        command = option(command)
    return command


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  dccd jobs
  dccd jobs --operation backfill --exchange binance
  dccd jobs --json | jq '.[] | select(.failures > 0) | {name, error}'
  dccd jobs run backfill.binance.ohlc.BTC-USDT.1m --follow
  dccd jobs run-all --exchange kraken
  dccd jobs create binance BTC/USDT --type ohlc --span 1m --operation backfill --every 1h
  dccd jobs delete stream.kraken.trades.ETH-USD
""",
)
@_filters
@options
@click.pass_context
def jobs(
    ctx: click.Context,
    operation: _Operation | None,
    exchange: str | None,
    data_type: str | None,
    trigger_kind: TriggerKind | None,
) -> int | None:
    """List the jobs, when each runs next and what became of its last run, of every host on the bus (--host: of that
    one); run, create, change and delete them."""
    if ctx.invoked_subcommand is not None:
        return None
    app = ctx.ensure_object(App)
    filtered = operation or exchange or data_type or trigger_kind

    async def main() -> int:
        async with app.connect() as session:
            found = await session.client.jobs(
                operation=operation, exchange=exchange, data_type=data_type, trigger_kind=trigger_kind
            )
        if app.json:
            json_document(found)
            return DONE
        several = of_hosts(j.host for j in found)
        table(
            ["job", *(["host"] if several else []), "runs", "start", "next run", "state", "last run", "run", "note"],
            (
                [
                    j.name,
                    *([j.host] if several else []),
                    _runs(j),
                    "" if j.start is None else j.start,
                    when(j.next_run),
                    j.last_state or "",
                    when(j.last_finished or j.last_started),
                    j.last_run_id or "",
                    _note(j),
                ]
                for j in found
            ),
            empty="there are no such jobs" if filtered else "there are no jobs",
        )
        return DONE

    return app.run(main)


def _runs(job: JobEntry) -> str:
    if job.every is not None:
        return f"every {_SMALLER.sub('', duration(job.every))}"
    if job.cron is not None:
        return f"cron {job.cron}" + (f" {job.timezone}" if job.timezone not in (None, "UTC") else "")
    return job.trigger_kind


def _note(job: JobEntry) -> str:
    failed = f"failed {job.failures}×" if job.failures > 1 else ""
    missed = f"missed {job.missed_runs}" if job.missed_runs else ""
    source = "not in a file" if job.source == "request" else ""
    return "; ".join(filter(None, [failed, job.error, missed, source]))


@jobs.command(
    epilog="""\b
Examples:
  dccd jobs run backfill.binance.ohlc.BTC-USDT.1m
  dccd jobs run backfill.binance.ohlc.BTC-USDT.1m --follow

`dccd jobs` lists the names. The run goes on in the daemon: Ctrl-C ends only the following of it.
"""
)
@click.argument("name")
@click.option("--follow", "-f", "following", is_flag=True, help="Show how it goes, and exit with its outcome.")
@options
@click.pass_obj
def run(app: App, name: str, following: bool) -> int:
    """Run the job NAME now, whatever its trigger; a job of a stream starts that."""

    async def main() -> int:
        async with app.connect_to_one() as session:
            started = await session.client.run_job(name)
            if started.run is not None and following:
                if not app.json:
                    note(f"run {started.run_id} {'goes on' if started.already_running else 'starts'}")
                return await follow(app, session, started.run, cancel_on_interrupt=False)
        if app.json:
            json_document(started)
        elif started.run is None:
            click.echo(f"{name}: {'was running already' if started.already_running else 'started'}")
        else:
            click.echo(started.run_id)
            if started.already_running:
                note(f"{name} was running already")
        return DONE

    return app.run(main)


@jobs.command(
    "run-all",
    epilog="""\b
Examples:
  dccd jobs run-all
  dccd jobs run-all --exchange binance --type ohlc
  dccd jobs run-all --trigger manual --json | jq -r '.[] | select(.run_id) | .run_id'

The exit code is 1 when a job was refused; that there is nothing to fetch is no refusal.
""",
)
@_filters
@options
@click.pass_obj
def run_all(
    app: App,
    operation: _Operation | None,
    exchange: str | None,
    data_type: str | None,
    trigger_kind: TriggerKind | None,
) -> int:
    """Run all backfill jobs now, or those that match; the daemon runs a few at once, the others wait their turn."""

    async def main() -> int:
        async with app.connect_to_one() as session:
            done = await session.client.run_jobs(
                operation=operation or "backfill", exchange=exchange, data_type=data_type, trigger_kind=trigger_kind
            )
        if app.json:
            json_document(done)
        else:
            table(
                ["job", "run", "note"],
                ([j.name, j.run_id or "", "was running already" if j.already_running else j.error or ""] for j in done),
                empty="there are no such jobs",
            )
        return FAILED if any(j.reason not in (None, "empty_range") for j in done) else DONE

    return app.run(main)


for _command in (create, update, delete):
    jobs.add_command(_command)
