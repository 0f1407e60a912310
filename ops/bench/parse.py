"""What it costs to make records of frames, next to decoding the same bytes with the standard library.

    .venv/bin/python ops/bench/parse.py [--seconds 1] [--json]

Each row is one process on one core: frames a second through the live protocol (bytes to records, ids checked, books
maintained, checksums verified), and through ``json.loads`` and ``msgspec.json.decode`` alone, which make dicts. The
best of three rounds each, the rounds of all kinds interleaved. The frames are made here, all different.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
import zlib
from collections.abc import Callable, Iterator

import msgspec

from dccd.exchanges.base import PageRequest, SnapshotWanted, StreamOptions, StreamProtocol
from dccd.exchanges.registry import get
from dccd.records import Record
from dccd.symbols import Dataset

COUNT = 20_000
T0 = 1_700_000_000_000


def binance_trades() -> Iterator[bytes]:
    """Raw aggTrade frames with consecutive ids."""
    for n in range(COUNT):
        yield (
            f'{{"e":"aggTrade","E":{T0 + n},"s":"BTCUSDT","a":{n + 3_000_000_000},"p":"{37000 + n % 977 / 100:.8f}",'
            f'"q":"{(n % 89 + 1) / 1000:.8f}","f":{n},"l":{n},"T":{T0 + n},"m":{"true" if n % 2 else "false"}}}'
        ).encode()


def binance_trades_wrapped() -> Iterator[bytes]:
    """The same as on a combined stream."""
    for frame in binance_trades():
        yield b'{"stream":"btcusdt@aggTrade","data":' + frame + b"}"


def binance_book() -> Iterator[bytes]:
    """Depth updates of four levels on a book of a thousand a side."""
    chance = random.Random(1)
    for n in range(COUNT):
        bids = [[f"{37000 - chance.randrange(1000) / 100:.8f}", f"{chance.randrange(3) / 10:.8f}"] for _ in range(2)]
        asks = [[f"{37001 + chance.randrange(1000) / 100:.8f}", f"{chance.randrange(3) / 10:.8f}"] for _ in range(2)]
        yield msgspec.json.encode(
            {"e": "depthUpdate", "E": T0 + n, "s": "BTCUSDT", "U": n + 1, "u": n + 1, "b": bids, "a": asks}
        )


def kraken_trades(size: int) -> Iterator[bytes]:
    """Updates of some trades each."""
    for n in range(COUNT // size):
        trades = ",".join(
            f'{{"symbol":"BTC/USD","side":"{"buy" if tid % 2 else "sell"}","price":{37000 + tid % 97 / 10:.1f},'
            f'"qty":{(tid % 89 + 1) / 1000:.8f},"ord_type":"limit","trade_id":{tid},'
            f'"timestamp":"2023-11-14T22:13:{tid // 1000 % 60:02d}.{tid % 1000 * 1000:06d}Z"}}'
            for tid in range(n * size, n * size + size)
        )
        yield f'{{"channel":"trade","type":"update","data":[{trades}]}}'.encode()


def kraken_book() -> Iterator[bytes]:
    """A snapshot of a hundred levels a side and updates of two, with checksums that hold."""
    chance = random.Random(1)
    bids = {370_000 - n: 10_000_000 for n in range(100)}
    asks = {370_010 + n: 10_000_000 for n in range(100)}

    def frame(kind: str, new_bids: dict[int, int], new_asks: dict[int, int]) -> bytes:
        best = sorted(asks)[:10], sorted(bids, reverse=True)[:10]
        text = "".join(f"{p}{asks[p]}" for p in best[0]) + "".join(f"{p}{bids[p]}" for p in best[1])
        sides = [
            ",".join(f'{{"price":{p // 10}.{p % 10},"qty":{a // 10**8}.{a % 10**8:08d}}}' for p, a in side.items())
            for side in (new_bids, new_asks)
        ]
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{sides[0]}],"asks":[{sides[1]}],'
            f'"checksum":{zlib.crc32(text.encode())},"timestamp":"2023-11-14T22:13:20.000000Z"}}]}}'
        ).encode()

    yield frame("snapshot", bids, asks)
    for _ in range(COUNT - 1):
        bid, ask = chance.choice(list(bids)), chance.choice(list(asks))
        bids[bid] = asks[ask] = chance.randrange(1, 10**9)
        yield frame("update", {bid: bids[bid]}, {ask: asks[ask]})


def stream(name: str) -> StreamProtocol:
    """A protocol that is confirmed; Binance's book has its snapshot."""
    dataset = Dataset.parse(name)
    protocol = get(dataset.exchange).stream(dataset, StreamOptions(snapshot_interval=1e6))
    out: list[Record] = []
    if name.startswith("binance"):
        protocol.receive(b'{"result":null,"id":1}', 0, out)
        if isinstance(protocol.tick(0, out), SnapshotWanted):
            levels = [[[f"{37000 - n / 100:.8f}", "0.1"] for n in range(1000)]]
            levels.append([[f"{37001 + n / 100:.8f}", "0.1"] for n in range(1000)])
            body = {"lastUpdateId": 0, "bids": levels[0], "asks": levels[1]}
            protocol.snapshot(msgspec.json.encode(body), 0, out)
    return protocol


