"""Requests for rows: a request flows in, a page of rows or pieces of an Arrow stream flow out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import anyio

from actors.links import Links
from dccd import messages as m
from dccd.errors import RequestError
from dccd.store.ipc import pieces
from dccd.store.page import Cursor, page
from dccd.store.scan import Scan
from dccd.symbols import parse_range

__all__ = ["read_arrow", "read_json"]

_ROWS = 1000
_ARROW_ROWS = 8_192


async def read_json(links: Links, request: m.Read) -> m.ReadReply:
    """Return a page of rows. Raises RequestError, NotStored, BadRead, CorruptFile."""
    if request.limit is not None and request.limit > _ROWS:
        raise RequestError(
            422,
            "too_many_rows",
            f"JSON gives up to {_ROWS} rows a page; go on after it with its `next`, or ask with format: arrow",
            "limit",
        )
    return await anyio.to_thread.run_sync(_page, links, request)


def _page(links: Links, request: m.Read) -> m.ReadReply:
    scan, rows, after = page(
        links.store,
        request.resolve(),
        *parse_range(request.start, request.end),
        request.columns,
        request.limit or _ROWS,
        request.newest,
        request.source,
        None if request.after is None else Cursor.parse(request.after),
    )
    made_of = scan.derived_from
    return m.ReadReply(
        dataset=scan.dataset.name,
        columns=rows.columns,
        rows=[list(row) for row in rows.rows()],
        next=None if after is None else str(after),
        derived_from=None if made_of is None else made_of.name,
        incomplete=scan.incomplete,
    )


async def read_arrow(links: Links, request: m.Read) -> Iterator[bytes]:
    """Return Arrow IPC pieces, to be taken in worker threads. Raises RequestError, NotStored, BadRead, CorruptFile."""
    if request.after is not None:
        raise RequestError(422, "no_pages", "an Arrow stream has all rows at once: leave out `after`", "after")
    scan = await anyio.to_thread.run_sync(
        partial(
            Scan,
            links.store,
            request.resolve(),
            *parse_range(request.start, request.end),
            columns=request.columns,
            limit=request.limit,
            newest=request.newest,
            source=request.source,
        )
    )
    return pieces(scan, _ARROW_ROWS)
