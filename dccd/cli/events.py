"""``dccd events``: what happened and what happens flows in from the bus, a line each flows out."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, get_args

import click

from dccd.cli.app import DONE, App, note, options
from dccd.cli.event_lines import COLOURS, event_line
from dccd.cli.output import json_line
from dccd.messages import Event, RunLog, RunStatus
from dccd.subjects import is_kind

if TYPE_CHECKING:
    from dccd.client import StoredEvent

__all__ = ["events", "show"]

_KINDS = sorted(kind.__struct_config__.tag for kind in get_args(Event))

_NEWEST = 20


@click.command(
    epilog="""\b
Examples:
  dccd events
  dccd events --follow
  dccd events --since 1h --kind stream.gap --kind actor
  dccd events --follow --run 018f3c5e-7a40-7cc3-98c4-dc0c0c07398f
  dccd events --follow --since 2026-01-01 --stream binance.trades --json | jq .event

With --json each line is the event with its number on the bus (seq): --after goes on behind one.
"""
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--run", "run_id", metavar="ID", help="Only events of this run.")
@click.option("--stream", metavar="DATASET", help="Only of this dataset's stream, or of all that begin so.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind: run.log, or run for all of it.")
@click.option("--since", metavar="TIME", help="Begin at this time, or so long ago: 1h, 2026-01-01.")
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Begin behind the event of this number.")
@click.option(
    "-n", "--number", type=click.IntRange(min=0), metavar="N", help=f"Begin with the N newest; {_NEWEST} by default."
)
@options
@click.pass_obj
def events(
    app: App,
    follow: bool,
    run_id: str | None,
    stream: str | None,
    kinds: tuple[str, ...],
    since: str | None,
    after: int | None,
    number: int | None,
) -> int:
    """Print what happened: runs, streams, holes, actors, hosts."""
    if sum(one is not None for one in (since, after, number)) > 1:
        raise click.UsageError("give one of --since, --after and -n")
    for kind in kinds:
        if not any(is_kind(known, [kind]) for known in _KINDS):
            raise click.UsageError(f"there are no events of kind {kind!r}; there are {', '.join(_KINDS)}")
    last = _NEWEST if since is None and after is None and number is None else number

    async def main() -> int:
        async with app.connect() as session:
            found = session.client.events(
                run=run_id, stream=stream, kind=kinds, since=since, after=after, last=last, follow=follow
            )
            some = False
            async with aclosing(found) as coming:
                async for event in coming:
                    some = True
                    show(event, json=app.json)
        if not (some or app.json or last == 0):
            note("no such events are kept")
        return DONE

    return app.run(main)


def show(stored: StoredEvent, *, json: bool) -> None:
    """Print one event, at once."""
    if json:
        json_line(stored)
    else:
        click.echo(coloured(event_line(stored.kind, stored.event), stored.event))
    sys.stdout.flush()


def coloured(line: str, event: object) -> str:
    """*line* as a terminal shows it."""
    level = event.level if isinstance(event, RunLog) else None
    if isinstance(event, RunStatus) and event.run.state in ("failed", "interrupted"):
        level = "error" if event.run.state == "failed" else "warning"
    return click.style(line, fg=COLOURS[level]) if level in COLOURS else line
