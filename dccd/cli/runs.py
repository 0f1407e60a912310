"""``dccd runs`` and ``dccd logs``: the run history flows in; tables, lines or JSON flow out."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, TypeVar, get_args

import click

from dccd.cli.app import DONE, FAILED, App, note, options, own_host_options
from dccd.cli.event_lines import event_line
from dccd.cli.events import coloured, show
from dccd.cli.output import count, duration, interval, json_document, json_line, table, when
from dccd.errors import BusRefused, BusUnavailable
from dccd.messages import RunLog, RunStatus
from dccd.runs import ACTIVE, Run, RunState, Trigger
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.client.runs import RunFilters

__all__ = ["logs", "runs"]

T = TypeVar("T")

_LINES = 50
_SHOWN = 5
"""How many lines of its log are shown with a run."""


@click.command(
    epilog="""\b
Examples:
  dccd runs
  dccd runs --state failed --state cancelled --since 7d
  dccd runs --job backfill.binance.ohlc.BTC-USDT.1m --limit 5
  dccd runs --operation storage.sync --host alpha
  dccd runs 018f3c5e-7a40-7cc3-98c4-dc0c0c07398f
  dccd runs --json | jq -r '.[].run_id'

Where no daemon answers on the bus that was named, the bus itself is asked: what hosts were at that aren't there any
more is interrupted, and goes on as the same run once they are back.
"""
)
@click.argument("run_id", required=False)
@click.option("--job", metavar="NAME", help="Only runs of this job, as backfill.binance.ohlc.BTC-USDT.1m.")
@click.option("--operation", metavar="NAME", help="Only runs of this kind: backfill, storage.sync, …")
@click.option("--dataset", metavar="DATASET", help="Only runs of this dataset.")
@click.option("--state", multiple=True, type=click.Choice(get_args(RunState)), help="Only in this state; or several.")
@click.option("--host", metavar="HOST", help="Only runs of this host.")
@click.option("--trigger", type=click.Choice(get_args(Trigger)), help="Only what was asked for so.")
@click.option("--since", metavar="TIME", help="Only what has changed since: 2h ago, 2026-01-01.")
@click.option("--until", metavar="TIME", help="Only what was asked for before.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--before", metavar="RUN_ID", help="Only runs that changed before this one: the next page.")
@own_host_options
@click.pass_obj
def runs(
    app: App,
    run_id: str | None,
    job: str | None,
    operation: str | None,
    dataset: str | None,
    state: tuple[RunState, ...],
    host: str | None,
    trigger: Trigger | None,
    since: str | None,
    until: str | None,
    limit: int,
    before: str | None,
) -> int:
    """List runs, the last changed first; or show the one with RUN_ID and the end of its log."""

    async def main() -> int:
        async with app.connect_to_store() as session:
            client = session.client
            if run_id:
                try:
                    run = await client.run(run_id)
                except BusUnavailable as exc:
                    run = await _on_record(exc, client.run_on_record(run_id))
                if app.json:
                    json_document(run)
                else:
                    _show(run)
                return DONE
            filters: RunFilters = {
                "job": job,
                "operation": operation,
                "dataset": dataset,
                "state": state or None,
                "host": host,
                "trigger": trigger,
                "since": since,
                "until": until,
                "before": before,
            }
            try:
                found = await client.runs(limit, **filters)
            except BusUnavailable as exc:
                found = await _on_record(exc, client.runs_on_record(limit, **filters))
        if app.json:
            json_document(found)
            return DONE
        table(
            ["run", "state", "of", "created", "range", ">done", ">rows", ">took", "note"],
            (
                [
                    r.run_id,
                    r.state,
                    r.subject,
                    when(r.created),
                    interval(r.start, r.end) if r.dataset and r.end > r.start else "",
                    f"{r.fraction:.0%}",
                    count(r.rows),
                    _took(r),
                    r.error or r.warning or r.summary or "",
                ]
                for r in found
            ),
            empty="no runs",
        )
        return DONE

    return app.run(main)


async def _on_record(exc: BusUnavailable, reading: Awaitable[T]) -> T:
    """What the bus has, since no daemon answers; what that raises where it may not be read, or is away."""
    try:
        found = await reading
    except BusUnavailable:
        raise exc from None
    except BusRefused:
        told = f"{exc}. What the bus itself has on record is for collectors and readers: --creds says who asks"
        raise BusUnavailable(told) from None
    note("no daemon answers: this is what the bus has on record")
    return found


def _took(run: Run) -> str:
    if run.started is None:
        return ""
    end = run.finished or (time.time_ns() if run.state in ACTIVE else run.updated)
    return duration((end - run.started) / NS)


def _show(run: Run) -> None:
    lines = {
        "run": run.run_id,
        "job": run.job,
        "state": run.state,
        "host": run.host,
        "asked by": run.trigger + (f" ({run.reason})" if run.reason else ""),
        "range": interval(run.start, run.end) if run.dataset and run.end > run.start else "",
        "covered to": f"{when(run.position)} ({run.fraction:.1%})" if run.dataset and run.end > run.start else "",
        "done": "" if run.dataset else f"{run.fraction:.1%}",
        "rows": count(run.rows),
        "created": when(run.created),
        "started": when(run.started),
        "finished": when(run.finished),
        "took": _took(run),
        "resumed": f"{run.resumed} times" if run.resumed else "",
        "summary": run.summary or "",
        "warning": run.warning or "",
        "error": run.error or "",
    }
    table(["", ""], ([name, value] for name, value in lines.items() if value))
    for line in run.log[-_SHOWN:]:
        _say(RunLog(at=line.at, host=run.host, run_id=run.run_id, level=line.level, message=line.message), json=False)


def _say(event: RunLog | RunStatus, *, json: bool) -> None:
    """One line of the run that all of this is about."""
    if json:
        json_line(event)
    else:
        click.echo(coloured(event_line("", event, brief=True), event))
    sys.stdout.flush()


@click.command(
    epilog="""\b
Examples:
  dccd logs
  dccd logs --follow
  dccd logs 018f3c5e-7a40-7cc3-98c4-dc0c0c07398f
  dccd logs 018f3c5e-7a40-7cc3-98c4-dc0c0c07398f --follow && echo done
"""
)
@click.argument("run_id", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on: until the run is over; without RUN_ID until Ctrl-C.")
@click.option(
    "-n", "--number", type=click.IntRange(min=0), metavar="N", help=f"The N newest lines; without RUN_ID {_LINES}."
)
@options
@click.pass_obj
def logs(app: App, run_id: str | None, follow: bool, number: int | None) -> int:
    """Print what the run with RUN_ID had to say and how its state changed; or the newest of all runs.

    With --follow and RUN_ID it exits with the run's outcome: 0 when that is done, 1 otherwise.
    """

    async def of_all() -> int:
        async with app.connect() as session:
            last = _LINES if number is None else number
            found = session.client.events(kind=("run.log", "run.status"), last=last, follow=follow)
            async with aclosing(found) as coming:
                async for event in coming:
                    show(event, json=app.json)
        return DONE

    async def of_one(run_id: str) -> int:
        run: Run | None = None
        async with app.connect_to_store() as session:
            told = session.client.logs(run_id, last=number, follow=follow)
            async with aclosing(told) as coming:
                async for event in coming:
                    run = event.run if isinstance(event, RunStatus) else run
                    _say(event, json=app.json)
        return DONE if not follow or (run is not None and run.state == "done") else FAILED

    return app.run(of_all if run_id is None else partial(of_one, run_id))
