"""``dccd backfill`` and ``dccd cancel``: a request flows in, a followed run flows out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import click

from dccd.cli.app import DONE, App, Session, note, options
from dccd.cli.arguments import dataset_arguments, dataset_of, time_range
from dccd.cli.output import count, duration, interval, json_document, say
from dccd.cli.progress import display
from dccd.runs import ACTIVE
from dccd.symbols import NS, Dataset

if TYPE_CHECKING:
    from dccd.runs import Run

__all__ = ["backfill", "cancel", "follow"]

_CANCEL_SECONDS = 15.0


@click.command(
    epilog="""\b
Examples:
  dccd backfill binance BTC/USDT --span 1m --start 2024-01-01
  dccd backfill kraken ETH/USD --type trades --start 2024-03-01 --end 2024-03-02
  dccd backfill binance.ohlc.BTC-USDT.1h --start origin
  dccd backfill binance BTC/USDT --span 1m            # go on from what is stored

With a daemon on the bus the daemon does it and this follows; Ctrl-C then ends the following only. Without one it is
done here, and Ctrl-C keeps what is stored: the same command goes on from there.
"""
)
@dataset_arguments("ohlc")
@time_range("last, which goes on from what is stored; or origin")
@click.option("--detach", is_flag=True, help="Start it in the daemon and don't wait.")
@click.option("--cancel-on-interrupt", is_flag=True, help="Ctrl-C cancels the run in the daemon, too.")
@options
@click.pass_obj
def backfill(
    app: App,
    exchange: str,
    symbol: str | None,
    data_type: str | None,
    span: str | None,
    start: str | None,
    end: str | None,
    detach: bool,
    cancel_on_interrupt: bool,
) -> int:
    """Fetch history of EXCHANGE SYMBOL, or of the dataset named so."""
    dataset = dataset_of(exchange, symbol, data_type, span, "ohlc")

    async def main() -> int:
        async with app.connect(embed=not detach) as session:
            await app.settle(session, dataset.name)
            started = await session.client.start_backfill(
                dataset.exchange, dataset.symbol.human, dataset.data_type, dataset.span, start or "last", end
            )
            run = started.run
            session.client.host = app.host  # of a run any host tells, should this one die
            if detach:
                if app.json:
                    json_document(started)
                else:
                    click.echo(run.run_id)
                    _warn(run)
                return DONE
            if not app.json:
                _announce(session, run, started.already_running)
            return await follow(app, session, run, cancel_on_interrupt)

    return app.run(main)


def _announce(session: Session, run: Run, already_running: bool) -> None:
    where = "no daemon runs, so it is done here" if session.embedded else f"the daemon on {run.host} does it"
    how = "goes on" if already_running or run.resumed else "starts"
    note(f"run {run.run_id} {how}: {interval(run.start, run.end)} ({where})")
    _warn(run)


def _warn(run: Run) -> None:
    if run.warning:
        note(f"warning: {run.warning}")


async def follow(app: App, session: Session, run: Run, cancel_on_interrupt: bool) -> int:
    """Show how *run* goes until it is over, and return the exit code. Raises RunFailed when it isn't done."""
    from dccd.errors import RunFailed
    from dccd.messages import RunStatus

    client = session.client
    try:
        with display(run.dataset, json=app.json) as shown:
            async with aclosing(client.follow(run.run_id)) as events:
                async for event in events:
                    shown.show(event)
                    if isinstance(event, RunStatus):
                        run = event.run
    except asyncio.CancelledError:
        if session.embedded:
            note(f"\nstopping; what is stored is kept. To go on: the same command, or {_again(run)}")
        elif cancel_on_interrupt and run.state in ACTIVE:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CANCEL_SECONDS):
                run = await client.cancel(run.run_id)
                note(f"\ncancelled after {count(run.rows)} rows, which are kept. To go on: {_again(run)}")
        else:
            note(f"\nthe run goes on in the daemon. To stop it: dccd cancel {run.run_id}")
        raise
    if run.state != "done":
        why = run.error or f"{run.state} after {count(run.rows)} rows, which are kept"
        raise RunFailed(run.run_id, run.state, f"run {run.run_id}: {why}")
    if not app.json:
        spent = duration((run.finished - run.started) / NS) if run.finished and run.started else "no time"
        click.echo(f"{run.dataset}: {count(run.rows)} rows, {interval(run.start, run.end)}, in {spent}")
    return DONE


def _again(run: Run) -> str:
    dataset = Dataset.parse(run.dataset)
    return f"dccd backfill {dataset.name} --start last" + (f" --end {run.asked[1]}" if run.asked[1] else "")


@click.command(
    epilog="""\b
Examples:
  dccd cancel 01a21cad-e946-7b86-ba12-8c6ce8714e2d
  dccd runs --state running --json | jq -r '.[].run_id' | xargs -n 1 dccd cancel

`dccd runs --state running` lists what can be cancelled, of all hosts.
"""
)
@click.argument("run_id")
@options
@click.pass_obj
def cancel(app: App, run_id: str) -> int:
    """Stop the backfill RUN_ID; what it stored is kept."""

    async def main() -> int:
        async with app.connect() as session:
            run = await session.client.cancel(run_id)
            if app.json:
                json_document(run)
            else:
                say(f"{run.dataset}: {run.state} after {count(run.rows)} rows, which are kept")
            return DONE

    return app.run(main)
