"""The screen: snapshots flow in, what a terminal shows flows out. Drawn by Textual."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Label, TabbedContent, TabPane

from dccd.cli.output import duration
from dccd.cli.top import model
from dccd.cli.top.model import Row, Snapshot, Table
from dccd.printable import printable

__all__ = ["Top"]

_STYLES = {"ok": "", "warn": "yellow", "bad": "bold red", "dim": "dim"}
_STALE = 3.0
_TABS = ("streams", "runs", "tree", "alerts", "hosts")


class Top(App[int]):
    """Draws what *look* tells, every *interval* seconds; ends with an exit code."""

    TITLE = "dccd top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #summary { height: 1; background: $primary-background; color: $text; padding: 0 1; }
    #summary.bad { background: $error; }
    Tabs { height: 2; }
    Screen { overflow: hidden; }
    TabbedContent { height: 1fr; }
    #more { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
    TabPane { padding: 0; }
    DataTable { height: 1fr; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave(0)", "quit"),
        Binding("ctrl+c", "leave(130)", show=False, priority=True),
        *(Binding(str(number), f"tab('{name}')", name, show=False) for number, name in enumerate(_TABS, 1)),
        # First of all, so that what is typed on goes into the filter, and not into the table, whose keys are commands.
        Binding("slash", "filter", "filter", key_display="/", priority=True),
        Binding("s", "sort", "sort"),
        Binding("p", "hold", "pause"),
        Binding("escape", "unfilter", show=False),
    ]

    def __init__(self, look: Callable[[], Awaitable[Snapshot]], interval: float = 1.0) -> None:
        super().__init__()
        self._look, self._interval = look, interval
        self._snapshot = Snapshot(at=time.time_ns())
        self._sort = next(iter(model.SORTS))
        self._held = self._looked = False
        self._drawn: dict[str, Table] = {}

    def compose(self) -> ComposeResult:
        yield Label("asking …", id="summary")
        with TabbedContent():
            for number, name in enumerate(_TABS, 1):
                with TabPane(f"{number} {name}", id=name):
                    yield DataTable(id=f"{name}-table", cursor_type="row", zebra_stripes=False)
        yield Label("", id="more")
        yield Input(placeholder="part of a name or state; Enter keeps it, Esc drops it", id="filter")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self._table("streams").focus()
        self.run_worker(self._look_now_and_then(), exclusive=True)
        # Also while an answer is waited for: what was seen last must not pass for what is.
        self.set_interval(1.0, self._draw_summary)

    async def _look_now_and_then(self) -> None:
        while True:
            if not self._held:
                self._snapshot = await self._look()
                self._looked = True
                self._draw()
            await asyncio.sleep(self._interval)

    # ------------------------------------------------------------ drawing

    def _table(self, name: str) -> DataTable[Text]:
        return self.query_one(f"#{name}-table", DataTable)

    def _draw(self) -> None:
        self._draw_summary()
        name = self.query_one(TabbedContent).active
        width = self.size.width - 4  # room for the bar by which it is scrolled
        wanted = self.query_one("#filter", Input).value
        if name == "streams":
            table = model.streams(self._snapshot, width, self._sort, wanted)
        elif name == "runs":
            table = model.runs(self._snapshot, width, wanted)
        elif name == "tree":
            table = model.tree(self._snapshot, width, wanted)
        elif name == "alerts":
            table = model.alerts(self._snapshot, width)
        else:
            table = model.hosts(self._snapshot, width)
        self._draw_table(name, table)
        self._draw_more()

    def _draw_summary(self) -> None:
        if not self._looked:
            return  # it says that it asks
        label = self.query_one("#summary", Label)
        snapshot = self._snapshot
        age = (time.time_ns() - snapshot.at) / 1e9
        text = model.summary(snapshot)
        late = not self._held and age > _STALE + (0.0 if snapshot.problem is not None else self._interval)
        if late:
            text = f"no answer for {duration(age)}" + (f": {snapshot.problem}" if snapshot.problem else "")
        held = "PAUSED · " if self._held else ""
        label.update(Text(printable(f"{held}{text} · {snapshot.bus}"), no_wrap=True, overflow="ellipsis"))
        label.set_class(late, "bad")

    def _draw_table(self, name: str, table: Table) -> None:
        widget, before = self._table(name), self._drawn.get(name)
        rows = table.rows or [Row("", (table.empty, *("" for _ in table.columns[1:])), "dim")]
        same = before is not None and before.columns == table.columns
        self._drawn[name] = Table(table.columns, rows, table.empty)
        if before is not None and same and [row.key for row in before.rows] == [row.key for row in rows]:
            for row, old in zip(rows, before.rows, strict=True):
                if row != old:
                    for column, cell in zip(table.columns, _cells(row, table), strict=True):
                        widget.update_cell(row.key, column.title, cell)
            return
        at, scrolled = widget.cursor_row, widget.scroll_offset
        key = before.rows[at].key if before is not None and at < len(before.rows) else None
        widget.clear(columns=not same)
        if not same:
            for column in table.columns:
                title = Text(column.title, justify="right" if column.right else "left")
                widget.add_column(title, key=column.title, width=column.width)
        for row in rows:
            widget.add_row(*_cells(row, table), key=row.key)
        keys = [row.key for row in rows]
        # The row that was pointed at stays pointed at, wherever it is now.
        widget.move_cursor(row=keys.index(key) if key in keys else min(at, len(keys) - 1), scroll=False)
        widget.scroll_to(y=scrolled.y, animate=False)

    def _draw_more(self) -> None:
        """Of the row that is pointed at, the text that its last column may have no room for."""
        name = self.query_one(TabbedContent).active
        table, at = self._drawn.get(name), self._table(name).cursor_row
        more = table.rows[at].more if table is not None and at < len(table.rows) else ""
        self.query_one("#more", Label).update(Text(more))

    def on_data_table_row_highlighted(self) -> None:
        self._draw_more()

    # ------------------------------------------------------------ keys

    def on_tabbed_content_tab_activated(self, event: TabbedContent.TabActivated) -> None:
        self._draw()
        if not isinstance(self.focused, Input):
            self._table(str(event.pane.id)).focus()

    def on_resize(self) -> None:
        self._draw()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._table(self.query_one(TabbedContent).active).focus()

    def action_leave(self, code: int) -> None:
        self.exit(code)

    def action_tab(self, name: str) -> None:
        self.query_one(TabbedContent).active = name

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        self.set_focus(field)  # at once, where `focus()` waits its turn

    def action_unfilter(self) -> None:
        field = self.query_one("#filter", Input)
        field.value = ""
        self._table(self.query_one(TabbedContent).active).focus()
        field.display = False

    def action_sort(self) -> None:
        names = list(model.SORTS)
        self._sort = names[(names.index(self._sort) + 1) % len(names)]
        self.notify(f"streams by {self._sort}", timeout=2)
        self._draw()

    def action_hold(self) -> None:
        self._held = not self._held
        self._draw_summary()


def _cells(row: Row, table: Table) -> list[Text]:
    style = _STYLES.get(row.look, "")
    return [
        Text(cell, style=style, justify="right" if column.right else "left", no_wrap=True, overflow="ellipsis")
        for cell, column in zip(row.cells, table.columns, strict=True)
    ]
