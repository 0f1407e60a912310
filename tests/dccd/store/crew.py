"""A process that writes to a store, or folds it, and dies where it is told to: run as a program by the tests.

crew.py write ROOT ID COUNT     COUNT segments of 20 changes of a book; says after each how many rows are durable
crew.py fold ROOT               folds again and again until its input ends; says how often it did something
crew.py kill ROOT PERIOD AT     one whole fold, killed with SIGKILL before its step number AT; says each step
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from itertools import count

from dccd.errors import StoreLocked
from dccd.records import BookDelta
from dccd.store.fold import FoldPolicy, fold
from dccd.store.layout import Layout
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType

BOOK = Dataset.parse("binance.orderbook.BTC-USDT")
"""Of its rows none is another's twin: one that is stored twice shows."""
DAY = "2023-11-15"
START = 1_700_006_400 * NS
ROWS = 20


def change(writer: int, n: int) -> BookDelta:
    """Change *n* of *writer*: the writers' changes lie among each other."""
    return BookDelta(START + n * 1_000_000 + writer, n, [(float(writer), 1.0)], [])


def say(value: object) -> None:
    print(value, flush=True)


def write(layout: Layout, writer: int, segments: int) -> None:
    mine = SegmentWriter(layout, f"w{writer}")
    for segment in range(segments):
        first = segment * ROWS
        rows = [change(writer, n) for n in range(first, first + ROWS)]
        mine.write(BOOK, table_from_records(DataType.ORDERBOOK, rows))
        say(first + ROWS)


def keep_folding(layout: Layout) -> None:
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    done, turns = 0, count()
    while not ended.is_set():
        # StoreLocked: the other one is at it.
        with suppress(StoreLocked):
            done += fold(layout, BOOK, DAY, next(turns) % 4 == 0, policy=FoldPolicy(fan_in=3)) is not None
    say(done)


def kill(layout: Layout, period: str, at: int) -> None:
    steps = count()

    def step(name: str) -> None:
        if next(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        say(name)

    fold(layout, BOOK, period, force=True, policy=FoldPolicy(fan_in=2), step=step)


def main(what: str, root: str, *arguments: str) -> None:
    layout = Layout(root)
    match what:
        case "write":
            write(layout, int(arguments[0]), int(arguments[1]))
        case "fold":
            keep_folding(layout)
        case "kill":
            kill(layout, arguments[0], int(arguments[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
