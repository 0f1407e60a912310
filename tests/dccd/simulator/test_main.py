"""The command line: options to configuration, and a process that says where it listens and ends when told."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import Disconnect, HttpError
from dccd.simulator.main import main, parse

ARGUMENTS = ("--rate", "1", "--symbol", "BTC/USDT", "--history", "1", "--until-eof")


def test_options_become_configuration(tmp_path: Path) -> None:
    """Each option, with faults from the line or a file."""
    line = (
        "--exchange binance --symbol btc-usdt --symbol ETH/USDT --seed 9 --rate 2.5 --opened 2024-01-01 --speed 60 "
        "--total 500 --limits --port binance=8001,8002 --until-eof"
    )
    config, until_eof = parse(line.split())
    assert until_eof
    assert config.exchanges == ("binance",) and config.symbols == ("btc-usdt", "ETH/USDT")
    assert (config.seed, config.rate, config.speed, config.total, config.limits) == (9, 2.5, 60, 500, True)
    assert config.opened == 1_704_067_200 * 10**9 and config.ports == {"binance": (8001, 8002)}
    assert parse(["--faults", '{"kind": "disconnect", "skip": 5}'])[0].faults == (Disconnect(skip=5),)
    file = tmp_path / "faults.json"
    file.write_text('[{"kind": "httperror", "status": 503}, {"kind": "disconnect"}]')
    assert parse(["--faults", f"@{file}"])[0].faults == (HttpError(status=503), Disconnect())
    config, _ = parse(["--contract", "BTC/USDT:perp"])
    assert config.contracts == ("BTC/USDT:perp",) and config.symbols == SimConfig().symbols
    assert config.exchanges == ("binance", "kraken")
    config, _ = parse(["--exchange", "kraken", "--replay", "x.tsv", "--speed", "0"])
    assert (config.replay, config.replay_speed, config.speed) == (Path("x.tsv"), 0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--exchange nyse", "nyse"),
        ("--port binance=1", "EXCHANGE=REST,WS"),
        ("--faults {", "truncated"),
        ('--faults {"kind":"x"}', "kind"),
        ("--opened yesterday", "no time"),
        ("--replay x.tsv", "needs one --exchange"),
    ],
)
def test_wrong_options_are_refused(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and words."""
    with pytest.raises(SystemExit) as caught:
        parse(arguments.split())
    assert caught.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"), [("--rate 0", "can be simulated"), ("--exchange kraken --replay /nowhere.tsv", "nowhere")]
)
def test_what_cannot_be_started_exits_with_1(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And says why."""
    assert main(arguments.split()) == 1
    assert words in capsys.readouterr().err


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["eof", "sigterm", "sigint"])
async def test_a_process_of_its_own(how: str) -> None:
    """One line of JSON when ready; it serves, and ends by a signal or with its parent."""
    async with asyncio.timeout(30):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dccd.simulator", *ARGUMENTS),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            ready = json.loads(await process.stdout.readline())
            url = ready["exchanges"]["binance"]["rest_url"]
            async with aiohttp.ClientSession(url) as http, http.get("/api/v3/ticker/price") as answer:
                assert [one["symbol"] for one in await answer.json()] == ["BTCUSDT"]
            if how == "eof":
                process.stdin.close()
            else:
                process.send_signal(signal.SIGTERM if how == "sigterm" else signal.SIGINT)
            assert await process.wait() == 0
            assert await process.stdout.read() == b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
