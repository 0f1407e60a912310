"""What is stored, and what is missing."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import (
    CORRUPT,
    DATASET,
    NO_BOOK,
    NOT_STORED,
    REMOTE,
    SLOW_READER,
    STORE,
    TOO_LARGE,
    Operation,
    Refusal,
)

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="inventory",
        request=m.InventoryList,
        reply=m.Inventory,
        description="Stored datasets: rows, files, bytes, times, holes",
        role="viewer",
        example={"dataset": "binance.trades"},
    ),
    Operation(
        name="coverage",
        request=m.CoverageGet,
        reply=m.Coverage,
        description="What is there of a dataset's time, what isn't, and why",
        role="viewer",
        refusals=(DATASET,),
        example={"dataset": "binance.trades.BTC-USDT"},
    ),
    Operation(
        name="repair",
        request=m.Repair,
        reply=m.Repaired,
        description="Ask the exchanges for what is missing, now",
        role="operator",
        example={"dataset": "binance.trades", "dry_run": True},
    ),
    Operation(
        name="read",
        request=m.Read,
        reply=m.ReadReply,
        description="Rows of a dataset: JSON, or Arrow IPC in chunks",
        role="viewer",
        refusals=(
            DATASET,
            Refusal(404, "no_dataset", "nothing is stored of it, nor of what its bars were to be made of"),
            Refusal(422, "bad_read", "a column, a `source` or an `after` that can't be; `field` says which"),
            Refusal(422, "too_many_rows", "`limit` beyond 1,000 in JSON"),
            Refusal(422, "no_pages", "`after` with `arrow`, which gives all rows at once"),
            TOO_LARGE,
            CORRUPT,
            STORE,
            SLOW_READER,
        ),
        example={
            "exchange": "binance",
            "symbol": "BTC/USDT",
            "data_type": "ohlc",
            "span": "1m",
            "limit": 3,
            "newest": True,
        },
    ),
    Operation(
        name="book",
        request=m.Book,
        reply=m.BookReply,
        description="The order book at one time",
        role="viewer",
        refusals=(
            DATASET,
            Refusal(
                404,
                "book_unknown",
                "changes may be missing since the snapshot before, or there is none; the message says why",
            ),
            NO_BOOK,
            NOT_STORED,
            TOO_LARGE,
            CORRUPT,
            STORE,
            REMOTE,
        ),
        example={"dataset": "kraken.orderbook.BTC-USD", "depth": 5},
    ),
    Operation(
        name="books",
        request=m.Books,
        reply=m.BooksReply,
        description="Order books at an interval: JSON, or Arrow IPC in chunks",
        role="viewer",
        refusals=(
            DATASET,
            NO_BOOK,
            Refusal(422, "too_many_rows", "more than 10,000 rows in JSON: fewer times (`limit`), or a smaller `depth`"),
            Refusal(422, "no_depth", "`wide` books without a `depth`, or with one beyond 5,000"),
            NOT_STORED,
            TOO_LARGE,
            CORRUPT,
            STORE,
            REMOTE,
            SLOW_READER,
        ),
        example={"dataset": "kraken.orderbook.BTC-USD", "every": "10s", "depth": 1, "shape": "wide", "limit": 5},
    ),
)
