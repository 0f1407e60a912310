"""What a frame costs of each exchange and channel, next to cryptofeed 3.0.1 on the very same frames.

The frames are those of the simulated exchanges, without any I/O. Ours is all that a frame goes through behind the
socket: the router, then the protocol: books maintained, ids, sequence numbers and checksums verified, records made.
cryptofeed's is its ``message_handler``, with its own JSON and books, its checksums verified (which is its default), and
callbacks that do nothing. Both run in one process of the Python that cryptofeed needs, pass by pass in turns, timed in
CPU time; ratios are of passes next to each other, and medians are shown. dccd is also measured in this project's own
Python, next to decoding the same bytes into dicts. ``--docs`` writes the table into docs/benchmarks.md.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import simulated
from cases import Case
from environments import CRYPTOFEED, Unavailable
from harness import BENCH, ROOT, Child, Measurement, Report, arguments, machine, write_page

WORKER = ROOT / "ops" / "bench" / "others" / "parse_both.py"
PASSES = 5
"""In a round."""

ABSENT = "not in cryptofeed"
ALL_BARS, CLOSED_BARS = "cryptofeed", "cryptofeed, closed bars only"


class Row(msgspec.Struct):
    """One line of the table: µs a frame, by who; how many times ours theirs are; records and calls a frame."""

    case: Case
    times: dict[str, float]
    ratios: dict[str, float]
    counts: dict[str, float]


def measure(python: Path | str, path: Path, cases: list[Case], passes: int, *more: str) -> list[dict[str, Any]]:
    """What the worker tells of each case, in the interpreter *python*."""
    env = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'ops' / 'bench'}"}
    with Child([python, WORKER, path, "--rounds", passes, *more], "parse", env, timeout=300) as child:
        found = []
        for case in cases:
            found.append(child.result())
            assert found[-1]["name"] == case.name
            times = {name: statistics.median(each) for name, each in found[-1]["times"].items()}
            print(
                f"  {case.name}: {', '.join(f'{n} {t:.2f} µs' for n, t in times.items())}", file=sys.stderr, flush=True
            )
        return found


def row(case: Case, found: dict[str, Any]) -> Row:
    """The medians."""
    times: dict[str, list[float]] = found["times"]
    ratios = {
        name: statistics.median(other / own for own, other in zip(times["dccd"], each, strict=True))
        for name, each in times.items()
        if name != "dccd"
    }
    counts = {name: count / len(case.frames) for name, count in found["counts"].items()}
    return Row(case, {name: statistics.median(each) for name, each in times.items()}, ratios, counts)


def table(rows: list[Row], own: list[Row]) -> str:
    """In Markdown."""
    here = f"dccd, Python {sys.version_info[0]}.{sys.version_info[1]}"
    lines = [
        f"| exchange, market, channel | bytes a frame | dccd µs | cryptofeed µs | ratio | records a frame | {here} µs"
        " | only `msgspec` to dicts µs | only `json` µs |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for both, alone in zip(rows, own, strict=True):
        case = both.case
        theirs, ratio = ABSENT, ""
        if ALL_BARS in both.ratios:
            theirs, ratio = f"{both.times[ALL_BARS]:.2f}", f"**{both.ratios[ALL_BARS]:.2f}**"
        if CLOSED_BARS in both.ratios:
            theirs += f" ({both.times[CLOSED_BARS]:.2f})"
            ratio += f" ({both.ratios[CLOSED_BARS]:.2f})"
        counts = " : ".join(f"{both.counts[name]:.2g}" for name in ("dccd", ALL_BARS) if name in both.counts)
        size = sum(len(text) for _, text in case.frames) // len(case.frames)
        costs = [f"{both.times['dccd']:.2f}", theirs, ratio, counts]
        costs += [f"{alone.times[name]:.2f}" for name in ("dccd", "msgspec", "json.loads")]
        lines.append(f"| {case.name} | {size:,} | {' | '.join(costs)} |")
    return "\n".join(lines)


def verdict(rows: list[Row]) -> list[str]:
    """Whether we are at least as fast on all."""
    compared = [(one.ratios[ALL_BARS], one.case.name) for one in rows if ALL_BARS in one.ratios]
    slower = [f"{name} ({ratio:.2f})" for ratio, name in sorted(compared) if ratio < 1]
    if not compared:
        return ["nothing to compare with"]
    lines = [
        f"{len(compared)} channels in both: dccd is {min(compared)[0]:.2f} to {max(compared)[0]:.2f} times as fast,"
        f" median {statistics.median(ratio for ratio, _ in compared):.2f};"
        f" {len(rows) - len(compared)} {ABSENT}."
    ]
    return lines + ([f"SLOWER THAN ASKED: {', '.join(slower)}"] if slower else [])


def main() -> None:
    options = arguments(
        __doc__,
        ("--count", {"type": int, "default": 2000, "help": "frames of each channel (2,000)"}),
        ("--rate", {"type": float, "default": 20.0, "help": "trades a second of each market (20)"}),
        ("--only", {"default": "", "help": "part of the names of what is measured, as 'bybit perp'"}),
        ("--docs", {"action": "store_true", "help": "write the table into docs/benchmarks.md"}),
    )
    cases = list(simulated.make_cases(options.count, options.rate, options.only))
    BENCH.mkdir(exist_ok=True)
    path = BENCH / "cases.json"
    path.write_bytes(msgspec.json.encode(cases))
    passes = options.rounds * PASSES
    missing = [f"{id}: it isn't simulated" for id in simulated.absent()]
    own = [row(*both) for both in zip(cases, measure(sys.executable, path, cases, passes, "--alone"), strict=True)]
    try:
        found = measure(CRYPTOFEED.python(), path, cases, passes)
        title = CRYPTOFEED.title()
    except Unavailable as error:
        missing.append(str(error))
        found, title = [], "no cryptofeed"
    rows = [row(*both) for both in zip(cases, found, strict=True)] if found else own
    report = Report(f"Parsing: {title}")
    report.measurements = [
        Measurement(one.case.name, who, {"µs a frame": each}, python)
        for python, some in (("Python of cryptofeed", rows), ("own Python", own))
        for one in some
        for who, each in one.times.items()
    ]
    report.verdicts = verdict(rows)
    if options.json:
        options.json.write_text(report.json())
    made = f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} beside {title}; {machine()}."
    text = "\n\n".join([made, table(rows, own), *report.verdicts, *(f"NOT MEASURED: {why}" for why in missing)])
    print(text)
    if options.docs:
        write_page("parse", text)
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
