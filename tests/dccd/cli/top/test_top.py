"""``dccd top`` on a real terminal, of the classic size and of a large one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import pytest

from dccd.client.fake import FakeDaemon
from dccd.messages import StreamEntry, Streams
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def aside(function: Callable[..., T], *arguments: Any) -> T:
    """The daemon answers in this thread: the terminal is looked at in another."""
    return await anyio.to_thread.run_sync(lambda: function(*arguments))


def stream(name: str, rate: float = 1.0, **fields: Any) -> StreamEntry:
    return StreamEntry(dataset=f"binance.trades.{name}-USDT", rate=rate, **{"state": "live", **fields})


def terminal(dccd: Command, folder: Path, columns: int, lines: int, *words: str) -> Terminal:
    command = [sys.executable, "-m", "dccd", "top", *words]
    return Terminal(folder, command, columns, lines, {"DCCD_BUS_URL": dccd.url, "HOME": str(folder)})


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 50)])
async def test_all_of_it_is_seen_and_quit_ends_it(
    dccd: Command, daemon: FakeDaemon, tmp_path: Path, columns: int, lines: int
) -> None:
    """Streams at once, the others by their keys; columns for which there is room only on a large screen."""
    daemon.replies["streams.list"] = Streams(host="fake", streams=[stream("BTC", last_price=42000.5), stream("ETH")])
    daemon.new_run("binance.ohlc.BTC-USDT.1m", state="running")
    with terminal(dccd, tmp_path, columns, lines) as shown:
        screen = await aside(shown.shows, "1 host · 2/2 streams live", "binance.trades.BTC-USDT", "42,000.5", "q quit")
        assert ("records" in screen) is (columns > 100)
        assert all(len(line) <= columns for line in screen.splitlines())
        shown.press("2")
        await aside(shown.shows, "binance.ohlc.BTC-USDT.1m", "running", "done")
        shown.press("3")
        await aside(shown.shows, "├─ bus", "└─ streams", "restarts")
        shown.press("4")
        await aside(shown.shows, "stale", "open", "no record since")
        shown.press("5")
        await aside(shown.shows, "fake", "health", "ok")
        shown.press("q")
        assert await aside(shown.code) == 0


async def test_what_changes_is_seen_and_what_is_pointed_at_stays(
    dccd: Command, daemon: FakeDaemon, tmp_path: Path
) -> None:
    """Rates, states, new and vanished streams; sorted and filtered by keys."""
    daemon.replies["streams.list"] = Streams(host="fake", streams=[stream("BTC", 1.0), stream("ETH", 2.0)])
    with terminal(dccd, tmp_path, 100, 24, "--interval", "0.2") as shown:
        await aside(shown.shows, "BTC-USDT", "ETH-USDT")
        daemon.replies["streams.list"] = Streams(
            host="fake", streams=[stream("ADA", 3.0), stream("BTC", 55.5, state="reconnecting"), stream("SOL", 0.0)]
        )
        screen = await aside(shown.shows, "ADA-USDT", "reconnecting", "55.5", "SOL-USDT", "1 host · 2/3 streams live")
        assert "ETH-USDT" not in screen
        assert screen.index("ADA-USDT") < screen.index("BTC-USDT") < screen.index("SOL-USDT")
        shown.press("s")
        await aside(shown.until, lambda text: 0 < text.find("BTC-USDT") < text.find("ADA-USDT"))
        shown.press("/", "s", "o", "l")  # what is typed on goes into the filter, however fast
        await aside(shown.until, lambda text: "SOL-USDT" in text and "BTC-USDT" not in text)
        shown.press("Escape")
        await aside(shown.shows, "BTC-USDT")
        shown.press("C-c")
        assert await aside(shown.code) == 130


async def test_a_daemon_that_goes_away_is_told(dccd: Command, daemon: FakeDaemon, tmp_path: Path) -> None:
    """What was seen last stays, and the top says for how long nobody has answered."""
    daemon.replies["streams.list"] = Streams(host="fake", streams=[stream("BTC")])
    with terminal(dccd, tmp_path, 80, 24, "--interval", "0.2") as shown:
        await aside(shown.shows, "BTC-USDT")
        await daemon.__aexit__(None, None, None)
        await aside(shown.shows, "no answer for", "BTC-USDT")
        shown.press("q")
        assert await aside(shown.code) == 0


async def test_a_daemon_that_takes_its_time_is_told_while_it_is_waited_for(
    dccd: Command, daemon: FakeDaemon, tmp_path: Path
) -> None:
    """What was seen last doesn't pass for what is."""
    answer = anyio.Event()
    hosts = daemon.replies["hosts"]

    async def late() -> Any:
        await answer.wait()
        return hosts

    daemon.replies["streams.list"] = Streams(host="fake", streams=[stream("BTC")])
    with terminal(dccd, tmp_path, 80, 24, "--interval", "0.2") as shown:
        await aside(shown.shows, "BTC-USDT", "all ok")
        daemon.replies["hosts"] = lambda _: late()
        await aside(shown.until, lambda text: "no answer for" in text and "all ok" not in text)
        daemon.replies["hosts"] = hosts
        answer.set()
        await aside(shown.shows, "all ok")
        shown.press("q")
        assert await aside(shown.code) == 0


async def test_without_a_terminal_it_says_what_scripts_take(dccd: Command, daemon: FakeDaemon) -> None:
    """Nothing is drawn into a pipe; --json is one look at all of it."""
    done = await dccd("top")
    assert (done.code, done.out) == (2, "")
    assert "dccd top --json" in done.err
    done = await dccd("top", "--json")
    assert done.code == 0
    assert [host["id"] for host in json.loads(done.out)["hosts"]] == ["fake"]
