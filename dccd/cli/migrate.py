"""``dccd migrate``: what older releases left flows in, what becomes of each file flows out."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dccd.cli.app import DONE, FAILED, App, local_options, note, options
from dccd.cli.group import Group
from dccd.cli.output import count, json_document, say, size, table
from dccd.cli.progress import watch

if TYPE_CHECKING:
    from dccd.messages import RunFile
    from dccd.runs import Run

__all__ = ["migrate"]


class _Pairs(click.ParamType[tuple[str, str]]):
    """``NAME=MEANING``."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, meaning = str(value).partition("=")
        if not (name and equals and meaning):
            self.fail(f"{value!r} is not of the form NAME=MEANING", param, ctx)
        return name.rstrip("/"), meaning


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  dccd migrate                                     # say what would be done; nothing is changed
  dccd migrate --data-path /srv/crypto             # of these files, without a daemon
  dccd migrate --apply
  dccd migrate --symbol BTCBUSD=BTC/BUSD --dataset dump/24.csv=binance.trades.BTC-USDT
  dccd migrate config old.yml -o config.yml

Stop older releases first. Files of dccd 3 are read as they are, but for a few; those of dccd 2 have to be migrated.
Old files are kept under .dccd/migrated, and can be moved back from there. Interrupt it when you like: the same command
goes on.
""",
)
@click.option(
    "--data-path",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False),
    help="The files, where they aren't those of the daemon.",
)
@click.option("--apply", is_flag=True, help="Do it; else it is only said what would be done.")
@click.option(
    "--symbol",
    "symbols",
    metavar="PAIR=SYMBOL",
    type=_Pairs(),
    multiple=True,
    help="What a pair means, as BTCBUSD=BTC/BUSD.",
)
@click.option(
    "--dataset",
    "datasets",
    metavar="PATH=DATASET",
    type=_Pairs(),
    multiple=True,
    help="What a file, or all in a folder, holds.",
)
@click.option(
    "--remove-originals", is_flag=True, help="Remove old files whose every row is stored; else they are kept aside."
)
@click.option("--all", "every", is_flag=True, help="List also what is read as it is, and what holds no rows.")
@options
@click.pass_context
def migrate(
    ctx: click.Context,
    data_path: str | None,
    apply: bool,
    symbols: Sequence[tuple[str, str]],
    datasets: Sequence[tuple[str, str]],
    remove_originals: bool,
    every: bool,
) -> int | None:
    """Bring the files of dccd 2 and 3 into this layout, in place, and the run history of dccd 3."""
    if ctx.invoked_subcommand is not None:
        return None
    app = ctx.ensure_object(App)
    if data_path is not None and app.bus is not None:
        raise click.UsageError("--data-path names files here, --bus a daemon that has its own: give one of them")
    app.data_path = data_path

    async def main() -> int:
        files: list[RunFile] = []
        async with app.connect(embed=True) as session:
            await app.settle(session)
            events = session.client.migrate(
                dry_run=not apply,
                symbols=dict(symbols),
                datasets=dict(datasets),
                remove_originals=remove_originals,
            )
            run = await watch("migrate", events, json=app.json, files=files.append)
        if run.state != "done":
            from dccd.errors import RunFailed

            raise RunFailed(run.run_id, run.state, f"run {run.run_id}: {run.error or run.state}")
        if app.json:
            return _code(run, files)
        _show(files, every)
        say(f"{run.summary}" + ("" if apply else "; nothing was changed. To do it: --apply"))
        return _code(run, files)

    return app.run(main)


def _code(run: Run, files: Sequence[RunFile]) -> int:
    """Failed when something was to be done and was refused, so that a script notices."""
    refused = any(file.action == "refuse" for file in files) or run.warning is not None
    return FAILED if refused and not run.options.get("dry_run", True) else DONE


def _show(files: Sequence[RunFile], every: bool) -> None:
    listed = [file for file in files if every or file.action not in ("keep", "ignore")]
    table(
        ["", "file", "to", ">size", ">rows", ">new", ">stored", ">conflicts", ">unusable", "what"],
        (
            [
                file.action,
                file.path,
                _to(file),
                size(file.bytes) if file.bytes else "",
                *(count(n) if file.action == "migrate" else "" for n in (file.rows, file.new, file.same)),
                *(count(n) if n else "" for n in (file.conflicts, file.left)),
                "; ".join(filter(None, [*file.changes, file.problem])),
            ]
            for file in listed
        ),
    )
    apart = [file for file in files if file.action == "migrate" and (file.conflicts or (file.left and file.dataset))]
    if apart:
        note(
            "conflicts are rows that say otherwise than stored ones, unusable ones have no time or no price: both stay "
            "in the old file only, which is kept"
        )


def _to(file: RunFile) -> str:
    if file.dataset is None:
        return ""
    if not file.to:
        return file.dataset
    return f"{file.dataset} {file.to[0]}" + (f" to {file.to[-1]}" if len(file.to) > 1 else "")


@migrate.command(
    epilog="""\b
Examples:
  dccd migrate config old.yml                # print it
  dccd migrate config old.yml -o config.yml
"""
)
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; else stdout.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@local_options
@click.pass_obj
def config(app: App, old: Path, output: Path | None, force: bool) -> int:
    """Make a configuration of one of dccd 3. What isn't carried over is named."""
    from dccd.errors import ConfigError
    from dccd.old_config import convert_config

    try:
        text = old.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(str(old), str(exc), "a readable UTF-8 file") from exc
    made = convert_config(text, str(old))
    if output is not None:
        try:
            # It holds the old one's secrets: others may read it only where they could before.
            mode = stat.S_IMODE(old.stat().st_mode)
            with open(output, "w" if force else "x", encoding="utf-8", opener=partial(os.open, mode=mode)) as file:
                file.write(made.text)
        except FileExistsError as exc:
            raise click.UsageError(f"{output} is there already: --force writes over it") from exc
    if app.json:
        json_document({"config": made.text, "notes": made.notes, "file": None if output is None else str(output)})
        return DONE
    if output is None:
        click.echo(made.text, nl=False)
    for line in made.notes:
        note(f"- {line}")
    if output is not None:
        note(f"{output} is written and valid. Look at it with: dccd validate {output}")
    return DONE
