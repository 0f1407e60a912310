"""What every benchmark here shares: child processes with their CPU time, repeated rounds, one table, JSON.

A benchmark yields :class:`Measurement` objects; :func:`report` prints them grouped by case, each next to the
others of its case. CPU time is read from /proc (Linux), so that it can be taken of a process at any moment and
of what it has started.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / ".bench"
"""Where the benchmarks keep what they install and write; not under version control."""

PAGE = ROOT / "docs" / "benchmarks.md"

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measurement:
    """One run of one contender: ``figures`` by name, in seconds, rows, or per second, as the name says."""

    case: str
    who: str
    figures: dict[str, float]
    note: str = ""


def rate(
    case: str, who: str, rows: int, wall: float, cpu: float, more: Mapping[str, float], note: str = ""
) -> Measurement:
    """A measurement of throughput: *rows* in *wall* seconds for *cpu* seconds of processor time; *more* as it is."""
    figures = {"rows": float(rows), "wall s": wall, "CPU s": cpu, "rows/s": rows / wall, "rows/CPU s": rows / cpu}
    return Measurement(case, who, {**figures, **more}, note)


# ---------------------------------------------------------------- processes


def cpu_seconds(pid: int) -> float:
    """User and system time that the process has used so far, all its threads, without its children."""
    # The name, in parentheses, may hold anything: the fields are counted from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def family(pid: int) -> dict[int, str]:
    """The process and all that it has started, directly or not, with their names."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            head, _, tail = (entry / "stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        names[int(entry.name)] = head.partition("(")[2]
        children.setdefault(int(tail.split()[1]), []).append(int(entry.name))
    found, queue = {}, [pid]
    while queue:
        one = queue.pop()
        if one in names:
            found[one] = names[one]
            queue += children.get(one, [])
    return found


def family_cpu(pid: int) -> dict[str, float]:
    """CPU seconds by program of the process and what it has started."""
    used: dict[str, float] = {}
    for one, name in family(pid).items():
        try:
            used[name] = used.get(name, 0.0) + cpu_seconds(one)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return used


