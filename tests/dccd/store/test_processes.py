"""Real processes on one data_path: killed with SIGKILL, and many of them at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dccd.store.doctor import Finding, examine
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.reader import Store
from tests.dccd.store.crew import BOOK, DAY, ROWS, change

CREW = Path(__file__).with_name("crew.py")
ROOT = Path(__file__).parents[3]


@contextmanager
def crew(*words: object) -> Iterator[subprocess.Popen[str]]:
    """One of them; it is gone at the end, however that comes."""
    command = [sys.executable, str(CREW), *map(str, words)]
    pipe = subprocess.PIPE
    # This checkout's code, wherever another may be installed.
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def rows(layout: Layout) -> list[tuple[int, int]]:
    """Writer and number of each row, in the order of the files."""
    return [(int(price), seq) for price, seq in Store(layout).read(BOOK).select("price", "seq").rows()]


def whole(layout: Layout) -> None:
    """Nothing is wrong with any file."""
    assert [one for one in examine(layout) if isinstance(one, Finding) and one.what != "leftover"] == []


def test_a_fold_that_is_killed_at_any_step_harms_nothing(bench: Any) -> None:
    """SIGKILL before each step, one kill after the other on the same files: each row is there once, and at last
    folded."""
    layout = bench.layout
    steps: list[str] = []
    written = 0
    for at in range(100):
        for _ in range(2):
            bench.put([change(0, written)], bench.book)
            written += 1
        with crew("kill", layout.root, DAY, at) as process:
            out, _ = process.communicate(timeout=60)
        assert rows(layout) == [(0, n) for n in range(written)], f"after a kill at step {at} of {out.split()}"
        whole(layout)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        steps = out.split()
    else:
        pytest.fail("a fold has no end")
    assert {"write", "sync", "rename", "sync_folder", "remove", "sync_removed"} <= set(steps)
    assert bench.files() == ["binance/orderbook/BTC-USDT/2023-11-15.parquet"]


def test_writers_folders_and_readers_on_one_data_path(tmp_path: Path) -> None:
    """Three processes write and two fold, one of which is killed again and again, while this one reads: each read has
    all that was durable before it, no row twice, none that is nobody's."""
    layout, segments, writers = Layout(tmp_path), 200, 3
    durable = [0] * writers
    chance = random.Random(7)

    def follow(n: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            durable[n] = int(line)

    with ExitStack() as stack:
        steady = stack.enter_context(crew("fold", tmp_path))
        processes = [stack.enter_context(crew("write", tmp_path, n, segments)) for n in range(writers)]
        threads = [threading.Thread(target=follow, args=item) for item in enumerate(processes)]
        for thread in threads:
            thread.start()
        reads = kills = 0
        while any(thread.is_alive() for thread in threads):
            with crew("fold", tmp_path) as victim:
                for _ in range(chance.randrange(1, 12)):
                    before = list(durable)
                    found = rows(layout)
                    assert len(found) == len(set(found))
                    for n in range(writers):
                        # Whole segments, in the order in which they were written.
                        mine = [number for writer, number in found if writer == n]
                        assert mine == list(range(len(mine)))
                        assert len(mine) >= before[n]
                        assert len(mine) % ROWS == 0
                    reads += 1
                victim.kill()
                kills += 1
        for thread, process in zip(threads, processes, strict=True):
            thread.join()
            assert process.wait(30) == 0
        out, _ = steady.communicate(timeout=30)
    assert int(out) > 0
    assert reads > 10
    assert kills > 1
    whole(layout)
    fold(layout, BOOK, DAY, force=True)
    assert rows(layout) == [(writer, n) for n in range(segments * ROWS) for writer in range(writers)]
