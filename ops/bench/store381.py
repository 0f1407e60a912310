"""(h) The store beside dccd 3.8.1's: appends to a day that grows, the inventory of many files, an hour out of a year.

Each measurement is a process of its own, both in turns, on the same rows, through each one's own store as its daemon
uses it; with the most memory that the process ever had. A thousand trades are appended to a day file as 3.8.1 writes
it: that rewrites the file, dccd writes a segment and syncs it (3.8.1 syncs nothing). What folding costs besides is in
``a day by the thousand``: the whole day, written, synced, folded as it grows and once more at its end; 3.8.1's is
worked out from its appends. ``--docs`` writes the table into docs/benchmarks.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from daemon import title
from environments import DCCD3, Unavailable
from harness import BENCH, ROOT, Child, Measurement, Report, arguments, finish, machine, number, write_page
from stored import DAY, NEW_YEAR, TRADES, bars, many_files, put, trades

from dccd.store.layout import Layout, period_of
from dccd.symbols import Dataset

OTHERS = ROOT / "ops" / "bench" / "others"
BARS = Dataset.parse("binance.ohlc.BTC-USDT.1m")
NOON = NEW_YEAR + DAY // 2
MIDSUMMER = NEW_YEAR + 180 * DAY + DAY // 2
TIMES = 3
"""Each thing is done so many times in a process; the shortest counts, since other programs only make it longer."""
WORKED_OUT = "worked out from its appends"


def appended(stored: int) -> str:
    return f"append 1,000 trades to a day of {stored:,}"


def day_of(rows: int) -> str:
    return f"a day by the thousand, up to {rows:,}, for each thousand"


class Bench:
    """Both stores; ``python3`` is the interpreter that has 3.8.1, None where it can't be had."""

    def __init__(self, report: Report, python3: Path | None) -> None:
        self.report, self.python3, self.ours_first = report, python3, False

    def child(self, python: Path | str, script: str, task: str, root: Path, start: int, *more: object) -> Any:
        argv = [python, OTHERS / script, task, root, "--start", start, "--times", TIMES, *more]
        with Child(argv, "store381", timeout=900) as child:
            return child.result()

    def both(self, task: str, theirs: Path, ours: Path, start: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
        """What each tells of *task* in its folder; another time the other is first."""
        for ours_now in (self.ours_first, not self.ours_first):
            if ours_now:
                yield title(), self.child(sys.executable, "dccd4_store.py", task, ours, start)
            elif self.python3 is not None:
                yield DCCD3.title(), self.child(self.python3, "dccd3_store.py", task, theirs, start)
        self.ours_first = not self.ours_first

    def add(self, case: str, who: str, ms: float, found: dict[str, Any]) -> None:
        figures = {"ms": ms, "peak MB": found["peak"], "MB before": found["before"]}
        self.report.add(Measurement(case, who, figures))

    # ---------------------------------------------------------------- cases

    def append(self, stored: int) -> None:
        """A thousand trades, after all that there are of the day."""
        with folder() as theirs, folder() as ours:
            if stored:
                day = trades(stored, NEW_YEAR, NOON)
                for root in (theirs, ours):
                    path = Layout(root).base_path(TRADES, period_of(TRADES.data_type, NEW_YEAR))
                    path.parent.mkdir(parents=True)
                    day.write_parquet(path, compression="snappy")  # as 3.8.1 does
            for who, found in self.both("append", theirs, ours, NOON):
                if found["rows"] != stored + TIMES * 1000:
                    raise SystemExit(f"{who}: {found['rows']:,} rows after {TIMES} appends to {stored:,}")
                self.add(appended(stored), who, min(found["ms"]), found)

    def fill(self, marks: list[int]) -> None:
        """Days of so many trades, written by the thousand and folded as they grow."""
        with folder() as root:
            found = self.child(sys.executable, "dccd4_store.py", "fill", root, NEW_YEAR, "--marks", *marks)
        if found["rows"] != marks[-1]:
            raise SystemExit(f"{found['rows']:,} rows stored of {marks[-1]:,}")
        theirs = self.worked_out(marks)
        for mark, each in zip(marks, found["ms"], strict=True):
            if mark in theirs:
                self.report.add(Measurement(day_of(mark), DCCD3.title(), {"ms": theirs[mark]}, WORKED_OUT))
            self.add(day_of(mark), title(), each, found)

    def worked_out(self, marks: list[int]) -> dict[int, float]:
        """What such a day costs 3.8.1, for each thousand: between the sizes that were measured its appends cost in
        proportion."""
        figures = {one.case: one.figures["ms"] for one in shortest(self.report) if one.who == DCCD3.title()}
        if not figures:
            return {}
        points = [(stored, figures[appended(stored)]) for stored in (0, *marks)]
        found, spent = {}, 0.0
        for (low, cheap), (high, dear) in pairwise(points):
            spent += (high - low) / 1000 * (cheap + dear) / 2
            found[high] = spent / (high / 1000)
        return found

    def inventory(self, root: Path, files: int, datasets: int) -> None:
        """Of one folder, as each finds it first, when it is asked again, and in a new process."""
        told = list(self.both("inventory", root, root))
        for who, found in told:
            if (found["rows"], found["datasets"]) != (files * 100, datasets):
                raise SystemExit(f"{who} finds {found['rows']:,} rows in {found['datasets']:,} datasets")
        for case in ("the first time", "asked again", "in the next process"):
            for who, found in told:
                self.add(f"inventory of {files:,} files, {case}", who, min(found[case]), found)

    def read(self, what: str, task: str, theirs: Path, ours: Path, start: int) -> None:
        """An hour, from *start* on."""
        rows = set()
        for who, found in self.both(task, theirs, ours, start):
            self.add(f"read an hour of a year of {what}", who, min(found["ms"]), found)
            rows.add(found["rows"])
        if len(rows) != 1 or not rows.pop():
            raise SystemExit(f"they read other rows of {what}")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one measurement."""
    path = Path(tempfile.mkdtemp(prefix="store-", dir=BENCH))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def year(rows: int) -> Iterator[tuple[Path, Path]]:
    """Bars of a minute and *rows* trades a day, of 2023: as 3.8.1 writes them, and as dccd does."""
    with folder() as theirs, folder() as ours:
        frames = [(BARS, bars(NEW_YEAR, NEW_YEAR + 365 * DAY))]
        for day in range(-1, 365):
            start = NEW_YEAR + day * DAY
            dataset, frame = frames[0] if day < 0 else (TRADES, trades(rows, start, start + DAY, day * rows))
            path = Layout(theirs).base_path(dataset, period_of(dataset.data_type, frame["TS"][0]))
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(path, compression="snappy")
            put(ours, dataset, frame)
        yield theirs, ours


def shortest(report: Report) -> list[Measurement]:
    """Of each case and contender the round that took least time, in order of appearance."""
    found: dict[tuple[str, str], Measurement] = {}
    for one in report.measurements:
        best = found.setdefault((one.case, one.who), one)
        if one.figures["ms"] < best.figures["ms"]:
            found[one.case, one.who] = one
    return list(found.values())


def table(report: Report) -> str:
    """In Markdown: of both the time and the most memory, and how many times as long 3.8.1 takes."""
    lines = [
        "| | dccd 3.8.1 ms | peak MB | dccd ms | peak MB | ratio |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    found: dict[str, dict[str, Measurement]] = {}
    for one in shortest(report):
        found.setdefault(one.case, {})[one.who] = one
    for case, whose in found.items():
        cells: list[str] = []
        for who in (DCCD3.title(), title()):
            one = whose.get(who)
            memory = "" if one is None or "peak MB" not in one.figures else f"{one.figures['peak MB']:.0f}"
            mark = "" if one is None or not one.note else " *"
            cells += ["" if one is None else number(one.figures["ms"]) + mark, memory]
        both = len(whose) == 2
        ratio = whose[DCCD3.title()].figures["ms"] / whose[title()].figures["ms"] if both else 0.0
        lines.append(f"| {case} | {' | '.join(cells)} | {f'**{number(ratio)}**' if both else ''} |")
    return "\n".join(lines)


def main() -> None:
    options = arguments(
        __doc__ or "",
        (
            "--sizes",
            {
                "type": int,
                "nargs": "+",
                "default": [100_000, 1_000_000, 4_000_000],
                "help": "trades of a day, besides none (100,000 1,000,000 4,000,000)",
            },
        ),
        ("--files", {"type": int, "default": 10_000, "help": "files of the inventory (10,000)"}),
        ("--datasets", {"type": int, "default": 1000, "help": "over so many datasets (1,000)"}),
        ("--day", {"type": int, "default": 20_000, "help": "trades a day of the year (20,000)"}),
        ("--docs", {"action": "store_true", "help": "write the table into docs/benchmarks.md"}),
    )
    BENCH.mkdir(exist_ok=True)
    report, missing = Report("The store, beside that of dccd 3.8.1"), []
    try:
        bench = Bench(report, DCCD3.python())
    except Unavailable as error:
        missing.append(str(error))
        bench = Bench(report, None)
    with folder() as many, year(options.day) as (theirs, ours):
        many_files(many, options.datasets, options.files)
        os.sync()  # else the first would be measured while all that is written
        for _ in range(options.rounds):
            for stored in (0, *options.sizes):
                bench.append(stored)
        bench.fill(options.sizes)
        for _ in range(options.rounds):
            bench.inventory(many, options.files, options.datasets)
            bench.read("1m bars", "ohlc", theirs, ours, MIDSUMMER)
            bench.read(f"{options.day:,} trades a day", "trades", theirs, ours, MIDSUMMER)
    if options.docs:
        made = f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} beside {DCCD3.title()}; {machine()}."
        gaps = [f"NOT MEASURED: {why}" for why in missing]
        write_page("store381", "\n\n".join([made, table(report), *gaps]))
    finish(report, options.json, missing)


if __name__ == "__main__":
    main()
