"""A market's order book as a pure function of time: a step number flows in, levels or what changed flow out.

The book moves in steps (each 100 ms, say). Whether there is a level at a price, and what amount, depends on that
price and the step alone, so that the book at any moment costs its depth and no history, and the change from one
step to the next only the levels that can have changed. It always surrounds the last trade's price, and is never
crossed. Amounts are whole contracts.
"""

from __future__ import annotations

import random

from dccd.records import BookSnapshot, Level
from dccd.simulator.market import Market
from dccd.symbols import NS

__all__ = ["Book", "Changes", "Levels", "difference"]

Levels = list[tuple[int, int]]
"""(price in ticks, amount in lots), best first."""

Changes = tuple[Levels, Levels]
"""(bids, asks): each changed level's new amount, 0 where it is gone."""

_TABLE = 1024
_HOLD = 256  # steps for which a level away from the touch keeps its amount
_STRIDE = 97  # odd, so that every level has its own turn within _HOLD steps
_UNSTRIDE = pow(_STRIDE, -1, _HOLD)
_IDS = 64  # update ids a step


class Book:
    """The book of *market*, up to *depth* price slots a side, in steps of *step_ns*."""

    def __init__(self, market: Market, *, seed: str, depth: int = 1000, step_ns: int = NS // 10) -> None:
        self.market = market
        self.depth = depth
        self.step_ns = step_ns
        # Slots are some 1/100,000 of the price wide, a level being somewhere within: sparser than ticks where
        # ticks are tiny, as on real books.
        self._slot = max(1, market.instrument.price // 100_000)
        draw = random.Random(f"{seed}:{market.instrument.symbol.token}:book")
        lots, self._contract = market.instrument.lots, market.instrument.contract
        self._sizes = [market.instrument.whole(lots * draw.lognormvariate(1, 1)) for _ in range(_TABLE)]
        self._lots = [0 if draw.random() < 0.1 else size for size in self._sizes]
        self._shift = [draw.randrange(self._slot) for _ in range(_TABLE)]
        self._middles: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Book {self.market.instrument.symbol} depth={self.depth}>"

    # ------------------------------------------------------------ steps and ids

    def step(self, time: int) -> int:
        """The step that the book is at, at *time* (ns)."""
        return (time - self.market.opened) // self.step_ns

    def time(self, step: int) -> int:
        """When *step* began (ns)."""
        return self.market.opened + step * self.step_ns

    @staticmethod
    def last_id(step: int) -> int:
        """Sequence number of the last update of *step*; its first one is that of the step before plus one."""
        return (step + 1) * _IDS

    # ------------------------------------------------------------ levels

    def levels(self, step: int, depth: int) -> tuple[Levels, Levels]:
        """(bids, asks) after *step*, at most *depth* levels a side."""
        middle = self._middle(step)
        sides: list[Levels] = []
        for direction in (-1, 1):
            found: Levels = []
            for n in range(1, self.depth + 1):
                slot = middle + direction * n
                if lots := self._amount(slot, step, middle):
                    found.append((self._price(slot), lots))
                    if len(found) >= depth:
                        break
            sides.append(found)
        return sides[0], sides[1]

    def changes(self, step: int) -> Changes:
        """What *step* changed in the whole book; never empty on both sides."""
        before, after = self._middle(step - 1), self._middle(step)
        reach = self.depth
        low, high = min(before, after) - reach, max(before, after) + reach
        # Levels whose turn it is, what came into reach or left it, and what changed sides or stopped being best.
        turn = -step * _UNSTRIDE % _HOLD
        slots = set(range(low + (turn - low) % _HOLD, high + 1, _HOLD))
        slots.update(range(min(before, after) - 1, max(before, after) + 2))
        if before != after:
            moved = min(abs(after - before), 2 * reach + 1)
            slots.update(range(low, low + moved))
            slots.update(range(high - moved + 1, high + 1))
        bids: Levels = []
        asks: Levels = []
        for slot in sorted(slots):
            old = self._amount(slot, step - 1, before) if abs(slot - before) <= reach else 0
            new = self._amount(slot, step, after) if abs(slot - after) <= reach else 0
            was_bid, is_bid = slot < before, slot < after
            if old and (not new or was_bid != is_bid):
                (bids if was_bid else asks).append((self._price(slot), 0))
            if new and (new != old or was_bid != is_bid):
                (bids if is_bid else asks).append((self._price(slot), new))
        bids.reverse()
        return bids, asks

    def snapshot(self, time: int, depth: int) -> BookSnapshot:
        """Ground truth: the book at *time* (ns), in quote and base asset."""
        step = self.step(time)
        bids, asks = self.levels(step, depth)
        return BookSnapshot(self.time(step), self.last_id(step), self._scaled(bids), self._scaled(asks))

    def _scaled(self, levels: Levels) -> list[Level]:
        pair = self.market.instrument
        return [(price / pair.price_unit, pair.amount(lots, price)) for price, lots in levels]

    # ------------------------------------------------------------ inner

    def _middle(self, step: int) -> int:
        """The slot of the last trade: no level there; bids below, asks above."""
        known = self._middles.get(step)
        if known is None:
            if len(self._middles) >= 1024:
                self._middles.clear()
            last = self.market.index(self.time(step) + 1) - 1
            known = self._middles[step] = self.market.price(last) // self._slot
        return known

    def _price(self, slot: int) -> int:
        return slot * self._slot + self._shift[slot % _TABLE]

    def _amount(self, slot: int, step: int, middle: int) -> int:
        """Lots at *slot*, 0 for no level."""
        if abs(slot - middle) == 1:
            # The best level changes with every step: no step goes without a change.
            return 2 * self._sizes[(slot * 31 + step * 7) % _TABLE] + step % 2 * self._contract
        if slot == middle or slot <= 0:
            return 0
        epoch = (step + slot * _STRIDE) // _HOLD
        return self._lots[(slot * 73 + epoch * 151) % _TABLE]


def difference(before: Levels, after: Levels, *, bids: bool, depth: int | None = None) -> Levels:
    """What turns one side of a book from *before* into *after*: removals (0 lots), then new amounts.

    *depth*: the client cuts its book to so many levels by itself (Kraken's does), so that a level which falls out of
    it is not mentioned. ``None``: it has to be told.
    """
    old, new = dict(before), dict(after)
    full = depth is not None and len(after) >= depth
    worst = after[-1][0] if after else 0
    gone = [
        (price, 0) for price in old if price not in new and not (full and (price < worst if bids else price > worst))
    ]
    return gone + [(price, lots) for price, lots in after if old.get(price) != lots]
