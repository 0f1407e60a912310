"""How tables fit a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from dccd import messages as m
from dccd.cli.layout import lay_out
from dccd.client.fake import FakeDaemon
from tests.terminal import Terminal

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

STREAMS = ["dataset", "state", ">records", ">per second", ">last price", ">lost", "error"]
ROWS = [
    ["binance.trades.BTC-USDT", "live", "12,345", "12.3", "70,439.51", "", ""],
    ["kraken.trades.ETH-USD", "refused", "0", "0.0", "", "", ""],
]


def test_with_room_each_row_is_a_line() -> None:
    """Names and numbers are aligned as their column says, and no line ends in spaces."""
    assert lay_out(["job", ">rows", "note"], [["a", "1,000", ""], ["bb", "1", "so so"]], 80) == (
        ["job   rows  note"],
        ["a    1,000", "bb       1  so so"],
    )


def test_a_pipe_has_no_end() -> None:
    """However long a line is, it stays one, with all its columns."""
    head, body = lay_out(["name", "", "note"], [["a", "", "word " * 2000 + "end"]], None)
    assert len(head) == len(body) == 1 and body[0].endswith("end")


def test_columns_without_values_go_first() -> None:
    """They would take the room of those that say something."""
    head, body = lay_out(STREAMS, ROWS, 70)
    assert head == ["dataset                  state    records  per second  last price"]
    assert body[0] == "binance.trades.BTC-USDT  live      12,345        12.3   70,439.51"


def test_names_of_columns_fold_before_values_move() -> None:
    """A long name over short values costs no second line of each row."""
    head, body = lay_out(STREAMS, ROWS, 62)
    assert head == [
        "dataset                  state    records     per       last",
        "                                           second      price",
    ]
    assert body[0] == "binance.trades.BTC-USDT  live      12,345    12.3  70,439.51"


def test_text_folds_at_words() -> None:
    """In its own column, the others beside it."""
    _, body = lay_out(["stream", "error"], [["kraken.trades.ETH-USD", "the pair is not listed there any more"]], 50)
    assert body == [
        "kraken.trades.ETH-USD  the pair is not listed",
        "                       there any more",
    ]


def test_what_has_no_room_is_on_a_line_of_its_own() -> None:
    """Under its own name, and whole: a name, a number and a time can be copied at any width."""
    names = ["run", "state", "created", ">rows"]
    row = ["01a21d84-19a5-7a37-81f0-8de4967ae6b0", "done", "2026-11-27 14:58:46", "3,293,634"]
    head, body = lay_out(names, [row], 60)
    assert head == ["run                                   state", "    created                   rows"]
    assert body == ["01a21d84-19a5-7a37-81f0-8de4967ae6b0  done", "    2026-11-27 14:58:46  3,293,634"]


@pytest.mark.parametrize("width", [20, 33, 40, 60, 80, 100, 160])
def test_at_any_width_no_value_is_broken(width: int) -> None:
    """Nor is a line longer than the terminal, but for a value that is itself."""
    long = ["2026-11-20 00:00:00 … 2026-11-27 14:58:46", "socket closed (1006)"]
    names, rows = [*STREAMS, "hole", "reason"], [[*row, *long] for row in ROWS]
    _, body = lay_out(names, rows, width)
    shown = "\n".join(body)
    for value in ("binance.trades.BTC-USDT", "12,345", "70,439.51", "2026-11-20 00:00:00", "2026-11-27 14:58:46"):
        assert value in shown
    assert all(len(line) <= max(width, len("    binance.trades.BTC-USDT")) for line in body)


def test_without_rows_all_names_are_there() -> None:
    """In a narrow terminal, too."""
    head, body = lay_out(["dataset", ">rows", "note"], [], 12)
    assert (head, body) == (["dataset", "    rows", "    note"], [])


def test_a_tree_is_not_folded() -> None:
    """Its branches would be cut from their leaves."""
    _, body = lay_out(["host", "status"], [["dccd", "running"], ["└─ a long name of an actor", "running"]], 30)
    assert "└─ a long name of an actor" in body


def test_wide_characters_count_twice() -> None:
    """As they do on the screen."""
    assert lay_out(["a", "b"], [["日本", "x"], ["abcd", "y"]], 80)[1] == ["日本  x", "abcd  y"]


@pytest.mark.anyio
async def test_a_narrow_terminal_breaks_no_name(dccd: Command, daemon: FakeDaemon, tmp_path: Path) -> None:
    """Of a real one, 80 columns wide: all there is of a stream in two lines."""
    error = "the exchange says: Currency pair not supported"
    one = m.StreamEntry(dataset="kraken.orderbook.BTC-USD", state="refused", records=1_234_567, error=error)
    daemon.replies["streams.list"] = m.Streams(host="fake", streams=[one])
    command = [sys.executable, "-m", "dccd", "streams"]

    def shown() -> list[str]:
        with Terminal(tmp_path, command, 80, 24, {"DCCD_BUS_URL": dccd.url, "HOME": str(dccd.folder)}) as terminal:
            assert terminal.code() == 0
            return terminal.screen.splitlines()

    lines = await anyio.to_thread.run_sync(shown)  # the daemon answers in this one
    assert any(line.split()[:3] == ["kraken.orderbook.BTC-USD", "refused", "1,234,567"] for line in lines)
    assert error in " ".join(" ".join(lines).split())
