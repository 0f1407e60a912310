"""What a request says, and which of its fields is at fault."""

from __future__ import annotations

import msgspec
import pytest

from dccd.errors import RequestError
from dccd.messages import (
    BackfillStart,
    Read,
    ReplayOf,
    RunsGet,
    RunsList,
    StorageRestore,
    StreamStart,
    StreamStop,
)
from dccd.operations import OPERATIONS


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataset": "binance.ohlc.BTC-USDT.1h"}',
        b'{"exchange": "binance", "symbol": "BTC/USDT", "data_type": "ohlc", "span": "1h"}',
        b'{"exchange": "binance", "symbol": "BTC-USDT", "data_type": "ohlc", "span": 3600}',
    ],
)
@pytest.mark.parametrize("kind", [BackfillStart, StreamStart, StreamStop, Read])
def test_a_dataset_is_named_whole_or_by_its_parts(
    kind: type[BackfillStart | StreamStart | StreamStop | Read], body: bytes
) -> None:
    """In any request about one."""
    assert msgspec.json.decode(body, type=kind).resolve().name == "binance.ohlc.BTC-USDT.1h"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"dataset": "binance.trades.BTC-USDT", "exchange": "binance"}', "dataset"),
        (b'{"dataset": "binance.ohlc.BTC-USDT.1h", "span": 3600}', "dataset"),
        (b'{"dataset": "binance"}', "dataset"),
        (b"{}", "exchange"),
        (b'{"exchange": "binance"}', "symbol"),
        (b'{"exchange": "binance", "symbol": "BTC/USDT"}', "data_type"),
        (b'{"exchange": "binance", "symbol": "BTC/USDT", "data_type": "candles"}', "data_type"),
        (b'{"exchange": "binance", "symbol": "BTC", "data_type": "trades"}', "symbol"),
        (b'{"exchange": "bin.ance", "symbol": "BTC/USDT", "data_type": "trades"}', "exchange"),
        (b'{"exchange": "binance", "symbol": "BTC/USDT", "data_type": "ohlc"}', "span"),
        (b'{"exchange": "binance", "symbol": "BTC/USDT", "data_type": "ohlc", "span": "1y"}', "span"),
        (b'{"exchange": "binance", "symbol": "BTC/USDT", "data_type": "trades", "span": "1m"}', "span"),
    ],
)
def test_a_dataset_that_is_none_names_the_field_at_fault(body: bytes, field: str) -> None:
    """With 400, and why."""
    with pytest.raises(RequestError) as caught:
        msgspec.json.decode(body, type=StreamStop).resolve()
    assert (caught.value.code, caught.value.reason, caught.value.field) == (400, "malformed", field)
    assert len(str(caught.value)) > len(field)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_unknown_field_is_refused(name: str) -> None:
    """A misspelt one would otherwise be a default that nobody asked for."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `strat`"):
        msgspec.json.decode(b'{"strat": 1}', type=OPERATIONS[name].request)


@pytest.mark.parametrize(
    ("kind", "body", "path"),
    [
        (BackfillStart, b'{"start": -1}', r"\$\.start"),
        (BackfillStart, b'{"start": 9223372036854775808}', r"\$\.start"),
        (BackfillStart, b'{"span": 0}', r"\$\.span"),
        (BackfillStart, b'{"exchange": ""}', r"\$\.exchange"),
        (StreamStart, b'{"depth": 100001}', r"\$\.depth"),
        (StreamStart, b'{"snapshot_interval": 0.5}', r"\$\.snapshot_interval"),
        (StreamStart, b'{"book": "all"}', r"\$\.book"),
        (RunsList, b'{"limit": 1001}', r"\$\.limit"),
        (RunsList, b'{"limit": 0}', r"\$\.limit"),
        (RunsList, b'{"state": "over"}', r"\$\.state"),
        (RunsList, b'{"before": "a.b"}', r"\$\.before"),
        (RunsGet, b'{"run_id": "0190-aaaa\\n"}', r"\$\.run_id"),
        (ReplayOf, b'{"id": "mine\\n"}', r"\$\.id"),
        (StorageRestore, b'{"host": "../elsewhere"}', r"\$\.host"),
        (Read, b'{"limit": 0}', r"\$\.limit"),
        (Read, b'{"columns": [1]}', r"\$\.columns\[0\]"),
        (Read, b'{"format": "csv"}', r"\$\.format"),
    ],
)
def test_an_impossible_value_is_refused_where_it_is(kind: type[msgspec.Struct], body: bytes, path: str) -> None:
    """Before any actor sees it; a run id goes into a key of the bus."""
    with pytest.raises(msgspec.ValidationError, match=path):
        msgspec.json.decode(body, type=kind)
