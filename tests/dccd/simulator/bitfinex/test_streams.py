"""Bitfinex's channels, without sockets: trades twice each, candles, and books with checksums."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from dccd.simulator.bitfinex import Bitfinex
from dccd.symbols import NS

if TYPE_CHECKING:
    from tests.dccd.simulator.bitfinex.conftest import Client

MS = 1_000_000


def test_each_trade_is_executed_and_then_written_down(venue: Bitfinex, client: Client, start: int) -> None:
    """Every trade after the subscription, ``te`` before ``tu``, with the ids and times of the truth."""
    _, (snapshot,) = client.subscribe("trades", symbol="tBTCUSD")
    newest = [row[0] for row in snapshot[1]]
    assert newest == sorted(newest, reverse=True)
    assert len(newest) == 30
    messages = client.due(start + 3 * NS) + client.due(start + 10 * NS)
    market = venue.listings["BTC/USD"].market
    truth = market.numbered(market.index(start + 1), market.index(start + 10 * NS + 1), MS, 1, venue.trade_id)
    expected = [
        [int(one.tid or 0), one.ts // MS, one.amount if one.side == "buy" else -one.amount, one.price] for one in truth
    ]
    assert len(expected) > 150
    for kind in ("te", "tu"):
        assert [message[2] for message in messages if message[1] == kind] == expected
    executed: set[int] = set()
    for _, kind, row in messages:
        if kind == "te":
            executed.add(row[0])
        else:
            assert row[0] in executed
    assert newest[0] < expected[0][0]


def test_candles(venue: Bitfinex, client: Client, start: int) -> None:
    """The snapshot newest first, then each state, the last of a minute being its bar."""
    _, (snapshot,) = client.subscribe("candles", key="trade:1m:tBTCUSD")
    starts = [row[0] for row in snapshot[1]]
    assert starts == [start // (60 * NS) * 60_000 - 60_000 * n for n in range(240)]
    states = {row[0]: row for n in range(1, 150) for _, row in client.due(start + n * NS)}
    bars = venue.listings["BTC/USD"].market.bars(60, min(states) * MS, max(states) * MS)
    assert len(bars) == 2
    for bar in bars:
        assert states[bar.ts // MS] == [bar.ts // MS, bar.open, bar.close, bar.high, bar.low, bar.volume]


def test_the_book(venue: Bitfinex, client: Client, start: int) -> None:
    """Levels one by one make the truth's book after each step, whose checksum follows; what goes comes first."""
    client.send("conf", flags=131072)
    _, (snapshot, check) = client.subscribe("book", symbol="tBTCUSD", len="25")
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    messages = [[0, row] for row in snapshot[1]] + [check] + client.due(start + 5 * NS)
    book = venue.listings["BTC/USD"].book
    step, checks = book.step(start), 0
    removing = True
    for message in messages:
        if message[1] != "cs":
            price, count, amount = message[1]
            side = sides[0 if amount > 0 else 1]
            assert count or removing
            removing = removing and not count
            side[price] = abs(amount)
            if not count:
                del side[price]
            continue
        truth = book.snapshot(book.time(step + checks), 25)
        bids, asks = sorted(sides[0].items(), reverse=True), sorted(sides[1].items())
        assert (bids, asks) == (truth.bids, truth.asks)
        texts = [text for bid, ask in zip(bids, asks, strict=True)
                 for text in (f"{bid[0]:g}:{bid[1]!r}", f"{ask[0]:g}:{-ask[1]!r}")]  # fmt: skip
        assert message[2] & 0xFFFFFFFF == zlib.crc32(":".join(texts).encode())
        checks += 1
        removing = True
    assert checks == 51


def test_states_of_a_perpetual(venue: Bitfinex, client: Client, start: int) -> None:
    """The present one, then each second's: open interest, prices and rates are the truth's."""
    _, first = client.subscribe("status", key="deriv:tBTCF0:USTF0")
    rows = [message[1] for message in first + client.due(start + 3 * NS)]
    assert [row[0] * MS for row in rows] == [start - start % NS + n * NS for n in range(4)]
    contract = venue.listings["BTC/USDT:perp"].derivative
    for row in rows:
        at = row[0] * MS
        assert row[17] == contract.open_interest(at).open_interest
        assert (row[14], row[3]) == (contract.mark_price(at), contract.index_price(at))
        assert (row[8], row[7] * MS) == contract.predicted(at)


def test_a_spoilt_checksum(venue: Bitfinex) -> None:
    """Another number, numbers and times or not; other messages have none."""
    assert venue.spoil('[5,"cs",-4,7,8]') == '[5,"cs",-3,7,8]'
    assert venue.spoil('[5,"cs",4]') == '[5,"cs",5]'
    assert venue.spoil('[5,"hb",7,8]') is None
