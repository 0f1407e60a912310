"""``dccd alerts``: what is wrong, and whether webhooks hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dccd.cli.app import DONE, FAILED, App, options
from dccd.cli.group import Group
from dccd.cli.output import duration, json_document, say, table
from dccd.symbols import NS, format_time

if TYPE_CHECKING:
    from dccd.messages import AlertsListed, Incident

__all__ = ["alerts"]


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  dccd alerts
  dccd alerts --all --json | jq -r '.incidents[] | [.state, .subject, .detail] | @tsv'
  dccd alerts test
  dccd alerts test ops

What is an incident, and who is told, is in the configuration: alerts, alerts.webhooks. Exit code 1 while one is open.
""",
)
@click.option("--all", "everything", is_flag=True, help="Also what was over in the last week.")
@options
@click.pass_context
def alerts(ctx: click.Context, everything: bool) -> int | None:
    """List what is wrong now, and which webhooks were told."""
    if ctx.invoked_subcommand is not None:
        return None
    app = ctx.ensure_object(App)

    async def main() -> int:
        async with app.connect() as session:
            await app.settle(session)
            found = await session.client.alerts(all=everything)
        if app.json:
            json_document(found)
        else:
            _shown(found)
        return FAILED if any(one.state == "open" for one in found.incidents) else DONE

    return app.run(main)


def _shown(found: AlertsListed) -> None:
    if found.incidents:
        table(["state", "rule", "about", "since", "lasted", "told", "what"], map(_row, found.incidents))
    else:
        click.echo(f"nothing is wrong on {found.host}")
    for webhook in found.webhooks:
        waiting = f", {webhook.waiting} incidents wait" if webhook.waiting else ""
        state = f"NOT TOLD: {webhook.error}" if webhook.error else f"{webhook.sent} messages taken"
        say(f"webhook {webhook.name} ({webhook.format}): {state}{waiting}")
    if not found.webhooks:
        click.echo("no webhook is told: alerts.webhooks in the configuration names some")


def _row(one: Incident) -> list[object]:
    lasted = "" if one.resolved is None else duration((one.resolved - one.since) / NS)
    told = " ".join(sorted(name for name, state in one.told.items() if state == one.state))
    return [one.state, one.rule, one.subject, format_time(one.since), lasted, told, one.detail]


@alerts.command(
    epilog="""\b
Examples:
  dccd alerts test
  dccd alerts test ops     # only the webhook of this name
"""
)
@click.argument("webhook", required=False)
@options
@click.pass_obj
def test(app: App, webhook: str | None) -> int:
    """Send a message to all webhooks, or to WEBHOOK, and say whether it was taken."""

    async def main() -> int:
        async with app.connect() as session:
            await app.settle(session)
            tried = await session.client.test_webhooks(webhook)
        if app.json:
            json_document(tried)
        else:
            for one in tried:
                say(f"{one.name}: {'taken' if one.error is None else f'NOT TAKEN: {one.error}'}")
        return FAILED if any(one.error for one in tried) else DONE

    return app.run(main)
