"""README.md and docs/: every command and snippet in them runs, every file they name is there, and the references are
those of the code.

Shell and Python blocks run as processes of their own, against one daemon with the demo's jobs and simulated exchanges.
A comment ``<!-- answers 422 -->`` before a block says that its request is to be refused so.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import anyio
import pytest
import yaml

from actors.daemon import daemon
from actors.demo import demo_config
from dccd import config as configuration
from dccd import subjects
from dccd.cli.main import cli
from dccd.client import Client
from dccd.config import Alerts, Config, ExchangeConfig, RemoteConfig, Settings, StorageConfig, Webhook
from dccd.runs import ACTIVE, Run
from dccd.simulator import SimConfig, Simulator
from dccd.store.fold import fold
from dccd.store.layout import Layout
from tests.commands import find, needed
from tests.receiver import Receiver

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NATS = find("nats")
LANGUAGES = ROOT / "tests" / "languages"
SECONDS = 60.0
BUILDING = 600.0


class Block(NamedTuple):
    """A fenced block: where it stands, its language and text, and the code that a request in it answers with."""

    page: str
    line: int
    language: str
    text: str
    code: int | None

    @property
    def lines(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.strip()]


_FENCE = re.compile(r"(?:<!-- answers (\d+) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*languages: str) -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text()
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if match[2] in languages:
                name = str(page.relative_to(ROOT))
                yield Block(name, line, match[2], match[3], int(match[1]) if match[1] else None)


def params(*languages: str) -> list[Any]:
    return [pytest.param(block, id=f"{block.page}:{block.line}") for block in blocks(*languages)]


def starts_a_daemon(block: Block) -> bool:
    return any(line.startswith("dccd start") for line in block.lines)


def has_own_daemon(block: Block) -> bool:
    """For the daemon that the page has just had started with its example: commands find it by that."""
    return "unset DCCD_BUS_URL NATS_URL" in block.lines


def is_ours(block: Block) -> bool:
    """Commands of the repository; what they do to a fresh clone, and how long they measure, is not shown here."""
    return all(line.startswith("ops/") for line in block.lines)


# ---------------------------------------------------------------- what is named


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def inline(page: Path) -> list[str]:
    """What stands between backticks in its sentences, on one line each."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(page))]


