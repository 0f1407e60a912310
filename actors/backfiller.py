"""A backfill: history → Parquet. One actor a run.

Pages of a :class:`~dccd.exchanges.base.HistoryPager` flow in through ccxt; segments flow out to the store, progress to
the bus, and the position to the run's record, always after the rows before it are on disk.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Literal

import anyio
import msgspec

from actors.control.keeping import RecordKeeper
from actors.control.runbook import RunBook
from actors.known import check_book, of_history
from actors.links import Links
from actors.mail import GapFound, RunEnded
from actors.missed import Missed
from actors.runtime.actor import Actor, run_together
from dccd import subjects
from dccd.errors import ExchangeDown, ExchangeError, RateLimited, RequestError
from dccd.exchanges.base import Exchange, HistoryPager, Market, Page
from dccd.exchanges.markets import meant_since
from dccd.exchanges.paging import SETTLED, STATED
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.history import Rest, pages
from dccd.feeds.timing import Backoff
from dccd.messages import RunProgress
from dccd.records import Record
from dccd.runs import Run, RunState
from dccd.store.coverage import Gap, Interval, IntervalSet
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter, beside
from dccd.symbols import NS, Dataset, DataType, format_time

__all__ = ["Backfiller"]

_FLUSH_ROWS = 100_000
_FLUSH_SECONDS = 5.0
_TELL_SECONDS = 1.0
_ATTEMPTS = 8
_SELDOM = {DataType.FUNDING: "the rates that were paid only", DataType.OPEN_INTEREST: "a value some minutes apart"}
"""What streams tell more often than history: what a stream missed can't be had, though the few values that there are
are stored."""


class Backfiller(Actor):
    """Fetches one run's range from its position on; ends done or failed, and is interrupted by a stop."""

    def __init__(self, links: Links, run: Run) -> None:
        self.links, self._run = links, run
        self._book = RunBook(links)
        self.dataset = Dataset.parse(run.dataset)
        self._writer = SegmentWriter(links.layout, f"{links.host}-{run.run_id}")
        self._held: list[Record] = []
        self._covered = IntervalSet()  # by the pages whose rows are held
        self._empty = IntervalSet()  # by pages without rows that weren't noted yet
        self._unserved = IntervalSet()  # the same of what history has too seldom to repair it, with rows or without
        self._first: int | None = None  # where the earliest page begins
        self._asked = False
        self._missed = Missed(self.dataset.exchange, (self.dataset.span or 0) * NS)
        self._warnings = [] if run.warning is None else [run.warning]
        self._position = run.position
        self._written = run.position
        self._rows = run.rows
        self._flushed_at = self._told_at = 0.0
        self._begun: tuple[float, int, int] = (0.0, run.rows, run.position)
        self._over = False
        self._keeper = RecordKeeper(links, run, lambda: self._current(state="running"))

    def __repr__(self) -> str:
        return f"<Backfiller {self.dataset} {self._rows} rows, {self._run.fraction:.0%}>"

    async def run(self) -> None:
        await run_together(self._work, self._keeper.keep)

    async def _work(self) -> None:
        clock = self.context.clock
        self._flushed_at = self._told_at = clock.now()
        self._begun = (clock.now(), self._rows, self._position)
        backoff, failures, looks = Backoff(initial=1.0, maximum=60.0), 0, 0
        while True:
            before = self._position
            try:
                await self._fetch()
                if self._run.trigger != "gap" or self._position >= self._run.end:
                    await self._finish("done")
                    return
                # The newest trades of a hole that has just ended may not be served yet: once more when they must be.
                # What is published some minutes later is asked for ever more seldom.
                settled = (self._run.end + SETTLED - clock.wall_ns()) / NS
                await clock.sleep(max(settled, backoff.delay(looks, 0.5)))
                looks += 1
            except (ExchangeDown, RateLimited) as exc:
                # Transient: try again from what is covered. Progress in between starts the count anew.
                failures = 1 if self._position > before else failures + 1
                await self._tell_missed()
                await self._flush()
                if failures >= _ATTEMPTS:
                    await self._finish("failed", str(exc))
                    return
                wait = backoff.delay(failures - 1, 0.5)
                if isinstance(exc, RateLimited) and exc.retry_after:
                    wait = max(wait, exc.retry_after)
                self._log("warning", f"{exc}; trying again in {wait:.0f} s ({failures} of {_ATTEMPTS})")
                await clock.sleep(wait)
            except (ExchangeError, RequestError) as exc:
                await self._flush()
                await self._finish("failed", str(exc))
                return

    async def on_stop(self) -> None:
        """Write what is held, so that a stop or a cancel keeps all that was fetched."""
        if not self._over:
            await self._flush()
            self._run = self._current(state="interrupted")
            await self._book.save(self._run)

    async def _fetch(self) -> None:
        exchange = get_exchange(self.dataset.exchange)
        rest = self.links.rest.get(exchange.id)
        market = await rest.market(self.dataset.symbol)
        self._begin_with(market)
        if self._position >= self._run.end:
            return
        for start, end in await self._todo():
            self._position = max(self._position, start)
            self._missed.begin(self._position)
            await self._fetch_range(exchange, rest, exchange.history(self.dataset, start, end, market))
            if self._position < end:
                break  # what is left is too new to be served
        else:
            self._position = max(self._position, self._run.end)
        await self._flush()

    async def _todo(self) -> list[Interval]:
        """What is to be fetched, in order: of a run that goes on where the store ends, what isn't there yet."""
        position, end = self._position, self._run.end
        if self._run.asked[0] != "last" or self.dataset.data_type is DataType.ORDERBOOK:
            return [(position, end)]
        coverage = await anyio.to_thread.run_sync(self.links.store.coverage, self.dataset)
        there, unverified = coverage.there, coverage.unverified.bounds
        if unverified is not None:
            # The last bar that nobody vouches for may have been open.
            there = there.subtract(unverified[1] - (self.dataset.span or 0) * NS, unverified[1])
        return there.gaps(position, end)

    async def _fetch_range(self, exchange: Exchange, rest: Rest, pager: HistoryPager) -> None:
        settings = self.links.config.exchanges.get(exchange.id)
        concurrency = settings.concurrency if settings else 4
        async with contextlib.aclosing(pages(rest, pager, concurrency, clock=self.context.clock)) as found:
            first = True
            async for page in found:
                if first:
                    # The rate counts from here: opening the exchange's client took a moment.
                    first, self._begun = False, (self.context.clock.now(), self._rows + len(page.records), page.end)
                if self._run.asked[0] == "origin" and self._run.start == 0 and page.records:
                    # Now it is known where the exchange's history begins: progress counts from there.
                    self._begin_at(page.records[0].ts)
                check_book(self.dataset, self.links.board)  # it may have begun while the run waited its turn
                self._held.extend(page.records)
                self._claim(page)
                self._position = max(self._position, pager.position)
                if self.dataset.data_type is not DataType.ORDERBOOK:  # the one book there is is that of now
                    self._missed.add(page, self._position)
                    await self._tell_missed()
                now = self.context.clock.now()
                if len(self._held) >= _FLUSH_ROWS or now - self._flushed_at >= _FLUSH_SECONDS:
                    await self._flush()
                if now - self._told_at >= _TELL_SECONDS:
                    self._told_at = now
                    await self._tell_progress()

    def _claim(self, page: Page) -> None:
        """Remember what *page* covers, to be claimed when its rows are on disk."""
        if self.dataset.data_type is DataType.ORDERBOOK:
            return  # the one book there is says nothing of the time before it
        if self._run.asked[0] == "origin" and self._run.start == 0:
            return  # before the exchange's history
        start = max(page.start, self._run.start)
        self._first = start if self._first is None else min(self._first, start)
        if self._is_coarse():
            self._unserved = self._unserved.add(start, page.end)
        elif page.records:
            self._covered = self._covered.add(start, page.end)
        else:
            self._empty = self._empty.add(start, page.end)

    def _is_coarse(self) -> bool:
        """Whether the run is to repair what a stream told more often than history does."""
        data_type, run = self.dataset.data_type, self._run
        live = get_exchange(self.dataset.exchange).capabilities.of(self.dataset.symbol).live
        return run.trigger == "gap" and data_type in _SELDOM and data_type in live and not of_history(run.reason or "")

    def _begin_with(self, market: Market) -> None:
        """Ask *market* for nothing from before the symbol meant it: its records would pass for the other contract's.

        A hole from before stays missing, by the run's start.
        """
        since = meant_since(self.dataset.symbol, market)
        if since is None or self._position >= since:
            return
        text = f"{self.dataset.symbol} is {market.id} since {format_time(since)}: nothing is asked for from before"
        self._warnings.append(text)
        self._warn()
        self._log("warning", text)
        self._position = min(since, self._run.end)
        self._begin_at(self._position)

    async def _tell_missed(self, *, final: bool = False) -> None:
        """Tell what the exchange doesn't serve, all of it when *final*; of a hole under repair, that it is gone."""
        for hole in self._missed.take(final=final):
            if hole.front:
                self._log("warning", f"{hole.reason}: {format_time(hole.start)} to there stays missing")
            if self._run.trigger == "gap":
                gap = GapFound(self.dataset, hole.start, hole.end, hole.reason, gone=True)
                await self.links.catalogue.ask(gap, timeout=None)
            else:
                gone = [Gap(hole.start, hole.end, hole.reason)]
                await anyio.to_thread.run_sync(partial(self.links.notes.add, self.dataset, unavailable=gone))
            self._warn()
        if final and (between := self._missed.between()) is not None:
            self._log("warning", between)

    def _warn(self) -> None:
        """Put all that is to be said of the run on its record."""
        between = self._missed.between()
        told = [*self._warnings, *self._missed.fronts, *([] if between is None else [between])]
        self._run = msgspec.structs.replace(self._run, warning="; ".join(told))

    def _begin_at(self, start: int) -> None:
        self._run = msgspec.structs.replace(self._run, start=start)
        self._begun = (self._begun[0], self._begun[1], max(self._begun[2], start))

    async def _flush(self) -> None:
        """Put what is held on disk, then move the position: a crash before that is on record fetches it again."""
        self._flushed_at = self.context.clock.now()
        # A hole that wasn't told yet is looked at again by whoever goes on after a crash or a stop.
        held, position = self._held, min(self._position, self._missed.since)
        if held:
            # Held until they are on disk: what a full disk or a stop refuses is tried again at the end, and until
            # then the position stays before it.
            self._empty = self._empty.union(await anyio.to_thread.run_sync(self._write, held, self._covered))
            self._held, self._covered = [], IntervalSet()
            self._rows += len(held)
            self.links.tally.backfilled[self.dataset.name] += len(held)
            self.links.stored(self.dataset)
        if self._empty or self._unserved or (held and not self._asked):
            await anyio.to_thread.run_sync(self._note)
            self._asked, self._empty, self._unserved = True, IntervalSet(), IntervalSet()
            self.links.stored(self.dataset)
        self._written = position  # the keeper puts it on record

    def _write(self, records: list[Record], covered: IntervalSet) -> IntervalSet:
        """Write *records*; return what of *covered* has no row to be claimed with."""
        table = table_from_records(self.dataset.data_type, records)
        segments = self._writer.write(self.dataset, table, run_id=self._run.run_id, covered=covered)
        return beside(covered, segments)

    def _note(self) -> None:
        """Note beside the data what has no rows, and, once, what was asked for, as far as it can be had by now."""
        run, now = self._run, self.context.clock.wall_ns()
        known_by_now = now - STATED - (self.dataset.span or 0) * NS
        begin = run.start
        if self._first is not None and self._first - begin < (self.dataset.span or 0) * NS:
            begin = self._first  # no bar begins between what was asked for and the first one
        asked = (begin, min(run.end, known_by_now))
        is_wanted = run.trigger != "gap" and self.dataset.data_type is not DataType.ORDERBOOK
        reason = f"{run.reason or 'lost'}; {self.dataset.exchange}'s history has {_SELDOM.get(self.dataset.data_type)}"
        self.links.notes.add(
            self.dataset,
            asked=[asked] if is_wanted and not self._asked else [],
            empty=self._empty,
            unavailable=[Gap(start, end, reason) for start, end in self._unserved],
        )

    async def _finish(self, state: RunState, error: str | None = None) -> None:
        await self._tell_missed(final=True)
        if error is not None:
            self._log("error", error)
        self._run = self._current(state=state, error=error)
        await self._tell_progress()
        self._over = True
        # The runner writes the last state and makes room for the next run.
        await self.links.tell_runner(RunEnded(self._run))

    def _current(self, *, state: RunState, error: str | None = None) -> Run:
        return msgspec.structs.replace(
            self.links.active.get(self._run.run_id, self._run),
            state=state,
            start=self._run.start,
            warning=self._run.warning,
            rows=self._rows,
            position=self._position if state == "done" else self._written,
            error=error,
            updated=self.context.clock.wall_ns(),
        )

    async def _tell_progress(self) -> None:
        run, now = self._run, self.context.clock.now()
        began, rows, position = self._begun
        spent = max(now - began, 1e-3)
        done = self._position - position
        left = (run.end - self._position) / done * spent if done > 0 else None
        covered = run.end - run.start
        event = RunProgress(
            at=self.context.clock.wall_ns(),
            host=self.links.host,
            run_id=run.run_id,
            dataset=run.dataset,
            position=self._position,
            start=run.start,
            end=run.end,
            fraction=(self._position - run.start) / covered if covered > 0 and run.state != "done" else 1.0,
            rows=self._rows + len(self._held),
            rate=(self._rows + len(self._held) - rows) / spent,
            left=left,
        )
        self.links.progress[run.run_id] = event
        self.links.emit(subjects.run_event(run.run_id, "progress"), event)

    def _log(self, level: Literal["info", "warning", "error"], message: str) -> None:
        getattr(self.context.log, level)(message, run_id=self._run.run_id, dataset=self._run.dataset)
        self._book.say(self._run.run_id, level, message)
