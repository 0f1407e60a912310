"""An hour of each simulated exchange with everything going wrong: what is stored and reported add up to the truth.

All streams of an exchange run at once, on the connections that they share, sixty times as fast as real time and by
the simulator's clock. Once it is over, the reported holes are asked of the exchange's history, as the daemon does, with
REST failing in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from dccd.exchanges.base import StreamOptions
from dccd.exchanges.registry import get as get_exchange
from dccd.exchanges.wire import MS
from dccd.feeds.items import Batch, Broke, Hole, Item, Lost
from dccd.feeds.pool import SocketPool
from dccd.feeds.session import Session, SessionSettings
from dccd.feeds.timing import Backoff
from dccd.records import BookDelta, BookSnapshot, FundingRate, Level, OpenInterest, Record
from dccd.simulator import SimulatedExchange
from dccd.simulator.faults import (
    BadChecksum,
    Drop,
    HttpError,
    HttpMalformed,
    Injected,
    Malformed,
)
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType
from tests.flows.hours import HOUR, Case, Told, datasets, listen, market, repaired, trouble

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DEPTH = 10
SETTLED = 20 * NS
AT_ONCE = 5 * NS
"""How much market time lies between sending and receiving."""
SOON = 40 * NS
"""After that, what went wrong has been reported."""

CASES = [
    Case("binance", "BTC/USDT"),
    Case("binance", "BTC/USDT:perp"),
    Case("kraken", "BTC/USD", checksum=True, healed=True),
    Case("bybit", "BTC/USDT", numbered=False),
    Case("bybit", "BTC/USDT:perp", numbered=False),
    Case("okx", "BTC/USDT"),
    Case("okx", "BTC/USDT:perp"),
    Case("okx", "BTC/USDT:quarter"),
    Case("coinbase", "BTC/USD"),
    Case("bitfinex", "BTC/USD", checksum=True),
    Case("krakenfutures", "BTC/USD:perp"),
    Case("bitmex", "BTC/USDT:perp", numbered=False, book_numbered=False, carried=True),
]


def within(ts: int, intervals: Iterable[tuple[int, int]]) -> bool:
    return any(start <= ts < end for start, end in intervals)


def stored(told: Told, more: list[Record], folder: Path) -> list[dict[str, object]]:
    """Rows as a researcher reads them, live and repaired ones in one dataset."""
    writer = SegmentWriter(Layout(folder), "test")
    for records in (told.records, more):
        if records:
            writer.write(told.dataset, table_from_records(told.dataset.data_type, records))
    return Store(folder).read(told.dataset).to_dicts()


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_an_hour_with_faults(case: Case, tmp_path: Path) -> None:
    """Trades complete and each once, bars those of the trades, books the truth's, every break reported."""
    exchange = get_exchange(case.exchange)
    wanted = datasets(case)
    told = {dataset.data_type: Told(dataset) for dataset in wanted}
    settings = SessionSettings(backoff=Backoff(initial=1.0, maximum=5.0), silence=(30.0, 60.0))
    async with asyncio.timeout(240), market(case) as (sim, there, clock, rest):
        sockets = SocketPool(exchange, ws_url=there.ws_url, clock=clock)
        options = StreamOptions(depth=DEPTH, snapshot_interval=20.0)
        sessions = [
            Session(exchange, one, options, rest=rest, sockets=sockets, clock=clock, settings=settings)
            for one in wanted
        ]
        listening = [asyncio.create_task(listen(session, told[session.dataset.data_type])) for session in sessions]
        for one in told.values():
            await one.live.wait()
        await clock.sleep(60)
        begun = clock.wall_ns()
        injected = await trouble(case, sim, clock)
        await clock.sleep(120)
        ended = clock.wall_ns() - SETTLED
        # A hole is told by the record that ends it, and after a stall nothing was read yet.
        frequent = [told[kind] for kind in (DataType.TRADES, DataType.OHLC, DataType.ORDERBOOK) if kind in told]
        while not all(one.reaches(ended - 2 * (one.dataset.span or 0) * NS) for one in frequent):
            await clock.sleep(1.0)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        trades, bars = told[DataType.TRADES], told.get(DataType.OHLC)
        more = {
            one: await repaired(told[one], sim, rest, clock) for one in (DataType.TRADES, DataType.OHLC) if one in told
        }
        await sockets.aclose()

        assert ended - begun >= HOUR * NS * 0.8
        frames = [one for one in injected if not isinstance(one.fault, HttpError | HttpMalformed)]
        idle = [one.fault for one in frames if not one.hits]
        assert not idle, "a fault found nothing to strike"
        lost = check_trades(there, trades, *more[DataType.TRADES], begun, ended, tmp_path)
        check_unnoticed(case, lost, injected)
        if bars is not None:
            check_bars(case, there, bars, *more[DataType.OHLC], begun, ended, tmp_path)
        check_book(case, there, told[DataType.ORDERBOOK])
        check_reports(case, told, injected)
        if DataType.FUNDING in told:
            check_funding(there, case, told[DataType.FUNDING])
        if DataType.OPEN_INTEREST in told:
            check_interest(there, case, told[DataType.OPEN_INTEREST])


