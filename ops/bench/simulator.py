"""How fast the simulated exchanges are: more than any client takes, or they would be what other benchmarks measure.

    .venv/bin/python ops/bench/simulator.py [--trades 500000] [--pages 200] [--rounds 3]

The client here does nothing but read bytes off its sockets. "rows/CPU s" is of the simulator's process alone: what
it would do with a core of its own.
"""

from __future__ import annotations

import socket
import sys
import time
from urllib.parse import urlsplit

from harness import Child, Measurement, Report, arguments, cpu_seconds, finish, rate

READ = 1 << 20


def simulator(*options: object) -> Child:
    """The simulator as a process of its own, as ``dccd simulate`` runs it."""
    return Child([sys.executable, "-m", "dccd.simulator", "--rate", 100_000, *options], "simulator")


def opened(url: str, path: str) -> socket.socket:
    """A raw socket on which the WebSocket handshake is done."""
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    it = socket.create_connection((parts.hostname, parts.port), timeout=60)
    it.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return it


def frame(text: str) -> bytes:
    """A client's text frame, masked with zeros."""
    data = text.encode()
    return b"\x81" + bytes([0xFE]) + len(data).to_bytes(2) + bytes(4) + data


def stream(case: str, exchange: str, symbols: list[str], total: int) -> Measurement:
    """All trades of *symbols* over one connection, as fast as they are read."""
    options = [part for symbol in symbols for part in ("--symbol", symbol)]
    with simulator("--exchange", exchange, "--total", total // len(symbols), *options) as it:
        url = it.ready["exchanges"][exchange]["ws_url"]
        if exchange == "binance":
            names = "/".join(f"{symbol.replace('/', '').lower()}@aggTrade" for symbol in symbols)
            connection = opened(url, f"/stream?streams={names}")
        else:
            connection = opened(url, "/v2")
            listed = ",".join(f'"{symbol}"' for symbol in symbols)
            connection.sendall(frame(f'{{"method":"subscribe","params":{{"channel":"trade","symbol":[{listed}]}}}}'))
        # The first bytes come once the markets are drawn: what is measured is the flow.
        connection.recv(READ)
        began, cpu = time.perf_counter(), cpu_seconds(it.pid)
        received, ended = 0, began
        connection.settimeout(0.5)
        try:
            while data := connection.recv(READ):
                received += len(data)
                ended = time.perf_counter()
        except TimeoutError:
            pass  # all sent: silence
        used = cpu_seconds(it.pid) - cpu
        connection.close()
    return rate(case, exchange, total, ended - began, used, {"bytes/row": received / total})


def pages(case: str, exchange: str, count: int, rows: int) -> Measurement:
    """*count* pages of *rows* rows over one kept connection."""
    with simulator("--exchange", exchange, "--symbol", "BTC/USDT", "--rate", 5, "--history", 400) as it:
        url = it.ready["exchanges"][exchange]["rest_url"]
        opened_ms = it.ready["started"] // 10**6 - 399 * 86_400_000
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        began, cpu, size = 0.0, 0.0, 0
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
            for n in range(count + 1):
                if n == 1:  # the first page draws the market
                    began, cpu = time.perf_counter(), cpu_seconds(it.pid)
                path = (
                    f"/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={opened_ms + n * 60_000_000}&limit=1000"
                    if case == "pages of bars"
                    else f"/api/v3/aggTrades?symbol=BTCUSDT&fromId={1 + n * 1000}&limit=1000"
                )
                if exchange == "kraken":
                    path = f"/0/public/Trades?pair=XBTUSDT&since={(opened_ms + n * 200_000) * 10**6}"
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                size += body(connection)
        ended = time.perf_counter()
        used = cpu_seconds(it.pid) - cpu
    return rate(case, exchange, count * rows, ended - began, used, {"bytes/row": size / (count + 1) / rows})


def body(connection: socket.socket) -> int:
    """Read one answer; returns the length of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(READ)
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode(errors="replace"))
    length = int(
        next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1]
    )
    left = length - len(rest)
    while left > 0:
        left -= len(connection.recv(min(READ, left)))
    return length


def main() -> None:
    """Measure, in turns, and show."""
    options = arguments(
        __doc__ or "",
        ("--trades", {"type": int, "default": 500_000, "help": "trades a stream case (500,000)"}),
        ("--pages", {"type": int, "default": 200, "help": "pages a REST case (200)"}),
    )
    report = Report("The simulated exchanges, read by a client that does nothing")
    fifty = [f"S{n:02d}/USDT" for n in range(50)]
    for _ in range(options.rounds):
        for exchange in ("binance", "kraken"):
            report.add(stream("trades, 1 stream", exchange, ["BTC/USDT"], options.trades))
        report.add(stream("trades, 50 streams", "binance", fifty, options.trades))
        report.add(pages("pages of bars", "binance", options.pages, 1000))
        report.add(pages("pages of trades", "binance", options.pages, 1000))
        report.add(pages("pages of trades", "kraken", options.pages, 1000))
    finish(report, options.json)


if __name__ == "__main__":
    main()
