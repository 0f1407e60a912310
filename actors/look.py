"""What a daemon shows of itself to a person: the shared names flow in, a :class:`~actors.screen.View` flows out."""

from __future__ import annotations

from collections.abc import Iterator

from actors.links import Links
from actors.screen import View, size
from dccd.messages import DatasetEntry, RunProgress, TreeNode
from dccd.runs import ACTIVE, Run
from dccd.symbols import NS

__all__ = ["Look", "farewell"]

_HINTS = (
    "nats -s {url} req dccd.health ''",
    "nats -s {url} sub 'dccd.ticks.>'",
    "nats -s {url} micro info dccd",
    "dccd --bus {url} streams",
    "dccd --bus {url} tail {exchange} {symbol}",
    "dccd --bus {url} read {dataset} --newest",
)
_SHOWN_RUNS = 12


class Look:
    """Called, it looks at the daemon as it is now."""

    def __init__(self, links: Links, title: str) -> None:
        self.links, self.title = links, title

    def __call__(self) -> View:
        links = self.links
        now = links.clock.wall_ns()
        root = links.tree() if hasattr(links, "tree") else None
        nodes = {node.id: node for node in _nodes(root)}
        entries: list[DatasetEntry] = list(links.entries.values())
        return View(
            title=self.title,
            now=now,
            uptime=(now - links.started) / NS,
            bus_url=links.bus_shown,
            bus_connected=hasattr(links, "bus") and links.bus.connected,
            data_path=str(links.data_path),
            streams=[
                state.entry(now, nodes[name].restarts, nodes[name].status) if name in nodes else state.entry(now)
                for name, state in sorted(links.board.items())
            ],
            runs=self._shown(),
            restarts=sum(node.restarts for node in nodes.values()),
            pending=links.archive.pending,
            stored_rows=sum(entry.rows for entry in entries),
            stored_bytes=sum(entry.bytes for entry in entries),
            hints=self.hints(),
        )

    def hints(self) -> list[str]:
        """Commands to try, with this daemon's URL and one of its streams."""
        dataset = next((state.dataset for state in self.links.board.values()), None)
        known = {"url": self.links.bus_shown}
        if dataset is not None:
            known |= {"exchange": dataset.exchange, "symbol": dataset.symbol.human, "dataset": dataset.name}
        return [
            hint.format(**known)
            for hint in _HINTS
            if dataset is not None or ("{dataset}" not in hint and "{symbol}" not in hint)
        ]

    def _shown(self) -> list[tuple[Run, RunProgress | None]]:
        """The backfills under way first, then those that ended last."""
        runs = [*sorted(self.links.active.values(), key=lambda run: run.created), *reversed(self.links.recent)]
        return [(run, self.links.progress.get(run.run_id)) for run in runs[:_SHOWN_RUNS]]


def _nodes(root: TreeNode | None) -> Iterator[TreeNode]:
    if root is not None:
        yield root
        for child in root.children:
            yield from _nodes(child)


def farewell(view: View, seconds: float) -> str:
    """What to say after the last actor has ended: what was kept, and what goes on at the next start."""
    waiting = [run.subject for run, _ in view.runs if run.state in ACTIVE]
    lines = [
        f"stopped in {seconds:.1f} s; kept {view.stored_rows:,} rows ({size(view.stored_bytes)}) in {view.data_path}",
    ]
    if view.pending:
        lines.append(f"{view.pending:,} messages are still on the bus's disk; the next start stores them")
    if waiting:
        lines.append(f"backfills that go on at the next start: {', '.join(waiting)}")
    return "\n".join(lines)
