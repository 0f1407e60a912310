"""Run the simulated exchanges as a process: command-line arguments flow in, one line of JSON says where they listen.

``{"exchanges": {"binance": {"rest_url": …, "ws_url": …}, …}, "seed": …, "opened": …, "started": …}`` goes to standard
output once all ports are open. From then on other processes talk to them, and to ``/_sim`` on any REST port (see
``dccd.simulator.control``). SIGINT and SIGTERM end it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from dccd.errors import IdentityError
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import Fault
from dccd.simulator.replay import RecordingError
from dccd.simulator.server import Simulator
from dccd.simulator.venues import EXCHANGES
from dccd.symbols import format_time, parse_time

__all__ = ["main", "parse", "run"]

_EPILOG = """\
examples:
  dccd simulate --rate 50 --history 365
  dccd simulate --exchange binance --total 1000000 --rate 100000     # benchmark: as fast as the client takes
  dccd simulate --faults '[{"kind": "disconnect", "skip": 500}, {"kind": "httperror", "status": 429, "retry_after": 2}]'
  dccd simulate --exchange binance --replay frames.tsv --speed 0
"""


def parse(arguments: Sequence[str] | None = None) -> tuple[SimConfig, bool]:
    """The options that *arguments* ask for, and whether to end with standard input.

    Exits with status 2 and a message when they can't be.
    """
    defaults = SimConfig()
    parser = argparse.ArgumentParser(
        prog="dccd simulate",
        description="Run simulated exchanges on this machine that speak the real ones' wire formats.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--exchange",
        action="append",
        choices=EXCHANGES,
        dest="exchanges",
        help=f"which; repeatable (default: {', '.join(defaults.exchanges)})",
    )
    add("--symbol", action="append", dest="symbols", help=f"repeatable (default: {', '.join(defaults.symbols)})")
    add("--contract", action="append", dest="contracts", help=f"repeatable (default: {', '.join(defaults.contracts)})")
    add("--seed", type=int, default=defaults.seed, help="same seed, same market (%(default)s)")
    add("--rate", type=float, default=defaults.rate, help="trades a second and symbol (%(default)s)")
    add("--history", type=float, default=defaults.history, metavar="DAYS", help="trades before the start (%(default)s)")
    add("--opened", metavar="TIME", help="when the markets opened, instead of --history: ISO date or ns")
    add("--speed", type=float, help="times real time, of a replay too (1); 0: a replay as fast as taken")
    add("--total", type=int, metavar="N", help="benchmark: each trade subscription gets N trades as fast as taken")
    add("--limits", action="store_true", help="limit requests as the real exchanges do")
    add("--host", default=defaults.host, help="address to listen on (%(default)s)")
    add(
        "--port",
        action="append",
        default=[],
        metavar="EXCHANGE=REST,WS",
        help="ports of an exchange (default: free ones)",
    )
    add("--faults", metavar="JSON", help="a fault or a list of them, or @FILE with that")
    add("--replay", type=Path, metavar="FILE", help="serve captured frames (and FILE's .rest.tsv beside it)")
    add("--until-eof", action="store_true", help="end when standard input closes, as when a parent process dies")
    options = vars(parser.parse_args(arguments))
    until_eof = options.pop("until_eof")
    speed = options.pop("speed")
    try:
        options["ports"] = _ports(options.pop("port"))
        options["faults"] = _faults(options["faults"])
        options["opened"] = None if options["opened"] is None else parse_time(options["opened"])
        options["exchanges"] = tuple(options["exchanges"] or defaults.exchanges)
        options["symbols"] = tuple(options["symbols"] or defaults.symbols)
        options["contracts"] = tuple(options["contracts"] or defaults.contracts)
        if options["replay"] is not None:
            if len(options["exchanges"]) != 1:
                raise ValueError("--replay needs one --exchange: whose frames they are")
            options["replay_speed"] = defaults.replay_speed if speed is None else speed
        elif speed is not None:
            options["speed"] = speed
        return SimConfig(**options), until_eof
    except (ValueError, IdentityError, OSError) as exc:
        parser.error(str(exc))


def _ports(texts: list[str]) -> dict[str, tuple[int, int]]:
    found = {}
    for text in texts:
        exchange, _, ports = text.partition("=")
        rest, _, ws = ports.partition(",")
        if exchange not in EXCHANGES or not (rest.isdecimal() and ws.isdecimal()):
            raise ValueError(f"--port {text}: write EXCHANGE=REST,WS, as binance=8001,8002")
        found[exchange] = (int(rest), int(ws))
    return found


def _faults(text: str | None) -> tuple[Fault, ...]:
    if text is None:
        return ()
    data = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
    asked = msgspec.json.decode(data)
    return msgspec.convert(asked if isinstance(asked, list) else [asked], tuple[Fault, ...])


async def run(
    config: SimConfig, *, until_eof: bool = False, say: Callable[[str], None] = lambda text: print(text, flush=True)
) -> None:
    """Simulate until SIGINT or SIGTERM (or the end of standard input); *say* gets the line of JSON.

    Raises ValueError for options that can't be, OSError for ports that are taken, RecordingError for a broken file.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        async with Simulator(config) as simulator, contextlib.AsyncExitStack() as stack:
            if until_eof:
                watching = asyncio.create_task(_eof(ended))
                stack.callback(watching.cancel)
            say(msgspec.json.encode(_ready(simulator)).decode())
            await ended.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _ready(simulator: Simulator) -> dict[str, object]:
    opened = {id: format_time(exchange.venue.opened) for id, exchange in simulator.exchanges.items()}
    return {
        "exchanges": simulator.urls(),
        "seed": simulator.config.seed,
        "opened": opened,
        "started": simulator.started,
    }


async def _eof(ended: asyncio.Event) -> None:
    """Set *ended* at the end of standard input."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while await reader.read(65_536):
            pass
        ended.set()
    finally:
        transport.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m dccd.simulator`` and ``dccd simulate``; returns the exit code."""
    config, until_eof = parse(arguments)
    try:
        asyncio.run(run(config, until_eof=until_eof))
    except (ValueError, IdentityError, OSError, RecordingError) as exc:
        print(f"dccd simulate: {exc}", file=sys.stderr)
        return 1
    return 0
