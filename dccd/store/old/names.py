"""What a file of an older release is: its path flows in, the dataset that its rows belong to flows out. Pure.

::

    {exchange}/{data_type}/{PAIR}[/{span}]/PERIOD.parquet           dccd 2.3 to 3.8; times in s, from 3.0 on in ns
    {Exchange}/Data/Clean_Data/{Span}/{PAIR}/….csv or .xlsx         dccd 2.0 to 2.2, bars only

3.x has a span in the path of open interest, too, and writes some spans in seconds where we have a label (``600s`` for
``10m``). What dccd 2's ``IODataBase`` wrote lies where its caller wanted it, and has to be named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from dccd.errors import IdentityError
from dccd.store.layout import is_period
from dccd.symbols import Dataset, DataType, Symbol, parse_span

__all__ = ["FORMATS", "Source", "recognise", "split_pair"]

FORMATS = (".parquet", ".csv", ".xlsx", ".db", ".sqlite", ".dat")
"""How names of files end that may hold rows."""

_QUOTES = (
    "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "USDP", "USDE", "USDD", "PYUSD", "UST", "DAI", "USD", "EUR", "GBP", "JPY",
    "CHF", "AUD", "CAD", "BRL", "TRY", "KRW", "RUB", "UAH", "ZAR", "PLN", "MXN", "SGD", "HKD", "BTC", "XBT", "ETH",
    "BNB", "TRX", "XRP", "DOGE", "SOL", "DOT",
)  # fmt: skip
"""Quote assets that a pair without a separator may end in."""

_SPANS = {
    name: seconds
    for seconds, names in {
        60: "minutely minute 1min min 60s", 180: "3min 3m", 300: "5-minute five-minute five_minutely 5min",
        900: "15min fifteen_minutely", 1800: "half-hourly half-hour half_hourly 30min",
        3600: "hourly hour 60min h", 7200: "bi-hourly bi-hour bi_hourly", 14400: "four_hourly 4-hourly",
        86400: "daily day 24h d", 604800: "weekly week 7d w", 2592000: "monthly month",
    }.items()
    for name in names.split()
}  # fmt: skip
_KRAKEN = re.compile(r"X([A-Z]{3})[XZ]([A-Z]{3})")


class Source(msgspec.Struct, frozen=True):
    """A file that may hold rows: its path below the ``data_path``, and what it is.

    ``period`` is the one that its name says. ``in_place``: it lies where the base file of that period does. Without a
    dataset, ``problem`` says why; ``ignored``: nobody needs to do anything about it.
    """

    path: str
    dataset: Dataset | None = None
    period: str | None = None
    in_place: bool = False
    layout: str = ""
    problem: str | None = None
    ignored: bool = False

    @property
    def order(self) -> tuple[bool, bool, int, str]:
        """Of files of the same rows the first stays: what is in place, then newer layouts, then shorter spans."""
        parts = PurePosixPath(self.path).parts
        span = 0
        if len(parts) == 5 and self.layout == "parquet":
            try:
                span = _span(parts[3])
            except IdentityError:
                pass
        return (not self.in_place, self.layout != "parquet", span, self.path)


def recognise(path: str, symbols: Mapping[str, str], datasets: Mapping[str, str]) -> Source:
    """Return what the file at *path* (with ``/``, below the data_path) is.

    *symbols* says what pairs mean, as ``{"BTCUSDT": "BTC/USDT"}``, *datasets* what a file or all files of a folder
    are, as ``{"dump/24.csv": "binance.trades.BTC-USDT"}``. Raises IdentityError where these make no sense.
    """
    pure = PurePosixPath(path)
    for named in (path, *(str(parent) for parent in pure.parents)):
        if named in datasets:
            return _placed(path, Dataset.parse(datasets[named]), "named")
    if pure.suffix not in FORMATS:
        crashed = ".parquet.tmp." in pure.name
        reason = "left by a write of dccd 3.x that crashed" if crashed else "not a file of rows"
        return Source(path, problem=reason, ignored=True)
    parts = pure.parts
    try:
        if len(parts) in (4, 5) and parts[1] in set(DataType) and pure.suffix == ".parquet":
            return _of_parquet(path, parts, symbols)
        if len(parts) == 6 and parts[1:3] == ("Data", "Clean_Data") and pure.suffix in (".csv", ".xlsx"):
            symbol = _symbol(parts[4], symbols)
            return _placed(path, _bars(parts[0], symbol, _span(parts[3])), "clean_data")
    except IdentityError as exc:
        return Source(path, problem=str(exc))
    return Source(
        path,
        problem=f"nobody says what it holds; if it has rows, say --dataset {path}=EXCHANGE.DATA_TYPE.SYMBOL[.SPAN]",
    )


def _of_parquet(path: str, parts: tuple[str, ...], symbols: Mapping[str, str]) -> Source:
    kind = DataType(parts[1])
    spanned = kind in (DataType.OHLC, DataType.OPEN_INTEREST)
    if len(parts) != 4 + spanned and not (kind is DataType.OPEN_INTEREST and len(parts) == 4):
        where = f"{{exchange}}/{kind}/{{PAIR}}{'/{span}' if spanned else ''}/PERIOD.parquet"
        raise IdentityError("path", f"files of {kind} lie at {where}")
    symbol = _symbol(parts[2], symbols)
    if kind is DataType.OHLC:
        dataset = _bars(parts[0], symbol, _span(parts[3]))
    else:
        dataset = Dataset.make(parts[0].lower(), kind, symbol.human)
    found = _placed(path, dataset, "parquet")
    if found.period is None:
        raise IdentityError(
            "period",
            f"its name is no period of {kind}, as {'2024-01-31' if not _yearly(kind) else '2024'}; "
            f"if it has rows that are nowhere else, say --dataset {path}={dataset.name}",
        )
    return found


def _placed(path: str, dataset: Dataset, layout: str) -> Source:
    pure = PurePosixPath(path)
    period = pure.stem if pure.suffix == ".parquet" and is_period(dataset.data_type, pure.stem) else None
    return Source(path, dataset, period, period is not None and str(pure.parent) == dataset.folder, layout)


def _yearly(kind: DataType) -> bool:
    return is_period(kind, "2024")


def _bars(exchange: str, symbol: Symbol, span: int) -> Dataset:
    name = {"gdax": "coinbase"}.get(exchange.lower(), exchange.lower())
    return Dataset.make(name, DataType.OHLC, symbol.human, span)


def _span(text: str) -> int:
    seconds = _SPANS.get(text.lower())
    try:
        return parse_span(text if seconds is None else seconds)
    except IdentityError as exc:
        raise IdentityError("span", f"bars of {text} can't be kept: spans are of 1 second to 4 weeks") from exc


def _symbol(text: str, symbols: Mapping[str, str]) -> Symbol:
    """Raises IdentityError that says how to tell what is meant."""
    if text in symbols:
        return Symbol.parse(symbols[text])
    try:
        return Symbol.parse(text)
    except IdentityError:
        return split_pair(text)


def split_pair(text: str) -> Symbol:
    """Return what a pair without a separator means: ``BTCUSDT``, ``XBTUSD``, ``XXBTZUSD``.

    Raises IdentityError where it could mean several, or nothing that is known: which, and how to say what is meant.
    """
    pair = text.upper().replace("_", "/", 1) if "_" in text else text.upper()
    if "/" in pair:
        try:
            return Symbol.parse(pair)
        except IdentityError:
            pair = text.upper()
    if (kraken := _KRAKEN.fullmatch(pair)) is not None:
        return Symbol.parse("/".join(kraken.groups()))
    if pair.startswith("XBT") and pair[3:] in _QUOTES:
        return Symbol("BTC", pair[3:])  # only bitcoin is called so: XB/TUSD isn't meant
    meant = []
    for quote in _QUOTES:
        if pair.endswith(quote) and len(pair) > len(quote):
            try:
                meant.append(Symbol.parse(f"{pair.removesuffix(quote)}/{quote}"))
            except IdentityError:
                continue
    if len(meant) == 1:
        return meant[0]
    if meant:
        choice = " or ".join(sorted(symbol.human for symbol in meant))
        raise IdentityError("symbol", f"{text} may be {choice}: say which, as --symbol {text}={meant[0].human}")
    raise IdentityError("symbol", f"{text} is no pair that is known: say what it is, as --symbol {text}=BASE/QUOTE")
