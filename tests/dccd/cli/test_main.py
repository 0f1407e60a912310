"""The command as a whole: help, usage, exit codes, errors, speed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from dccd import __version__
from dccd.bus.server import EmbeddedServer
from dccd.cli.app import App, report
from dccd.cli.main import _COMMANDS, cli
from dccd.errors import (
    BusRefused,
    BusUnavailable,
    ConfigError,
    DccdError,
    IdentityError,
    NoCapability,
    RequestError,
    RunFailed,
)

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

HEAVY = {"asyncio", "nats", "polars", "pyarrow", "rich", "yaml", "ccxt", "msgspec", "anyio"}


def test_help_lists_every_command_and_the_exit_codes() -> None:
    """What ``dccd --help`` says of each command is what the command itself says first."""
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    assert re.findall(r"^  (\w+) {2,}[A-Z]", result.output.partition("Commands:")[2], re.M) == list(_COMMANDS)
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "130 "):
        assert re.search(rf"^    {code}", result.output, re.M)


@pytest.mark.parametrize("name", [n for n in _COMMANDS if n != "simulate"])
def test_each_command_explains_itself(name: str) -> None:
    """Each command has a help text; those that take more than the common options have examples."""
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: dccd {name}" in result.output
    command = _COMMANDS[name][0]()
    own = [p for p in command.params if p.name not in ("config_file", "bus", "json", "debug")]
    assert not own or "Examples:" in result.output


@pytest.mark.parametrize("name", ["alerts", "auth", "config", "jobs", "migrate", "remote", "replay", "streams"])
def test_commands_of_commands_are_told_whole(name: str) -> None:
    """Their lines are sentences, not the beginnings of some; a value that is wanted has a name of its own."""
    text = CliRunner().invoke(cli, [name, "--help"]).output
    assert "Commands:" in text and "..." not in text.partition("Commands:")[2]


@pytest.mark.parametrize("name", [n for n in _COMMANDS if n != "simulate"])
def test_what_an_option_wants_has_a_name(name: str) -> None:
    """``N``, ``SECONDS`` or ``FOLDER``, where click would say of which type it is."""
    for words, _ in [(name, None), *_leaves(name, _COMMANDS[name][0]())]:
        text = CliRunner().invoke(cli, [*words.split(), "--help"]).output
        assert not re.search(r"^  -.* (TEXT|INTEGER|FLOAT|DIRECTORY|INTEGER RANGE|FLOAT RANGE) ", text, re.M)


def _leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for sub in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), sub)
            assert found is not None
            yield from _leaves(f"{name} {sub}", found)


LEAVES = dict(pair for name in _COMMANDS if name != "simulate" for pair in _leaves(name, _COMMANDS[name][0]()))


@pytest.mark.parametrize("name", LEAVES)
def test_the_examples_are_of_the_command_and_can_be_said(name: str) -> None:
    """All commands have some, down to the last; whatever they name there is."""
    text = re.sub(r"<\((dccd [^)]*)\)'", r"\1 |", LEAVES[name].epilog or "")
    lines = re.findall(r"^  (.*\bdccd .*)$", text, re.M)
    said = [words for line in lines for words in re.findall(r"\bdccd ([^|;&>#]*)", line)]
    assert any(words.startswith(name) for words in said)
    for words in said:
        given = shlex.split(words.replace("\\", ""))
        command: click.Command = cli
        while isinstance(command, click.Group):
            ctx = click.Context(command)
            _, given, _ = command.make_parser(ctx).parse_args(given)
            found = command.get_command(ctx, given[0]) if given else None
            if found is None:
                break
            command, given = found, given[1:]
        else:
            command.make_parser(click.Context(command)).parse_args(given)


def test_help_imports_nothing_heavy() -> None:
    """``dccd --help`` answers at once, since it imports no more than it needs to."""
    code = "import sys; from dccd.cli.main import cli; cli.main(['--help'], standalone_mode=False)"
    code += "; print('|', *sys.modules)"
    began = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    took = time.perf_counter() - began
    assert HEAVY & set(run.stdout.rpartition("|")[2].split()) == set()
    assert took < 10  # the modules are what is tested: a loaded machine must not fail this


def test_version() -> None:
    """``--version`` says which dccd this is."""
    assert CliRunner().invoke(cli, ["--version"]).output == f"dccd {__version__}\n"


def test_who_is_refused_is_told_how_to_say_who(capsys: pytest.CaptureFixture[str]) -> None:
    """People are; scripts get the bus's words alone."""
    report(BusRefused("no"), App())
    assert "--creds FILE or --user NAME" in capsys.readouterr().err
    report(BusRefused("no"), App(json=True))
    assert json.loads(capsys.readouterr().err)["error"]["message"] == "no"


