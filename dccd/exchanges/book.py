"""The order book that is maintained from a snapshot and its updates: levels flow in, what changed in view flows out.

Two depths: all levels within ``keep`` are held (an exchange that sends a book of 100 levels says nothing of what lies
deeper), the best ``depth`` of them are in view. What :meth:`Book.apply` returns are the changes of the view, so that
whoever applies them to a snapshot of the view has the view: a level that comes into it because a better one went is
in them with its amount, one that was pushed out of it with 0.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence

from dccd.exchanges.wire import parse_error
from dccd.records import BookSnapshot, Level

__all__ = ["MOST_LEVELS", "Book", "BookSide", "whole_book"]

MOST_LEVELS = 200_000
"""Levels a side that a book may have: some 25 MB. The deepest that exchanges send whole (Coinbase's BTC-USD) has some
tens of thousands. One that grows beyond is missing removals, or somebody fills it: it must not take the daemon down."""

_DEEPEST = float("inf")


class BookSide:
    """One side; prices in quote asset, amounts in base asset.

    Levels are keyed by the price, negated for bids, so that ascending keys are best first on both sides.
    """

    __slots__ = ("_sign", "amounts", "keys")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self.keys: list[float] = []
        self.amounts: dict[float, float] = {}

    def __repr__(self) -> str:
        return f"<BookSide {'bids' if self._sign < 0 else 'asks'} levels={len(self.keys)}>"

    def reset(self, levels: Iterable[Level], keep: int | None) -> None:
        """Forget all levels and take these; the last one counts where a price comes twice."""
        self.amounts = {self._sign * price: amount for price, amount in levels if amount}
        self.keys = sorted(self.amounts)
        self._truncate(keep)

    def apply(self, levels: Sequence[Level], depth: int | None, keep: int | None) -> list[Level]:
        """Take the new amounts (0 removes), in their order, and return how the best *depth* levels changed."""
        keys, amounts, sign = self.keys, self.amounts, self._sign
        if (depth is None or len(keys) <= depth) and (len(levels) < 2 or len(dict(levels)) == len(levels)):
            return self._apply(levels, depth, keep)
        before = _DEEPEST if depth is None or len(keys) < depth else keys[depth - 1]
        touched: dict[float, float] = {}
        for price, amount in levels:
            key = sign * price
            old = amounts.get(key, 0.0)
            if amount == old:
                continue  # also the removal of a level that we never had, which is normal
            if not amount:
                del amounts[key]
                del keys[bisect_left(keys, key)]
            else:
                if not old:
                    insort(keys, key)
                amounts[key] = amount
            touched.setdefault(key, old)
        after = _DEEPEST if depth is None or len(keys) < depth else keys[depth - 1]
        changes: list[Level] = []
        for key, old in touched.items():
            new = amounts.get(key, 0.0)
            shown = old if key <= before else 0.0
            shows = new if key <= after else 0.0
            if shown != shows:
                changes.append((sign * key, shows))
        if after < before:
            gone = keys[depth : bisect_right(keys, before)]
            changes += [(sign * key, 0.0) for key in gone if key not in touched]
        elif after > before:
            come = keys[bisect_right(keys, before) : depth]
            changes += [(sign * key, amounts[key]) for key in come if key not in touched]
        self._truncate(keep)
        return changes

    def _apply(self, levels: Sequence[Level], depth: int | None, keep: int | None) -> list[Level]:
        """The same where all that was held is in view, as it mostly is, and no price comes twice.

        What has changed is then what is new, without looking at each level twice.
        """
        keys, amounts, sign = self.keys, self.amounts, self._sign
        changes: list[Level] = []
        added: list[float] = []
        for level in levels:
            price, amount = level
            key = sign * price
            old = amounts.get(key, 0.0)
            if amount == old:
                continue
            changes.append(level)
            if not amount:
                del amounts[key]
                del keys[bisect_left(keys, key)]
            else:
                amounts[key] = amount
                if not old:
                    insort(keys, key)
                    added.append(key)
        if depth is not None and len(keys) > depth:
            # Out of view: levels that were there are gone from it, those that came just now have never been in it.
            out = keys[depth:]
            never, gone = set(out).intersection(added), dict.fromkeys(out, 0.0)
            kept = [(price, gone.get(sign * price, amount)) for price, amount in changes if sign * price not in never]
            told = {sign * price for price, _ in changes}
            changes = kept + [(sign * key, 0.0) for key in out if key not in told]
        self._truncate(keep)
        return changes

    def best(self, depth: int | None) -> list[Level]:
        """The best *depth* levels, best first."""
        sign, amounts = self._sign, self.amounts
        return [(sign * key, amounts[key]) for key in self.keys[:depth]]

    def _truncate(self, keep: int | None) -> None:
        if keep is not None and len(self.keys) > keep:
            for key in self.keys[keep:]:
                del self.amounts[key]
            del self.keys[keep:]


class Book:
    """Both sides. *depth*: levels a side in view; *keep*: levels a side that are held (``None``: all)."""

    __slots__ = ("_depth", "_keep", "asks", "bids")

    def __init__(self, depth: int | None = None, keep: int | None = None) -> None:
        self._depth = depth
        self._keep = keep
        self.bids = BookSide(-1)
        self.asks = BookSide(1)

    def __repr__(self) -> str:
        return f"<Book bids={len(self.bids.keys)} asks={len(self.asks.keys)} depth={self._depth}>"

    def reset(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take a snapshot."""
        self.bids.reset(bids, self._keep)
        self.asks.reset(asks, self._keep)

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> tuple[list[Level], list[Level]]:
        """Take an update, and return the changes of the view: bids, asks."""
        depth, keep = self._depth, self._keep
        # Most updates are of one side only.
        return self.bids.apply(bids, depth, keep) if bids else [], self.asks.apply(asks, depth, keep) if asks else []

    def view(self) -> tuple[list[Level], list[Level]]:
        """The levels in view, best first: bids, asks."""
        return self.bids.best(self._depth), self.asks.best(self._depth)

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask, as in no book that is whole."""
        bids, asks = self.bids.keys, self.asks.keys
        return bool(bids and asks) and -bids[0] >= asks[0]

    @property
    def too_deep(self) -> bool:
        """Whether a side has more than :data:`MOST_LEVELS`."""
        return len(self.bids.keys) > MOST_LEVELS or len(self.asks.keys) > MOST_LEVELS

    @property
    def wrong(self) -> str:
        """What of the book can't be, as ``is crossed``; empty when nothing is."""
        if self.too_deep:
            return f"has more than {MOST_LEVELS:,} levels a side"
        return "is crossed" if self.crossed else ""


def whole_book(
    exchange: str, body: bytes, ts: int, seq: int, sides: tuple[Iterable[Level], Iterable[Level]], recv_ts: int
) -> BookSnapshot:
    """The snapshot of *sides* (bids, asks, in any order), which a REST answer's *body* holds.

    Raises ParseError for a crossed one, which is no book of any moment.
    """
    bids, asks = sorted(sides[0], reverse=True), sorted(sides[1])
    if bids and asks and bids[0][0] >= asks[0][0]:
        raise parse_error(exchange, f"a crossed book: bids up to {bids[0][0]:g}, asks from {asks[0][0]:g}", body)
    return BookSnapshot(ts, seq, bids, asks, recv_ts)
