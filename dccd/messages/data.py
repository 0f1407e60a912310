"""Rows and order books that are read back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from dccd.messages.base import Count, Depth, Name, OfDataset, Reply, Time

__all__ = [
    "Book",
    "BookReply",
    "Books",
    "BooksReply",
    "Read",
    "ReadReply",
    "Unknown",
]


class Read(OfDataset, frozen=True, kw_only=True):
    """Read rows of a dataset in ``[start, end)``. JSON gives pages of up to 1,000 rows, ``arrow`` a stream of Arrow IPC
    chunks of any size. ``newest``: the last ``limit`` rows instead of the first. ``after``: the ``next`` of the page
    before; all else as it was asked then.

    ``source`` is for bars. ``stored``: those of the exchange; ``trades``, or the span of smaller bars, as ``1m``: bars
    made of these; ``auto``: stored ones if there are any of the dataset, else made of the longest bars that can be,
    else of trades.
    """

    start: Time | None = None
    end: Time | None = None
    columns: list[Name] | None = None
    limit: Count | None = None
    newest: bool = False
    format: Literal["json", "arrow"] = "json"
    source: Annotated[str, Meta(min_length=1, max_length=12)] = "auto"
    after: Annotated[str, Meta(max_length=40)] | None = None


class ReadReply(Reply, frozen=True, kw_only=True):
    """A page of rows in time order, an array of values each, in the order of ``columns``; ``next`` asks for the
    following page, null at the end.

    ``derived_from``: the dataset of which these bars were made; null where they are the exchange's own. ``incomplete``:
    intervals, ``[start, end)`` ns, in which it isn't known to be whole, so that there are no bars.
    """

    dataset: str
    columns: list[str]
    rows: list[list[Any]]
    next: str | None = None
    derived_from: str | None = None
    incomplete: list[tuple[int, int]] = []


class Book(OfDataset, frozen=True, kw_only=True):
    """Ask for an order book at one time, as it was after all that had come up to then; ``at``: default is the newest
    row's. ``depth``: levels a side."""

    at: Time | None = None
    depth: Depth | None = None


class BookReply(Reply, frozen=True, kw_only=True):
    """The book at ``at``, best level first: price in quote asset, amount in base asset.

    ``ts`` and ``seq`` are those of the last row in it, ``stale`` how long before ``at`` that came (ns),
    ``snapshot_ts`` is of the snapshot that it was made of.
    """

    dataset: str
    at: int
    ts: int
    stale: int
    seq: int | None
    snapshot_ts: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class Books(OfDataset, frozen=True, kw_only=True):
    """Ask for order books at ``start`` and each ``every`` (seconds, or as 100ms, 1s, 5m) after it, before ``end``.
    Default: the whole dataset, at multiples of ``every``.

    ``limit``: so many times at most; in JSON 100, unless asked otherwise. ``shape``: ``long`` is a row a level,
    ``wide`` a row a book. JSON gives up to 10,000 rows, ``arrow`` a stream of Arrow IPC chunks of any size, in which
    the unknown stretches are rows with a text in the column ``unknown``: from ``TS`` to ``as_of``.
    """

    every: Annotated[str, Meta(max_length=24)] | Annotated[float, Meta(gt=0)] = "1s"
    start: Time | None = None
    end: Time | None = None
    depth: Depth | None = 10
    limit: Count | None = None
    shape: Literal["long", "wide"] = "long"
    format: Literal["json", "arrow"] = "json"


class Unknown(Reply, frozen=True, kw_only=True):
    """In ``[start, end)`` ns the book isn't known, and why."""

    start: int
    end: int
    reason: str


class BooksReply(Reply, frozen=True, kw_only=True):
    """Books in time order, an array of values a row, in the order of ``columns``; those that aren't known are left
    out, and ``unknown`` tells when. ``start``, ``end``, ``every`` (ns): what was asked for; ``next``: the time to
    go on at, null at the end."""

    dataset: str
    start: int
    end: int
    every: int
    columns: list[str]
    rows: list[list[Any]]
    unknown: list[Unknown] = []
    next: int | None = None
