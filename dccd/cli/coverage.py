"""``dccd coverage`` and ``dccd repair``: what is there of a dataset's time, and how to have the rest.

Replies flow in; a strip of time, a table or JSON flow out, and of a repair the progress of its runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from dccd.cli.app import DONE, FAILED, App, Session, note, options
from dccd.cli.arguments import dataset_arguments, dataset_of, time_range
from dccd.cli.output import duration, interval, json_document, json_line, percent, table, when
from dccd.cli.progress import watch
from dccd.errors import NotStored
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.messages import Coverage, CoverageEntry, RepairEntry

__all__ = ["coverage", "repair", "strip"]

_WIDTH = 60
_SIGNS = {
    "missing": ("!", "known to be missing, or never asked for"),
    "unavailable": ("x", "the exchange doesn't serve it"),
    "purged": ("-", "retention removed it"),
    "unverified": ("?", "rows are there, and nobody vouches that they are all"),
    "empty": (".", "the exchange was asked, and has none"),
    "verified": ("#", "complete"),
}
"""By state, the one that matters most first: its sign, and what it means."""


@click.command(
    epilog="""\b
Examples:
  dccd coverage binance.trades.BTC-USDT
  dccd coverage binance BTC/USDT --type trades --start 2024-01-01 --end 2024-02-01
  dccd coverage binance.trades.BTC-USDT --json | jq '.intervals[] | select(.state == "missing")'
"""
)
@dataset_arguments("trades")
@time_range("the first that was asked for or is there")
@options
@click.pass_obj
def coverage(
    app: App,
    exchange: str,
    symbol: str | None,
    data_type: str | None,
    span: str | None,
    start: str | None,
    end: str | None,
) -> int:
    """Show what is there of a dataset's time, and what isn't and why."""
    dataset = dataset_of(exchange, symbol, data_type, span, "trades")

    async def main() -> int:
        async with app.connect_to_store() as session:
            await app.settle(session, dataset.name)
            found = await session.client.coverage(dataset.name, start, end)
            if not found.intervals and not await _is_known(session, dataset.name):
                told = f"nothing of {dataset.name} is stored, or was asked for; `dccd inventory` lists what is"
                raise NotStored(dataset.name, told)
        if app.json:
            json_document(found)
        elif not found.intervals:
            note(f"nothing of {dataset.name} in that time is stored, or was asked for")
        else:
            _show(found)
        return DONE

    return app.run(main)


async def _is_known(session: Session, name: str) -> bool:
    """Whether there is such a dataset, if not in the time that was asked for."""
    return any(entry.dataset == name for entry in await session.client.inventory(name))


def _show(found: Coverage) -> None:
    click.echo(f"{found.dataset}: {percent(found.fraction)} of {interval(found.start, found.end)}")
    click.echo(f"[{strip(found.intervals, found.start, found.end)}]")
    table(
        ["", "state", ">lasts", "means"],
        (
            [sign, state, duration(found.seconds[state]), meaning]
            for state, (sign, meaning) in reversed(_SIGNS.items())
            if state in found.seconds
        ),
    )
    holes = [one for one in found.intervals if one.state in ("missing", "unavailable", "purged")]
    if holes:
        click.echo("")
        table(
            ["from", "to", ">lasts", "state", "reason"],
            (
                [
                    when(one.start),
                    when(one.end),
                    duration((one.end - one.start) / NS),
                    "repairing" if one.run_id else one.state,
                    one.reason,
                ]
                for one in holes
            ),
        )
    if any(one.state == "missing" and one.run_id is None for one in holes):
        note(f"\n`dccd repair {found.dataset}` asks the exchange for what is missing")


def strip(intervals: Iterable[CoverageEntry], start: int, end: int, width: int = _WIDTH) -> str:
    """``###!!##``: the time from *start* to *end* (ns) in *width* signs. Of a cell the worst state in it is shown, so
    that no hole is too small to be seen."""
    rank = {state: number for number, state in enumerate(_SIGNS)}
    cells = [len(rank)] * width
    length = max(end - start, 1)
    for one in intervals:
        first = max(0, (one.start - start) * width // length)
        last = min(width - 1, max(first, ((one.end - start) * width - 1) // length))
        for cell in range(first, last + 1):
            cells[cell] = min(cells[cell], rank[one.state])
    signs = [sign for sign, _ in _SIGNS.values()]
    return "".join(signs[number] if number < len(signs) else " " for number in cells)


@click.command(
    epilog="""\b
Examples:
  dccd repair                                          # everything that is missing
  dccd repair binance.trades --dry-run
  dccd repair binance.ohlc.BTC-USDT.1m --start 2024-01-01 --end 2024-02-01
  dccd repair kraken.ohlc --unavailable                # and ask again for what wasn't served

What a stream or a backfill missed is asked for by itself, too: at once, and again after a while. This asks now, also
for what nobody ever asked for between what is there, and for what a cancelled backfill left.
"""
)
@click.argument("prefix", required=False)
@time_range("the first that is missing")
@click.option("--unavailable", is_flag=True, help="Ask again for what the exchange didn't serve.")
@click.option("--dry-run", is_flag=True, help="Only list what would be asked for.")
@click.option("--detach", is_flag=True, help="Start it in the daemon and don't wait.")
@options
@click.pass_obj
def repair(
    app: App, prefix: str | None, start: str | None, end: str | None, unavailable: bool, dry_run: bool, detach: bool
) -> int:
    """Ask the exchanges for what is missing of the stored datasets, of all or of those whose name begins with
    PREFIX."""

    async def main() -> int:
        async with app.connect(embed=not detach) as session:
            await app.settle(session, prefix)
            ask = session.client.repair
            told = await ask(prefix, start, end, unavailable=unavailable, dry_run=dry_run)
            if prefix is not None and not told.repairs and not await session.client.inventory(prefix):
                raise NotStored(prefix, f"nothing is stored under {prefix}; `dccd inventory` lists what is")
            if dry_run or detach:
                if app.json:
                    json_document(told)
                else:
                    _list(told.repairs)
                    if told.waiting:
                        note(f"{told.waiting} more follow by themselves")
                return DONE
            followed: dict[tuple[str, int, int], str | None] = {}
            while fresh := [one for one in told.repairs if (one.dataset, one.start, one.end) not in followed]:
                for one in fresh:
                    state = one.why if one.run_id is None else await _follow(app, session, one)
                    if app.json and one.run_id is None:
                        json_line(one)  # of the others the events of their runs tell
                    followed[one.dataset, one.start, one.end] = state
                if not told.waiting:
                    break
                told = await ask(prefix, start, end)
        bad = {key: why for key, why in followed.items() if why is not None}
        if not app.json:
            done = len(followed) - len(bad)
            note(f"{done} of {len(followed)} intervals repaired" if followed else "nothing is missing")
            for (dataset, low, high), why in bad.items():
                note(f"{dataset}, {interval(low, high)}: {why}")
        return FAILED if bad else DONE

    return app.run(main)


def _list(repairs: list[RepairEntry]) -> None:
    table(
        ["dataset", "from", "to", ">lasts", "reason", "run"],
        (
            [r.dataset, when(r.start), when(r.end), duration((r.end - r.start) / NS), r.reason, r.run_id or r.why or ""]
            for r in repairs
        ),
        empty="nothing is missing",
    )


async def _follow(app: App, session: Session, one: RepairEntry) -> str | None:
    """Follow one run; return why it did not repair its interval, None when it did."""
    assert one.run_id is not None
    run = await watch(one.dataset, session.client.follow(one.run_id), json=app.json)
    return None if run.state == "done" else run.error or run.state
