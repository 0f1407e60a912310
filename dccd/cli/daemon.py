"""``dccd health``, ``dccd hosts`` and ``dccd tree``: what the daemon says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dccd.cli.app import DONE, FAILED, App, options
from dccd.cli.output import branches, duration, json_document, table
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.messages import TreeNode

__all__ = ["health", "hosts", "tree"]


@click.command(
    epilog="""\b
Examples:
  dccd health
  dccd health --json | jq -r '.checks[] | select(.ok | not) | .name'

Exit code 0 when all is well, 1 when something isn't, 4 when no daemon answers: for monitoring.
"""
)
@options
@click.pass_obj
def health(app: App) -> int:
    """Say whether the daemon does what it should, and what it doesn't."""

    async def main() -> int:
        async with app.connect() as session:
            await app.settle(session)
            found = await session.client.health()
        if app.json:
            json_document(found)
            return DONE if found.ok else FAILED
        click.echo(
            f"dccd {found.version} on {found.host}, up {duration(found.uptime)}: {'ok' if found.ok else 'NOT OK'}"
        )
        click.echo(f"bus {found.bus_url}, data in {found.data_path}")
        table(["", "", ""], (["ok" if c.ok else "NOT OK", c.name, c.detail] for c in found.checks))
        return DONE if found.ok else FAILED

    return app.run(main)


@click.command(
    epilog="""\b
Examples:
  dccd hosts
  dccd hosts --json | jq -r '.[].id'
  dccd tree --host collector-2

A host that says nothing disappears within seconds; `dccd.events.host.>` has who came and went.
"""
)
@options
@click.pass_obj
def hosts(app: App) -> int:
    """List the hosts on the bus, as each last said of itself."""

    async def main() -> int:
        async with app.connect() as session:
            found = await session.client.hosts()
        if app.json:
            json_document(found)
            return DONE
        table(
            ["host", "version", "runs on", ">streams", ">backfills", ">up", "data"],
            (
                [
                    one.id,
                    one.version,
                    f"{one.hostname}, process {one.pid}",
                    one.streams,
                    one.backfills,
                    duration((one.at - one.started) / NS),
                    one.data_path,
                ]
                for one in found
            ),
        )
        return DONE

    return app.run(main)


@click.command(
    epilog="""\b
Examples:
  dccd tree
  dccd tree --json | jq '.. | objects | select(.restarts? > 0) | {id, restarts, reason}'
"""
)
@options
@click.pass_obj
def tree(app: App) -> int:
    """Show the daemon's supervision tree: actors, restarts, mailboxes."""

    async def main() -> int:
        async with app.connect() as session:
            await app.settle(session)
            found = await session.client.tree()
        if app.json:
            json_document(found)
            return DONE
        rows = (_row(name, node) for _, name, node in branches(found.root, found.root.id))
        table([found.host, "status", ">restarts", ">mailbox", ">up"], rows)
        return DONE

    return app.run(main)


def _row(name: str, node: TreeNode) -> list[str]:
    mailbox = f"{node.mailbox}/{node.mailbox_size}" if node.mailbox_size else ""
    return [name, node.status, str(node.restarts or ""), mailbox, duration(node.uptime)]
