"""What a person sees of a daemon."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from actors.look import farewell
from actors.screen import View, duration, price, render, size
from dccd.messages import StreamEntry
from dccd.runs import Run
from dccd.symbols import NS

NOW = 1_700_000_000 * NS


def run(state: str, **fields: object) -> Run:
    known = {"run_id": "r", "dataset": "binance.ohlc.BTC-USDT.1m", "host": "h", "created": 0, "updated": 0}
    return Run(**known, state=state, start=0, end=100, position=50, **fields)  # type: ignore[arg-type]  # a test


def view(**fields: object) -> View:
    known: dict[str, object] = {
        "title": "dccd demo",
        "now": NOW,
        "uptime": 65.0,
        "bus_url": "nats://127.0.0.1:4222",
        "bus_connected": True,
        "data_path": "/data",
        "streams": [
            StreamEntry(dataset="binance.trades.BTC-USDT", state="live", records=12, rate=1.5, last_price=61234.5),
            StreamEntry(dataset="kraken.trades.BTC-USD", state="gave_up", error="refused in its words"),
        ],
        "runs": [(run("running", rows=7), None), (run("failed", error="Invalid symbol"), None)],
        "restarts": 3,
        "pending": 4,
        "stored_rows": 1234,
        "stored_bytes": 2048,
        "hints": ["nats -s nats://127.0.0.1:4222 micro info dccd"],
    }
    return View(**(known | fields))  # type: ignore[arg-type]  # a test


def drawn(what: View, width: int, height: int | None = None) -> str:
    output = io.StringIO()
    Console(file=output, width=width, color_system=None).print(render(what, width, height))
    return output.getvalue()


@pytest.mark.parametrize("width", [80, 110])
def test_what_runs_is_there_and_fits(width: int) -> None:
    """Streams with rate and price, backfills, restarts, where the data goes, the bus, commands: no line is too long."""
    text = drawn(view(), width)
    for needle in (
        "1m 05s",
        "nats://127.0.0.1:4222",
        "/data",
        "1,234 rows",
        "2.0 KiB",
        "3 restarts",
        "61,234.50",
        "1.5",
    ):
        assert needle in text
    assert re.search(r"kraken\.trades\.BTC-USD +gave_up", text)
    assert "refused in its words" in text
    assert "Invalid symbol" in text
    assert "micro info dccd" in text
    assert max(len(line) for line in text.splitlines()) <= width


def many(streams: int, runs: int, hints: int = 6, error: str | None = None) -> View:
    entries = [
        StreamEntry(dataset=f"binance.trades.C{n:03}-USDT", state="live", records=12, rate=1.5, error=error)
        for n in range(streams)
    ]
    done = [(run("running" if n == 0 else "done", error=error), None) for n in range(runs)]
    return view(streams=entries, runs=done, hints=[f"command {n}" for n in range(hints)])


def test_a_small_terminal_shows_what_matters() -> None:
    """80 x 24 takes all of the demo's streams, the backfill under way, and every command to try."""
    text = drawn(many(8, 4), 80, 24)
    assert len(text.splitlines()) < 24
    assert text.count("live") == 8
    assert "command 5" in text
    assert "and 3 more" in text
    assert "Ctrl-C" in text


@pytest.mark.parametrize("height", [12, 24, 50])
@pytest.mark.parametrize(("streams", "runs", "hints"), [(200, 0, 6), (3, 30, 6), (200, 30, 6), (0, 0, 0)])
@pytest.mark.parametrize("error", [None, "a long sentence " * 20])
def test_however_much_there_is_it_fits(height: int, streams: int, runs: int, hints: int, error: str | None) -> None:
    """What isn't shown is counted; the last line is there."""
    lines = drawn(many(streams, runs, hints, error), 80, height).splitlines()
    assert len(lines) < max(height, 19 if error else 15)
    assert lines[-1] == "Ctrl-C stops all in order."
    if streams > height:
        assert any(re.fullmatch(rf"  and {streams - 5}|  and \d+ more", line) for line in lines)


def test_a_long_error_pushes_no_figure_out() -> None:
    """It has a line of its own, cut at the edge."""
    text = drawn(many(1, 1, error="a long sentence " * 20), 80)
    assert re.search(r"C000-USDT +live +1\.5 +12", text)
    assert "binance.trades.C000-USDT: a long sentence" in text
    assert "backfill.binance.ohlc.BTC-USDT.1m: a long" in text


def test_a_bus_that_is_away_is_said() -> None:
    """And that nothing is lost by it."""
    assert "away: ticks are kept" in drawn(view(bus_connected=False), 110)


def test_the_farewell_says_what_was_kept_and_what_goes_on() -> None:
    """Rows and where they are, what the bus still holds, which backfills resume; what is over isn't named."""
    text = farewell(view(), 0.42)
    assert "stopped in 0.4 s; kept 1,234 rows (2.0 KiB) in /data" in text
    assert "4 messages" in text
    assert text.count("binance.ohlc.BTC-USDT.1m") == 1
    assert "next start" not in farewell(view(pending=0, runs=[]), 1.0)


def test_figures_are_short() -> None:
    """A duration, a size and a price as a person says them."""
    assert [duration(s) for s in (3, 125, 3720)] == ["3s", "2m 05s", "1h 02m"]
    assert [size(n) for n in (12, 1536, 3 << 30)] == ["12 B", "1.5 KiB", "3.0 GiB"]
    assert [price(p) for p in (None, 0.00001234, 1234.5)] == ["", "1.234e-05", "1,234.50"]
