"""Which market a symbol means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dccd.exchanges.base import Market
from dccd.exchanges.markets import Listed, choose, is_quarterly, meant_since
from dccd.symbols import NS, Symbol


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


NOW = at("2026-11-26")
LISTED = [
    Listed(id="BTCUSDT", base="BTC", quote="USDT", kind="spot"),
    Listed(id="BTC-PERP-INVERSE", base="BTC", quote="USD", kind="perp", settle="BTC", contract=100.0, inverse=True),
    Listed(id="BTC-PERP-USD", base="BTC", quote="USD", kind="perp", settle="USD", contract=0.01),
    Listed(id="ETH-PERP-INVERSE", base="ETH", quote="USD", kind="perp", settle="ETH", inverse=True),
    Listed(id="BTC-WEEK", base="BTC", quote="USDT", kind="dated", settle="USDT", expires=at("2026-12-04T08:00")),
    Listed(id="BTC-JUN", base="BTC", quote="USDT", kind="dated", settle="USDT", expires=at("2027-06-25T08:00")),
    Listed(id="BTC-DEC", base="BTC", quote="USDT", kind="dated", settle="USDT", expires=at("2026-12-25T08:00")),
    Listed(id="BTC-MAR", base="BTC", quote="USDT", kind="dated", settle="USDT", expires=at("2027-03-26T08:00")),
    Listed(id="BTC-GONE", base="BTC", quote="USDT", kind="dated", settle="USDT", expires=at("2026-09-25T08:00")),
    Listed(id="XRPUSDT", base="XRP", quote="USDT", kind=""),
]


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT", "BTCUSDT"),
        ("BTC/USD:perp", "BTC-PERP-USD"),
        ("ETH/USD:perp", "ETH-PERP-INVERSE"),
        ("BTC/USDT:quarter", "BTC-DEC"),
        ("BTC/USDT:next_quarter", "BTC-MAR"),
        ("BTC/USDT:perp", None),
        ("ETH/USDT:quarter", None),
        ("XRP/USDT", None),
    ],
)
def test_choose(symbol: str, name: str | None) -> None:
    """Spot is spot; of contracts that settled in the quote asset; of dated ones the next quarterly, or the second."""
    found = choose(Symbol.parse(symbol), LISTED, NOW)
    assert (found and found.id) == name


def test_a_quarter_is_the_same_whatever_contracts_are_settled_in() -> None:
    """Where only one kind is listed for it, it is of that kind; their hours may differ."""

    def dated(id: str, settle: str, expires: str) -> Listed:
        return Listed(id=id, base="BTC", quote="USD", kind="dated", settle=settle, expires=at(expires))

    listed = [
        dated("LINEAR-MAR", "USD", "2027-03-26T08:00"),
        dated("INVERSE-MAR", "BTC", "2027-03-26T15:00"),
        dated("INVERSE-DEC", "BTC", "2026-12-25T16:00"),
    ]
    found = [choose(Symbol.parse(f"BTC/USD:{name}"), listed, NOW) for name in ("quarter", "next_quarter")]
    assert [market and market.id for market in found] == ["INVERSE-DEC", "LINEAR-MAR"]


def test_the_next_quarter_comes_when_one_has_expired() -> None:
    """The same symbol means another contract then."""
    found = choose(Symbol.parse("BTC/USDT:quarter"), LISTED, at("2026-12-25T08:00"))
    assert found is not None and found.id == "BTC-MAR"


@pytest.mark.parametrize(
    ("expires", "quarterly"),
    [("2026-12-25", True), ("2026-12-18", False), ("2026-11-27", False), ("2027-03-26", True), ("2028-03-31", True)],
)
def test_quarterly(expires: str, quarterly: bool) -> None:
    """In the last days of March, June, September or December."""
    assert is_quarterly(at(expires)) is quarterly


def test_contracts_in_base_asset() -> None:
    """A linear contract is so much of the base asset; an inverse one so much of the quote asset at a price."""
    assert Market("X", 0.01).base(150, 42_000.0) == 1.5
    assert Market("X", 100.0, inverse=True).base(21, 42_000.0) == 0.05


@pytest.mark.parametrize(
    ("symbol", "expires", "since"),
    [
        ("BTC/USDT:quarter", "2026-12-25T08:00", "2026-09-25T08:00"),
        ("BTC/USDT:next_quarter", "2026-12-25T08:00", "2026-06-26T08:00"),
        ("BTC/USDT:quarter", "2022-03-25T08:00", "2021-12-31T08:00"),
        ("BTC/USDT:quarter", "2021-12-31T08:00", "2021-09-24T08:00"),
        ("BTC/USDT:next_quarter", "2024-06-28T15:00", "2023-12-29T15:00"),
    ],
)
def test_since_when_a_symbol_means_a_contract(symbol: str, expires: str, since: str) -> None:
    """Since the contract before it expired, on the last Friday of a quarter, at the same hour."""
    assert meant_since(Symbol.parse(symbol), Market("X", expires=at(expires))) == at(since)


def test_what_never_expires_was_always_meant() -> None:
    """Spot markets and perpetuals."""
    assert meant_since(Symbol.parse("BTC/USDT"), Market("BTCUSDT")) is None
    assert meant_since(Symbol.parse("BTC/USDT:perp"), Market("BTCUSDT", expires=at("2100-01-01"))) is None
