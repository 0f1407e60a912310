"""How values look: to people in tables, to scripts as JSON. Values flow in, text on stdout flows out."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from dccd.printable import printable
from dccd.symbols import NS, format_time

if TYPE_CHECKING:
    from dccd.messages import TreeNode

__all__ = [
    "ago",
    "branches",
    "clock",
    "count",
    "duration",
    "interval",
    "json_document",
    "json_line",
    "number",
    "of_hosts",
    "percent",
    "say",
    "size",
    "table",
    "when",
]


def say(text: str) -> None:
    """Print *text* for people: its lines, and nothing that would do something to a terminal."""
    click.echo(printable(text, keep="\n"))


def json_document(value: Any) -> None:
    """Print *value* as one JSON document: indented for a terminal, on one line for a pipe."""
    encoded = msgspec.json.encode(value)
    click.echo(msgspec.json.format(encoded, indent=2) if sys.stdout.isatty() else encoded)


def json_line(value: Any) -> None:
    """Print *value* as one line of JSON, at once."""
    click.echo(msgspec.json.encode(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "") -> None:
    """Print a table; a column whose name begins with ``>`` is aligned to the right. *empty* is said for no rows.

    Columns without any names have no line of names. :mod:`dccd.cli.layout` says what becomes of a table that is wider
    than the terminal.
    """
    from dccd.cli.layout import lay_out

    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    if not cells and empty:
        click.echo(empty, err=True)
        return
    # A pipe has no width: whole lines, for grep and awk.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    head, body = lay_out(columns, cells, width)
    click.echo("\n".join([*(click.style(line, bold=True) for line in head), *body]))


def of_hosts(hosts: Iterable[str]) -> bool:
    """Whether entries of these *hosts* are of several, so that a table has to say whose each is."""
    return len(set(hosts)) > 1


def branches(node: TreeNode, path: str, first: str = "", rest: str = "") -> Iterator[tuple[str, str, TreeNode]]:
    """The actors of a tree, from *node* at *path* down: the path of each, its name with the lines that lead to it, and
    the actor itself. *first* and *rest* are what stands before it and before those below."""
    yield path, f"{first}{node.id}", node
    for child in node.children:
        here, below = ("└─ ", "   ") if child is node.children[-1] else ("├─ ", "│  ")
        yield from branches(child, f"{path}/{child.id}", rest + here, rest + below)


def when(ns: int | None) -> str:
    """A time, to the second: ``2024-01-01 12:00:00``."""
    return "" if ns is None else format_time(ns // NS * NS).replace("T", " ").rstrip("Z")


def clock(ns: int) -> str:
    """The time of day of *ns*, to the millisecond."""
    return format_time(ns // NS * NS)[11:19] + f".{ns % NS // 1_000_000:03d}"


def ago(ns: int | None, now: int) -> str:
    """How long ago: ``3s``, ``2m 05s``."""
    return "" if ns is None else duration((now - ns) / NS)


def interval(start: int, end: int) -> str:
    """``2024-01-01 00:00:00 … 2024-01-02 00:00:00``."""
    return f"{when(start)} … {when(end)}"


def duration(seconds: float | None) -> str:
    """``0.4s``, ``12s``, ``2m 05s``, ``3h 20m``, ``4d 02h``."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    for unit, size_of, low, size_of_low in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size_of:
            return f"{whole // size_of}{unit} {whole % size_of // size_of_low:02d}{low}"
    return f"{whole}s"


def count(value: int | None) -> str:
    """``1,234,567``."""
    return "" if value is None else f"{value:,}"


def number(value: float | None) -> str:
    """A price or an amount, with the digits that say something and no exponent where people expect none."""
    if value is None:
        return ""
    text = f"{value:.10f}".rstrip("0").rstrip(".") if abs(value) >= 1e-6 or value == 0 else f"{value:.4g}"
    head, dot, tail = text.partition(".")
    return f"{int(head):,}{dot}{tail}" if head.lstrip("-").isdigit() and len(head) > 4 else text


def percent(fraction: float) -> str:
    """``99.99%``; only all of it is ``100%``, and only nothing ``0%``."""
    if fraction in (0, 1):
        return f"{fraction:.0%}"
    return f"{min(max(fraction, 0.0001), 0.9999):.2%}"


def size(value: float | None) -> str:
    """``1.5 MiB``."""
    if value is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
