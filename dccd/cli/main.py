"""The command ``dccd``: arguments flow in, text on stdout, messages on stderr and an exit code flow out.

Each command's module is imported when the command is called, so that ``dccd --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from dccd import __version__
from dccd.cli.app import COMPLETION, App, options, report

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["cli", "main"]

_HELP = """Collect crypto market data, live and historical, into Parquet and onto a NATS bus.

\b
  dccd start --demo            simulated exchanges and the whole daemon, no network needed
  dccd start                   the daemon, with what config.yml says
  dccd backfill binance BTC/USDT --span 1m --start 2024-01-01
  dccd tail binance BTC/USDT
  dccd read binance.ohlc.BTC-USDT.1m --newest --limit 10

Commands but `start`, `validate`, `simulate`, `auth` and `completion` speak to a running daemon over its bus: --bus,
else DCCD_BUS_URL, else what the configuration says. Where none runs and no bus is named, those about what is stored do
it by themselves. The configuration is --config, else DCCD_CONFIG, ./config.yml, or ~/.config/dccd/config.yml.
"""

_EPILOG = """\b
Exit codes:
  0    done
  1    failed: a run failed, the daemon reports an error
  2    wrong usage, a bad request, a wrong configuration
  3    not found
  4    no daemon answers, the bus can't be reached, or it refuses who asks or what is asked
  130  interrupted with Ctrl-C
  143  ended by SIGTERM
