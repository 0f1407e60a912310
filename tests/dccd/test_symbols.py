"""Identities: every way to write one ends at the same value, and what is none is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import IdentityError
from dccd.symbols import (
    NS,
    Dataset,
    DataType,
    Symbol,
    format_time,
    is_under,
    job_name,
    parse_range,
    parse_span,
    parse_time,
    span_label,
)

MAX_SPAN = 4 * 7 * 86400

# XBT is left out: it reads as BTC, which has a test of its own.
assets = st.from_regex(r"[A-Z0-9]{1,20}", fullmatch=True).filter(lambda asset: asset != "XBT")
symbols = st.builds(Symbol, assets, assets, st.sampled_from(["", "perp", "quarter", "next_quarter"]))
spans = st.integers(1, MAX_SPAN)
exchanges = st.from_regex(r"[a-z][a-z0-9]{1,31}", fullmatch=True)
datasets = st.one_of(
    st.builds(Dataset, exchanges, st.just(DataType.OHLC), symbols, spans),
    st.builds(Dataset, exchanges, st.sampled_from([t for t in DataType if t is not DataType.OHLC]), symbols),
)
times = st.integers(parse_time("2009-01-01"), parse_time("2260-12-31T23:59:59.999999999Z"))


# ---------------------------------------------------------------- symbols


@pytest.mark.parametrize(
    ("prefix", "under"),
    [
        ("", True),
        ("kraken", True),
        ("kraken.trades", True),
        ("kraken.trades.BTC-USD", True),
        ("krak", False),
        ("kraken.trades.BTC", False),
        ("krakenfutures", False),
    ],
)
def test_a_prefix_ends_at_a_dot(prefix: str, under: bool) -> None:
    """An exchange isn't under another whose name its own begins with."""
    assert is_under("kraken.trades.BTC-USD", prefix) is under


@given(symbols)
def test_a_symbol_reads_back_from_both_its_forms(symbol: Symbol) -> None:
    """What people write and what stands in subjects and folders name the same symbol, in either case."""
    for text in (symbol.human, symbol.token, symbol.human.lower(), f"  {symbol.token.lower()} "):
        assert Symbol.parse(text) == symbol


@pytest.mark.parametrize(
    ("text", "token", "human"),
    [
        ("BTC/USDT", "BTC-USDT", "BTC/USDT"),
        ("xbt/usd", "BTC-USD", "BTC/USD"),
        ("ETH-XBT", "ETH-BTC", "ETH/BTC"),
        ("BTC/USDT:perp", "BTC-USDT_PERP", "BTC/USDT:perp"),
        ("BTC-USD_NEXT_QUARTER", "BTC-USD_NEXT_QUARTER", "BTC/USD:next_quarter"),
        ("1000SHIB/USDT:PERP", "1000SHIB-USDT_PERP", "1000SHIB/USDT:perp"),
    ],
)
def test_a_symbol_has_one_token_and_one_human_form(text: str, token: str, human: str) -> None:
    """However it is written, a symbol prints one way for machines and one for people; XBT is BTC."""
    symbol = Symbol.parse(text)
    assert (symbol.token, symbol.human, str(symbol)) == (token, human, human)


@pytest.mark.parametrize(
    "text",
    [
        "", "BTC", "BTCUSDT", "BTC/", "/USDT", "BTC//USDT", "BTC/-USDT", "BTC/USDT/EUR", "BTC/USDT:", "BTC-USDT_",
        "BTC/USDT:swap", "BTC/USDT:perp:perp", "BTC_PERP/USDT", "BTC/US DT", "BTC/USDT.>", "BTC/*", "../USDT",
        "BTC/USDT\nX", "ﬁ/USDT", "BTC/ＵＳＤＴ", "A" * 21 + "/USDT", "\x00/USDT", "BTC/\ud800",
    ],
)  # fmt: skip
def test_what_is_no_symbol_is_refused(text: str) -> None:
    """Anything that could not be one token of a subject, a key or a folder is refused as a symbol."""
    with pytest.raises(IdentityError) as refused:
        Symbol.parse(text)
    assert refused.value.field == "symbol"


