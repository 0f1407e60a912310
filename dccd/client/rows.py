"""Stored rows as they come: chunks of an Arrow stream flow in from the bus, frames or record batches flow out.

What is on its way is bounded by the daemon's window, so that neither end holds more than some thousand rows, however
many there are.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from dccd.errors import BusError

if TYPE_CHECKING:
    import polars as pl

    from dccd.store.scan import About

__all__ = ["DerivedBars", "Rows"]


class DerivedBars(UserWarning):
    """Warned of when bars that were asked for without a ``source`` aren't stored, and were made of other data."""


class Rows:
    """The rows of one read, in time order: ``async for frame in rows``, or record batches by :meth:`batches`.

    ``async with rows:`` asks and waits until the daemon has answered, and stops it at the end of the block; so does
    the end of an iteration, and one that is left. ``count`` is how many rows have come.
    """

    def __init__(self, chunks: Callable[[], AsyncGenerator[bytes, None]]) -> None:
        self.count = 0
        self._ask = chunks
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._first: list[Any] = []
        self._decoder: Any = None

    def __repr__(self) -> str:
        return f"<Rows {self.count} so far>"

    async def open(self) -> None:
        """Ask, if it hasn't yet, and wait for the columns. Raises RequestError, BusUnavailable, BusError."""
        if self._chunks is not None:
            return
        from dccd.store.ipc import Decoder  # polars and pyarrow: half a second that only readers pay

        self._decoder = Decoder()
        self._chunks = self._ask()
        while self._decoder.schema is None:
            self._first = await self._more()

    async def aclose(self) -> None:
        """Want no more: the daemon stops. Safe to repeat."""
        if self._chunks is not None:
            await self._chunks.aclose()

    async def __aenter__(self) -> Rows:
        try:
            await self.open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def schema(self) -> Any:
        """The columns, a ``pyarrow.Schema``. Raises BusError before it is open."""
        if self._decoder is None or self._decoder.schema is None:
            raise BusError("nothing has come yet: open it first, `async with client.rows(…) as rows`")
        return self._decoder.schema

    @property
    def about(self) -> About | None:
        """What the rows are, and of which times; None of a daemon that doesn't say."""
        from dccd.store.scan import About

        return About.of(self.schema)

    @property
    def derived_from(self) -> str | None:
        """The dataset that these bars were made of; None where they are the exchange's own."""
        about = self.about
        return None if about is None else about.derived_from

    @property
    def incomplete(self) -> list[tuple[int, int]]:
        """Intervals (ns) without bars, since the dataset that they would be made of isn't known to be whole there."""
        about = self.about
        return [] if about is None else list(about.incomplete)

    async def __aiter__(self) -> AsyncIterator[pl.DataFrame]:
        import polars as pl

        async for batch in self.batches():
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame

    async def batches(self) -> AsyncGenerator[Any, None]:
        """Yield ``pyarrow.RecordBatch``es. Raises RequestError, BusUnavailable, BusError when the stream breaks off."""
        await self.open()
        try:
            found, self._first = self._first, []
            while True:
                for batch in found:
                    self.count += batch.num_rows
                    yield batch
                if self._decoder.ended:
                    return
                found = await self._more()
        finally:
            await self.aclose()

    def warn(self) -> None:
        """Warn of bars that aren't the exchange's own."""
        if self.derived_from is not None and (about := self.about) is not None:
            text = f"{about.dataset} isn't stored: its bars are made of {self.derived_from}"
            if self.incomplete:
                text += f", without {len(self.incomplete)} intervals in which that isn't known to be whole"
            warnings.warn(f"{text}. Name a source, as source='trades', to expect it", DerivedBars, stacklevel=2)

    async def _more(self) -> list[Any]:
        assert self._chunks is not None
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            raise BusError("the rows ended in the middle: ask again") from None
        batches: list[Any] = self._decoder.feed(chunk)
        return batches
