"""What the shell offers at a press of TAB: the line so far flows in, words that may follow flow out.

Commands, options, operations and their fields are known here; datasets, hosts, runs and jobs are asked of the daemon,
which has a moment for it. Whoever presses TAB wants words or nothing: no error is ever shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, TypeVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from dccd.cli.app import COMPLETION, App

if TYPE_CHECKING:
    from dccd.client import Client

__all__ = ["answer", "completion", "prepare"]

T = TypeVar("T")

_SECONDS = "1.5"
_MANY = 500

Find = Callable[[click.Context, str], Iterable[str | CompletionItem[str]]]
"""From the command so far and the word that is begun to all words that could be meant."""

# ---------------------------------------------------------------- what the daemon knows


def _asked(ctx: click.Context, ask: Callable[[Client], Awaitable[list[T]]]) -> list[T]:
    """What *ask* gets of the daemon that the command so far speaks to; an empty list where that takes too long, or
    doesn't work."""
    import dccd.client  # noqa: F401  # that it takes a moment is nothing the daemon is late by

    app = ctx.ensure_object(App)

    async def main() -> list[T]:
        async with asyncio.timeout(seconds), app.connect() as session:
            return await ask(session.client)

    # What a library logs or prints would be taken for words.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            seconds = float(os.environ.get("DCCD_COMPLETE_SECONDS", _SECONDS))
            return asyncio.run(main())
        except Exception:
            return []


def _datasets(ctx: click.Context, incomplete: str) -> list[str]:
    from dccd.messages import InventoryList

    async def ask(client: Client) -> list[str]:
        # Whole tokens narrow it down at the daemon; the last one is begun.
        prefix = incomplete.rpartition(".")[0] or None
        page = await client.request("inventory", InventoryList(dataset=prefix, limit=_MANY))
        return [one.dataset for one in page.datasets]

    return _asked(ctx, ask)


