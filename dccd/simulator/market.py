"""A market that is a pure function of its seed: a trade's number flows in, the trade flows out.

Nothing is remembered, so that history is as deep as asked at no cost, and any number of processes agree on it.

The trades are the leaves of a tree. A leaf holds a fixed number of trades within a fixed time (a minute, say), drawn
once from the seed as a *template*: time offsets, price steps, sizes. Upper nodes (hour, day) are templates too:
which child comes where, and at which price it starts. As each template knows its open, high, low, close and sums, a
bar of any span is put together from a few of them, and is still *exactly* what its trades give: all sums are of
integers (ticks and lots). Days follow one another around a slow wave.

Trades are numbered from 0 without gaps; their times (ns) increase strictly, and those of one taker's order share the
microsecond, as on the real exchanges.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from dccd.records import Bar, Trade
from dccd.simulator.aggregate import Aggregate, Tick, join, summed
from dccd.simulator.instruments import Instrument
from dccd.symbols import NS

__all__ = ["DAY", "Market", "Plan", "Run", "plan"]

DAY = 86_400 * NS
_MS = 1_000_000


class Run(NamedTuple):
    """Consecutive trades that share a leaf: absolute time is ``start + tick.offset``, price ``price + tick.step``."""

    first: int
    start: int
    price: int
    ticks: tuple[Tick, ...]


class _Node(NamedTuple):
    """A template above the leaves: where its children start (ticks), which they are, and their sum."""

    children: tuple[tuple[int, int], ...]
    total: Aggregate


class Plan(NamedTuple):
    """How the trades of a market are laid out in time."""

    leaf_ns: int
    leaf_trades: int
    fanouts: tuple[int, ...]
    """Children of each level from above the leaves to the day."""


def plan(rate: float) -> Plan:
    """The layout for *rate* trades a second: leaves of up to some 1,000 trades, which are quick to draw.

    Raises ValueError for a rate that can't be simulated.
    """
    if not 1 / 3600 <= rate <= 1_000_000:
        raise ValueError(f"{rate:g} trades a second; from one an hour to 1,000,000 a second can be simulated")
    if rate < 0.3:
        return Plan(3600 * NS, max(1, round(rate * 3600)), (24,))
    if rate <= 10:
        return Plan(60 * NS, round(rate * 60), (60, 24))
    if rate <= 2000:
        return Plan(NS, round(rate), (60, 60, 24))
    return Plan(NS // 100, round(rate / 100), (100, 60, 60, 24))


class Pin(NamedTuple):
    """Trades ``[first, first + count)`` moved together: the n-th of them at ``at + n`` ns."""

    first: int
    size: int
    at: int


class Market:
    """All trades of one symbol of one exchange, from ``opened`` (ns, the start of a day) to the end of time.

    *rate*: trades a second on average. Raises ValueError when that can't be simulated.
    """

    def __init__(self, instrument: Instrument, *, seed: str, rate: float, opened: int) -> None:
        self.instrument = instrument
        self.opened = opened - opened % DAY
        layout = plan(rate)
        self.leaf_ns, self.leaf_trades, self._fanouts = layout
        self.rate = self.leaf_trades * NS / self.leaf_ns
        self._seed = f"{seed}:{instrument.symbol.token}:{layout}"
        self._noise = [random.Random(f"{self._seed}:{n}").uniform(-1, 1) for n in range(1024)]
        # counts[n]: trades in a node of level n (0: leaf)
        self._counts = [self.leaf_trades]
        for fanout in self._fanouts:
            self._counts.append(self._counts[-1] * fanout)
        self._pins: list[Pin] = []
        draw = random.Random(self._seed)
        self._leaves = [self._draw_leaf(draw) for _ in range(max(4, min(48, 3000 // self.leaf_trades)))]
        self._leaf_offsets = [tuple(tick.offset for tick in leaf) for leaf in self._leaves]
        self._leaf_totals = [summed(leaf) for leaf in self._leaves]
        self._nodes: list[list[_Node]] = []
        for level in range(len(self._fanouts)):
            self._nodes.append([self._draw_node(draw, level) for _ in range(12)])
        self._leaf_at = lru_cache(maxsize=1024)(self._find_leaf)
        self._node_at = lru_cache(maxsize=1024)(self._find_node)
        self._day_at = lru_cache(maxsize=1024)(self._find_day)

    def __repr__(self) -> str:
        return f"<Market {self.instrument.symbol} {self.rate:g}/s>"

    # ------------------------------------------------------------ templates

    def _sigma(self, span: int) -> float:
        """By how much the price moves in *span* ns, in ticks: 2 basis points a minute, as the majors do."""
        return self.instrument.price * 2e-4 * math.sqrt(span / (60 * NS))

    def _draw_leaf(self, draw: random.Random) -> tuple[Tick, ...]:
        count = self.leaf_trades
        sigma = self._sigma(self.leaf_ns) / math.sqrt(count)
        orders: list[int] = []
        while sum(orders) < count:
            orders.append(min(draw.choice((1, 1, 1, 1, 2, 2, 3, 5)), count - sum(orders)))
        moments = sorted(draw.sample(range(self.leaf_ns // 1000), len(orders)))
        ticks: list[Tick] = []
        step = 0.0
        for moment, size in zip(moments, orders, strict=True):
            sell = draw.random() < 0.5
            for n in range(size):
                # A taker's order takes one level after the other: it moves the price one way.
                step += abs(draw.gauss(0, sigma)) * (-1 if sell else 1)
                lots = self.instrument.whole(self.instrument.lots * draw.lognormvariate(0, 1.2))
                ticks.append(Tick(moment * 1000 + n, round(step), lots, sell))
        return tuple(ticks)

    def _draw_node(self, draw: random.Random, level: int) -> _Node:
        below = self._leaf_totals if level == 0 else [node.total for node in self._nodes[level - 1]]
        picks = [draw.randrange(len(below)) for _ in range(self._fanouts[level])]
        starts, price = [], 0
        for pick in picks:
            starts.append(price)
            price += below[pick].close
        # Few templates drawn over and over would drift away: a node is bent to end where it should. A day ends where
        # it began, so that the price of any day is known without those before it.
        day = level == len(self._fanouts) - 1
        span = self.leaf_ns * self._counts[level + 1] // self.leaf_trades
        excess = price if day else price - round(draw.gauss(0, self._sigma(span)))
        starts = [start - excess * n // len(starts) for n, start in enumerate(starts)]
        children = tuple(zip(starts, picks, strict=True))
        return _Node(children, join([below[pick].lifted(start) for start, pick in children]))

    def _find_day(self, day: int) -> tuple[int, int]:
        """(template, starting price in ticks) of a day: slow waves around the instrument's price."""
        wave = 0.0
        for length, height in ((61, 0.22), (17, 0.1), (5, 0.03), (1, 0.005)):
            n, part = divmod(day, length)
            left = self._noise[(n * 7 + length) % 1024]
            right = self._noise[((n + 1) * 7 + length) % 1024]
            wave += height * (left + (right - left) * part / length)
        pick = random.Random(f"{self._seed}:day:{day}").randrange(len(self._nodes[-1]))
        return pick, round(self.instrument.price * (1 + wave))

    def _find_node(self, number: int) -> tuple[_Node, int]:
        """The *number*-th of the nodes right above the leaves, and its starting price in ticks."""
        size = math.prod(self._fanouts[1:])
        day, rest = divmod(number, size)
        pick, price = self._day_at(day)
        for level in range(len(self._fanouts) - 1, 0, -1):
            size //= self._fanouts[level]
            n, rest = divmod(rest, size)
            start, pick = self._nodes[level][pick].children[n]
            price += start
        return self._nodes[0][pick], price

    def _find_leaf(self, leaf: int) -> tuple[int, int]:
        """(template, starting price in ticks) of the *leaf*-th leaf."""
        number, n = divmod(leaf, self._fanouts[0])
        node, price = self._node_at(number)
        start, pick = node.children[n]
        return pick, price + start

    # ------------------------------------------------------------ trades

    def time(self, index: int) -> int:
        """When the *index*-th trade happens (ns)."""
        for pin in self._pins:
            if pin.first <= index < pin.first + pin.size:
                return pin.at + index - pin.first
        leaf, n = divmod(index, self.leaf_trades)
        pick, _ = self._leaf_at(leaf)
        return self.opened + leaf * self.leaf_ns + self._leaf_offsets[pick][n]

    def index(self, time: int) -> int:
        """Number of the first trade at or after *time* (ns): as many have happened before it."""
        if time <= self.opened:
            return 0
        leaf, rest = divmod(time - self.opened, self.leaf_ns)
        index = leaf * self.leaf_trades
        if rest:
            index += bisect_left(self._leaf_offsets[self._leaf_at(leaf)[0]], rest)
        for pin in self._pins:
            if time <= pin.at:
                index = min(index, pin.first)
                continue
            index = max(index, pin.first + min(pin.size, time - pin.at))
        return index

    def price(self, index: int) -> int:
        """Price of the *index*-th trade in ticks; before the first one, where the market opens."""
        if index < 0:
            return self._day_at(0)[1]
        leaf, n = divmod(index, self.leaf_trades)
        pick, price = self._leaf_at(leaf)
        return price + self._leaves[pick][n].step

    def runs(self, first: int, last: int) -> Iterator[Run]:
        """Trades ``[first, last)``, leaf by leaf."""
        while first < last:
            leaf, n = divmod(first, self.leaf_trades)
            pick, price = self._leaf_at(leaf)
            stop = min(self.leaf_trades, n + last - first)
            ticks = self._leaves[pick]
            if n or stop < self.leaf_trades:
                ticks = ticks[n:stop]
            start = self.opened + leaf * self.leaf_ns
            for pin in self._pins:
                if pin.first < first + len(ticks) and first < pin.first + pin.size:
                    ticks = tuple(tick._replace(offset=self.time(first + k) - start) for k, tick in enumerate(ticks))
                    break
            yield Run(first, start, price, ticks)
            first += stop - n

    def pin(self, first: int, count: int) -> Pin:
        """Move trades ``[first, first + count)`` into one millisecond, a nanosecond apart.

        Raises ValueError when they overlap others so moved, or when *first* is not the first trade of its
        microsecond and there is no room.
        """
        if count < 2 or count > _MS:
            raise ValueError(f"{count} trades in one millisecond; 2 to 1,000,000 can be")
        for pin in self._pins:
            if pin.first < first + count and first < pin.first + pin.size:
                raise ValueError(f"trades {pin.first} to {pin.first + pin.size - 1} share a millisecond already")
        at = self.time(first)
        # Late in its millisecond, the first one moves forward; never before the trade before it.
        at = min(at, at - at % _MS + _MS - count)
        if first and at <= self.time(first - 1):
            raise ValueError(f"trade {first} is too near to the one before it; take another")
        made = Pin(first, count, at)
        insort(self._pins, made)
        return made

    def trades(
        self, start: int, end: int, resolution: int = 1, first_id: int = 0, name: Callable[[int], str] = str
    ) -> list[Trade]:
        """Ground truth: the trades of ``[start, end)`` ns, their times cut to *resolution* ns."""
        return self.numbered(self.index(start), self.index(end), resolution, first_id, name)

    def numbered(
        self, first: int, last: int, resolution: int = 1, first_id: int = 0, name: Callable[[int], str] = str
    ) -> list[Trade]:
        """Ground truth: trades number ``[first, last)``; ids are *name* of the numbers, counted from *first_id*."""
        price_unit, amount = self.instrument.price_unit, self.instrument.amount
        found = []
        for run in self.runs(first, last):
            for n, (offset, step, lots, sell) in enumerate(run.ticks, run.first):
                at = run.start + offset
                found.append(
                    Trade(
                        at - at % resolution,
                        (run.price + step) / price_unit,
                        amount(lots, run.price + step),
                        "sell" if sell else "buy",
                        name(n + first_id),
                    )
                )
        return found

    # ------------------------------------------------------------ bars

    def aggregate(self, first: int, last: int) -> Aggregate:
        """What trades ``[first, last)`` come to; of none, flat at the price before them and without volume."""
        if first >= last:
            price = self.price(first - 1)
            return Aggregate(price, price, price, price, 0, 0, 0, 0, 0)
        parts: list[Aggregate] = []
        self._gather(first, last, parts)
        return join(parts)

    def aggregates(self, edges: Sequence[int]) -> list[Aggregate]:
        """What the trades between each two neighbours of *edges* (numbers of trades) come to."""
        out: list[Aggregate] = []
        size, fanout, totals = self.leaf_trades, self._fanouts[0], self._leaf_totals
        known, node, price = -1, self._nodes[0][0], 0
        for first, last in pairwise(edges):
            if last - first != size or first % size:
                out.append(self.aggregate(first, last))
                continue
            # The common case, minutes at a moderate rate: leaves side by side, without a walk down the tree for each.
            number, n = divmod(first // size, fanout)
            if number != known:
                known, (node, price) = number, self._node_at(number)
            start, pick = node.children[n]
            out.append(totals[pick].lifted(price + start))
        return out

    def _gather(self, first: int, last: int, parts: list[Aggregate]) -> None:
        while first < last:
            day, rest = divmod(first, self._counts[-1])
            stop = min(self._counts[-1], rest + last - first)
            self._descend(len(self._fanouts), *self._day_at(day), rest, stop, parts)
            first += stop - rest

    def _descend(self, level: int, pick: int, price: int, first: int, last: int, parts: list[Aggregate]) -> None:
        """Append the sums of trades ``[first, last)`` of one node."""
        whole = first == 0 and last == self._counts[level]
        if level == 0:
            total = self._leaf_totals[pick] if whole else summed(self._leaves[pick][first:last])
            parts.append(total.lifted(price))
            return
        node = self._nodes[level - 1][pick]
        if whole:
            parts.append(node.total.lifted(price))
            return
        size = self._counts[level - 1]
        for n in range(first // size, -(-last // size)):
            start, child = node.children[n]
            self._descend(level - 1, child, price + start, max(0, first - n * size), min(size, last - n * size), parts)

    def bar(self, start: int, end: int) -> Aggregate:
        """What the trades of ``[start, end)`` ns come to."""
        return self.aggregate(self.index(start), self.index(end))

    def bars(self, span: int, start: int, end: int) -> list[Bar]:
        """Ground truth: the bars of *span* seconds that begin in ``[start, end)`` ns, from the first trade's on."""
        price_unit, volumes = self.instrument.price_unit, self.instrument.volumes
        span *= NS
        found = []
        oldest = self.time(0) - self.time(0) % span
        starts = range(max(start + -start % span, oldest), end, span)
        edges = [self.index(at) for at in starts] + [self.index(at + span) for at in starts[-1:]]
        for at, bar in zip(starts, self.aggregates(edges), strict=True):
            found.append(
                Bar(
                    at,
                    bar.open / price_unit,
                    bar.high / price_unit,
                    bar.low / price_unit,
                    bar.close / price_unit,
                    *volumes(bar.volume, bar.quote),
                    bar.trades,
                )
            )
        return found
