"""Text from elsewhere, made safe."""

from __future__ import annotations

import pytest

from dccd.cli.app import App, report
from dccd.cli.output import say, table
from dccd.cli.top import model
from dccd.errors import RequestError
from dccd.messages import StreamEntry
from dccd.printable import printable

WILD = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202eleft\r\n\x00\x7f"
TAME = " ]0;owned  [31mred 2J left    "


def test_what_moves_a_cursor_is_a_space() -> None:
    """Escapes, C1 controls, marks of direction, line ends that nobody wants to keep; letters of all scripts stay."""
    assert printable(WILD) == TAME
    assert printable("a\nb\rc", keep="\n") == "a\nb c"
    assert printable("日本 · žluťoučký → 🔴") == "日本 · žluťoučký → 🔴"


def test_nothing_that_the_daemon_says_reaches_a_terminal_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """In tables, lines, errors, and in `dccd top`."""
    table(["a", "b"], [[WILD, 1]])
    say(f"{WILD}\nlast")
    report(RequestError(422, "exchange", WILD), App())
    found = capsys.readouterr()
    lines = found.out.splitlines()
    assert lines[1:] == [f"{TAME.rstrip()}      1", TAME[:-3], "  ", "last"]
    assert found.err == f"error: {TAME[:-3]}\n  \n"
    entry = StreamEntry(
        dataset="binance.trades.BTC-USDT", state="refused", job=None, records=0, rate=0.0, last_ts=None,
        last_recv_ts=None, last_price=None, connected_since=None, reconnects=0, restarts=0, gaps=0, unparsed=0,
        error=WILD,
    )  # fmt: skip
    snapshot = model.Snapshot(at=1, hosts=[model.HostView(id="alpha", streams=[entry])])
    (row,) = model.streams(snapshot, 300).rows
    assert (row.more, row.cells[-1]) == (TAME, TAME)