def check_trades(
    there: SimulatedExchange,
    told: Told,
    more: list[Record],
    unavailable: list[tuple[int, int]],
    begun: int,
    ended: int,
    folder: Path,
) -> list[int]:
    """All that happened is stored once, or lies in a hole that the exchange doesn't serve any more.

    Returns the times of those that lie in no hole.
    """
    rows = [row for row in stored(told, more, folder) if begun <= int(str(row["TS"])) < ended]
    got = [(row["TS"], row["price"], row["amount"], row["side"], row["tid"]) for row in rows]
    symbol = told.dataset.symbol.human
    truth = [(t.ts, t.price, t.amount, t.side, t.tid) for t in there.truth.trades(symbol, begun, ended)]
    lost = set(truth) - set(got)
    assert len(got) == len(set(got))
    assert set(got) <= set(truth)
    assert len(truth) > 1000 and len(got) > len(truth) // 2
    reported = [(hole.since, hole.until) for hole in told.holes]
    in_holes = [trade for trade in lost if within(trade[0], reported)]
    assert all(within(trade[0], unavailable) for trade in in_holes), "what history has was not repaired"
    check_reach(told.dataset, unavailable)
    return sorted(trade[0] for trade in lost if not within(trade[0], reported))


def check_reach(dataset: Dataset, unavailable: list[tuple[int, int]]) -> None:
    """Only what goes back so far, by its own declaration, may leave anything out."""
    capability = get_exchange(dataset.exchange).capabilities.of(dataset.symbol).historical[dataset.data_type]
    assert not unavailable or capability.reach(dataset.span) is not None