def through_protocol(name: str, expected: int) -> Callable[[list[bytes]], None]:
    """A fresh protocol that takes all frames; raises when records are missing."""

    def run(frames: list[bytes]) -> None:
        receive = stream(name).receive
        out: list[Record] = []
        for frame in frames:
            receive(frame, T0 * 1_000_000, out)
        assert len(out) >= expected, f"{len(out)} records of {expected}"

    return run


def decode_with(decode: Callable[[bytes], object]) -> Callable[[list[bytes]], None]:
    """Decoding alone."""

    def run(frames: list[bytes]) -> None:
        for frame in frames:
            decode(frame)

    return run


def pages() -> dict[str, tuple[Callable[[], None], int]]:
    """Bodies of a thousand rows through the pagers."""
    klines = [[T0 + n * 60_000, "1.5", "2.5", "0.5", "2.0", "10.25", 0, "20.5", 7, "1", "1", "0"] for n in range(1000)]
    trade = {"p": "37000.5", "q": "0.25", "f": 1, "l": 1, "m": True, "M": True}
    trades = [{"a": n, "T": T0 + n} | trade for n in range(1000)]
    later = (T0 + 10**9) * 1_000_000

    def page(name: str, body: bytes, span: int) -> Callable[[], None]:
        dataset = Dataset.parse(name)

        def run() -> None:
            pager = get("binance").history(dataset, T0 * 1_000_000, (T0 + span) * 1_000_000, "BTCUSDT")
            (request,) = pager.requests(1)
            assert isinstance(request, PageRequest)
            assert len(pager.receive(request, body, later).records) == 1000

        return run

    return {
        "binance klines page": (page("binance.ohlc.BTC-USDT.1m", msgspec.json.encode(klines), 60_000_000), 1000),
        "binance aggTrades page": (page("binance.trades.BTC-USDT", msgspec.json.encode(trades), 3_600_000), 1000),
    }


def best(runs: dict[str, tuple[Callable[[], None], int]], seconds: float, rounds: int = 3) -> dict[str, float]:
    """Units a second, the best round of each; rounds are interleaved, so that a busy moment hits all alike."""
    rates = dict.fromkeys(runs, 0.0)
    for _ in range(rounds):
        for name, (run, units) in runs.items():
            done, spent, began = 0, 0.0, time.perf_counter()
            while spent < seconds / rounds:
                run()
                done += units
                spent = time.perf_counter() - began
            rates[name] = max(rates[name], done / spent)
    return rates


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each cell of the table")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sources = {
        "binance aggTrade": ("binance.trades.BTC-USDT", list(binance_trades()), COUNT),
        "binance aggTrade, combined": ("binance.trades.BTC-USDT", list(binance_trades_wrapped()), COUNT),
        "binance depth, 4 levels": ("binance.orderbook.BTC-USDT", list(binance_book()), COUNT // 2),
        "kraken trade, 1 a frame": ("kraken.trades.BTC-USD", list(kraken_trades(1)), COUNT),
        "kraken trade, 10 a frame": ("kraken.trades.BTC-USD", list(kraken_trades(10)), COUNT),
        "kraken book, 2 levels": ("kraken.orderbook.BTC-USD", list(kraken_book()), COUNT // 2),
    }
    results: dict[str, dict[str, float]] = {}
    for title, (name, frames, expected) in sources.items():
        kinds = {
            "dccd": through_protocol(name, expected),
            "json.loads": decode_with(json.loads),
            "msgspec": decode_with(msgspec.json.decode),
        }
        runs = {kind: ((lambda run=run, frames=frames: run(frames)), len(frames)) for kind, run in kinds.items()}
        results[title] = best(runs, options.seconds)
    rows = best(pages(), options.seconds)
    if options.json:
        print(json.dumps({"frames/s": results, "rows/s": rows}, indent=2))
        return
    print(f"Python {platform.python_version()}, msgspec {msgspec.__version__}, {platform.machine()}; a second and core")
    print(f"{'frames':30}{'to records':>14}{'json.loads':>14}{'msgspec':>14}   times json.loads")
    for title, rates in results.items():
        ratio = rates["dccd"] / rates["json.loads"]
        cells = "".join(f"{rates[kind]:14,.0f}" for kind in ("dccd", "json.loads", "msgspec"))
        print(f"{title:30}{cells}{ratio:10.2f}")
    for title, rate in rows.items():
        print(f"{title:30}{rate:14,.0f} rows")


if __name__ == "__main__":
    main()
