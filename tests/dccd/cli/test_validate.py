"""``dccd validate``: every error with its path, or what would run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dccd.cli.main import cli

GOOD = """
settings: {data_path: here}
exchanges: {binance: {rest_url: "http://127.0.0.1:8080"}}
jobs:
  - {exchange: binance, pairs: [BTC/USDT, ETH/USDT], data_type: trades}
  - {exchange: kraken, pairs: [BTC/USD], data_type: ohlc, span: 1m,
     operation: backfill, trigger_kind: interval, every: 1h, start: last}
"""

BAD = """
settings: {data_path: 5, timezone: Mars/Base, log_level: loud}
bus: {port: 4222, prot: 1}
exchanges: {binance: {rest_url: ftp://x}, kraken: {concurrency: 0}}
jobs:
  - {exchange: binance, pairs: [BTC/USDT], data_type: trades}
  - {exchange: binance, pairs: [BTC/USDT], data_type: tulips}
  - {exchange: binance, pairs: [BTC/USDT], data_type: trades, depth: 5}
  - {exchange: kraken, pairs: [BTC/USD], data_type: ohlc, span: 7x}
"""


def run(tmp_path: Path, text: str, *words: str) -> Result:
    file = tmp_path / "config.yml"
    file.write_text(text)
    return CliRunner().invoke(cli, ["validate", *words, str(file)])


def test_a_right_file_says_what_would_run(tmp_path: Path) -> None:
    """Exit code 0, and a line for each dataset of each job."""
    result = run(tmp_path, GOOD)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [text.split() for text in result.stdout.splitlines()]
    assert ["stream.binance.trades.BTC-USDT", "supervised"] in lines
    assert ["stream.binance.trades.ETH-USDT", "supervised"] in lines
    assert ["backfill.kraken.ohlc.BTC-USD.1m", "every", "1h", "last"] in lines
    assert "http://127.0.0.1:8080" in result.stdout


def test_every_error_is_told_with_its_path(tmp_path: Path) -> None:
    """One pass shows all that is wrong, not the first thing only; exit code 2."""
    result = run(tmp_path, BAD, "--json")
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert {error["path"] for error in report["errors"]} == {
        "settings.data_path",
        "settings.timezone",
        "settings.log_level",
        "bus.prot",
        "exchanges.binance.rest_url",
        "exchanges.kraken.concurrency",
        "jobs[1].data_type",
        "jobs[2].depth",
        "jobs[3].span",
    }
    assert all(error["found"] and error["allowed"] for error in report["errors"])


def test_people_get_the_same(tmp_path: Path) -> None:
    """Each error with what was found and what is allowed, then their number."""
    result = run(tmp_path, BAD)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "jobs[2].depth: found 5\n    allowed: for streams of data_type: orderbook only\n" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("config.yml: 9 errors")


def test_jobs_are_judged_by_the_exchanges_of_the_file(tmp_path: Path) -> None:
    """Whatever else is wrong: BitMEX's jobs need a server, which is named, if perhaps by a URL that isn't one."""
    job = "  - {exchange: bitmex, pairs: ['BTC/USD:perp'], data_type: trades}\n"
    wrong = "settings: {timezone: Mars/Base}\n"
    for exchanges, paths in (
        ("{bitmex: {ws_url: 'ws://127.0.0.1:1', rest_url: 'http://127.0.0.1:2'}}", {"settings.timezone"}),
        (
            "{bitmex: {ws_url: 'ws://127.0.0.1:1', concurrency: 0}, kraken: 5}",
            {"settings.timezone", "exchanges.bitmex.concurrency", "exchanges.kraken"},
        ),
        ("{bitmex: {ws_url: 'ftp://x'}}", {"settings.timezone", "exchanges.bitmex.ws_url"}),
        ("{bitmex: {rest_url: 'http://127.0.0.1:2'}}", {"settings.timezone", "jobs[0].exchange"}),
        (
            "{bitmexx: {ws_url: 'ftp://x'}}",
            {"settings.timezone", "jobs[0].exchange", "exchanges.bitmexx", "exchanges.bitmexx.ws_url"},
        ),
    ):
        report = json.loads(run(tmp_path, f"{wrong}exchanges: {exchanges}\njobs:\n{job}", "--json").stdout)
        assert {error["path"] for error in report["errors"]} == paths


def test_an_exchange_that_is_misspelt(tmp_path: Path) -> None:
    """Its settings would be nobody's."""
    result = run(tmp_path, "exchanges: {krakenn: {concurrency: 2}, kucoin: {rate_limit: false}}")
    assert result.exit_code == 2
    assert "exchanges.krakenn: found 'krakenn'" in result.stderr and "did you mean kraken" in result.stderr
    assert "kucoin'" not in result.stderr and result.stderr.splitlines()[-1].endswith("1 error")


def test_what_an_exchange_doesn_t_serve_is_told_before(tmp_path: Path) -> None:
    """Both in the table for people and in JSON; the file is right all the same."""
    what = "exchange: kraken, pairs: [BTC/USD], data_type: ohlc, span: 1m"
    text = f"jobs: [{{{what}, operation: backfill, start: 2024-01-01}}]"
    result = run(tmp_path, text)
    assert result.exit_code == 0
    assert "warning: jobs[0].start: kraken serves ohlc of BTC/USD no further than 720 bars back" in result.stderr
    (warning,) = json.loads(run(tmp_path, text, "--json").stdout)["warnings"]
    assert "2024-01-01 is beyond" in warning


def test_errors_between_jobs_are_found(tmp_path: Path) -> None:
    """Two jobs of one name are each right by themselves."""
    job = "  - {exchange: binance, pairs: [BTC/USDT], data_type: trades}\n"
    result = run(tmp_path, "jobs:\n" + job + job, "--json")
    (error,) = json.loads(result.stdout)["errors"]
    assert error["path"] == "jobs[1].pairs"


def test_an_exchange_without_a_folder(tmp_path: Path) -> None:
    """Is checked by what ccxt can do there; a name that nobody knows is told with those that are near."""
    job = "jobs: [{{exchange: {}, pairs: [BTC/USDT], data_type: trades}}]"
    assert run(tmp_path, job.format("kucoin")).exit_code == 0
    result = run(tmp_path, job.format("kukoin"))
    assert result.exit_code == 2 and "did you mean kucoin" in result.stderr


@pytest.mark.parametrize("text", ["jobs: [", "- a\n- b\n", "settings: {data_path: a, data_path: b}\n"])
def test_what_is_no_configuration_at_all(tmp_path: Path, text: str) -> None:
    """Broken YAML is one error, not one a line."""
    result = run(tmp_path, text, "--json")
    assert (result.exit_code, len(json.loads(result.stdout)["errors"])) == (2, 1)


def test_without_a_file_it_says_where_one_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to validate is a wrong usage."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("DCCD_CONFIG", raising=False)
    result = CliRunner().invoke(cli, ["validate"])
    assert result.exit_code == 2
    assert "config.yml" in result.stderr


def test_a_bus_that_anybody_could_use(tmp_path: Path) -> None:
    """A server that others reach without users and TLS is an error, as it is to the daemon."""
    told = run(tmp_path, f"settings: {{data_path: {tmp_path}}}\nbus: {{host: 0.0.0.0}}\n")
    assert (told.exit_code, "dccd auth init" in told.stderr, "bus.insecure" in told.stderr) == (2, True, True)
    assert run(tmp_path, "bus: {host: 0.0.0.0, insecure: true}\n").exit_code == 0
