"""Tests of bars from trades and smaller bars, against bars made the plain way."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.store.bars import anchor, bars, ceiling, columns, complete, makes
from dccd.symbols import NS, Dataset, DataType

MINUTE = 60 * NS
START = 1_704_067_200 * NS  # 2024-01-01, a Monday
SEVENTH = -(-START // (7 * MINUTE)) * 7 * MINUTE  # the first bar of seven minutes of that year


def dataset(span: str, exchange: str = "binance") -> Dataset:
    return Dataset.parse(f"{exchange}.ohlc.BTC-USDT.{span}")


def plainly(trades: list[tuple[int, float, float]], span: int) -> list[dict[str, Any]]:
    """The bars of *trades* (time, price, amount), one after the other; *span* in ns, since 1970."""
    found: dict[int, list[tuple[float, float]]] = {}
    for ts, price, amount in trades:
        found.setdefault(ts // span * span, []).append((price, amount))
    return [
        {
            "TS": ts,
            "open": rows[0][0],
            "high": max(price for price, _ in rows),
            "low": min(price for price, _ in rows),
            "close": rows[-1][0],
            "volume": math.fsum(amount for _, amount in rows),
            "quote_volume": math.fsum(price * amount for price, amount in rows),
            "trades": len(rows),
            "recv_ts": None,
        }
        for ts, rows in found.items()
    ]


def same(made: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Sums of floats may differ in their last bits by the order of summing; nothing else may."""
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        assert one == {
            **other,
            "volume": pytest.approx(other["volume"], rel=1e-12),
            "quote_volume": other["quote_volume"] and pytest.approx(other["quote_volume"], rel=1e-12),
        }


def frame(trades: list[tuple[int, float, float]]) -> pl.DataFrame:
    return pl.DataFrame(trades, {"TS": pl.Int64, "price": pl.Float64, "amount": pl.Float64}, orient="row")


def cut(rows: pl.DataFrame, at: list[int]) -> list[pl.DataFrame]:
    """*rows* in pieces, cut at these places."""
    places = [0, *sorted(place % (rows.height + 1) for place in at), rows.height]
    return [rows.slice(start, end - start) for start, end in pairwise(places)]


