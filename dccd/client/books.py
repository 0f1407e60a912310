"""Order books of the past over the bus: requests flow out, frames of books and the stretches without flow in.

A long series is asked for some thousand times at once, so that neither end holds more than such a part of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dccd import messages as m

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BookFrame", "in_parts", "joined", "split"]

_CELLS = 400_000


class BookFrame(NamedTuple):
    """Books as a frame, and when there are none in it since they aren't known.

    ``frame``: ``TS`` (ns, the time asked for), ``as_of`` (of the last row in the book), and a row a level (``side``,
    ``level`` from 1 on, ``price``, ``amount``), or a row a book (``bid_price_1``, ``bid_amount_1``, …).
    """

    frame: pl.DataFrame
    unknown: list[m.Unknown]


def split(frame: pl.DataFrame) -> BookFrame:
    """Tell the books of an answer from its unknown stretches."""
    stretches = frame.filter(frame["unknown"].is_not_null()).select("TS", "as_of", "unknown").rows()
    return BookFrame(
        frame.filter(frame["unknown"].is_null()).drop("unknown"),
        [m.Unknown(start=start, end=end, reason=reason) for start, end, reason in stretches],
    )


def joined(stretches: Sequence[m.Unknown]) -> list[m.Unknown]:
    """Make stretches that go on from one part to the next one."""
    found: list[m.Unknown] = []
    for one in stretches:
        last = found[-1] if found else None
        if last is not None and (last.end, last.reason) == (one.start, one.reason):
            found[-1] = msgspec.structs.replace(last, end=one.end)
        else:
            found.append(one)
    return found


async def in_parts(
    ask: Callable[[m.Books], Awaitable[m.BooksReply]], read: Callable[[m.Books], Awaitable[Any]], request: m.Books
) -> AsyncGenerator[BookFrame, None]:
    """Yield what *request* asks for in parts: *ask* sends it as JSON, *read* as Arrow and returns the frame."""
    probe = await ask(msgspec.structs.replace(request, limit=1, depth=1, format="json"))
    times = range(probe.start, probe.end, probe.every)
    size = max(1, _CELLS // (4 * (request.depth or 1000)))
    # Without any time, the frame that is empty still has its columns.
    for first in range(0, len(times), size) or (0,):
        part = times[first : first + size]
        end = min(part.stop, probe.end)
        asked = msgspec.structs.replace(request, start=part.start, end=end, limit=None, format="arrow")
        yield split(await read(asked))
