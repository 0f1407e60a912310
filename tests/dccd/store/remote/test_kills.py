"""Processes that copy, purge and restore in earnest, killed in earnest."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.remote.opening import open_remote
from dccd.store.remote.past import Past
from dccd.store.remote.restore import restore
from dccd.store.remote.sync import sync
from dccd.store.remote.verify import verify

WORK = """
import sys
from pathlib import Path
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.remote.opening import open_remote
from dccd.store.remote.restore import restore
from dccd.store.remote.sync import sync
from dccd.store.retention import purge
from dccd.symbols import Dataset

layout, remote = Layout(sys.argv[1]), open_remote("disk", Path(sys.argv[2]).as_uri())
dataset, days = Dataset.parse("binance.trades.BTC-USDT"), ["2023-11-15", "2023-11-16"]

def step(name):
    print(name, flush=True)
    sys.stdin.readline()  # until somebody says to go on, or never

sync(layout, remote, "alpha", step=step)
for day in days:
    fold(layout, dataset, day, force=True)
sync(layout, remote, "alpha", step=step)
for day in days:
    print(purge(layout, dataset, day, [remote], "alpha", step=step), flush=True)
    sys.stdin.readline()
restore(layout, remote, "alpha", step=step)
"""


def killed_after(steps: int, store: Path, disk: Path) -> bool:
    """Do the work, and kill who does it after so many steps; return whether it came to its end before."""
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(store), str(disk)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for _ in range(steps):
            if not process.stdout.readline():
                break
            process.stdin.write("\n")
            process.stdin.flush()
        else:
            if process.stdout.readline():
                process.send_signal(signal.SIGKILL)
        process.stdin.close()
        process.stdout.read()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode == 0


@pytest.mark.slow
def test_each_row_is_had_whatever_is_killed(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A kill after each third step of a sync, folds, another sync, purges and a restore: a reader sees every row once,
    and after the next sync the copy is whole and has every row, too."""
    steps = 0
    while True:
        root = tmp_path_factory.mktemp("store")
        disk = tmp_path_factory.mktemp("disk")
        day = type(bench)(root)
        for n in range(6):
            day.put([day.trade(n, day.noon + n // 3 * 86_400_000_000_000 + n)])
        tids = day.tids()
        done = killed_after(steps, root, disk)
        remote = open_remote("disk", disk.as_uri())
        layout = Layout(root)
        store = Store(layout, Past(layout, [remote], "alpha", 2**20))
        assert store.read(day.trades)["tid"].to_list() == tids
        sync(layout, remote, "alpha")
        assert verify(layout, remote, "alpha", mend=True).different == ()
        fresh = Layout(tmp_path_factory.mktemp("fresh"))
        restore(fresh, remote, "alpha")
        assert Store(fresh).read(day.trades)["tid"].to_list() == tids
        if done:
            break
        steps += 3
    assert steps > 30