def peak_memory(pid: int) -> float:
    """The most memory the process has had resident so far, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no VmHWM")


class Child:
    """A child process that says on its first line of stdout, as JSON, that it is ready; ended with the block.

    What it prints after that is read by :meth:`result`. Its stderr goes to a file, shown when it fails.
    """

    def __init__(
        self, argv: Iterable[object], name: str, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> None:
        BENCH.mkdir(exist_ok=True)
        self.name, self.timeout = name, timeout
        self.log = BENCH / f"{name}.log"
        self.argv = [str(part) for part in argv]
        self.env = {**os.environ, **(env or {})}
        self.ready: dict[str, Any] = {}
        self._unread = b""

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.argv, stdout=subprocess.PIPE, stderr=log, env=self.env, start_new_session=True
            )
        try:
            self.ready = self.wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    def wait_ready(self) -> dict[str, Any]:
        """Return what the child says when it is ready."""
        return self._line()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return self.process.pid

    def result(self) -> dict[str, Any]:
        """The next line that the child prints, as JSON."""
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        deadline = time.monotonic() + self.timeout
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise SystemExit(f"{self.name} said nothing for {self.timeout:g} s:\n{self.tail()}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise SystemExit(f"{self.name} ended with {self.process.wait()}:\n{self.tail()}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tail(self) -> str:
        """The end of what it wrote to stderr."""
        return self.log.read_text(errors="replace")[-4000:]

    def _end(self) -> None:
        # Its own session, so its own children go with it, whatever it does about signals.
        for end in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            self.process.send_signal(end)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the usual case: nothing is left of the group
        if self.process.stdout is not None:
            self.process.stdout.close()


# ---------------------------------------------------------------- figures


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which *share* of the sorted values lie (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Report:
    """Measurements as they come in; the table shows the median of each contender's rounds."""

    title: str
    measurements: list[Measurement] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)

    def add(self, *some: Measurement) -> None:
        """Take measurements; each is shown on stderr as it comes, since a whole run takes minutes."""
        for one in some:
            self.measurements.append(one)
            print(f"  {one.case} · {one.who}: {figures_text(one.figures)}", file=sys.stderr, flush=True)

    def medians(self) -> list[Measurement]:
        """One measurement for each case and contender, in order of appearance."""
        groups: dict[tuple[str, str], list[Measurement]] = {}
        for one in self.measurements:
            groups.setdefault((one.case, one.who), []).append(one)
        return [
            Measurement(
                case,
                who,
                {name: statistics.median(one.figures[name] for one in rounds) for name in rounds[0].figures},
                rounds[0].note,
            )
            for (case, who), rounds in groups.items()
        ]

    def compare(self, case: str, who: str, other: str, figure: str, wanted: float) -> None:
        """Add a line below the table: how many times *other*'s figure *who*'s is, and whether that is enough.

        Contenders are named by the start of their names.
        """
        found = {one.who: one.figures[figure] for one in self.medians() if one.case == case}
        ours = next((value for name, value in found.items() if name.startswith(who)), None)
        theirs = next((value for name, value in found.items() if name.startswith(other)), None)
        if ours is None or theirs is None:
            self.verdicts.append(f"{case}: no figure of {who if ours is None else other} to compare with")
            return
        times = ours / theirs
        verdict = "as asked" if times >= wanted else "SHORT OF WHAT IS ASKED"
        self.verdicts.append(f"{case}: {times:.2f} × {other} in {figure}; {verdict} ({wanted:g})")

    def text(self) -> str:
        """The table."""
        lines = [self.title, f"{machine()}; medians", ""]
        case = None
        rows = self.medians()
        names = list(dict.fromkeys(name for row in rows for name in row.figures))
        width = max((len(row.who) for row in rows), default=0)
        lines.append(" " * (width + 2) + "".join(f"{name:>14}" for name in names))
        for row in rows:
            if row.case != case:
                case = row.case
                lines.append(case)
            cells = "".join(f"{number(row.figures[name]) if name in row.figures else '':>14}" for name in names)
            lines.append(f"  {row.who:<{width}}{cells}" + (f"  {row.note}" if row.note else ""))
        return "\n".join([*lines, "", *self.verdicts]).rstrip()

    def json(self) -> str:
        """All measurements, not only the medians."""
        return json.dumps(
            {
                "title": self.title,
                "machine": machine(),
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "medians": [vars(one) for one in self.medians()],
                "measurements": [vars(one) for one in self.measurements],
                "verdicts": self.verdicts,
            },
            indent=1,
        )


def number(value: float) -> str:
    """A figure with as many digits as are worth reading."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.001 or value == 0 else f"{value:.2e}"


def figures_text(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in figures.items())


def machine() -> str:
    """Where the figures were taken."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} × {model}, Linux {platform.release()}, Python {platform.python_version()}, load {load:.1f}"
    )


def write_page(name: str, text: str) -> None:
    """Put *text* into docs/benchmarks.md, between the marks of the benchmark *name*. Raises SystemExit without them."""
    marked = re.compile(rf"(<!-- from ops/bench/run {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, count = marked.subn(lambda found: f"{found[1]}{text}\n{found[2]}", PAGE.read_text())
    if count != 1:
        raise SystemExit(f"{PAGE} has no place for the table of {name}")
    PAGE.write_text(page)


def arguments(description: str, *more: tuple[str, dict[str, Any]]) -> argparse.Namespace:
    """The command line of a benchmark: what it adds, and --rounds and --json."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, options in more:
        parser.add_argument(name, **options)
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs, in turns (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements there, too")
    # Ended from outside, it ends what it has started: without this, SIGTERM would leave it all running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return parser.parse_args()


def finish(report: Report, json_file: Path | None, failed: Iterable[str] = ()) -> None:
    """Print the table, write the JSON, and exit with 1 when a contender could not be had."""
    print(report.text())
    if json_file:
        json_file.write_text(report.json())
    missing = list(failed)
    for reason in missing:
        print(f"NOT MEASURED: {reason}")
    sys.exit(1 if missing else 0)
