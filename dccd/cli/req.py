"""``dccd req``: any request flows out on the bus, its reply is printed as it came."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from dccd.cli.app import DONE, App, options
from dccd.cli.explain import explained
from dccd.cli.output import json_document, table
from dccd.errors import BusUnavailable, RequestError
from dccd.operations import OPERATIONS, schema

if TYPE_CHECKING:
    from dccd.client import Client

__all__ = ["payload", "req"]


def _listing() -> str:
    width = max(map(len, OPERATIONS))
    return "\n".join(["\b", "Operations:"] + [f"  {op.name:{width}}  {op.description}" for op in OPERATIONS.values()])


def _meant(name: str) -> str:
    """What to say of an operation that there isn't."""
    near = difflib.get_close_matches(name, OPERATIONS, 3, cutoff=0.5)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return f"there is no operation {name!r}: {guess}`dccd req --list` lists them"


class _Req(click.Command):
    """The command, whose ``--help`` beside an operation is that operation's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and set(args) & set(self.get_help_option_names(ctx)):
            try:
                given, _, _ = self.make_parser(ctx).parse_args(list(args))
            except click.UsageError:
                given = {}  # the usual help says what is wrong
            if isinstance(name := given.get("operation"), str):
                name = name.removeprefix("dccd.")
                if name not in OPERATIONS:
                    raise click.UsageError(_meant(name), ctx)
                click.echo(explained(OPERATIONS[name]))
                ctx.exit()
        return super().parse_args(ctx, args)


@click.command(
    cls=_Req,
    epilog=f"""\b
Examples:
  dccd req health
  dccd req backfill.start exchange=binance symbol=BTC/USDT data_type=ohlc span=1m
  dccd req runs.list '{{"limit": 5, "state": "failed"}}'
  dccd req backfill.start --help
  dccd req --schema backfill.start
  dccd req --host collector-2 tree

The same without dccd: nats req dccd.runs.list '{{"limit": 5}}'

{_listing()}
""",
)
@click.argument("operation", required=False)
@click.argument("message", nargs=-1)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds to wait.",
)
@click.option("--list", "list_them", is_flag=True, help="List the operations.")
@click.option("--schema", "show_schema", is_flag=True, help="Show the JSON schemas of OPERATION's request and reply.")
@options
@click.pass_obj
def req(
    app: App,
    operation: str | None,
    message: tuple[str, ...],
    timeout: float,
    list_them: bool,
    show_schema: bool,
) -> int:
    """Send a request for OPERATION and print the reply.

    MESSAGE is a JSON object, or fields as key=value: JSON values, or text where they aren't JSON; - reads standard
    input. `dccd req OPERATION --help` tells its fields.
    """
    if list_them:
        if app.json:
            json_document([_describe(name) for name in OPERATIONS])
        else:
            table(
                ["operation", "fields", "does"],
                ([op.name, " ".join(op.request.__struct_fields__), op.description] for op in OPERATIONS.values()),
            )
        return DONE
    if operation is None:
        raise click.UsageError("which operation? `dccd req --list` lists them")
    operation = operation.removeprefix("dccd.")
    if show_schema:
        if operation not in OPERATIONS:
            raise click.UsageError(_meant(operation))
        json_document(_describe(operation))
        return DONE
    body = payload(message)

    async def main() -> int:
        async with app.connect() as session:
            try:
                reply = await session.client.request_raw(operation, body, timeout=timeout)
            except (BusUnavailable, RequestError) as exc:
                # One that we don't know may be of a newer daemon; where nobody does, it is misspelt.
                unknown = isinstance(exc, BusUnavailable) or exc.reason == "no_operation"
                if operation in OPERATIONS or not unknown or not await _answers(session.client):
                    raise
                raise RequestError(404, "no_operation", _meant(operation), "operation") from exc
        if sys.stdout.isatty():
            try:
                reply = msgspec.json.format(reply, indent=2)
            except msgspec.DecodeError:
                pass  # not JSON: as it came
        click.echo(reply)
        return DONE

    return app.run(main)


async def _answers(client: Client) -> bool:
    """Whether there is a daemon at all."""
    try:
        await client.request_raw("health", timeout=3)
    except BusUnavailable:
        return False
    return True


def _describe(name: str) -> dict[str, Any]:
    op = OPERATIONS[name]
    return {
        "operation": name,
        "description": op.description,
        "request": schema(op.request),
        "reply": schema(op.reply),
    }


def payload(words: tuple[str, ...]) -> bytes:
    """The request's body from the command's arguments. Raises UsageError for what is neither JSON nor key=value."""
    if words == ("-",):
        return sys.stdin.buffer.read()
    if not words:
        return b""
    if words[0].lstrip().startswith("{"):
        if len(words) > 1:
            raise click.UsageError("one JSON object, or fields as key=value, not both")
        try:
            msgspec.json.decode(words[0])
        except msgspec.DecodeError as exc:
            raise click.UsageError(f"the message isn't JSON: {exc}") from exc
        return words[0].encode()
    fields: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{word!r} is no field; write key=value, or the whole message as JSON")
        try:
            fields[key] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            fields[key] = text
    return msgspec.json.encode(fields)
