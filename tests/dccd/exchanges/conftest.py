"""Frames and recordings that the exchanges' tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dccd.exchanges.base import HistoryPager, PageRequest
from dccd.records import Record

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def frames() -> Callable[[str], list[bytes]]:
    """Frames made by hand, by name: ``frames("kraken/book")``."""

    def load(name: str) -> list[bytes]:
        return (ROOT / "tests" / "frames" / f"{name}.jsonl").read_bytes().splitlines()

    return load


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of recordings of real sessions; the test is skipped where there is none."""
    path = ROOT.parent / "shared" / "captures"
    if not path.is_dir():
        pytest.skip("no recordings of real sessions beside the repository; frames made by hand are tested in any case")
    return path


class Backfill:
    """What a pager gave, driven as ``dccd.feeds.history.pages`` does, with the answers in any order."""

    def __init__(self, pager: HistoryPager) -> None:
        self.pager = pager
        self.records: list[Record] = []
        self.covered: list[tuple[int, int]] = []
        self.requests = 0
        self.truth: list[int] = []
        """Times of all that there is to come; set it to have the position checked after each page."""

    def run(
        self,
        answer: Callable[[PageRequest], bytes],
        recv_ts: int,
        concurrency: int = 1,
        choose: Callable[[int], int] = lambda count: 0,
        most: int = 1000,
    ) -> Backfill:
        """Answer until it is done; *choose* says which of so many requests under way is answered next."""
        under_way: list[PageRequest] = []
        while not self.pager.done:
            under_way += self.pager.requests(concurrency - len(under_way))
            assert under_way, "not done, but asks for nothing"
            assert len(under_way) <= concurrency
            self.requests += 1
            assert self.requests <= most, "no end in sight"
            request = under_way.pop(choose(len(under_way)))
            page = self.pager.receive(request, answer(request), recv_ts)
            assert page.start <= page.end
            assert all(page.records[n].ts <= page.records[n + 1].ts for n in range(len(page.records) - 1))
            self.records += page.records
            self.covered.append((page.start, page.end))
            before = self.pager.position
            if self.truth:
                have = sorted(record.ts for record in self.records if record.ts < before)
                assert have == [ts for ts in self.truth if ts < before], "the position is past what has come"
        return self


def union(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same time in as few intervals as it takes."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


@pytest.fixture(scope="session")
def backfill() -> type[Backfill]:
    """A pager's driver."""
    return Backfill


@pytest.fixture(scope="session")
def merged() -> Callable[[list[tuple[int, int]]], list[tuple[int, int]]]:
    """Intervals as few."""
    return union
