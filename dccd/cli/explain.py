"""``dccd req OPERATION --help``: an operation of the table flows in, all that is to know of it flows out as text."""

from __future__ import annotations

import shlex
from typing import Any

import click
import msgspec

from dccd.cli.words import Words
from dccd.operations import ANY, Operation

__all__ = ["explained"]

_WIDTH = 110
_WORDS = Words()


def explained(operation: Operation) -> str:
    """The operation's fields with types and defaults, its errors, an example, and who may ask."""
    help = click.HelpFormatter(max_width=_WIDTH, width=_WIDTH)
    help.write_text(f"dccd.{operation.name}: {operation.description}.")
    help.write_paragraph()
    who = "A viewer may ask" if operation.role == "viewer" else "An operator may ask"
    twice = "asked twice, it does it once" if operation.idempotent else "asked twice, it does it twice"
    help.write_text(f"{who}; {twice}.")
    fields = msgspec.structs.fields(operation.request)
    with help.section("Request"):
        help.write_text(_WORDS.said(operation.request))
    if fields:
        with help.section("Fields"):
            help.write_dl((field.encode_name, _field(field)) for field in fields)
    with help.section("Reply"):
        help.write_text(_WORDS.said(operation.reply))
        help.write_paragraph()
        answered = msgspec.structs.fields(operation.reply)
        help.write_dl((field.encode_name, _WORDS.shown(field.type)) for field in answered)
    with help.section("Errors"):
        errors = sorted((*operation.refusals, *ANY), key=lambda no: no.code)
        help.write_dl((f"{no.code} {no.reason}", no.when.replace("`", "")) for no in errors)
    with help.section("Example"):
        for line in filter(None, (operation.setup, _example(operation), "", operation.command)):
            help.write(f"{'':>{help.current_indent}}{line}\n")
    return help.getvalue().rstrip()


def _field(field: msgspec.structs.FieldInfo) -> str:
    default = _WORDS.default(field)
    said = default if default in ("must be given", "left as it is") else f"default {default}"
    return f"{_WORDS.shown(field.type)}; {said}"


def _example(operation: Operation) -> str:
    """The example as `dccd req` takes it."""
    words = [f"{name}={_value(value)}" for name, value in operation.example.items()]
    return " ".join(["dccd req", operation.name, *words])


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if text.startswith("$") else shlex.quote(text)
