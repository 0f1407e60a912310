"""dccd's parsers and cryptofeed's on the same frames, in one interpreter: cases flow in, lines of JSON flow out.

Both are handed frames that lie in memory, as they come from the socket: bytes to dccd, text to cryptofeed, whose
WebSocket library makes that of them. Passes over all frames of a case alternate, each with a new stream that has been
made live before; a pass is timed in CPU time of this process, since others share the machine. In an interpreter without
cryptofeed (``--alone``) only dccd is measured, and what decoding the same bytes into dicts costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from cases import Case, receiver

from dccd.exchanges.base import Broken, Refused
from dccd.records import Record


def ours(case: Case) -> tuple[float, int]:
    """µs a frame, and how many records came of all frames."""
    frames = [(ts, text.encode()) for ts, text in case.frames]
    route, receive, topic = receiver(case)
    out: list[Record] = []
    count = 0
    gc.collect()
    began = time.process_time_ns()
    for ts, frame in frames:
        to = route(frame)
        if to is None or to == topic:
            signal = receive(frame, ts, out)
            if signal is not None and isinstance(signal, Broken | Refused):
                raise RuntimeError(f"{case.name}: {signal}")
            count += len(out)
            out.clear()
    return (time.process_time_ns() - began) / 1000 / len(frames), count


def theirs(case: Case, closed_bars: bool = False) -> tuple[float, int]:
    """µs a frame, and how often it called back."""
    from cryptofeed_feeds import Feed

    feed = Feed(case, closed_bars)
    frames = [(ts / 1e9, feed.adapted(text)) for ts, text in case.frames]

    async def run() -> float:
        await feed.start()
        feed.calls = 0
        handler, connection = feed.handler, feed.connection
        gc.collect()
        began = time.process_time_ns()
        for ts, frame in frames:
            await handler(frame, connection, ts)
        return (time.process_time_ns() - began) / 1000 / len(frames)

    return asyncio.run(run()), feed.calls


def decoding(decode: Callable[[bytes], object]) -> Callable[[Case], tuple[float, int]]:
    """Decoding alone, which makes no records."""

    def run(case: Case) -> tuple[float, int]:
        frames = [text.encode() for _, text in case.frames]
        gc.collect()
        began = time.process_time_ns()
        for frame in frames:
            decode(frame)
        return (time.process_time_ns() - began) / 1000 / len(frames), 0

    return run


def sides(case: Case, alone: bool) -> dict[str, Callable[[Case], tuple[float, int]]]:
    """Who is measured."""
    if alone:
        return {"dccd": ours, "json.loads": decoding(json.loads), "msgspec": decoding(msgspec.json.decode)}
    from cryptofeed_feeds import Absent, Feed

    try:
        Feed(case)
    except Absent:
        return {"dccd": ours}
    found: dict[str, Callable[[Case], tuple[float, int]]] = {"dccd": ours, "cryptofeed": theirs}
    if case.data_type == "ohlc":
        found["cryptofeed, closed bars only"] = partial(theirs, closed_bars=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    print(json.dumps({"ready": True}), flush=True)
    for case in msgspec.json.decode(options.cases.read_bytes(), type=list[Case]):
        measured = sides(case, options.alone)
        times: dict[str, list[float]] = {name: [] for name in measured}
        counts: dict[str, int] = {}
        for side in measured.values():
            side(case)  # not counted: what is done once, such as compiling a pattern
        for _ in range(options.rounds):
            for name, side in measured.items():
                each, counts[name] = side(case)
                times[name].append(each)
        print(json.dumps({"name": case.name, "times": times, "counts": counts}), flush=True)


if __name__ == "__main__":
    main()
