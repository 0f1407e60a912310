"""What it costs to make records of pages of history: bodies of a thousand rows through Binance's pagers."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from harness import Measurement, Report, arguments, finish

from dccd.exchanges.base import Market, PageRequest
from dccd.exchanges.registry import get
from dccd.symbols import Dataset

T0 = 1_700_000_000_000


def pages() -> dict[str, Callable[[], None]]:
    """Bodies of a thousand rows through the pagers."""
    klines = [[T0 + n * 60_000, "1.5", "2.5", "0.5", "2.0", "10.25", 0, "20.5", 7, "1", "1", "0"] for n in range(1000)]
    trade = {"p": "37000.5", "q": "0.25", "f": 1, "l": 1, "m": True, "M": True}
    trades = [{"a": n, "T": T0 + n} | trade for n in range(1000)]
    later = (T0 + 10**9) * 1_000_000

    def page(name: str, body: bytes, span: int) -> Callable[[], None]:
        dataset = Dataset.parse(name)

        def run() -> None:
            pager = get("binance").history(dataset, T0 * 1_000_000, (T0 + span) * 1_000_000, Market("BTCUSDT"))
            (request,) = pager.requests(1)
            assert isinstance(request, PageRequest)
            assert len(pager.receive(request, body, later).records) == 1000

        return run

    return {
        "binance klines page": page("binance.ohlc.BTC-USDT.1m", msgspec.json.encode(klines), 60_000_000),
        "binance aggTrades page": page("binance.trades.BTC-USDT", msgspec.json.encode(trades), 3_600_000),
    }


def rate(run: Callable[[], None], units: int, seconds: float) -> float:
    """Units a second, over about *seconds*."""
    done, spent, began = 0, 0.0, time.perf_counter()
    while spent < seconds:
        run()
        done += units
        spent = time.perf_counter() - began
    return done / spent


def main() -> None:
    options = arguments(
        __doc__, ("--seconds", {"type": float, "default": 0.5, "help": "for each figure of a round (0.5)"})
    )
    report = Report("Pages of history, one core")
    for _ in range(options.rounds):
        for title, page in pages().items():
            report.add(Measurement(title, "to records", {"rows/s": rate(page, 1000, options.seconds)}))
    finish(report, options.json)


if __name__ == "__main__":
    main()
