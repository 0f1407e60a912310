"""What an operation is, and the errors that several have."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

__all__ = [
    "ANY",
    "BUSY",
    "CAPABILITY",
    "CORRUPT",
    "DATASET",
    "NOT_STORED",
    "NO_BOOK",
    "NO_REMOTE",
    "NO_REMOTES",
    "REMOTE",
    "RUN",
    "SLOW_READER",
    "STORE",
    "TOO_LARGE",
    "Operation",
    "Refusal",
    "Role",
]

Role = Literal["viewer", "operator"]
"""Who may ask: a viewer only sees, an operator also changes; who may do all may do what a viewer may."""


class Refusal(msgspec.Struct, frozen=True):
    """An error reply: its ``code`` and ``reason``, and when it comes."""

    code: int
    reason: str
    when: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: ``name`` is the tail of its subject, ``description`` one line for people.

    ``idempotent``: asked twice, it does what it does once. ``refusals`` are those beside ANY; ``example`` is a request
    that works against the demo, after the shell command ``setup``, with these ``flags`` of ``nats req``; a value
    ``$run`` in it is the text in the shell's variable ``run``, ``$$run`` the JSON.
    """

    name: str
    request: type[Any]
    reply: type[Any]
    description: str
    role: Role
    idempotent: bool = True
    refusals: tuple[Refusal, ...] = ()
    example: dict[str, Any] = {}
    setup: str = ""
    flags: str = ""

    @property
    def command(self) -> str:
        """The example for a shell."""
        body = msgspec.json.format(msgspec.json.encode(self.example), indent=0).decode() if self.example else ""
        body = re.sub(r'"(\${1,2})(\w+)"', _in_shell, body)
        return f"nats req --raw {self.flags} dccd.{self.name} '{body}'".replace("  ", " ")


def _in_shell(found: re.Match[str]) -> str:
    """A shell's variable in a text that stands in single quotes."""
    variable = f"'${found[2]}'"
    return f'"{variable}"' if found[1] == "$" else f"'\"${found[2]}\"'"


ANY = (
    Refusal(400, "malformed", "not JSON, an unknown field, a wrong type, an impossible value"),
    Refusal(404, "no_operation", "asked of one host: there is no such operation"),
    Refusal(422, "exchange", "the exchange refuses; the message has its own words"),
    Refusal(422, "too_large", "the reply has more bytes than a message takes"),
    Refusal(500, "internal", "our fault; the daemon's log has it"),
    Refusal(503, "exchange_down", "the exchange can't be reached"),
    Refusal(503, "not_now", "a part of the daemon is being restarted, or the bus can't now; try again"),
    Refusal(503, "busy", "more requests than are answered at once"),
    Refusal(503, "stopping", "this host is stopping"),
)
"""What any operation may answer."""

DATASET = Refusal(400, "malformed", "no dataset, or both its name and its parts")
CAPABILITY = Refusal(422, "no_capability", "the exchange can't; the message says what it can")
BUSY = Refusal(409, "busy", "one is under way with other options")
RUN = Refusal(404, "no_run", "there is no such run")
NO_BOOK = Refusal(422, "no_book", "it is no dataset of order books")
SLOW_READER = Refusal(503, "slow_reader", "a chunk was not acknowledged within 30 s")
NOT_STORED = Refusal(404, "no_dataset", "nothing is stored of it")
TOO_LARGE = Refusal(
    422, "too_large", "the reply is larger than a message; or, in Arrow without flow control, than 32 MiB"
)
CORRUPT = Refusal(500, "corrupt_file", "a file of the dataset is damaged: no rows rather than fewer")
STORE = Refusal(503, "store", "a file could not be read now")
REMOTE = Refusal(503, "remote", "what was purged can't be had from its remote now")
NO_REMOTES = Refusal(422, "no_remotes", "the configuration has none")
NO_REMOTE = Refusal(404, "no_remote", "none has this name; the message says which there are")
