"""Bars from trades or from smaller bars, as an exchange makes them.

Frames of rows in time order flow in, frames of bars flow out, in memory for one bar more than a frame. Pure.

* A bar has the trades with ``TS`` in ``[start, start + span)``; its ``TS`` is ``start``. Starts are multiples of the
  span since 1970, of weeks since a Monday (on some exchanges a Thursday, see :func:`anchor`).
* ``open`` is the first price, ``close`` the last, in stored order; ``volume`` in base asset, ``quote_volume`` in quote
  asset, ``trades`` their count; ``recv_ts`` is null, since nobody received the bar.
* Without a row there is no bar. A smaller bar without volume (Binance repeats the last price there) says nothing of
  prices, unless all of a bar's are so.
* ``quote_volume`` and ``trades`` are null where one of the smaller bars doesn't tell them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from dccd.store.intervals import Interval
from dccd.symbols import NS, Dataset, DataType

__all__ = ["anchor", "bars", "ceiling", "complete", "makes"]

_WEEK = 604_800
_MONDAY = 4 * 86_400
"""1970 began on a Thursday."""
_THURSDAYS = frozenset({"hyperliquid", "kraken", "kucoin"})
"""Exchanges whose weeks are multiples of a week since 1970. https://github.com/Kucoin/kucoin-api-docs/issues/350"""

_LIVE = "__live"


def anchor(exchange: str, span: int) -> int:
    """When a bar of *span* seconds may start, in ns after 1970."""
    return _MONDAY * NS if span % _WEEK == 0 and exchange not in _THURSDAYS else 0


def ceiling(dataset: Dataset, ts: int) -> int:
    """The first start of a bar of *dataset* at *ts* (ns) or after it."""
    assert dataset.span is not None
    return ts + (anchor(dataset.exchange, dataset.span) - ts) % (dataset.span * NS)


def makes(source: Dataset, bars: Dataset) -> bool:
    """Whether *bars* can be made of *source*: its trades, or bars of which each lies in one of *bars*."""
    if source.data_type is DataType.TRADES:
        return True
    if source.span is None or bars.span is None or source.span >= bars.span or bars.span % source.span:
        return False
    offset = anchor(bars.exchange, bars.span) - anchor(source.exchange, source.span)
    return offset % (source.span * NS) == 0


def bars(dataset: Dataset, source: DataType, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the bars of *dataset* that *frames* of trades or bars (``source``) make, each when it is over.

    They need the columns of :func:`columns`.
    """
    assert dataset.span is not None
    span, offset = dataset.span * NS, anchor(dataset.exchange, dataset.span)
    start = pl.col("TS") - (pl.col("TS") - offset) % span
    carried: pl.DataFrame | None = None
    for frame in frames:
        if not frame.height:
            continue
        rows = _of_trades(frame, start) if source is DataType.TRADES else frame.with_columns(_live(), TS=start)
        rows = rows.select(_COLUMNS)
        joined = _reduced(rows if carried is None else pl.concat([carried, rows]))
        carried = joined.tail(1)  # more of it may come
        if joined.height > 1:
            yield _bars(joined.head(-1))
    if carried is not None:
        yield _bars(carried)


def columns(source: DataType) -> tuple[str, ...]:
    """The columns of trades or bars that bars are made of."""
    return ("TS", "price", "amount") if source is DataType.TRADES else ("TS", *_VALUES)


def complete(frame: pl.DataFrame, span: int, unit: int, holes: Sequence[Interval]) -> pl.DataFrame:
    """Return the bars of which no row can be missing: none of *holes* reaches into their time.

    Times in ns; *unit* is the span of the source's bars, 1 for trades: the last row of a bar begins so long before its
    end.
    """
    if not holes or not frame.height:
        return frame
    never = max(frame["TS"][-1], holes[-1][1]) + span + 1
    starts = pl.Series([*(start for start, _ in holes), never], dtype=pl.Int64)
    ends = pl.Series([end for _, end in holes], dtype=pl.Int64)
    next_hole = starts.gather(ends.search_sorted(frame["TS"], "right"))
    return frame.filter(next_hole >= frame["TS"] + (span - unit + 1))


_VALUES = ("open", "high", "low", "close", "volume", "quote_volume", "trades")
_COLUMNS = ["TS", *_VALUES, _LIVE]


def _live() -> pl.Expr:
    return (pl.col("volume") != 0).alias(_LIVE)


def _of_trades(frame: pl.DataFrame, start: pl.Expr) -> pl.DataFrame:
    """The bars of one frame of trades; the last and the first may be parts of theirs."""
    price, amount = pl.col("price"), pl.col("amount")
    return frame.group_by(TS=start, maintain_order=True).agg(
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        volume=amount.sum(),
        quote_volume=(price * amount).sum(),
        trades=pl.len().cast(pl.Int64),
        **{_LIVE: pl.lit(True)},
    )


def _reduced(rows: pl.DataFrame) -> pl.DataFrame:
    """Smaller bars, or parts of bars, with the starts of those that they belong to, as these."""
    live = pl.col(_LIVE)
    telling = live | ~live.any()
    prices = {name: pl.col(name).filter(telling) for name in ("open", "high", "low", "close")}
    sums = {
        name: pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()) for name in ("quote_volume", "trades")
    }
    return (
        rows.group_by("TS", maintain_order=True)
        .agg(
            open=prices["open"].first(),
            high=prices["high"].max(),
            low=prices["low"].min(),
            close=prices["close"].last(),
            volume=pl.col("volume").sum(),
            **sums,
            **{_LIVE: live.any()},
        )
        .select(_COLUMNS)
    )


def _bars(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.drop(_LIVE).with_columns(recv_ts=pl.lit(None, pl.Int64))
