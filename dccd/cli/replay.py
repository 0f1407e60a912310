"""``dccd replay``: what is stored is played again; orders flow to the daemon, records flow out as lines."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from dccd.cli.app import DONE, App, note, options
from dccd.cli.group import Group
from dccd.cli.output import count, duration, interval, json_document, json_line, table, when
from dccd.cli.tail import line

if TYPE_CHECKING:
    from dccd.client import Replay
    from dccd.messages import ReplayEntry, ReplayMissing

__all__ = ["replay"]

_TOLD = 3


def _speed(text: str) -> float | Literal["max"]:
    """``10``, ``10x``, ``0.5``, or ``max``."""
    if text == "max":
        return "max"
    try:
        speed = float(text.rstrip("x×"))
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= 1_000_000:
        raise click.BadParameter(f"{text!r} is no speed: how many times as fast as it was, as 10, or max")
    return speed


class _Replays(Group):
    """The group; what names none of its commands is a replay to be started."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not {"-h", "--help", *self.commands} & {*args} and any(not word.startswith("-") for word in args):
            args = ["start", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Replays,
    invoke_without_command=True,
    subcommand_metavar="[DATASET… | COMMAND …]",
    epilog="""\b
Examples:
  dccd replay
  dccd replay binance.trades.BTC-USDT kraken.trades.BTC-USD --start 2024-01-01 --speed 10
  dccd replay 'binance.trades.*' --speed max -n 1000 --json
  dccd replay pause ID
  dccd replay seek ID 2024-01-01T12:00
""",
)
@options
@click.pass_context
def replay(ctx: click.Context) -> int | None:
    """Publish stored records again, merged by time, at a pace; list replays and direct them."""
    if ctx.invoked_subcommand is not None:
        return None
    return _list(ctx.ensure_object(App))


@replay.command(
    "list",
    epilog="""\b
Examples:
  dccd replay list
  dccd replay list --json | jq -r '.[].id'
""",
)
@options
@click.pass_obj
def list_(app: App) -> int:
    """List the replays of a host, and where they are."""
    return _list(app)


@replay.command(
    epilog="""\b
Examples:
  dccd replay start binance.trades.BTC-USDT --start 2024-01-01 --speed 10
  dccd replay start 'binance.trades.*' --speed max --id backtest --paused
  dccd replay start binance.ohlc.BTC-USDT.1m --speed max -n 5 --print
"""
)
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET…")
@click.option(
    "--start", metavar="TIME", help="Where to start: a date, an ISO time (UTC), or ns. Default: the first row."
)
@click.option("--end", metavar="TIME", help="Where to end (not included). Default: after the last row.")
@click.option(
    "--speed", type=_speed, default="1", metavar="SPEED", help="How many times as fast as it was, or max.  [default: 1]"
)
@click.option("--print", "printed", is_flag=True, help="Print the records; end with the replay, or it with this.")
@click.option("-n", "--number", "limit", type=click.IntRange(min=1), metavar="N", help="Print N records, and end.")
@click.option("--paused", is_flag=True, help="Don't begin before `dccd replay resume`.")
@click.option("--skip-gaps", is_flag=True, help="Jump over time of which nothing is known to be there.")
@click.option("--id", "name", metavar="ID", help="Its name on the bus; made up by default.")
@options
@click.pass_obj
def start(
    app: App,
    datasets: tuple[str, ...],
    start: str | None,
    end: str | None,
    speed: float | Literal["max"],
    printed: bool,
    limit: int | None,
    paused: bool,
    skip_gaps: bool,
    name: str | None,
) -> int:
    """Start one, of datasets by name or by patterns; it waits for a subscriber."""
    from dccd.messages import ReplayStart

    if (printed or limit is not None) and (paused or name is not None):
        raise click.UsageError("--print is of a replay of its own: leave out --paused and --id")

    async def print_it() -> int:
        async with app.connect_to_store() as session:
            await app.settle(session, datasets[0] if len(datasets) == 1 else None)
            played = session.client.replay(datasets, start, end, speed=speed, skip_gaps=skip_gaps)
            async with played:
                _tell_missing(played.missing, played.missing_more)
                await _print(played, limit, app.json)
        return DONE

    async def start_it() -> int:
        asked = ReplayStart(
            datasets=[*datasets],
            start=start,
            end=end,
            speed=speed,
            id=name,
            start_paused=paused,
            skip_gaps=skip_gaps,
        )
        async with app.connect() as session:
            await app.settle(session, datasets[0] if len(datasets) == 1 else None)
            started = await session.client.start_replay(asked)
        if app.json:
            json_document(started)
            return DONE
        _tell_missing(started.missing, started.missing_more)
        entry = started.replay
        click.echo(entry.id)
        held = "is paused" if paused else "waits for a first subscriber"
        note(f"{len(entry.datasets)} datasets, {interval(entry.start, entry.end)}: it {held}")
        note(f"to listen: nats sub '{started.subject}'")
        return DONE

    return app.run(print_it if printed or limit is not None else start_it)