# ---------------------------------------------------------------- spans


@given(spans)
def test_a_span_reads_back_from_its_label(seconds: int) -> None:
    """A span's label, its seconds as text and its seconds as a number are the same span."""
    assert parse_span(span_label(seconds)) == parse_span(str(seconds)) == parse_span(seconds) == seconds


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (1, "1s"),
        (60, "1m"),
        (90, "90s"),
        (3600, "1h"),
        (14400, "4h"),
        (86400, "1d"),
        (604800, "1w"),
        (7777, "7777s"),
    ],
)
def test_a_label_is_in_the_largest_unit_that_divides(seconds: int, label: str) -> None:
    """Two names for one span would be two datasets, so there is one label."""
    assert span_label(seconds) == label
    assert parse_span(label) == seconds


@pytest.mark.parametrize(
    "value",
    [
        0,
        -60,
        MAX_SPAN + 1,
        "5w",
        "",
        "m",
        "1M",
        "1.5m",
        "1 m",
        "-1m",
        "0m",
        "1y",
        "١m",
        "9" * 5000,
        True,
        1.5,
        None,
        10**5000,
    ],
    ids=lambda value: str(value)[:24] if not isinstance(value, int) or value < 10**40 else "huge",
)
def test_what_is_no_span_is_refused(value: str | int) -> None:
    """A span outside of a second to four weeks, or in another notation, is refused."""
    with pytest.raises(IdentityError) as refused:
        parse_span(value)
    assert refused.value.field == "span"


# ---------------------------------------------------------------- datasets


@given(datasets)
def test_a_dataset_reads_back_from_its_name_and_its_folder(dataset: Dataset) -> None:
    """Subject, key and folder all lead back to the dataset that they were made from."""
    assert Dataset.parse(dataset.name) == Dataset.parse(dataset.folder) == dataset
    assert str(dataset) == dataset.name
    assert hash(Dataset.parse(dataset.name)) == hash(dataset)


@given(st.sets(datasets, min_size=2, max_size=5))
def test_different_datasets_have_different_names(some: set[Dataset]) -> None:
    """No two datasets share a folder."""
    assert len({dataset.folder for dataset in some}) == len(some)


def test_loose_text_becomes_the_one_dataset() -> None:
    """What people type in a request names the same dataset as its canonical name."""
    loose = Dataset.make("binance", "ohlc", "xbt/usdt", "60")
    assert loose == Dataset.parse("binance.ohlc.BTC-USDT.1m")
    assert loose.folder == "binance/ohlc/BTC-USDT/1m"
    assert job_name("stream", loose) == "stream.binance.ohlc.BTC-USDT.1m"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("Binance", "trades", "BTC/USDT"), "exchange"),
        (("", "trades", "BTC/USDT"), "exchange"),
        (("bin.ance", "trades", "BTC/USDT"), "exchange"),
        (("binance", "trade", "BTC/USDT"), "data_type"),
        (("binance", "trades", "BTCUSDT"), "symbol"),
        (("binance", "trades", "BTC/USDT", "1m"), "span"),
        (("binance", "ohlc", "BTC/USDT"), "span"),
        (("binance", "ohlc", "BTC/USDT", "1x"), "span"),
    ],
)
def test_a_dataset_names_the_part_that_is_wrong(arguments: tuple[str, ...], field: str) -> None:
    """The refusal says which field is at fault, so that a request's error can point at it."""
    with pytest.raises(IdentityError) as refused:
        Dataset.make(*arguments)
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["", "binance", "binance.trades", "binance.ohlc.BTC-USDT.1m.x", "a/b/c/d/e"])
def test_a_name_with_too_few_or_many_parts_is_refused(name: str) -> None:
    """A name of other than three or four parts is no dataset."""
    with pytest.raises(IdentityError) as refused:
        Dataset.parse(name)
    assert refused.value.field == "dataset"


