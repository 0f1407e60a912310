"""``dccd remote`` and ``dccd retention``: what goes to remotes, comes back, and leaves the store.

Orders flow in and become runs of the daemon, whose progress and outcome flow out; or a table, or JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dccd.cli.app import DONE, App, note, options, own_host_options
from dccd.cli.arguments import time_range
from dccd.cli.group import Group
from dccd.cli.output import duration, json_document, say, size, table, when
from dccd.cli.progress import watch
from dccd.runs import require_done

if TYPE_CHECKING:
    from dccd import messages as m

__all__ = ["done_by_run", "remote", "retention"]


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  dccd remote                                   # the remotes, and when they were last up to date
  dccd remote sync
  dccd remote verify backup
  dccd remote restore binance.trades.BTC-USDT --start 2024-01-01 --end 2024-02-01
  dccd remote restore                           # all of it, on a new machine with the old settings.host

They are storage.remotes in the configuration. Interrupting a command doesn't end what the daemon does for it:
dccd cancel RUN_ID does.
""",
)
@options
@click.pass_context
def remote(ctx: click.Context) -> int | None:
    """List remotes; copy to them, compare, bring back."""
    if ctx.invoked_subcommand is not None:
        return None
    app = ctx.ensure_object(App)

    async def main() -> int:
        async with app.connect_to_store() as session:
            await app.settle(session)
            found = await session.client.remotes()
        if app.json:
            json_document(found)
            return DONE
        table(
            ["remote", "url", "every", "up to date", ""],
            (
                [
                    one.name,
                    one.url,
                    duration(one.interval) if one.interval else "when asked",
                    when(one.synced),
                    one.error or "",
                ]
                for one in found
            ),
            empty="the configuration has no storage.remotes",
        )
        return DONE

    return app.run(main)


@remote.command(
    epilog="""\b
Examples:
  dccd remote sync
  dccd remote sync backup --dataset binance.trades
"""
)
@click.argument("names", nargs=-1, metavar="[REMOTE]...")
@click.option("--dataset", metavar="PREFIX", help="Only datasets whose name begins with this.")
@click.option("--adopt", is_flag=True, help="Go on in a folder that has another store's files.")
@options
@click.pass_obj
def sync(app: App, names: tuple[str, ...], dataset: str | None, adopt: bool) -> int:
    """Copy what is new, to all remotes or to those named."""
    from dccd.messages import StorageSync

    return done_by_run(app, "sync", StorageSync(remotes=list(names) or None, dataset=dataset, adopt=adopt))


@remote.command(
    epilog="""\b
Examples:
  dccd remote verify
  dccd remote verify backup --mend
"""
)
@click.argument("names", nargs=-1, metavar="[REMOTE]...")
@click.option("--dataset", metavar="PREFIX", help="Only datasets whose name begins with this.")
@click.option("--mend", is_flag=True, help="Have what differs copied anew by the next sync, and leftovers removed.")
@options
@click.pass_obj
def verify(app: App, names: tuple[str, ...], dataset: str | None, mend: bool) -> int:
    """Read every copy, and compare it by hash with what it is to be."""
    from dccd.messages import StorageVerify

    return done_by_run(app, "verify", StorageVerify(remotes=list(names) or None, dataset=dataset, mend=mend))


@remote.command(
    epilog="""\b
Examples:
  dccd remote restore
  dccd remote restore binance.trades --start 2024-01-01 --end 2024-02-01
  dccd remote restore --from backup --host collector-1     # what another host has copied
"""
)
@click.argument("dataset", required=False, metavar="[PREFIX]")
@click.option("--from", "name", metavar="REMOTE", help="From this remote; else the first of the configuration.")
@click.option("--host", metavar="HOST", help="What another host has copied there.")
@time_range("the first that there is")
@own_host_options
@click.pass_obj
def restore(
    app: App, dataset: str | None, name: str | None, host: str | None, start: str | None, end: str | None
) -> int:
    """Bring files back: all, those of datasets whose name begins with PREFIX, those with a part in a time range."""
    from dccd.messages import StorageRestore

    return done_by_run(app, "restore", StorageRestore(remote=name, dataset=dataset, start=start, end=end, host=host))


def done_by_run(
    app: App,
    what: str,
    message: m.StorageSync | m.StorageVerify | m.StorageRestore | m.StorageFold,
    nothing: str = "nothing to do",
) -> int:
    """Have it done, show how it goes on, and say how it ended: *nothing*, where its run has no summary."""

    async def main() -> int:
        async with app.connect(embed=True) as session:
            await app.settle(session)
            run = await watch(what, session.client.storage(message), json=app.json)
        require_done(run)
        if not app.json:
            say(run.summary or nothing)
        return DONE

    return app.run(main)


@click.command(
    epilog="""\b
Examples:
  dccd retention
  dccd retention --json | jq '.purge[] | select(.kept != null)'

The rules are storage.retention in the configuration.
"""
)
@options
@click.pass_obj
def retention(app: App) -> int:
    """Say what would be purged now, by the rules and the free space, and what keeps it here."""

    async def main() -> int:
        async with app.connect_to_store() as session:
            await app.settle(session)
            found = await session.client.retention()
        if app.json:
            json_document(found)
            return DONE
        table(
            ["dataset", "period", ">size", "rule", "kept, since"],
            ([one.dataset, one.period, size(one.bytes), one.reason, one.kept or ""] for one in found.purge),
            empty="nothing is to go",
        )
        if found.periods > len(found.purge):
            note(f"… and {found.periods - len(found.purge):,} more")
        if found.short:
            note(f"{size(found.short)} short of free_space, whatever goes")
        return DONE

    return app.run(main)