"""


def _start() -> click.Command:
    from dccd.cli.start import start

    return start


def _validate() -> click.Command:
    from dccd.cli.validate import validate

    return validate


def _simulate() -> click.Command:
    from dccd.cli.simulate import simulate

    return simulate


def _backfill() -> click.Command:
    from dccd.cli.backfill import backfill

    return backfill


def _cancel() -> click.Command:
    from dccd.cli.backfill import cancel

    return cancel


def _tail() -> click.Command:
    from dccd.cli.tail import tail

    return tail


def _replay() -> click.Command:
    from dccd.cli.replay import replay

    return replay


def _read() -> click.Command:
    from dccd.cli.read import read

    return read


def _book() -> click.Command:
    from dccd.cli.book import book

    return book


def _doctor() -> click.Command:
    from dccd.cli.doctor import doctor

    return doctor


def _export() -> click.Command:
    from dccd.cli.export import export

    return export


def _req() -> click.Command:
    from dccd.cli.req import req

    return req


def _inventory() -> click.Command:
    from dccd.cli.lists import inventory

    return inventory


def _coverage() -> click.Command:
    from dccd.cli.coverage import coverage

    return coverage


def _repair() -> click.Command:
    from dccd.cli.coverage import repair

    return repair


def _runs() -> click.Command:
    from dccd.cli.runs import runs

    return runs


def _logs() -> click.Command:
    from dccd.cli.runs import logs

    return logs


def _events() -> click.Command:
    from dccd.cli.events import events

    return events


def _jobs() -> click.Command:
    from dccd.cli.jobs import jobs

    return jobs


def _config() -> click.Command:
    from dccd.cli.config import config

    return config


def _exchanges() -> click.Command:
    from dccd.cli.lists import exchanges

    return exchanges


def _streams() -> click.Command:
    from dccd.cli.streams import streams

    return streams


def _remote() -> click.Command:
    from dccd.cli.remote import remote

    return remote


def _retention() -> click.Command:
    from dccd.cli.remote import retention

    return retention


def _fold() -> click.Command:
    from dccd.cli.fold import fold

    return fold


def _migrate() -> click.Command:
    from dccd.cli.migrate import migrate

    return migrate


def _health() -> click.Command:
    from dccd.cli.daemon import health

    return health


def _hosts() -> click.Command:
    from dccd.cli.daemon import hosts

    return hosts


def _top() -> click.Command:
    from dccd.cli.top.command import top

    return top


def _alerts() -> click.Command:
    from dccd.cli.alerts import alerts

    return alerts


def _auth() -> click.Command:
    from dccd.cli.auth import auth

    return auth


def _tree() -> click.Command:
    from dccd.cli.daemon import tree

    return tree


def _metrics() -> click.Command:
    from dccd.cli.metrics import metrics

    return metrics


def _completion() -> click.Command:
    from dccd.cli.completion import completion

    return completion


_COMMANDS: dict[str, tuple[Callable[[], click.Command], str]] = {
    "start": (_start, "Run the daemon here (--demo: with simulated exchanges)."),
    "backfill": (_backfill, "Fetch history, with or without a daemon."),
    "cancel": (_cancel, "Stop a backfill; what it stored is kept."),
    "tail": (_tail, "Print ticks as they arrive."),
    "replay": (_replay, "Publish stored records again, at a pace; or print them."),
    "read": (_read, "Print stored rows, or what SQL makes of them."),
    "export": (_export, "Write stored rows into a Parquet, CSV, Arrow or DuckDB file."),
    "book": (_book, "Show an order book as it was at a time, or a series of them."),
    "inventory": (_inventory, "List what is stored, and what is missing."),
    "coverage": (_coverage, "Show what is there of a dataset's time, and what isn't and why."),
    "repair": (_repair, "Ask the exchanges for what is missing, now."),
    "runs": (_runs, "List runs (backfills and the like), newest first; or show one."),
    "logs": (_logs, "Print what a run had to say, or the newest of all runs; follow it."),
    "events": (_events, "Print what happened, and what happens: runs, streams, holes, actors, hosts."),
    "streams": (_streams, "List live streams; start and stop them."),
    "jobs": (_jobs, "List the jobs; run, create, change and delete them."),
    "config": (_config, "Show and change the configuration of the running daemon."),
    "exchanges": (_exchanges, "List what can be collected."),
    "health": (_health, "Say whether the daemon does what it should."),
    "hosts": (_hosts, "List the hosts on the bus."),
    "top": (_top, "Watch hosts, streams, backfills and the tree, live."),
    "alerts": (_alerts, "List what is wrong, and which webhooks were told."),
    "tree": (_tree, "Show the daemon's supervision tree."),
    "metrics": (_metrics, "Show what the daemon counts, also for Prometheus."),
    "remote": (_remote, "List remotes; copy to them, compare, bring back."),
    "retention": (_retention, "Say what would be purged, and what keeps it."),
    "fold": (_fold, "Bring all rows into the files that anything reads, now."),
    "migrate": (_migrate, "Bring files and configurations of dccd 2 and 3 here."),
    "doctor": (_doctor, "Find damaged files, and set them aside."),
    "auth": (_auth, "Make users of the bus, their credentials, and certificates."),
    "validate": (_validate, "Check the configuration."),
    "simulate": (_simulate, "Run simulated exchanges."),
    "req": (_req, "Send any request over the bus and print the reply."),
    "completion": (_completion, "Print the script that completes dccd's command line."),
}
"""How to get each command, and its one line in `dccd --help`: known without importing it."""


class _Commands(click.Group):
    """The group of all commands; turns what they raise into one line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = _COMMANDS.get(cmd_name)
        if known is None:
            return None
        if not getattr(ctx, "resilient_parsing", False):
            return known[0]()
        from dccd.cli.completion import prepare

        return prepare(known[0]())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands by their lines above, where click would import each."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=text) for name, (_, text) in _COMMANDS.items() if name.startswith(incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, 1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        app = extra.setdefault("obj", App())
        if COMPLETION in os.environ:
            from dccd.cli.completion import answer

            sys.exit(answer(self, app))
        try:
            code = super().main(args, prog_name or "dccd", complete_var, standalone_mode=False, **extra)
        except Exception as exc:
            code = report(exc, app)
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=_Commands,
    name="dccd",
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message="dccd %(version)s")
@options
def cli() -> None:
    """The group itself does nothing; its options are stored by their callbacks."""


def main() -> None:
    """Run the command line and exit."""
    _open_all()
    cli.main()


def _open_all() -> None:
    """A standard stream that the caller has closed (``>&-``) goes nowhere: Python has None in its place, and whatever
    is opened next would get its number, and be written to."""
    for number, mode in enumerate("rww"):
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