@given(st.text(max_size=60))
def test_any_text_is_a_dataset_or_refused(text: str) -> None:
    """No text makes parsing fail in another way than by IdentityError; what parses is canonical by name."""
    try:
        dataset = Dataset.parse(text)
    except IdentityError:
        return
    assert Dataset.parse(dataset.name) == dataset


def test_the_data_types_are_listed_in_the_refusal() -> None:
    """Who mistypes a data type is told which there are."""
    with pytest.raises(IdentityError, match="ohlc, trades, orderbook, funding, open_interest"):
        DataType.read("candles")


# ---------------------------------------------------------------- times


@given(times)
def test_a_time_reads_back_from_text_to_the_nanosecond(ns: int) -> None:
    """Nanoseconds survive the way through ISO text and through digits."""
    assert parse_time(format_time(ns)) == parse_time(str(ns)) == parse_time(ns) == ns


@given(st.datetimes(datetime(2009, 1, 2), datetime(2260, 12, 30), timezones=st.timezones()))
def test_a_time_is_what_datetime_says(moment: datetime) -> None:
    """Zones and microseconds are read as the standard library means them."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole = (since.days * 86400 + since.seconds) * NS
    offset = moment.utcoffset()
    assert offset is not None
    if not offset.microseconds:
        assert parse_time(moment.isoformat()) == whole + since.microseconds * 1000


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-01-01", "2024-01-01T00:00:00Z"),
        ("2024-01-01T12:00", "2024-01-01T12:00:00Z"),
        ("2024-01-01 12:00:00", "2024-01-01T12:00:00Z"),
        ("2024-01-01T12:00:00+02:00", "2024-01-01T10:00:00Z"),
        ("2024-01-01T12:00:00.5Z", "2024-01-01T12:00:00.5Z"),
        ("2024-01-01T12:00:00,5Z", "2024-01-01T12:00:00.5Z"),
        ("2024-01-01T12:00:00.1234567891Z", "2024-01-01T12:00:00.123456789Z"),
        ("1704067200000000000", "2024-01-01T00:00:00Z"),
    ],
)
def test_times_are_read_in_the_usual_notations(text: str, same: str) -> None:
    """Dates, times with and without zone, decimals and nanoseconds are all times."""
    assert format_time(parse_time(text)) == same


@pytest.mark.parametrize(
    "value",
    [
        "", "yesterday", "2024-13-01", "2024-01-01T25:00:00", "2024", "1704067200", "1704067200000", "-1",
        "2008-12-31", "2261-01-01", "1969-12-31", "9" * 30, "9" * 5000, 0, -1, 1_704_067_200, 10**30, 10**5000,
        -(10**5000), True, "2024-01-01.5", "2024-01-01T12.5", "2024-01-01T12:00:00+01:00:00.5", "١٧٠٤٠٦٧٢٠٠٠٠٠٠٠٠٠٠٠",
        "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.5.5",
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) or abs(value) < 10**40 else "huge",
)  # fmt: skip
def test_what_is_no_time_is_refused(value: str | int) -> None:
    """Seconds, milliseconds, impossible dates and fractions of other units never pass as a time."""
    with pytest.raises(IdentityError) as refused:
        parse_time(value, "start")
    assert refused.value.field == "start"


def test_a_range_may_be_open_at_either_end() -> None:
    """None stays None, and what is no time is refused by the name of its end."""
    assert parse_range(None, None) == (None, None)
    assert parse_range("2024-01-01", None) == (1_704_067_200 * NS, None)
    assert parse_range(None, 1_704_067_200 * NS) == (None, 1_704_067_200 * NS)
    for given_start, given_end, field in (("soon", None, "start"), (None, "soon", "end")):
        with pytest.raises(IdentityError) as refused:
            parse_range(given_start, given_end)
        assert refused.value.field == field


@given(st.one_of(st.text(max_size=40), st.integers()))
def test_any_value_is_a_time_or_refused(value: str | int) -> None:
    """No value makes reading a time fail in another way than by IdentityError."""
    try:
        ns = parse_time(value)
    except IdentityError:
        return
    assert parse_time(format_time(ns)) == ns
