"""What ``dccd3_store`` and ``dccd4_store`` share, so that both are measured alike.

Work flows in; milliseconds, the most memory and one line of JSON flow out. With the standard library only: each of them
runs in the environment of its own release.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOUR = 3_600_000_000_000


def timed(work: Callable[[], Any], times: int) -> tuple[list[float], Any]:
    """Milliseconds of each time, and what the last one returned."""
    found, answer = [], None
    for _ in range(times):
        began = time.perf_counter()
        answer = work()
        found.append((time.perf_counter() - began) * 1000)
    return found, answer


def peak() -> float:
    """MB. Not by getrusage: that counts what the process had that started this one."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def run(description: str | None, tasks: dict[str, Callable[[argparse.Namespace], dict[str, Any]]]) -> None:
    """Do the task of the command line and print what it gives, with the memory before and at most."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("task", choices=list(tasks))
    parser.add_argument("root", type=Path)
    parser.add_argument("--start", type=int, default=0, help="ns")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--marks", type=int, nargs="+", help="of fill: rows, in order")
    options = parser.parse_args()
    print(json.dumps({"ready": True}), flush=True)
    before = peak()
    found = tasks[options.task](options)
    print(json.dumps({**found, "peak": peak(), "before": before}), flush=True)