def names(page: Path) -> Iterator[str]:
    """What a page names that must be files of the repository."""
    for code in inline(page):
        if (
            re.fullmatch(r"(?:dccd|actors|tests|ops|docs)(?:/[\w.*-]+)*/?|\w+\.(?:md|conf|toml)", code)
            and code != "dccd"
        ):
            yield code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_is_there(page: Path) -> None:
    """Also with a pattern, and not config.yml and the like, which are the reader's."""
    missing = [name for name in names(page) if not list(ROOT.glob(name.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file, and to a heading where one is named."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_two_commands_can_be_run() -> None:
    """What a fresh clone starts with; whatever else of ops/ is named is there, too."""
    ours = [(block.page, line) for block in blocks("sh") if is_ours(block) for line in block.lines]
    assert [line for page, line in ours if page == "README.md"] == ["ops/run", "ops/test"]
    assert all(os.access(ROOT / line.split()[0], os.X_OK) for _, line in ours)


def test_scripts_have_the_options_they_are_shown_with() -> None:
    """They are run by tests/flows/test_ops.py; a benchmark's options are in its module."""
    wrong = []
    for line in (line for block in blocks("sh") if is_ours(block) for line in block.lines):
        script, *words = line.partition("#")[0].split()
        path = ROOT / (f"ops/bench/{words[0]}.py" if script == "ops/bench/run" and words else script)
        text = path.read_text()
        wrong += [line for word in words if re.match("-[a-z-]", word) and not re.search(rf"{word}\b", text)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_exist(page: Path) -> None:
    """Their options, too. Those in blocks are run."""
    wrong = []
    for text in inline(page):
        if not text.startswith("dccd "):
            continue
        words = text.split()[1:]
        group: Any = cli
        while words and hasattr(group, "get_command") and not words[0].startswith("-"):
            group = group.get_command(None, words.pop(0))
        known = {option for param in getattr(group, "params", ()) for option in param.opts} | {"--help"}
        if group is None or not {word for word in words if word.startswith("-")} <= known:
            wrong.append(text)
    assert wrong == []


# ---------------------------------------------------------------- the references


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """``ops/docs.py``, which writes the references."""
    spec = importlib.util.spec_from_file_location("ops_docs", ROOT / "ops" / "docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_exchange_that_has_closed_is_said_to_have(script: ModuleType) -> None:
    """With where a server that speaks its API is named; of others nothing is said."""
    parts = script.exchanges_part().split("### ")
    (bitmex,) = [part for part in parts if part.startswith("bitmex")]
    assert "BitMEX closed on 2026-09-23" in bitmex and "`exchanges.bitmex.ws_url`" in bitmex
    assert not any("closed on" in part for part in parts if part != bitmex)


def test_how_far_back_an_exchange_goes_is_said_in_words(script: ModuleType) -> None:
    """As people would say it, of one day and of millions of bars."""
    told = script.exchanges_part()
    assert "the last day;" in told and "1 days" not in told
    assert "the newest 720 bars" in told and "1s of the last 85 days" in told and ",000,000" not in told


def test_every_field_and_operation_has_its_words(script: ModuleType) -> None:
    """What is added to the configuration or the bus is explained."""
    assert script.complete() == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_references_are_those_of_the_code(page: Path, script: ModuleType) -> None:
    """``.venv/bin/python ops/docs.py`` brings them up to date."""
    text = page.read_text()
    assert script.written(text) == text


def test_an_old_reference_is_told(tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--check`` fails and writes nothing; without it the page is written."""
    page = tmp_path / "page.md"
    old = "by hand\n<!-- from the code: config alerts -->\nold\n<!-- end -->\nby hand\n"
    page.write_text(old)
    monkeypatch.setattr(script, "DOCS", tmp_path)
    assert script.main(check=True) == 1
    assert page.read_text() == old
    assert script.main(check=False) == 0
    assert "`archiver_lag`" in page.read_text()
    assert page.read_text().count("by hand") == 2
    assert script.main(check=True) == 0


def test_every_part_of_the_references_is_in_a_page(script: ModuleType) -> None:
    """None is made and shown nowhere."""
    shown = set(re.findall(r"<!-- from the code: (.*?) -->", "".join(page.read_text() for page in PAGES)))
    assert shown == set(script.PARTS)


def test_every_reason_of_an_error_is_documented() -> None:
    """Scripts look at them: those in the code and those on the page are the same."""
    raised = set()
    for folder in ("dccd", "actors"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RequestError":
                    code, reason = (getattr(argument, "value", None) for argument in node.args[:2])
                    if isinstance(code, int):
                        raised.add((code, reason))
    text = (ROOT / "docs" / "bus.md").read_text()
    told = {
        (int(code), reason)
        for pattern in (r"^\| (\d{3}) \| `(\w+)` \|", r"^- (\d{3}) `(\w+)`:")
        for code, reason in re.findall(pattern, text, re.MULTILINE)
    }
    assert raised == told


def test_every_stream_and_bucket_is_documented() -> None:
    """By the name that the code has for it."""
    text = (ROOT / "docs" / "bus.md").read_text()
    named = [getattr(subjects, name) for name in subjects.__all__ if name.startswith(("STREAM_", "BUCKET_"))]
    assert len(named) >= 6
    assert [name for name in named if f"`{name}`" not in text] == []


@pytest.mark.parametrize("block", params("yaml"))
def test_configurations_load(block: Block) -> None:
    """Each example is a whole file, and says something; not each is about jobs."""
    assert configuration.parse(block.text, block.page) != Config()


# ---------------------------------------------------------------- what runs


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Of the module, since its one daemon is."""
    return "asyncio"


class Place(NamedTuple):
    """A running daemon, and the folder where a reader would type."""

    folder: Path
    environment: dict[str, str]
    exchanges: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """A daemon with the demo's jobs; its backfills are done and folded."""
    folder = tmp_path_factory.mktemp("reader")
    layout = Layout(folder / "demo-data")
    async with Simulator(SimConfig(seed=3, rate=5, history=0.05)) as sim, Receiver() as receiver:
        endpoints = {name: ExchangeConfig(**urls) for name, urls in sim.urls().items()}  # type: ignore[arg-type]
        plain = Config(
            settings=Settings(data_path=str(layout.root), host="alpha"),
            storage=StorageConfig(
                flush_interval=0.2,
                fold_interval="1h",
                remotes=[RemoteConfig(name="backup", url=(folder / "backup").as_uri(), interval=0)],
            ),
            alerts=Alerts(webhooks=[Webhook(url=f"{receiver.url}/json", name="pager")]),
        )
        (folder / "backup").mkdir()
        demo = demo_config(plain, endpoints)
        backfills = {dataset.name for job in demo.jobs if job.operation == "backfill" for dataset in job.datasets}
        async with daemon(demo) as running, Client(running.bus_url) as client:
            with anyio.fail_after(SECONDS):
                runs: list[Run] = []
                while backfills - {run.dataset for run in runs}:  # it answers before it has started all of them
                    runs = await client.runs()
                for run in runs:
                    async for _ in client.follow(run.run_id):
                        pass
                # A live bar closes within a minute: what is shown must not wait for that.
                for dataset in layout.datasets():
                    for period in layout.segment_periods(dataset):
                        fold(layout, dataset, period, force=True)
            assert not [run for run in await client.runs() if run.state in ACTIVE]
            environment = {
                "PATH": os.pathsep.join(
                    [str(Path(sys.executable).parent), *([str(Path(NATS).parent)] if NATS else []), os.environ["PATH"]]
                ),
                "HOME": str(folder),
                "DCCD_BUS_URL": running.bus_url,
                "NATS_URL": running.bus_url,
            }
            readme = next(block for block in blocks("yaml") if block.page == "README.md")
            (folder / "config.yml").write_text(readme.text)
            yield Place(folder, environment, sim.urls())


async def run(place: Place, *command: str, text: str = "", seconds: float = SECONDS) -> tuple[str, str]:
    """What *command* prints, to standard output and to standard error; it must end well and in time."""
    with anyio.fail_after(seconds):
        done = await anyio.run_process(
            command, input=text.encode(), cwd=place.folder, env=place.environment, check=False
        )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, f"{' '.join(command)}\n{text}\n{out}\n{err}"
    return out, err


@pytest.mark.parametrize(
    "block", [p for p in params("sh") if not is_ours(p.values[0]) and not has_own_daemon(p.values[0])]
)
async def test_commands_run(block: Block, place: Place) -> None:
    """Each block by itself, as one typed into a shell; and what it asks for isn't refused."""
    if "nats" in {word for line in block.lines for word in re.findall(r"^(?:.*[;&|(] *)?(nats) ", line)}:
        needed("nats")
    typed = "\n".join(line for line in block.text.splitlines() if not line.startswith("dccd start"))
    out, _ = await run(place, "bash", "-euo", "pipefail", "-c", typed)
    # `nats req` ends well whatever the answer is.
    codes = [json.loads(line)["error"]["code"] for line in out.splitlines() if line.startswith('{"error":')]
    assert codes == ([] if block.code is None else [block.code]), out
    if "nats req" in typed:
        assert '"' in out, "nobody answered"


def tables() -> list[Any]:
    """The commands of docs/operating.md's tables that aren't only named: in the cells, and what goes on to its end."""
    found = []
    for line in (ROOT / "docs" / "operating.md").read_text().splitlines():
        if line.startswith("| "):
            commands = re.findall(r"`((?:dccd|nats) [^`]+)`", line)
            found += [command for command in commands if command not in NOT_RUN and not command.startswith("dccd.")]
    return list(dict.fromkeys(found))


NOT_RUN = {
    "dccd top": "a terminal's; tests/dccd/cli/top has that",
    "dccd auth init": "it makes users; docs/security.md's block is run",
    "dccd auth list": "there are none; docs/security.md's block is run",
    "dccd read": "only named",
    "dccd jobs run NAME": "NAME is the reader's",
    "dccd jobs run NAME --follow": "NAME is the reader's",
    "dccd doctor --set-aside": "it waits for somebody to say yes",
}


@pytest.mark.parametrize("command", tables())
async def test_commands_in_tables_run(command: str, place: Place) -> None:
    """Each ends by itself: well, or with 1 for what it has found to be wrong, and never as it is wrong itself."""
    with anyio.fail_after(SECONDS):
        done = await anyio.run_process(
            ["bash", "-c", command], cwd=place.folder, env=place.environment, check=False, stdin=subprocess.DEVNULL
        )
    assert done.returncode in (0, 1), done.stderr.decode()
    assert b"Traceback" not in done.stderr and (done.returncode == 0 or b"error" not in done.stderr), done.stderr


@pytest.mark.parametrize("block", params("python"))
async def test_snippets_run(block: Block, place: Place) -> None:
    """Each as a program of its own, that prints something and complains of nothing."""
    out, err = await run(place, sys.executable, "-W", "error::UserWarning", "-c", block.text)
    assert out.strip()
    assert err == ""


@pytest.mark.parametrize("block", params("js"))
async def test_javascript_runs(block: Block, place: Place, cache: pytest.Cache) -> None:
    """With the libraries at the versions of tests/languages/package.json, which are installed into pytest's cache."""
    folder = cache.mkdir("javascript")
    needed("node")
    needed("npm")
    ours = dict(place.environment, HOME=os.environ["HOME"])
    wanted = (LANGUAGES / "package-lock.json").read_bytes()
    if not (folder / "installed.json").exists() or (folder / "installed.json").read_bytes() != wanted:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LANGUAGES / name, folder)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        await run(Place(folder, ours, {}), *command)
        (folder / "installed.json").write_bytes(wanted)
    (folder / "example.mjs").write_text(block.text)
    out, err = await run(Place(folder, ours, {}), "node", "example.mjs")
    assert out.strip() and err == ""


@pytest.mark.parametrize("block", params("go"))
async def test_go_runs(block: Block, place: Place, tmp_path: Path) -> None:
    """With the libraries at the versions of tests/languages/go.mod; formatted as gofmt does."""
    needed("go")
    ours = dict(place.environment, HOME=os.environ["HOME"], GOFLAGS="-mod=readonly")
    for name in ("go.mod", "go.sum"):
        shutil.copy(LANGUAGES / name, tmp_path)
    (tmp_path / "main.go").write_text(block.text)
    # The first build on a machine makes the standard library, too: that is no part of what the example may take.
    await run(Place(tmp_path, ours, {}), "go", "build", "-o", "example", ".", seconds=BUILDING)
    out, _ = await run(Place(tmp_path, ours, {}), "./example")
    assert out.strip()
    assert (await run(Place(tmp_path, ours, {}), "gofmt", "-l", "."))[0] == ""


@pytest.mark.parametrize("block", [p for p in params("sh") if starts_a_daemon(p.values[0])])
async def test_a_daemon_starts_from_the_example(block: Block, place: Place, tmp_path: Path) -> None:
    """The page's configuration, but for the exchanges' addresses and the port; what the page says to type then is
    typed; Ctrl-C ends it in order."""
    example = [other for other in blocks("yaml") if other.page == block.page and other.line < block.line][-1]
    _simulated(example.text, place, tmp_path)
    here = place._replace(folder=tmp_path)
    (start,) = (line for line in block.lines if line.startswith("dccd start"))
    for line in block.lines:
        if line != start:
            await run(here, *line.split())
    with anyio.fail_after(2 * SECONDS):
        async with await anyio.open_process(
            [*start.split(), "--plain"], cwd=tmp_path, env=place.environment, stdin=None, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            said = ""
            async for chunk in process.stdout:
                said += chunk.decode()
                if "[info] running" in said:
                    break
            for other in blocks("sh"):
                if other.page == block.page and has_own_daemon(other):
                    await run(here, "bash", "-euo", "pipefail", "-c", other.text)
            process.send_signal(signal.SIGINT)
            async for chunk in process.stdout:
                said += chunk.decode()
            assert await process.wait() == 0, said


async def test_a_backfill_without_a_daemon_leaves_plain_files(place: Place, tmp_path: Path) -> None:
    """The one in the README's sentence, and what a reader of Parquet finds after it."""
    (command,) = (code for code in inline(ROOT / "README.md") if code.startswith("dccd backfill"))
    readme = next(block for block in blocks("yaml") if block.page == "README.md")
    _simulated(readme.text, place, tmp_path)
    alone = {name: value for name, value in place.environment.items() if not name.endswith("_URL")}
    await run(place._replace(folder=tmp_path, environment=alone), *command.split())
    assert list((tmp_path / "data" / "binance" / "ohlc" / "BTC-USDT" / "1m").glob("*.parquet"))


def _simulated(example: str, place: Place, folder: Path) -> None:
    """Write the configuration *example* to *folder*, with the simulated exchanges in it and a free port."""
    config = yaml.safe_load(example) | {"exchanges": place.exchanges, "bus": {"port": 0}}
    (folder / "config.yml").write_text(yaml.safe_dump(config))
