"""What is stored: inventory, coverage, rows, books."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from dccd import messages as m
from dccd.client.base import Requests, Time, bound, decoded
from dccd.client.books import BookFrame, in_parts, joined
from dccd.client.rows import Rows
from dccd.errors import BusUnavailable
from dccd.symbols import Dataset

if TYPE_CHECKING:
    import polars as pl


__all__ = ["DataRequests"]


class DataRequests(Requests):
    """What is stored, and what is missing."""

    async def inventory(self, dataset: str | None = None) -> list[m.DatasetEntry]:
        """What is stored, by every host that is there, or by the client's own; by dataset, then host.

        *dataset* may be a prefix, as ``binance.trades``. Raises BusUnavailable when one of them doesn't answer.
        """
        return await self._inventories(await self._hosts(), dataset)

    async def _inventories(self, hosts: Iterable[str | None], dataset: str | None) -> list[m.DatasetEntry]:
        found = [entry for host in hosts for entry in await self._inventory_of(host, dataset)]
        return sorted(found, key=lambda entry: (entry.dataset, entry.host))

    async def _inventory_of(self, host: str | None, dataset: str | None) -> list[m.DatasetEntry]:
        found: list[m.DatasetEntry] = []
        after: str | None = None
        while True:
            asked = m.InventoryList(dataset=dataset, after=after)
            page = await self._ask("inventory", m.Inventory, asked, timeout=60, host=host)
            found += page.datasets
            if page.next is None:
                return found
            after, host = page.next, page.host  # all of one host: another stores other datasets

    async def holder(self, dataset: str | Dataset) -> str | None:
        """The host that is asked for *dataset*: of several the one that stores most of its rows; ``None`` where
        whoever answers will do."""
        if self.host is not None:
            return self.host
        hosts, name = await self._hosts(), str(dataset)
        if len(hosts) < 2:
            return None
        try:
            entries = [entry for entry in await self._inventories(hosts, name) if entry.dataset == name]
        except BusUnavailable:  # one that has gone without a word: those that are there answer
            return None
        return max(entries, key=lambda entry: entry.rows).host if entries else None

    async def coverage(
        self, dataset: str | Dataset, start: str | int | None = None, end: str | int | None = None
    ) -> m.Coverage:
        """What is there of *dataset*'s time between *start* and *end*, and what isn't and why, all of it."""
        name = str(dataset)
        asked = m.CoverageGet(dataset=name, start=start, end=end)
        found = await self._ask("coverage", m.Coverage, asked, timeout=60, host=await self.holder(name))
        intervals, following = list(found.intervals), found.next
        while following is not None:
            asked = m.CoverageGet(dataset=name, start=following, end=found.end)
            part = await self._ask("coverage", m.Coverage, asked, timeout=60, host=found.host)
            intervals += part.intervals
            following = part.next
        return msgspec.structs.replace(found, intervals=intervals, next=None)

    async def repair(
        self,
        dataset: str | None = None,
        start: str | int | None = None,
        end: str | int | None = None,
        *,
        unavailable: bool = False,
        dry_run: bool = False,
    ) -> m.Repaired:
        """Have what is missing asked for, of all datasets or those under the prefix *dataset*; see the runs for how it
        goes on. *unavailable*: also what the exchange didn't serve before; *dry_run*: only tell."""
        asked = m.Repair(dataset=dataset, start=start, end=end, unavailable=unavailable, dry_run=dry_run)
        return await self._ask("repair", m.Repaired, asked, timeout=90)

    async def remotes(self) -> list[m.RemoteEntry]:
        """The daemon's remotes, and when each was last up to date."""
        return (await self._ask("storage.remotes", m.Remotes)).remotes

    async def retention(self) -> m.Retention:
        """What retention would purge now; nothing is purged."""
        return await self._ask("storage.retention", m.Retention, timeout=300)

    async def read(
        self,
        dataset: str | Dataset,
        start: Time | None = None,
        end: Time | None = None,
        *,
        columns: list[str] | None = None,
        limit: int | None = None,
        newest: bool = False,
        source: str | None = None,
    ) -> pl.DataFrame:
        """Return the stored rows of *dataset* in ``[start, end)``, in time order, ``TS`` in ns first.

        *limit* rows at most: the first, or with *newest* the last. *source* is for bars: ``stored``, or what they are
        to be made of, ``trades`` or the span of smaller bars; by default stored ones, and where there are none, made of
        what there is, with a warning (:class:`DerivedBars`). Of several hosts the one with most of the rows is asked
        (:meth:`holder`). Raises RequestError: 404 for a dataset that isn't stored,
        422 for a column or a source that can't be. :meth:`rows` is for what doesn't fit into memory.
        """
        import polars as pl  # half a second that only readers pay

        terms: dict[str, Any] = {"columns": columns, "limit": limit, "newest": newest, "source": source}
        async with self.rows(dataset, start, end, **terms) as rows:
            if source is None:
                rows.warn()
            frames = [frame async for frame in rows]
            return pl.concat([pl.DataFrame(pl.from_arrow(rows.schema.empty_table())), *frames])

    def rows(
        self,
        dataset: str | Dataset,
        start: Time | None = None,
        end: Time | None = None,
        *,
        columns: list[str] | None = None,
        limit: int | None = None,
        newest: bool = False,
        source: str | None = None,
    ) -> Rows:
        """Return the same rows as they come, some thousand at a time, in bounded memory: ``async for frame in rows``.

        ``rows.derived_from`` says what bars were made of.
        """
        message = m.Read(
            dataset=str(dataset),
            start=bound(start),
            end=bound(end),
            columns=columns,
            limit=limit,
            newest=newest,
            format="arrow",
            source="auto" if source is None else source,
        )
        return Rows(partial(self._read, str(dataset), message))

    async def _read(self, dataset: str, message: m.Read) -> AsyncGenerator[bytes, None]:
        host = await self.holder(dataset)
        async with aclosing(self._chunks("read", message, host=host)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def doctor(
        self, dataset: str | None = None, *, set_aside: bool = False
    ) -> AsyncGenerator[m.DoctorLine, None]:
        """Have every file read whole, or those of datasets that begin with *dataset*; yield progress and what is
        wrong.

        *set_aside* moves damaged files out of the way and notes their intervals as missing.
        """
        message = m.Doctor(dataset=dataset, set_aside=set_aside)
        async with aclosing(self._chunks("doctor", message, timeout=120.0)) as chunks:
            async for chunk in chunks:
                for line in chunk.splitlines():
                    yield decoded(line, m.DoctorLine, "doctor")

    async def book(self, dataset: str | Dataset, at: Time | None = None, *, depth: int | None = None) -> m.BookReply:
        """Return the order book at *at* (default: the newest row's time), the best *depth* levels a side.

        Everything that had come up to *at*, inclusive, is in it; ``ts`` and ``stale`` say how old the last of that is.
        Raises RequestError 404 ``book_unknown`` where changes may be missing.
        """
        message = m.Book(dataset=str(dataset), at=bound(at), depth=depth)
        return await self._ask("book", m.BookReply, message, timeout=60, host=await self.holder(dataset))

    async def books(
        self,
        dataset: str | Dataset,
        every: str | float = "1s",
        start: Time | None = None,
        end: Time | None = None,
        *,
        depth: int | None = 10,
        wide: bool = False,
    ) -> BookFrame:
        """Return the order books at *start* and each *every* after it (seconds, or as ``100ms``), before *end*.

        A frame with a row a level, or *wide*, a row a book; books that aren't known are left out of it, and its
        ``unknown`` tells when. Default: all there is, at multiples of *every*. :meth:`book_parts` is for what doesn't
        fit into memory.
        """
        import polars as pl

        async with aclosing(self.book_parts(dataset, every, start, end, depth=depth, wide=wide)) as parts:
            found = [part async for part in parts]
        unknown = [one for part in found for one in part.unknown]
        return BookFrame(pl.concat([part.frame for part in found]), joined(unknown))

    async def book_parts(
        self,
        dataset: str | Dataset,
        every: str | float = "1s",
        start: Time | None = None,
        end: Time | None = None,
        *,
        depth: int | None = 10,
        wide: bool = False,
    ) -> AsyncGenerator[BookFrame, None]:
        """As :meth:`books`, a part after the other."""
        request = m.Books(
            dataset=str(dataset),
            every=every,
            start=bound(start),
            end=bound(end),
            depth=depth,
            shape="wide" if wide else "long",
        )
        host = await self.holder(dataset)

        async def ask(message: m.Books) -> m.BooksReply:
            return await self._ask("books", m.BooksReply, message, timeout=60, host=host)

        async def read(message: m.Books) -> pl.DataFrame:
            return await self._frame("books", message, host)

        async with aclosing(in_parts(ask, read, request)) as parts:
            async for part in parts:
                yield part