def _runs(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    async def ask(client: Client) -> list[CompletionItem[str]]:
        return [CompletionItem(run.run_id, help=f"{run.state}: {run.subject}") for run in await client.runs(50)]

    return _asked(ctx, ask)


def _hosts(ctx: click.Context, incomplete: str) -> list[str]:
    async def ask(client: Client) -> list[str]:
        return [host.id for host in await client.hosts()]

    return _asked(ctx, ask)


def _jobs(ctx: click.Context, incomplete: str) -> list[str]:
    async def ask(client: Client) -> list[str]:
        return [job.name for job in await client.jobs()]

    return _asked(ctx, ask)


def _remotes(ctx: click.Context, incomplete: str) -> list[str]:
    async def ask(client: Client) -> list[str]:
        return [remote.name for remote in await client.remotes()]

    return _asked(ctx, ask)


def _symbols(ctx: click.Context, incomplete: str) -> list[str]:
    """Those that are stored of the exchange that was named."""
    from dccd.symbols import Dataset

    exchange = ctx.params.get("exchange") or ""
    if "." in exchange:
        return []  # it names the whole dataset
    return sorted({str(Dataset.parse(name).symbol) for name in _datasets(ctx, f"{exchange}.")})


# ---------------------------------------------------------------- what is known here


def _exchanges(ctx: click.Context, incomplete: str) -> list[str]:
    """Exchanges, or datasets, since one argument may name all of it."""
    if "." in incomplete:
        return _datasets(ctx, incomplete)
    from dccd.exchanges.registry import EXCHANGES

    return sorted(EXCHANGES)


def _operations(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    from dccd.operations import OPERATIONS

    prefix = "dccd." if incomplete.startswith("dccd.") else ""
    return [CompletionItem(prefix + op.name, help=op.description) for op in OPERATIONS.values()]


def _fields(ctx: click.Context, incomplete: str) -> list[str | CompletionItem[str]]:
    """Fields of the operation that aren't given yet, or the values of the one that is begun."""
    import msgspec

    from dccd.cli.words import Words, choices
    from dccd.operations import OPERATIONS

    operation = OPERATIONS.get((ctx.params.get("operation") or "").removeprefix("dccd."))
    if operation is None:
        return []
    fields = {field.encode_name: field for field in msgspec.structs.fields(operation.request)}
    name, equals, begun = incomplete.partition("=")
    if not equals:
        given = {word.partition("=")[0] for word in ctx.params.get("message") or ()}
        words = Words()
        return [
            CompletionItem(f"{field}=", help=words.shown(fields[field].type)) for field in fields if field not in given
        ]
    if name not in fields:
        return []
    values: Iterable[str | CompletionItem[str]] = choices(fields[name].type)
    if not values and name in _FIND:
        values = _FIND[name](ctx, begun)
    return [f"{name}={value if isinstance(value, str) else value.value}" for value in values]


_FIND: dict[str, Find] = {
    "dataset": _datasets,
    "prefix": _datasets,
    "run_id": _runs,
    "before": _runs,
    "stream": _datasets,
    "job": _jobs,
    "host": _hosts,
    "exchange": _exchanges,
    "symbol": _symbols,
    "req.operation": _operations,
    "message": _fields,
    "sync.names": _remotes,
    "verify.names": _remotes,
    "restore.name": _remotes,
    "run.name": _jobs,
    "update.name": _jobs,
    "delete.name": _jobs,
}
"""How to find words, by a parameter's name, or by its command's and its own."""


class _Known(click.ParamType[str]):
    """Text of which *find* knows words that it may be."""

    name = "text"

    def __init__(self, find: Find) -> None:
        self.find = find

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        found = self.find(ctx, incomplete)
        items = [CompletionItem(one) if isinstance(one, str) else one for one in found]
        return [item for item in items if item.value.startswith(incomplete)]


def prepare(command: click.Command) -> click.Command:
    """Let *command*, and those below it, complete what they take: only for a command that isn't run."""
    for param in command.params:
        find = _FIND.get(f"{command.name}.{param.name}") or _FIND.get(param.name or "")
        if find is not None and isinstance(param.type, click.types.StringParamType):
            param.type = _Known(find)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            prepare(below)
    return command


# ---------------------------------------------------------------- the shells

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line
    COMPREPLY=()
    for line in $(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null); do
        case "$line" in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            plain,*=) compopt -o nospace 2>/dev/null; COMPREPLY+=("${line#*,}") ;;
            plain,*) COMPREPLY+=("${line#*,}") ;;
        esac
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a response plain described fields
    local type key told
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for type key told in ${response}; do
        case "$type" in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ "$told" == _ ]]; then plain+=("$key")
                elif [[ "$key" == *= ]]; then fields+=("$key:$told")
                else described+=("$key:$told")
                fi ;;
        esac
    done
    (( $#fields )) && _describe -V unsorted fields -U -S ''
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class _Zsh(ZshComplete):
    """Of click's, but no space follows on a field's ``=``."""

    source_template: ClassVar[str] = _ZSH


class _Bash(BashComplete):
    """Of click's, but ``=`` and ``:``, at which bash begins a new word, belong to the word here."""

    source_template: ClassVar[str] = _BASH

    def source(self) -> str:
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        self._begun = "" if not line or line[-1].isspace() else words.pop()
        return words[1:], self._begun

    def format_completion(self, item: CompletionItem[str]) -> str:
        breaks = set("=:") & set(os.environ.get("COMP_BREAKS", "=:"))
        last = max((self._begun.rfind(character) for character in breaks), default=-1)
        return f"{item.type},{item.value[last + 1 :]}" if item.type == "plain" else f"{item.type},"


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": FishComplete}


def answer(cli: click.Command, app: App) -> int:
    """Print what may follow, as COMPLETION asks (``bash_complete``); return the exit code."""
    shell, _, what = os.environ[COMPLETION].partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    with contextlib.suppress(Exception):  # a broken line, or a fault of ours: there is nothing to offer
        click.echo(SHELLS[shell](cli, {"obj": app}, "dccd", COMPLETION).complete())
    return 0


@click.command(
    epilog="""\b
Examples:
  echo 'source <(dccd completion bash)' >> ~/.bashrc
  echo 'source <(dccd completion zsh)' >> ~/.zshrc        # after compinit
  dccd completion fish > ~/.config/fish/completions/dccd.fish

It completes commands, options, the operations of `dccd req` and their fields; and, where a daemon runs, datasets,
hosts, runs and jobs, for which it waits DCCD_COMPLETE_SECONDS, 1.5 by default.
"""
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes dccd's command line in SHELL."""
    click.echo(SHELLS[shell](ctx.find_root().command, {}, "dccd", COMPLETION).source(), nl=False)
