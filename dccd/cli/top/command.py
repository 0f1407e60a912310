"""The command itself: options flow in, the screen until it is left, or one look as JSON."""

from __future__ import annotations

import sys

import click

from dccd.cli.app import DONE, FAILED, App, options
from dccd.cli.output import json_document

__all__ = ["top"]


@click.command(
    epilog="""\b
Keys:
  1 to 5   streams, runs, supervision trees, incidents, hosts
  /        filter by a part of a name or a state; Esc drops the filter
  s        sort the streams by name, rate, age of the last record, trouble
  p        pause
  q        quit

\b
Examples:
  dccd top
  dccd top --host collector-2 --interval 5
  dccd top --json | jq '.hosts[] | {id, ok: .health.ok, streams: (.streams | length)}'
"""
)
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.2),
    default=1.0,
    show_default=True,
    help="Seconds between looks.",
)
@options
@click.pass_obj
def top(app: App, interval: float) -> int:
    """Watch hosts, streams, backfills and the supervision tree, live. It only looks: nothing can be changed here."""
    if not app.json and not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise click.UsageError("it draws on a terminal; for scripts there are dccd top --json and dccd metrics")

    async def main() -> int:
        from dccd.cli.top.gather import Gatherer

        async with app.connect() as session, Gatherer(session.client, app.host) as gatherer:
            if app.json:
                snapshot = await gatherer.look()
                json_document(snapshot)
                return FAILED if snapshot.problem else DONE
            from dccd.cli.top.screen import Top

            code = await Top(gatherer.look, interval).run_async()
            return DONE if code is None else code

    return app.run(main)