def test_a_misspelt_command_is_guessed() -> None:
    """A command that doesn't exist is exit code 2, with the one that was meant."""
    result = CliRunner().invoke(cli, ["bakfill"])
    assert result.exit_code == 2
    assert "Did you mean 'backfill'?" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tail", "binance"], "which symbol of binance"),
        (["tail", "binance", "nonsense"], "'nonsense' is no symbol"),
        (["tail", "binance.nonsense.BTC-USDT"], "no data type"),
        (["tail", "binance.trades.BTC-USDT", "--type", "trades"], "names the whole dataset"),
        (["backfill", "binance", "BTC/USDT"], "bars of which span"),
        (["backfill", "binance", "BTC/USDT", "--span", "7x"], "'7x' is no span"),
        (["backfill", "binance", "BTC/USDT", "--type", "tulips"], "'tulips' is not one of"),
        (["backfill", "Binance!", "BTC/USDT", "--span", "1m"], "exchange"),
        (["read", "nonsense"], "'nonsense' is no dataset"),
        (["read", "binance.trades.BTC-USDT", "-o", "rows.doc"], "rows.doc"),
        (["runs", "--limit", "0"], "--limit"),
        (["runs", "--state", "lost"], "'lost' is not one of"),
        (["req"], "which operation"),
        (["req", "health", "nonsense"], "write key=value"),
        (["req", "health", "{nonsense"], "isn't JSON"),
        (["req", "--schema", "nonsense"], "no operation 'nonsense'"),
        (["--config", "absent.yml", "runs"], "absent.yml"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_right(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments that can't be meant are refused before anything is asked, without a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DCCD_BUS_URL", raising=False)
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError(400, "malformed", "x"), 2),
        (RequestError(422, "no_capability", "x", "span"), 2),
        (RequestError(404, "no_run", "x"), 3),
        (RequestError(409, "not_running", "x"), 1),
        (RequestError(500, "internal", "x"), 1),
        (RequestError(503, "busy", "x"), 1),
        (ConfigError("jobs", "x", "y"), 2),
        (IdentityError("symbol", "x"), 2),
        (NoCapability("binance", "x"), 2),
        (BusUnavailable("x"), 4),
        (BusRefused("x"), 4),
        (RunFailed("id", "failed", "x"), 1),
        (DccdError("x"), 1),
        (OSError("x"), 1),
        (ZeroDivisionError("x"), 1),
        (click.UsageError("x"), 2),
        (click.Abort(), 130),
        (click.exceptions.Exit(5), 5),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else str(value),
)
def test_each_error_has_its_exit_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The codes are those that ``dccd --help`` promises; people get a line or two, scripts one of JSON."""
    assert report(error, App()) == code
    people = capsys.readouterr()
    assert people.out == ""
    assert len(people.err.splitlines()) <= 3
    assert report(error, App(json=True)) == code
    scripts = capsys.readouterr().err
    if not isinstance(error, click.Abort | click.exceptions.Exit):
        body = json.loads(scripts)["error"]
        assert body["exit_code"] == code
        assert "x" in body["message"]


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """``--debug`` is for who has to find out."""
    try:
        raise DccdError("x")
    except DccdError as exc:
        report(exc, App(debug=True))
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.anyio
async def test_common_options_may_stand_before_the_command_or_after_it(dccd: Command) -> None:
    """``dccd --bus URL --json runs`` is ``dccd runs --bus URL --json``; what stands after wins."""
    url, dccd.url = dccd.url, ""
    before = await dccd("--bus", url, "--json", "runs")
    after = await dccd("--bus", "nats://127.0.0.1:1", "runs", "--bus", url, "--json")
    assert before == after
    assert (before.code, before.out) == (0, "[]\n")


@pytest.mark.anyio
async def test_without_a_bus_it_is_4_at_once(alone: Command) -> None:
    """Nobody at the URL is told at once, with what to do; a script gets it as JSON."""
    done = await alone("health")
    assert done.code == 4
    assert "dccd start" in done.err
    assert len(done.err.splitlines()) == 1
    done = await alone("--json", "health", "--bus", "nats://127.0.0.1:1")
    assert (done.code, json.loads(done.err)["error"]["reason"]) == (4, "no_daemon")


@pytest.mark.anyio
async def test_a_bus_without_a_daemon_is_4(server: EmbeddedServer, alone: Command) -> None:
    """A NATS server that isn't dccd's is told apart from none, and from a bad request."""
    alone.url = server.url
    done = await alone("streams")
    assert done.code == 4
    assert "nobody answers" in done.err
    assert "dccd start" in done.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_nobodys_fault(closed: str, tmp_path: Path) -> None:
    """What would be written there goes nowhere; it isn't a crash, and no other file takes its place."""
    command = ["sh", "-c", f'exec "$0" -m dccd req --list {closed}', sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))