@replay.command(
    epilog="""\b
Example:
  dccd replay pause backtest
"""
)
@click.argument("id")
@options
@click.pass_obj
def pause(app: App, id: str) -> int:
    """Hold a replay where it is."""
    return _change(app, "pause", id=id)


@replay.command(
    epilog="""\b
Example:
  dccd replay resume backtest
"""
)
@click.argument("id")
@options
@click.pass_obj
def resume(app: App, id: str) -> int:
    """Let a replay go on, whether anybody listens or not."""
    return _change(app, "resume", id=id)


@replay.command(
    epilog="""\b
Example:
  dccd replay seek backtest 2024-06-01T12:00
"""
)
@click.argument("id")
@click.argument("time")
@options
@click.pass_obj
def seek(app: App, id: str, time: str) -> int:
    """Go on at TIME: a date, an ISO time (UTC), or ns."""
    return _change(app, "seek", id=id, to=time)


@replay.command(
    epilog="""\b
Examples:
  dccd replay speed backtest 60
  dccd replay speed backtest max
"""
)
@click.argument("id")
@click.argument("speed", type=_speed, metavar="SPEED")
@options
@click.pass_obj
def speed(app: App, id: str, speed: float | Literal["max"]) -> int:
    """Go on SPEED times as fast as it was, or as max."""
    return _change(app, "speed", id=id, speed=speed)


@replay.command(
    epilog="""\b
Example:
  dccd replay stop backtest
"""
)
@click.argument("id")
@options
@click.pass_obj
def stop(app: App, id: str) -> int:
    """End a replay."""
    return _change(app, "stop", id=id)


def _change(app: App, operation: str, **fields: Any) -> int:
    from dccd.messages import ReplayOf, ReplaySeek, ReplaySpeed

    kinds: dict[str, Any] = {"seek": ReplaySeek, "speed": ReplaySpeed}
    message = kinds.get(operation, ReplayOf)(**fields)

    async def main() -> int:
        async with app.connect_to_one() as session:
            entry = await session.client.change_replay(operation, message)
        if app.json:
            json_document(entry)
        else:
            click.echo(f"{entry.id}: {entry.state} at {when(entry.position)}, {_pace(entry)}")
        return DONE

    return app.run(main)


def _list(app: App) -> int:
    async def main() -> int:
        async with app.connect() as session:
            await app.settle(session)
            found = await session.client.replays()
        if app.json:
            json_document(found)
            return DONE
        table(
            ["id", "state", "speed", "at", "from … to", ">records", ">behind", "heard", "datasets", "error"],
            (
                [
                    one.id,
                    one.state,
                    _pace(one),
                    when(one.position),
                    interval(one.start, one.end),
                    count(one.records),
                    duration(one.behind) if one.behind >= 0.05 else "",
                    "yes" if one.attended else "no",
                    one.datasets[0] + (f" and {len(one.datasets) - 1} more" if len(one.datasets) > 1 else ""),
                    one.error or "",
                ]
                for one in found
            ),
            empty="no replays",
        )
        return DONE

    return app.run(main)


def _pace(entry: ReplayEntry) -> str:
    return f"{entry.speed:g}×" if entry.speed else "max"


async def _print(played: Replay, limit: int | None, json: bool) -> None:
    left = sys.maxsize if limit is None else limit
    several = len(played.datasets) > 1
    width = max(len(dataset.name) for dataset in played.datasets)
    async with aclosing(played.batches()) as batches:
        async for batch in batches:
            name = batch.dataset.name
            for record in batch[:left]:
                if json:
                    json_line({"dataset": name, **msgspec.to_builtins(record)})
                else:
                    click.echo(f"{name:{width}}  {line(record)}" if several else line(record))
            sys.stdout.flush()
            left -= len(batch)
            if left <= 0:
                return


def _tell_missing(missing: list[ReplayMissing], more: int) -> None:
    for one in missing[:_TOLD]:
        why = f" ({one.reason})" if one.reason else ""
        note(f"{one.dataset}: {one.state}{why}: {interval(one.start, one.end)}")
    if (left := len(missing) - _TOLD + more) > 0:
        note(f"… and {left} more intervals: dccd coverage has them")
