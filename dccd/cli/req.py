"""``dccd req``: any request flows out on the bus, its reply is printed as it came."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from dccd.cli.app import DONE, App, options
from dccd.cli.output import json_document, table
from dccd.operations import OPERATIONS, schema

__all__ = ["payload", "req"]


def _listing() -> str:
    width = max(map(len, OPERATIONS))
    return "\n".join(["\b", "Operations:"] + [f"  {op.name:{width}}  {op.description}" for op in OPERATIONS.values()])


@click.command(
    epilog=f"""\b
Examples:
  dccd req health
  dccd req backfill.start exchange=binance symbol=BTC/USDT data_type=ohlc span=1m
  dccd req runs.list '{{"limit": 5, "state": "failed"}}'
  dccd req --schema backfill.start
  dccd req --host collector-2 tree

The same without dccd: nats req dccd.runs.list '{{"limit": 5}}'

{_listing()}
"""
)
@click.argument("operation", required=False)
@click.argument("message", nargs=-1)
@click.option("--host", help="Ask this host; otherwise any may answer.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Seconds to wait.")
@click.option("--list", "list_them", is_flag=True, help="List the operations.")
@click.option("--schema", "show_schema", is_flag=True, help="Show the JSON schemas of OPERATION's request and reply.")
@options
@click.pass_obj
def req(
    app: App,
    operation: str | None,
    message: tuple[str, ...],
    host: str | None,
    timeout: float,
    list_them: bool,
    show_schema: bool,
) -> int:
    """Send a request for OPERATION and print the reply.

    MESSAGE is a JSON object, or fields as key=value: JSON values, or text where they aren't JSON; - reads standard
    input.
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
            raise click.UsageError(f"no operation {operation!r}; `dccd req --list` lists them")
        json_document(_describe(operation))
        return DONE
    body = payload(message)

    async def main() -> int:
        async with app.connect() as session:
            reply = await session.client.request_raw(operation, body, host=host, timeout=timeout)
        if sys.stdout.isatty():
            try:
                reply = msgspec.json.format(reply, indent=2)
            except msgspec.DecodeError:
                pass  # not JSON: as it came
        click.echo(reply)
        return DONE

    return app.run(main)


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
