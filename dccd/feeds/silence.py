"""When a subscription has gone silent, and whether it is dead. Pure.

The pauses between its records flow in, how long one must be to be told of flows out; what REST has of that time flows
in, the answer flows out.

The connection's heartbeat says nothing of one of its streams, and a market may be quiet for hours. What proves that a
stream should have said something depends on what it is: a trade; a bar with a trade in it; a payment of funding; an
open interest that has changed; a best price that has.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dccd.records import Bar, BookSnapshot, FundingRate, OpenInterest, Record
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Patience", "Probe", "Suspicion"]


class Probe(msgspec.Struct, frozen=True):
    """Ask REST for records of ``[since, until)`` ns, and hand them to :meth:`Machine.probed`.

    Not ``decisive``: only an error counts, as that the exchange doesn't list the symbol.
    """

    since: int
    until: int
    decisive: bool


# The newest records may still be on their way, and clocks differ: a probe leaves them out.
_MARGIN = 10 * NS
_PAST = 3600 * NS
_LONG = 3600.0
"""By how many seconds at most a silence grows until it is told of again."""


class Patience:
    """How long a stream may be silent: twenty times the usual pause between batches, within *bounds* (seconds);
    *first* before there were two."""

    def __init__(self, bounds: tuple[float, float], first: float) -> None:
        self._bounds, self._first = bounds, first
        self._pace: float | None = None  # seconds between batches, smoothed
        self._times = 1.0

    def __repr__(self) -> str:
        return f"<Patience of {self.seconds:g} s>"

    @property
    def seconds(self) -> float:
        """After so much silence it is told of, the next time."""
        return self._times * self._suspicious()

    def batch(self, pause: float) -> None:
        """Records came, *pause* seconds after those before them."""
        # Over some ten batches: a burst must not make the next second look like silence.
        self._pace = pause if self._pace is None else self._pace + 0.1 * (pause - self._pace)
        self._times = 1.0

    def heard(self) -> None:
        """The stream has said something, or begins anew."""
        self._times = 1.0

    def told(self) -> None:
        """Its silence was told of: again when it is twice as long, and no more than an hour longer."""
        self._times += min(self._times, _LONG / self._suspicious())

    def _suspicious(self) -> float:
        """Seconds without a record that are suspicious in this market."""
        if self._pace is None:
            return self._first
        least, most = self._bounds
        return min(max(20 * self._pace, least), most)


class Suspicion:
    """That one subscription is dead. Times are ns UTC."""

    def __init__(self, dataset: Dataset) -> None:
        self._data_type = dataset.data_type
        self._span = (dataset.span or 0) * NS
        self._best: object = None
        """The best levels of the book when REST was asked before, nothing having come since."""

    def __repr__(self) -> str:
        return f"<Suspicion {self._data_type.value}>"

    def heard(self) -> None:
        """The stream has said something."""
        self._best = None

    def question(self, last: Record | None, known: int, quiet: int, wall: int) -> Probe | None:
        """What to ask of REST; *last* is the newest record, all before *known* has come, and nothing since *quiet*."""
        since, until = quiet, wall - _MARGIN
        if self._data_type is DataType.TRADES:
            since = known + 1
        elif self._data_type is DataType.OHLC:
            # The bar that wasn't closed, and all after it, as far as they are over.
            begun = last.ts + self._span * last.closed if isinstance(last, Bar) else known
            since = -(-begun // self._span) * self._span
            until = until // self._span * self._span
        elif self._data_type is DataType.ORDERBOOK:
            return Probe(wall - _PAST, wall, True)
        if since < until:
            return Probe(since, until, True)
        return Probe(wall - _PAST, wall, False) if last is None else None

    def answer(self, probe: Probe, found: Sequence[Record], last: Record | None) -> bool:
        """Whether *found*, what REST has, proves it."""
        if not probe.decisive or not found:
            return False
        if self._data_type is DataType.TRADES:
            return True
        if self._data_type is DataType.OHLC:
            return any(isinstance(bar, Bar) and _is_news(bar, last) for bar in found)
        if self._data_type is DataType.FUNDING:
            # What is announced changes when one is paid.
            return any(isinstance(rate, FundingRate) and rate.ts > probe.since for rate in found)
        if self._data_type is DataType.OPEN_INTEREST:
            # Not compared with what the stream said: two ways to count the same need not give the same.
            return len({one.open_interest for one in found if isinstance(one, OpenInterest)}) > 1
        book = found[-1]
        if not isinstance(book, BookSnapshot):
            return False
        before, self._best = self._best, (book.bids[:1], book.asks[:1])
        return before is not None and before != self._best


def _is_news(bar: Bar, last: Record | None) -> bool:
    """Whether *bar* has trades that aren't in *last*."""
    if isinstance(last, Bar) and bar.ts <= last.ts:
        # A little more: sums of floats differ.
        return bar.ts == last.ts and not last.closed and bar.volume > last.volume * (1 + 1e-9)
    return bar.volume > 0
