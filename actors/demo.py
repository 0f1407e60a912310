"""The demo: the simulated exchanges in a process of their own, and a configuration that points the daemon at them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec

from dccd.config import Config, ExchangeConfig, Job
from dccd.errors import DccdError

__all__ = ["demo_config", "simulated"]

_START_SECONDS = 20.0
_HISTORY_DAYS = 7


class _Endpoints(msgspec.Struct):
    rest_url: str
    ws_url: str


class _Ready(msgspec.Struct):
    exchanges: dict[str, _Endpoints]


def demo_config(config: Config, endpoints: dict[str, ExchangeConfig]) -> Config:
    """Return *config* with the demo's jobs, its exchanges at *endpoints*, and its own folder and a free bus port.

    A host, folder, bus or storage that *config* sets stays.
    """
    settings = config.settings
    if settings.data_path == Config().settings.data_path:
        settings = msgspec.structs.replace(settings, data_path="demo-data")
    bus = config.bus
    if bus == Config().bus:
        # A demo has no need of gigabytes.
        bus = msgspec.structs.replace(bus, port=0, ticks_max_bytes="256MiB")
    return msgspec.structs.replace(config, settings=settings, bus=bus, exchanges=endpoints, jobs=_JOBS)


_JOBS = [
    Job(exchange="binance", pairs=["BTC/USDT", "ETH/USDT"], data_type="trades"),
    Job(exchange="binance", pairs=["BTC/USDT"], data_type="ohlc", span="1m"),
    Job(exchange="binance", pairs=["BTC/USDT"], data_type="orderbook"),
    Job(exchange="kraken", pairs=["BTC/USD", "ETH/USD"], data_type="trades"),
    Job(exchange="kraken", pairs=["BTC/USD"], data_type="ohlc", span="1m"),
    Job(exchange="kraken", pairs=["BTC/USD"], data_type="orderbook", depth=100),
    Job(
        exchange="binance",
        pairs=["BTC/USDT", "ETH/USDT"],
        data_type="ohlc",
        span="1m",
        operation="backfill",
        start="origin",
    ),
    Job(exchange="binance", pairs=["SOL/USDT"], data_type="trades", operation="backfill", start="origin"),
    Job(exchange="kraken", pairs=["BTC/USD"], data_type="ohlc", span="5m", operation="backfill"),
]


@contextlib.asynccontextmanager
async def simulated() -> AsyncIterator[dict[str, ExchangeConfig]]:
    """Run the simulated exchanges while the block runs; yield where they are.

    Raises DccdError when they don't start.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dccd.simulator",
        "--history",
        str(_HISTORY_DAYS),
        "--until-eof",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C in a terminal goes to the whole foreground group; the exchanges must outlive the collectors.
        start_new_session=True,
    )
    try:
        yield await _endpoints(process)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _endpoints(process: Any) -> dict[str, ExchangeConfig]:
    line = b""
    with contextlib.suppress(TimeoutError):
        line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
    try:
        ready = msgspec.json.decode(line, type=_Ready)
    except msgspec.MsgspecError as exc:
        raise DccdError(
            f"the simulated exchanges did not start (exit code {process.returncode}, said {line[:200]!r}); "
            "try `dccd simulate` to see why"
        ) from exc
    return {name: ExchangeConfig(rest_url=urls.rest_url, ws_url=urls.ws_url) for name, urls in ready.exchanges.items()}


async def _end(process: Any) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        with anyio.move_on_after(2.0):
            await process.wait()
            return
        process.kill()
        await process.wait()