def made(span: str, source: DataType, frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The bars; nobody gives them more columns than they ask for."""
    found = list(bars(dataset(span), source, [one.select(columns(source)) for one in frames]))
    return pl.concat(found) if found else pl.DataFrame()


TRADES = st.lists(
    st.tuples(
        st.integers(0, 40 * 60).map(lambda s: START + s * NS),
        st.floats(0.01, 1e6),
        st.floats(1e-6, 1e4),
    ),
    min_size=1,
    max_size=60,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@given(trades=TRADES, seconds=st.sampled_from([1, 60, 420, 3600]), at=st.lists(st.integers(0, 60), max_size=6))
def test_bars_of_trades_are_those_made_plainly(trades: Any, seconds: int, at: list[int]) -> None:
    """Wherever the stream of trades is cut, also in the middle of trades of one moment."""
    found = made(f"{seconds}s", DataType.TRADES, cut(frame(trades), at))
    same(found.to_dicts(), plainly(trades, seconds * NS))


@given(trades=TRADES, at=st.lists(st.integers(0, 60), max_size=6))
def test_bars_of_bars_are_bars_of_their_trades(trades: Any, at: list[int]) -> None:
    """Bars of seven minutes made of those of one are what their trades make."""
    minutes = made("1m", DataType.TRADES, [frame(trades)])
    same(made("7m", DataType.OHLC, cut(minutes, at)).to_dicts(), plainly(trades, 7 * MINUTE))


@given(trades=TRADES, at=st.lists(st.integers(0, 60), max_size=6))
def test_bars_without_trades_say_nothing_of_prices(trades: Any, at: list[int]) -> None:
    """An exchange that repeats the last price in quiet minutes gives the same bars as one that leaves them out."""
    minutes = made("1m", DataType.TRADES, [frame(trades)])
    full = (
        pl.DataFrame({"TS": range(minutes["TS"][0], minutes["TS"][-1] + 1, MINUTE)})
        .join(minutes, on="TS", how="left", maintain_order="left")
        .with_columns(pl.col("close").forward_fill(), pl.col("volume", "quote_volume", "trades").fill_null(0))
        .with_columns(pl.col(name).fill_null(pl.col("close")) for name in ("open", "high", "low"))
    )
    found = made("7m", DataType.OHLC, cut(full, at)).filter(pl.col("volume") > 0)
    same(found.to_dicts(), plainly(trades, 7 * MINUTE))


def test_quiet_bars_make_a_quiet_bar() -> None:
    """Where all the smaller bars are without volume, there is a bar of their price."""
    quiet = pl.DataFrame(
        [(SEVENTH + n * MINUTE, 5.0, 5.0, 5.0, 5.0, 0.0, 0.0, 0) for n in range(7)],
        ["TS", "open", "high", "low", "close", "volume", "quote_volume", "trades"],
        orient="row",
    )
    assert made("7m", DataType.OHLC, [quiet])["open", "close", "volume", "trades"].rows() == [(5.0, 5.0, 0.0, 0)]


def test_what_one_smaller_bar_doesnt_tell_nobody_tells() -> None:
    """A sum with an unknown part is unknown, not smaller."""
    minutes = made("1m", DataType.TRADES, [frame([(SEVENTH + n * MINUTE, 2.0, 1.0) for n in range(7)])])
    minutes[3, "trades"] = None
    found = made("7m", DataType.OHLC, [minutes])
    assert found["trades", "quote_volume", "volume"].rows() == [(None, 14.0, 7.0)]


@pytest.mark.parametrize(
    ("exchange", "span", "day"),
    [
        ("binance", "1w", "Monday"),
        ("bybit", "2w", "Monday"),
        ("kraken", "1w", "Thursday"),
        ("kucoin", "1w", "Thursday"),
    ],
)
def test_weeks_begin_when_the_exchange_says(exchange: str, span: str, day: str) -> None:
    """Mondays, and Thursdays on exchanges that count weeks from 1970."""
    start = ceiling(dataset(span, exchange), START + 1)
    assert datetime.fromtimestamp(start // NS, UTC).strftime("%A %H:%M") == f"{day} 00:00"
    assert START < start <= START + 14 * 86_400 * NS


@pytest.mark.parametrize(
    ("small", "large", "can"),
    [
        ("1m", "7m", True),
        ("1d", "1w", True),
        ("1w", "2w", True),
        ("5m", "7m", False),
        ("7m", "7m", False),
        ("1h", "1m", False),
        ("7m", "1w", False),  # it divides a week, and no bar of it begins on a Monday
    ],
)
def test_bars_are_made_of_bars_that_lie_in_them(small: str, large: str, can: bool) -> None:
    """Each smaller bar must be a part of one larger one."""
    assert makes(dataset(small), dataset(large)) is can


def test_anything_is_made_of_trades() -> None:
    """Trades lie in bars of any span."""
    assert makes(Dataset.parse("binance.trades.BTC-USDT"), dataset("7777s"))


@given(
    starts=st.lists(st.integers(0, 30), unique=True, min_size=1).map(sorted),
    edges=st.lists(st.integers(0, 300), unique=True, max_size=6).map(lambda e: sorted(e)[: len(e) // 2 * 2]),
    unit=st.sampled_from([1, 2, 5]),
)
def test_a_bar_is_left_out_when_a_hole_reaches_into_it(starts: list[int], edges: list[int], unit: int) -> None:
    """To the nanosecond; what is missing after the start of its last smaller bar is none of it."""
    span = 10
    holes = list(zip(edges[::2], edges[1::2], strict=True))
    rows = pl.DataFrame({"TS": [n * span for n in starts]}, {"TS": pl.Int64})
    missing = {ts for a, b in holes for ts in range(a, b)}
    expected = [ts for ts in rows["TS"] if not missing & set(range(ts, ts + span - unit + 1))]
    assert complete(rows, span, unit, holes)["TS"].to_list() == expected


def test_the_start_of_a_bar_is_its_own_ceiling() -> None:
    """A range that begins at a bar begins with it."""
    assert ceiling(dataset("7m"), 7 * MINUTE) == 7 * MINUTE
    assert ceiling(dataset("7m"), 7 * MINUTE + 1) == 14 * MINUTE
    assert anchor("binance", 420) == 0
