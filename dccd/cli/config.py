"""``dccd config``: the daemon's configuration flows out; a changed one flows in, with what it does."""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
import click
import msgspec

from dccd.cli.app import DONE, FAILED, App, note, options
from dccd.cli.group import Group
from dccd.cli.output import json_document, say
from dccd.errors import RequestError

if TYPE_CHECKING:
    from dccd.client import Client
    from dccd.messages import ConfigApplied, ConfigReply

__all__ = ["config", "show_applied"]


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  dccd config get
  dccd config edit
  dccd config diff new.yml && dccd config put new.yml
  dccd config get --json | jq '.config.alerts'

Secrets are shown as ***; what is put back as *** keeps its value.
""",
)
def config() -> None:
    """Show and change the configuration of the running daemon, without a restart of it."""


@config.command(
    epilog="""\b
Examples:
  dccd config get
  dccd config get > now.yml
  dccd config get --json | jq -r .revision
"""
)
@options
@click.pass_obj
def get(app: App) -> int:
    """Print the configuration as YAML, with its file's comments and without its secrets (--json: all of it)."""

    async def main() -> int:
        async with app.connect_to_one() as session:
            found = await session.client.config(yaml=True)
        if app.json:
            json_document(found)
            return DONE
        click.echo(found.yaml, nl=False)
        _notes(found)
        return DONE

    return app.run(main)


@config.command(
    epilog="""\b
Examples:
  dccd config put new.yml
  dccd config get > now.yml; $EDITOR now.yml; dccd config put now.yml --dry-run
  dccd config get --json | jq '.config.alerts.free_space = "5GiB"' | dccd config put -
  dccd config put new.yml --revision 7c0e3f5a9b1d2e46    # only if it is still the one that I have changed
"""
)
@click.argument("file", type=click.File("r", encoding="utf-8"), default="-")
@click.option("--revision", metavar="REVISION", help="What was changed, as get has it; default: whatever is there.")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@options
@click.pass_obj
def put(app: App, file: IO[str], revision: str | None, dry_run: bool) -> int:
    """Put the whole configuration in FILE (YAML or JSON; - for standard input) in place of the daemon's."""
    text = file.read()

    async def main() -> int:
        async with app.connect_to_one() as session:
            # What `get --json` prints is taken, too, with the revision that it has.
            wanted, known = _of_reply(text)
            expected = revision or known or (await session.client.config()).revision
            done = await session.client.put_config(wanted, expected, dry_run=dry_run)
        return show_applied(app, done)

    return app.run(main)


@config.command(
    epilog="""\b
Examples:
  dccd config diff new.yml
  dccd config diff new.yml && echo nothing would change
"""
)
@click.argument("file", type=click.File("r", encoding="utf-8"), default="-")
@options
@click.pass_obj
def diff(app: App, file: IO[str]) -> int:
    """Say how FILE differs from the daemon's configuration and what putting it would do; exit code 1 if it does."""
    text = file.read()

    async def main() -> int:
        async with app.connect_to_one() as session:
            found = await session.client.config(yaml=True)
            wanted, _ = _of_reply(text)
            done = await session.client.put_config(wanted, found.revision, dry_run=True)
        lines = [] if isinstance(wanted, dict) else _differing(found.yaml or "", text, found.file or "running")
        if app.json:
            json_document(done)
        else:
            for line in lines:
                click.secho(line, fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
            show_applied(app, done)
        return FAILED if lines or _does(done) else DONE

    return app.run(main)


@config.command(
    epilog="""\b
Examples:
  dccd config edit
  EDITOR=nano dccd config edit
"""
)
@options
@click.pass_obj
def edit(app: App) -> int:
    """Change the configuration in $VISUAL or $EDITOR; what is saved is put, unless somebody else has changed it."""
    if not sys.stdin.isatty() and not os.environ.get("VISUAL") and not os.environ.get("EDITOR"):
        raise click.UsageError("no terminal and no $EDITOR: use `dccd config put`")

    async def main() -> int:
        async with app.connect_to_one() as session:
            found = await session.client.config(yaml=True)
            with tempfile.TemporaryDirectory(prefix="dccd-") as folder:
                path = Path(folder) / "config.yml"
                path.write_text(found.yaml or "", encoding="utf-8")
                return await _edit(app, session.client, found, path)

    return app.run(main)


async def _edit(app: App, client: Client, found: ConfigReply, path: Path) -> int:
    """Have *path* edited and put it, again and again until it is right or nothing is changed any more."""
    before = found.yaml or ""
    while True:
        await anyio.to_thread.run_sync(_open_editor, path)
        text = await anyio.Path(path).read_text(encoding="utf-8")
        if text == before:
            note("nothing changed")
            return DONE
        try:
            done = await client.put_config(text, found.revision)
        except RequestError as exc:
            kept = _keep(text)
            if exc.reason == "conflict" or exc.code not in (400, 422) or not sys.stdin.isatty():
                note(f"what you have written is in {kept}")
                raise
            note(str(exc), head="error: ")
            if not click.confirm("Edit it again?", default=True, err=True):
                note(f"what you have written is in {kept}")
                raise
            kept.unlink()
            before = text
            continue
        return show_applied(app, done)


def _open_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except OSError as exc:
        raise click.ClickException(f"{editor}: {exc.strerror or exc}; $EDITOR names another one") from exc
    if code:
        raise click.ClickException(f"{editor} ended with exit code {code}: nothing was put")


def _keep(text: str) -> Path:
    """A file for what was written in vain."""
    handle, name = tempfile.mkstemp(prefix="dccd-config-", suffix=".yml")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)


