"""The fault plan: which occasion is struck, decided without performing anything."""

from __future__ import annotations

import msgspec
import pytest

from dccd.simulator.faults import (
    BadChecksum,
    Disconnect,
    Drop,
    Duplicate,
    Fault,
    FaultPlan,
    HttpError,
    HttpSlow,
    Injected,
    Malformed,
    Silence,
)
from dccd.symbols import NS


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def plan() -> tuple[FaultPlan, Clock]:
    clock = Clock()
    return FaultPlan(clock), clock


def test_a_fault_skips_then_strikes_then_is_done() -> None:
    """Two occasions pass, the next three are struck, the rest pass."""
    it, clock = plan()
    injected = it.inject(Drop(skip=2, count=3))
    struck = []
    for clock.now in range(8):
        struck.append(it.take(Drop, "binance") is not None)
    assert struck == [False, False, True, True, True, False, False, False]
    assert injected.struck_at == 4
    assert injected.done and injected.hits == 3 and not it.active


def test_count_zero_strikes_until_lifted() -> None:
    """Without a count it goes on."""
    it, _ = plan()
    injected = it.inject(Duplicate(count=0))
    assert all(it.take(Duplicate, "kraken") for _ in range(50))
    injected.lift()
    assert it.take(Duplicate, "kraken") is None


def test_only_what_matches_is_an_occasion() -> None:
    """Exchange, symbol (in any spelling), data type and kind all have to agree."""
    it, _ = plan()
    injected = it.inject(Malformed(exchange="kraken", symbol="XBT-USD", data_type="trades"))
    assert it.take(Malformed, "binance", symbol="BTC/USD", data_type="trades") is None
    assert it.take(Malformed, "kraken", symbol="ETH/USD", data_type="trades") is None
    assert it.take(Malformed, "kraken", symbol="BTC/USD", data_type="ohlc") is None
    assert it.take(Drop, "kraken", symbol="BTC/USD", data_type="trades") is None
    assert injected.occasions == 0
    assert it.take((Drop, Malformed), "kraken", symbol="BTC/USD", data_type="trades") is injected.fault


def test_paths_match_by_their_end() -> None:
    """A REST fault can be for one endpoint."""
    it, _ = plan()
    it.inject(HttpError(path="/klines", status=503))
    assert it.take(HttpError, "binance", path="/api/v3/aggTrades") is None
    found = it.take(HttpError, "binance", path="/api/v3/klines")
    assert found is not None and found.status == 503


def test_the_first_of_several_strikes_first() -> None:
    """Faults of one kind take their turns in the order in which they came."""
    it, _ = plan()
    it.inject(HttpSlow(seconds=1))
    it.inject(HttpSlow(seconds=2))
    taken = [it.take(HttpSlow, "binance") for _ in range(3)]
    assert [one.seconds if one else None for one in taken] == [1, 2, None]


def test_silence_ends_with_its_time() -> None:
    """Some seconds of market time; connections opened later can be left alone."""
    it, clock = plan()
    it.inject(Silence(seconds=10))
    assert it.silent("binance", [("BTC/USDT", "trades")], opened_at=0)
    clock.now = 10 * NS
    assert not it.silent("binance", [("BTC/USDT", "trades")], opened_at=0)
    it.inject(Silence(connections="open", data_type="trades"))
    assert it.silent("binance", [("BTC/USDT", "ohlc"), ("BTC/USDT", "trades")], opened_at=5 * NS)
    assert not it.silent("binance", [("BTC/USDT", "ohlc")], opened_at=5 * NS)
    assert not it.silent("binance", [("BTC/USDT", "trades")], opened_at=11 * NS)
    assert it.lift() == 1
    assert not it.silent("binance", [("BTC/USDT", "trades")], opened_at=5 * NS)


def test_a_fault_that_cannot_be_performed_is_not_kept() -> None:
    """Whoever performs may refuse; then nothing stays behind."""
    it, _ = plan()

    def refuse(injected: Injected) -> None:
        raise ValueError("no")

    it.performers.append(refuse)
    with pytest.raises(ValueError, match="no"):
        it.inject(Drop())
    assert not it.active
    with pytest.raises(ValueError, match="negative"):
        it.inject(Drop(skip=-1))


@pytest.mark.parametrize(
    "fault", [Disconnect(clean=False, symbol="BTC/USDT"), BadChecksum(count=2), HttpError(status=418, retry_after=1.5)]
)
def test_faults_are_json(fault: Fault) -> None:
    """A fault survives the trip to another process."""
    assert msgspec.json.decode(msgspec.json.encode(fault), type=Fault) == fault


def test_unknown_faults_are_refused() -> None:
    """A misspelt field or kind is an error that names it."""
    with pytest.raises(msgspec.ValidationError, match="kind"):
        msgspec.json.decode(b'{"kind": "earthquake"}', type=Fault)
    with pytest.raises(msgspec.ValidationError, match="second"):
        msgspec.json.decode(b'{"kind": "silence", "second": 1}', type=Fault)
