"""Completion in the shells themselves: each runs the script that ``dccd completion`` prints."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dccd import messages as m
from dccd.cli.words import choices
from dccd.client.fake import FakeDaemon
from dccd.operations import OPERATIONS
from dccd.runs import RunState
from tests.commands import needed

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

BASH = """
source <(dccd completion bash)
for COMP_LINE in "$@"; do
    COMP_POINT=${#COMP_LINE}
    _dccd_completion dccd
    echo "${COMPREPLY[*]}"
done
"""
FISH = """
dccd completion fish | source
complete -C {line}
"""
ZSH = """
# What zsh would show is what the completion hands to compadd and _describe.
compdef() {{ : }}
compadd() {{ print -l -- $plain }}
_describe() {{ print -l -- ${{fields%%:*}} ${{described%%:*}} }}
source <(dccd completion zsh)
words=({words}); CURRENT=$#words
_dccd_completion
"""


async def output(command: Command, *words: str) -> str:
    """What a program prints that finds ``dccd`` on its path; nothing may go to standard error, where people type."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=command.folder,
        env={**command._environ, "PATH": path, "DCCD_COMPLETE_SECONDS": "20"},  # this machine may be busy
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert err == b""
    return out.decode()


async def offered_all(command: Command, *lines: str) -> dict[str, list[str]]:
    """What bash offers after each of *lines*."""
    told = (await output(command, "bash", "--norc", "-c", BASH, "bash", *lines)).splitlines()
    return {line: words.split() for line, words in zip(lines, told, strict=True)}


async def offered(command: Command, line: str) -> list[str]:
    """What bash offers after *line*."""
    return (await offered_all(command, line))[line]


def entry(name: str) -> m.DatasetEntry:
    return m.DatasetEntry(dataset=name, host="fake", rows=1, files=1, bytes=1, first_ts=1, last_ts=2)


@pytest.fixture
def stored(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon with two datasets, a job's run, and a contract."""
    names = ("binance.trades.BTC-USDT", "kraken.trades.BTC-USD", "kraken.trades.XMR-EUR")

    def inventory(ask: m.InventoryList) -> m.Inventory:
        found = [one for one in names if ask.dataset is None or one.startswith(f"{ask.dataset}.")]
        entries = [entry(one) for one in found]
        return m.Inventory(host="fake", data_path="/data", datasets=entries)

    daemon.replies["inventory"] = inventory
    return daemon


KNOWN_HERE: dict[str, list[str]] = {
    "dccd he": ["health"],
    "dccd streams st": ["start", "stop"],
    "dccd health --js": ["--json"],
    "dccd req dccd.backfill.st": ["dccd.backfill.start", "dccd.backfill.status"],
    "dccd req backfill.start sy": ["symbol="],
    "dccd req runs.list state=": choices(RunState),
    "dccd req runs.list state=fa": ["failed"],
    "dccd req runs.list limit=5 lim": [],
    "dccd req read newest=t": ["true"],
    "dccd backfill kr": ["kraken", "krakenfutures"],
    "dccd tail binance --type tr": ["trades"],
    "dccd nonsense ": [],
    "dccd 'unclosed": [],
    "dccd req nonsense fi": [],
    "dccd completion f": ["fish"],
}


async def test_what_is_known_here_is_offered(dccd: Command) -> None:
    """Commands, options, operations, the fields of one and the values that they can have."""
    assert await offered_all(dccd, *KNOWN_HERE) == KNOWN_HERE


async def test_all_commands_and_operations_are_offered(dccd: Command) -> None:
    """Those that are new, too: none has to be named twice."""
    from dccd.cli.main import cli

    assert await offered(dccd, "dccd ") == cli.list_commands(None)  # type: ignore[arg-type]  # it needs none
    assert await offered(dccd, "dccd req ") == list(OPERATIONS)


KNOWN_THERE = {
    "dccd read ": ["binance.trades.BTC-USDT", "kraken.trades.BTC-USD", "kraken.trades.XMR-EUR"],
    "dccd read kraken.trades.X": ["kraken.trades.XMR-EUR"],
    "dccd tail kraken.t": ["kraken.trades.BTC-USD", "kraken.trades.XMR-EUR"],
    "dccd tail kraken ": ["BTC/USD", "XMR/EUR"],
    "dccd req coverage dataset=bin": ["binance.trades.BTC-USDT"],
    "dccd req tree --host ": ["fake"],
    "dccd remote sync ": ["backup"],
}


async def test_what_the_daemon_knows_is_offered(dccd: Command, stored: FakeDaemon) -> None:
    """Datasets, symbols, hosts, remotes."""
    assert await offered_all(dccd, *KNOWN_THERE) == KNOWN_THERE


async def test_runs_and_jobs_are_offered(dccd: Command, daemon: FakeDaemon) -> None:
    """The newest first, as they are listed."""
    first, second = daemon.new_run("kraken.trades.BTC-USD"), daemon.new_run("kraken.trades.XMR-EUR")
    lines = ("dccd cancel ", "dccd runs ", "dccd req runs.get run_id=")
    assert await offered_all(dccd, *lines) == {line: [second.run_id, first.run_id] for line in lines}
    assert await offered(dccd, "dccd jobs run ") == [job.name for job in daemon.replies["jobs.list"].jobs]


async def test_without_a_daemon_nothing_is_offered_nor_said(dccd: Command) -> None:
    """At once, and nothing tears the line that is being typed."""
    lines = [f"dccd read --bus {url} " for url in ("nats://127.0.0.1:1", "nats://nobody.invalid:4222", "none")]
    dccd.url = "nats://127.0.0.1:1"
    assert await offered_all(dccd, "dccd read ", *lines) == {line: [] for line in ("dccd read ", *lines)}


async def test_the_bus_that_the_line_names_is_asked(dccd: Command, stored: FakeDaemon) -> None:
    """As the command itself would."""
    url, dccd.url = dccd.url, ""
    assert len(await offered(dccd, f"dccd --bus {url} read ")) == 3
    assert len(await offered(dccd, f"dccd read --bus {url} ")) == 3


async def test_words_with_colons_are_offered_as_bash_puts_them_in(dccd: Command, daemon: FakeDaemon) -> None:
    """It begins a new word at ``:``, so that what comes before is there already."""
    datasets = [entry("binance.trades.BTC-USDT_PERP")]
    daemon.replies["inventory"] = m.Inventory(host="fake", data_path="/data", datasets=datasets)
    assert await offered(dccd, "dccd tail binance BTC/USDT") == ["BTC/USDT:perp"]
    assert await offered(dccd, "dccd tail binance BTC/USDT:") == ["perp"]


async def test_fish_offers_the_same_with_what_it_means(dccd: Command, stored: FakeDaemon) -> None:
    """Its list has a column for that."""
    needed("fish")
    lines = (await output(dccd, "fish", "--no-config", "-c", FISH.format(line="'dccd req backfill.st'"))).splitlines()
    assert lines[0] == "backfill.start\tFetch history; answers at once with a run_id"
    assert [line.split("\t")[0] for line in lines] == ["backfill.start", "backfill.status"]
    found = await output(dccd, "fish", "--no-config", "-c", FISH.format(line="'dccd read kraken.'"))
    assert found.split() == ["kraken.trades.BTC-USD", "kraken.trades.XMR-EUR"]


async def test_zsh_offers_the_same(dccd: Command, stored: FakeDaemon) -> None:
    """By its own functions."""
    needed("zsh")
    found = await output(dccd, "zsh", "-f", "-c", ZSH.format(words="dccd req backfill.st"))
    assert found.split() == ["backfill.start", "backfill.status"]
    found = await output(dccd, "zsh", "-f", "-c", ZSH.format(words="dccd req backfill.start sy"))
    assert found.split() == ["symbol="]
    found = await output(dccd, "zsh", "-f", "-c", ZSH.format(words="dccd read kraken.t"))
    assert found.split() == ["kraken.trades.BTC-USD", "kraken.trades.XMR-EUR"]


@pytest.mark.parametrize("line", ["dccd ", "dccd req runs.list s", "dccd backfill ", "dccd tail --s", "dccd read "])
async def test_completion_is_quick_since_it_imports_little(dccd: Command, stored: FakeDaemon, line: str) -> None:
    """Neither Polars nor ccxt, which take longer to import than anybody waits; nor the client, where none is asked."""
    told = f"""
import os, sys
os.environ["_DCCD_COMPLETE"], os.environ["COMP_LINE"] = "bash_complete", {line!r}
from dccd.cli.main import cli
try:
    cli.main([])
finally:
    heavy = {{"polars", "pyarrow", "ccxt", "duckdb", "rich", "aiohttp", "nats"}} & set(sys.modules)
    print("imported:", *sorted(heavy))
"""
    out = await output(dccd, sys.executable, "-c", told)
    imported = set(out.partition("imported:")[2].split())
    assert imported <= ({"nats", "aiohttp", "rich"} if line == "dccd read " else set())