def _of_reply(text: str) -> tuple[dict[str, object] | str, str | None]:
    """The configuration in *text*, and its revision where the text is what ``get --json`` has printed."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text, None
    if isinstance(found, dict) and isinstance(found.get("config"), dict) and "revision" in found:
        return found["config"], str(found["revision"])
    return (found, None) if isinstance(found, dict) else (text, None)


def _differing(old: str, new: str, name: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, "FILE", lineterm="", n=2)
    return list(lines)


def _notes(found: ConfigReply) -> None:
    where = "the bus: the daemon has no file" if found.file is None else found.file
    note(f"revision {found.revision}, in {where}{'' if found.writable else ', which is read-only'}")
    if found.error is not None:
        note(found.error, head="not taken over: ")
    if found.restart_required:
        note(f"in force after a restart: {', '.join(found.restart_required)}")


def _does(done: ConfigApplied) -> bool:
    fields = (done.started, done.stopped, done.restarted, done.jobs_added, done.jobs_changed, done.jobs_removed)
    return any(fields) or bool(done.applied or done.restart_required)


def show_applied(app: App, done: ConfigApplied) -> int:
    """Print what a change of the configuration did; the exit code says whether all of it could be done."""
    if app.json:
        json_document(done)
        return FAILED if done.failed else DONE
    would = "would be " if done.dry_run else ""
    streams = {f"stream.{name}" for name in (*done.started, *done.stopped, *done.restarted, *done.failed)}
    for names, what in (
        ([f"stream.{name}" for name in done.started], "started"),
        ([f"stream.{name}" for name in done.stopped], "stopped"),
        ([f"stream.{name}" for name in done.restarted], "restarted"),
        ([name for name in done.jobs_added if name not in streams], "added"),
        ([name for name in done.jobs_changed if name not in streams], "changed"),
        ([name for name in done.jobs_removed if name not in streams], "removed"),
        (done.applied, "taken over"),
        (done.restart_required, "in force after a restart of the daemon" if not would else "in force after a restart"),
    ):
        for name in names:
            click.echo(f"{name}: {would}{what}")
    for name, why in done.failed.items():
        say(f"stream.{name}: not started: {why}")
    if not _does(done) and not done.failed:
        click.echo("nothing to do" if done.dry_run else "nothing else to do")
    for warning in done.warnings:
        note(f"warning: {warning}")
    if not done.dry_run:
        note(f"saved {'in the file' if done.saved == 'file' else 'on the bus'}, revision {done.revision}")
    return FAILED if done.failed else DONE
