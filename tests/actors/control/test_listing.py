"""What exchanges say of symbols before a stream is started, with a REST that is a fake."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from actors.control.listing import check_listed, streams_of
from dccd.errors import BadSymbol, ExchangeDown
from dccd.messages import JobCreate
from dccd.symbols import Dataset, Symbol

pytestmark = pytest.mark.anyio


class FakeRest:
    """Lists BTC/USD only; ``error`` is what it raises instead of an answer, if it doesn't hang."""

    def __init__(self, error: Exception | None = None, hangs: bool = False) -> None:
        self.error, self.hangs = error, hangs
        self.asked: list[str] = []

    def get(self, exchange: str) -> FakeRest:
        return self

    async def market(self, symbol: Symbol) -> None:
        self.asked.append(str(symbol))
        if self.hangs:
            await anyio.sleep_forever()
        if self.error is not None:
            raise self.error
        if symbol.base != "BTC":
            raise BadSymbol("kraken", f"kraken doesn't list {symbol}")


def links(rest: FakeRest) -> Any:
    return SimpleNamespace(rest=rest)


async def test_what_an_exchange_does_not_list_is_refused() -> None:
    """The first that it doesn't list is told in its words; what has no such stream isn't asked for."""
    rest = FakeRest()
    names = ("kraken.trades.BTC-USD", "nobody.trades.NO-SUCH", "kraken.trades.NO-SUCH")
    await check_listed(links(rest), map(Dataset.parse, names[:2]))
    with pytest.raises(BadSymbol, match="kraken doesn't list NO/SUCH"):
        await check_listed(links(rest), map(Dataset.parse, names))
    assert rest.asked == ["BTC/USD", "BTC/USD", "NO/SUCH"]


@pytest.mark.parametrize("rest", [FakeRest(ExchangeDown("kraken", "away")), FakeRest(hangs=True)])
async def test_an_exchange_that_can_not_be_asked_says_nothing(rest: FakeRest, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is away, or takes too long, is no reason not to start a stream, which waits for it by itself."""
    monkeypatch.setattr("actors.control.listing._SECONDS", 0.01)
    await check_listed(links(rest), [Dataset.parse("kraken.trades.NO-SUCH")])
    assert rest.asked == ["NO/SUCH"]


def test_the_streams_of_a_job() -> None:
    """One a pair; a backfill has none, and what is no symbol is told by others."""
    ask = JobCreate(exchange="kraken", pairs=["BTC/USD", "nonsense"], data_type="trades")
    assert [dataset.name for dataset in streams_of(ask)] == ["kraken.trades.BTC-USD"]
    backfill = JobCreate(exchange="kraken", pairs=["BTC/USD"], data_type="trades", operation="backfill")
    assert list(streams_of(backfill)) == []
