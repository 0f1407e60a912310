"""What it costs to make records of frames, next to decoding the same bytes with the standard library.

One process on one core: frames a second through the live protocol (bytes to records, ids checked, books maintained,
checksums verified), and through ``json.loads`` and ``msgspec.json.decode`` alone, which make dicts; rows a second of
the pages of history. The frames are made here, all different.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
from harness import Measurement, Report, arguments, finish

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


def rate(run: Callable[[], None], units: int, seconds: float) -> float:
    """Units a second, over about *seconds*."""
    done, spent, began = 0, 0.0, time.perf_counter()
    while spent < seconds:
        run()
        done += units
        spent = time.perf_counter() - began
    return done / spent


def main() -> None:
    options = arguments(
        __doc__, ("--seconds", {"type": float, "default": 0.5, "help": "for each figure of a round (0.5)"})
    )
    sources = {
        "binance aggTrade": ("binance.trades.BTC-USDT", list(binance_trades()), COUNT),
        "binance aggTrade, combined": ("binance.trades.BTC-USDT", list(binance_trades_wrapped()), COUNT),
        "binance depth, 4 levels": ("binance.orderbook.BTC-USDT", list(binance_book()), COUNT // 2),
        "kraken trade, 1 a frame": ("kraken.trades.BTC-USD", list(kraken_trades(1)), COUNT),
        "kraken trade, 10 a frame": ("kraken.trades.BTC-USD", list(kraken_trades(10)), COUNT),
        "kraken book, 2 levels": ("kraken.orderbook.BTC-USD", list(kraken_book()), COUNT // 2),
    }
    report = Report("Parsing, one core")
    for _ in range(options.rounds):
        for title, (name, frames, expected) in sources.items():
            kinds = {
                "to records": through_protocol(name, expected),
                "json.loads": decode_with(json.loads),
                "msgspec.json.decode": decode_with(msgspec.json.decode),
            }
            for kind, run in kinds.items():
                each = rate(partial(run, frames), len(frames), options.seconds)
                report.add(Measurement(title, kind, {"frames/s": each}))
        for title, (page, rows) in pages().items():
            report.add(Measurement(title, "to records", {"rows/s": rate(page, rows, options.seconds)}))
    finish(report, options.json)


if __name__ == "__main__":
    main()
