"""``dccd doctor``: every file is read, by the daemon or here; what is wrong flows out, and an exit code."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from dccd.cli.app import DONE, FAILED, App, note, options
from dccd.cli.output import count, interval, json_line, say, size
from dccd.errors import BusUnavailable

if TYPE_CHECKING:
    from dccd import messages as m

__all__ = ["doctor"]

_ADVICE = {
    "damaged": "--set-aside moves damaged files to .dccd/damaged and notes their intervals as missing, to be asked for "
    "again, as by `dccd repair`",
    "unreadable": "the system refuses to read some files: look at their permissions, and at the disk",
    "old": "`dccd migrate` converts what dccd 2.x wrote",
    "notes": "coverage notes that can't be read said why there are holes, what was empty, and what retention removed. "
    "Where it was, bring them back from a remote or a backup: without them no reader looks there. Else they may "
    "be removed",
    "rejected": "messages that are no ticks came from another publisher: remove them when they have been looked at",
}


@click.command(
    epilog="""\b
Examples:
  dccd doctor
  dccd doctor binance.trades --set-aside
  dccd doctor --data-path /mnt/copy/data --json

Reads every file whole (checksums, footers, order), beside whatever is written meanwhile. Without a daemon it looks into
the configuration's data_path by itself. Exit code 1 when something is wrong: remains of crashed writers and files that
are none of dccd's are told and don't count.
"""
)
@click.argument("dataset", required=False, metavar="[PREFIX]")
@click.option(
    "--data-path",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look there, without a daemon.",
)
@click.option("--set-aside", is_flag=True, help="Move damaged files to .dccd/damaged; note their intervals as missing.")
@options
@click.pass_obj
def doctor(app: App, dataset: str | None, data_path: Path | None, set_aside: bool) -> int:
    """Find what is wrong with the stored files: of all datasets, or of those whose name begins with PREFIX."""

    async def main() -> int:
        found: Counter[str] = Counter()
        wrong = False
        last: m.DoctorLine | None = None
        async with aclosing(_lines(app, dataset, data_path, set_aside)) as lines:
            async for line in lines:
                if line.kind == "progress":
                    last = line
                    _progress(line)
                    continue
                found[line.what or ""] += line.moved is None
                wrong = wrong or line.wrong
                _progress(None)
                json_line(line) if app.json else _say(line)
        _progress(None)
        if last is not None and not app.json:
            verdict = "not all is well" if wrong else "all is well"
            note(f"{count(last.files)} files read, {size(last.bytes)}: {verdict}")
            for what, advice in _ADVICE.items():
                if found[what] and not (what == "damaged" and set_aside):
                    note(advice)
        return FAILED if wrong else DONE

    return app.run(main)


async def _lines(
    app: App, dataset: str | None, data_path: Path | None, set_aside: bool
) -> AsyncGenerator[m.DoctorLine, None]:
    """From the daemon; or out of the files, where they are named or no daemon runs."""
    if data_path is None:
        async with AsyncExitStack() as stack:
            try:
                session = await stack.enter_async_context(app.connect())
            except BusUnavailable:
                if not app.target().default:
                    raise
                data_path = app.config().data_path
                note(f"no daemon runs: looking into {data_path}")
            else:
                await app.settle(session)
                lines = await stack.enter_async_context(aclosing(session.client.doctor(dataset, set_aside=set_aside)))
                async for line in lines:
                    yield line
                return
    from dccd.client.doctor import examine_files

    found = examine_files(data_path, dataset, set_aside=set_aside)
    while (one := await anyio.to_thread.run_sync(next, found, None)) is not None:
        yield one


def _progress(line: m.DoctorLine | None) -> None:
    """How far, on a terminal; None takes it away."""
    if sys.stderr.isatty():
        text = (
            ""
            if line is None
            else f"{line.files} of {line.of_files} files, {size(line.bytes)} of {size(line.of_bytes)}"
        )
        click.echo(f"\r\033[K{text}", err=True, nl=False)


def _say(line: m.DoctorLine) -> None:
    where = "" if line.start is None or line.end is None else f", rows of {interval(line.start, line.end)}"
    moved = "" if line.moved is None else f"\n  set aside as {line.moved}; missing from now on"
    say(f"{line.what}: {line.path}{where}\n  {line.detail}{moved}")