def check_unnoticed(case: Case, lost: list[int], injected: list[Injected]) -> None:
    """Trades are lost without a word only where nothing numbers them: one frame's, of one moment, for each dropped."""
    drops = [
        one.struck_at
        for one in injected
        if isinstance(one.fault, Drop) and one.fault.data_type == "trades" and one.struck_at is not None
    ]
    if case.numbered:
        drops = []
    moments = {ts // MS for ts in lost}
    for moment in moments:
        assert any(at - AT_ONCE < moment * MS <= at for at in drops), f"lost at {moment} ms: {drops}"
    assert len(moments) <= len(drops)


def check_bars(
    case: Case,
    there: SimulatedExchange,
    told: Told,
    more: list[Record],
    unavailable: list[tuple[int, int]],
    begun: int,
    ended: int,
    folder: Path,
) -> None:
    """Closed bars are those that the trades come to."""
    span = told.dataset.span or 0
    rows = {int(str(row["TS"])): row for row in stored(told, more, folder)}
    missing = []
    for before, bar in pairwise(there.truth.bars(case.symbol, span, begun, ended - span * NS)):
        row = rows.get(bar.ts)
        if row is None:
            missing.append(bar)
            continue
        opening = before.close if case.carried else bar.open
        assert (row["open"], row["high"], row["low"], row["close"]) == (opening, bar.high, bar.low, bar.close)
        assert row["volume"] == pytest.approx(bar.volume, rel=1e-9)
        if row["trades"] is not None:
            assert row["trades"] == bar.trades
        if row["quote_volume"] is not None:
            assert row["quote_volume"] == pytest.approx(bar.quote_volume, rel=1e-6)
    lost = [bar.ts for bar in missing if bar.trades and not within(bar.ts, unavailable)]
    assert not lost, f"no bars of {lost} between {begun} and {ended}; {told.holes}"
    check_reach(told.dataset, unavailable)
    assert len(rows) >= 30 * 60 // span


def check_book(case: Case, there: SimulatedExchange, told: Told) -> None:
    """Every snapshot is the truth's book on both sides, and so is what the deltas make of the one before."""
    known = False  # whether the deltas go on from the last snapshot
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    compared = rebuilt = last_ts = 0
    for item in told.items:
        known = known and not isinstance(item, Lost | Broke)
        for record in item.records if isinstance(item, Batch) else []:
            if isinstance(record, BookSnapshot):
                last_ts = check_snapshot(case, there, record, last_ts)
                compared += 1
                if known:
                    assert (dict(record.bids), dict(record.asks)) == (bids, asks)
                    rebuilt += 1
                known, bids, asks = True, dict(record.bids), dict(record.asks)
            else:
                assert isinstance(record, BookDelta)
                assert known, "a delta of a book that is broken"
                for side, levels in ((bids, record.bids), (asks, record.asks)):
                    for price, amount in levels:
                        if amount:
                            side[price] = amount
                        else:
                            del side[price]
                assert len(bids) <= DEPTH and len(asks) <= DEPTH
                last_ts = record.ts
    assert compared > 100 and rebuilt > 80


def check_snapshot(case: Case, there: SimulatedExchange, found: BookSnapshot, last_ts: int) -> int:
    """It is the truth's book at its time, or at that of the last change before it; return which."""
    times = [found.ts, last_ts]
    if case.exchange == "binance":
        # Spot's REST snapshots have no time of their own, but the number of their last update.
        book = there.truth.order_book(case.symbol)
        times.append(book.time(found.seq // book.last_id(0) - 1))
    assert len(found.bids) == len(found.asks) == DEPTH
    for at in filter(None, times):
        truth = there.truth.book(case.symbol, at, DEPTH)
        if (_levels(found.bids), _levels(found.asks)) == (_levels(truth.bids), _levels(truth.asks)):
            return at
    raise AssertionError(f"the snapshot at {found.ts} is not the book")


def _levels(levels: list[Level]) -> list[tuple[float, float]]:
    """Amounts to the last digits of a conversion from contracts."""
    return [(price, float(f"{amount:.9g}")) for price, amount in levels]


def check_reports(case: Case, told: dict[DataType, Told], injected: list[Injected]) -> None:
    """Each frame that was lost or spoilt was noticed by its stream, each end of a connection by all of its streams.

    Whether that cost a record, ids, bars and numbers tell: then there is a hole, which the other checks hold to the
    truth.
    """
    for one in injected:
        at = one.struck_at
        if at is None or not isinstance(one.fault, Drop | Malformed | BadChecksum):
            continue
        kind = DataType(one.fault.data_type)
        if kind is DataType.TRADES and not case.numbered and isinstance(one.fault, Drop):
            continue
        if kind is DataType.ORDERBOOK and case.healed and not isinstance(one.fault, BadChecksum):
            continue
        assert any(_tells(item, at) for item in told[kind].items), f"{one.fault} at {at} was not reported"
    for one_told in told.values():
        assert sum(isinstance(item, Lost) for item in one_told.items) >= 6
    # Coinbase's books have no numbers of their own: a message that is missing ends the connection.
    assert case.exchange == "coinbase" or any(isinstance(item, Broke) for item in told[DataType.ORDERBOOK].items)


def _tells(item: Item, at: int) -> bool:
    """Whether it reports what went wrong at *at* (ns): a hole in which that lies, or an end soon after it."""
    if isinstance(item, Hole):
        return item.since <= at and item.until > at - AT_ONCE
    return isinstance(item, Lost | Broke) and at <= item.at < at + SOON


def check_funding(there: SimulatedExchange, case: Case, told: Told) -> None:
    """Each announced rate is the truth's of that second."""
    derivative = there.truth.derivative(case.symbol)
    rates = [record for record in told.records if isinstance(record, FundingRate)]
    assert rates
    for record in rates:
        assert any(
            (predicted := derivative.predicted(record.ts - back * NS)).rate == pytest.approx(record.rate, abs=1e-9)
            and record.due_ts in (None, predicted.due)
            for back in (0, 1, 2)
        )


def check_interest(there: SimulatedExchange, case: Case, told: Told) -> None:
    """Each open interest is the truth's of that second."""
    derivative = there.truth.derivative(case.symbol)
    found = [record for record in told.records if isinstance(record, OpenInterest)]
    assert found
    for record in found:
        truths = [derivative.open_interest(record.ts - back * NS) for back in (0, 1, 2)]
        assert any(record.open_interest == pytest.approx(truth.open_interest) for truth in truths)


def test_every_exchange_is_here() -> None:
    """Whoever adds an exchange adds a case."""
    from dccd.exchanges.registry import EXCHANGES

    assert {case.exchange for case in CASES} >= set(EXCHANGES)
