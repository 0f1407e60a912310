"""Where rows come from and where they go: read terms flow in; batches of rows, from the bus or straight out of the
files below a ``data_path``, flow into a file, a pipe or a frame. A few thousand are held at a time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import anyio
import click

from dccd.cli.app import App, note
from dccd.cli.output import interval
from dccd.symbols import Dataset, parse_range

if TYPE_CHECKING:
    import polars as pl

    from dccd.client import Rows
    from dccd.store.reader import Store
    from dccd.store.scan import About, Scan
    from dccd.store.sinks import Form, Sink

__all__ = [
    "LocalRows",
    "Terms",
    "columns_of",
    "data_path",
    "frame",
    "incoming",
    "pipe",
    "pour",
    "source",
    "tell",
    "tell_purged",
]

_BATCH = 8192
_TOLD = 3

source = click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="For bars: `stored`, or what to make them of: `trades`, or the span of smaller bars, as 1m. "
    "Default: stored ones; where there are none, made of what there is.",
)

data_path = click.option(
    "--data-path",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Read the files below this folder, without a daemon; nothing is written there.",
)


class Terms(TypedDict, total=False):
    """What is wanted of a dataset, as :meth:`dccd.client.Client.rows` takes it."""

    start: str | None
    end: str | None
    columns: list[str] | None
    limit: int | None
    newest: bool
    source: str | None


class LocalRows:
    """The rows of a scan of files here, as :class:`dccd.client.Rows` has those that come over the bus."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self.count = 0

    def __repr__(self) -> str:
        return f"<LocalRows {self.count} of {self._scan}>"

    @property
    def schema(self) -> Any:
        return self.about.on(self._scan.schema)

    @property
    def about(self) -> About:
        return self._scan.about

    async def batches(self) -> AsyncGenerator[Any, None]:
        """Yield record batches, each read in a thread."""
        found = self._scan.batches(_BATCH)
        try:
            while (batch := await anyio.to_thread.run_sync(next, found, None)) is not None:
                self.count += batch.num_rows
                yield batch
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(found.close)  # type: ignore[attr-defined]  # it is a generator


@asynccontextmanager
async def incoming(app: App, dataset: str, terms: Terms, path: Path | None) -> AsyncIterator[Rows | LocalRows]:
    """Rows of *dataset*, asked for: out of the files below *path*, else from the daemon on the bus.

    What they are is told on stderr where they aren't the exchange's own.
    """
    if path is None:
        async with app.connect_to_store() as session:
            await app.settle(session, dataset)
            async with session.client.rows(dataset, **terms) as rows:
                tell(rows.about)
                yield rows
        return
    from dccd.store.reader import Store
    from dccd.store.scan import Scan

    store, named = Store(path), Dataset.parse(dataset)
    bounds = parse_range(terms.get("start"), terms.get("end"))

    def local() -> LocalRows:
        made = LocalRows(
            Scan(
                store,
                named,
                *bounds,
                terms.get("columns"),
                terms.get("limit"),
                terms.get("newest", False),
                terms.get("source") or "auto",
            )
        )
        _ = made.schema  # what can't be is found out here
        return made

    rows_here = await anyio.to_thread.run_sync(local)
    tell(rows_here.about)
    await anyio.to_thread.run_sync(partial(tell_purged, store, named, *bounds))
    yield rows_here


def tell(about: About | None) -> None:
    """Say of bars that they were made, of what, and where they weren't."""
    if about is None or about.derived_from is None:
        return
    note(f"{about.dataset}: bars made of {about.derived_from}, not the exchange's own")
    for start, end in about.incomplete[:_TOLD]:
        note(f"no bars where {about.derived_from} isn't known to be whole: {interval(start, end)}")
    if len(about.incomplete) > _TOLD:
        note(f"… nor in {len(about.incomplete) - _TOLD} more intervals")


def tell_purged(store: Store, dataset: Dataset, start: int | None = None, end: int | None = None) -> None:
    """Say what of *dataset* in ``[start, end)`` ns retention has removed: who reads the files asks no remote for it."""
    from dccd.store.claims import read_notes

    if not read_notes(store.layout, dataset).purged:
        return
    gone = [(one.start, one.end) for one in store.coverage(dataset).stretches(start, end) if one.state == "purged"]
    for first, last in gone[:_TOLD]:
        note(f"{dataset}: retention removed {interval(first, last)}, and no remote is asked for it here")
    if len(gone) > _TOLD:
        note(f"… nor for {len(gone) - _TOLD} more intervals")


async def pour(rows: Rows | LocalRows, sink: Sink, shown: Callable[[Any], object] | None = None) -> None:
    """Write all *rows* to *sink*; each batch is *shown* when it is written."""
    async with aclosing(rows.batches()) as batches:
        async for batch in batches:
            await anyio.to_thread.run_sync(sink.write, batch)
            if shown is not None:
                shown(batch)


async def frame(rows: Rows | LocalRows) -> pl.DataFrame:
    """All *rows* as one frame."""
    from dccd.store.sinks import frame_of

    async with aclosing(rows.batches()) as batches:
        return frame_of(rows.schema, [batch async for batch in batches])


def pipe(form: Form, schema: Any, *, iso: bool = False, crlf: bool = False) -> Sink:
    """A sink that writes to stdout. When the reader at the other end has gone, the command ends without a word."""
    from dccd.store.sinks import sink

    class Pipe:
        def __init__(self) -> None:
            self._sink = self._guarded(lambda: sink(sys.stdout.buffer, form, schema, iso=iso, crlf=crlf))

        def write(self, batch: Any) -> None:
            self._guarded(lambda: self._sink.write(batch))

        def close(self) -> None:
            self._guarded(lambda: (self._sink.close(), sys.stdout.flush()))

        def abandon(self) -> None:
            self._guarded(self._sink.abandon)

        def _guarded(self, do: Callable[[], Any]) -> Any:
            try:
                return do()
            except BrokenPipeError:
                # Python flushes stdout once more when it ends: into nothing, then.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise click.exceptions.Exit(1) from None

    return Pipe()


def columns_of(text: str | None) -> list[str] | None:
    """The names in *text*, between commas."""
    return None if text is None else [name.strip() for name in text.split(",")]
