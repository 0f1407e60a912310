"""The live trades of OKX."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.okx import Okx
from dccd.records import Record, Trade
from dccd.symbols import NS, Dataset

T0 = 1_696_436_730_000
MS = 1_000_000


def stream(market: Market | None = None, name: str = "okx.trades.BTC-USDT") -> StreamProtocol:
    return Okx().stream(Dataset.parse(name), StreamOptions(), market or Market("BTC-USDT"))


def frame(*tids: int, inst: str = "BTC-USDT", channel: str = "trades-all", **fields: object) -> bytes:
    def trade(tid: int) -> dict[str, object]:
        return {"instId": inst, "tradeId": str(tid), "px": "2", "sz": "3", "side": "buy", "ts": str(T0 + tid)} | fields

    return msgspec.json.encode({"arg": {"channel": channel, "instId": inst}, "data": [trade(tid) for tid in tids]})


def tids(out: list[Record]) -> list[str | None]:
    return [record.tid for record in out if isinstance(record, Trade)]


def test_documented_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Ids as text, the taker's side, sizes to the last digit, times in ns."""
    made = stream()
    out: list[Record] = []
    signals = [made.receive(one, 5, out) for one in frames("okx/trades")]
    assert signals == [Subscribed(), None, None, None, None]
    assert out == [
        Trade(T0 * MS, 27541.1, 0.12060306, "buy", "130639474", 5),
        Trade(T0 * MS, 27541.2, 0.5, "buy", "130639475", 5),
        Trade((T0 + 350) * MS, 27540.0, 0.00001, "sell", "130639476", 5),
        Trade((T0 + 351) * MS, 27540.0, 1.0, "sell", "130639477", 5),
    ]


def test_contracts_are_base_asset() -> None:
    """By the contract's size; of inverse ones by the price, too."""
    out: list[Record] = []
    linear = frame(1, inst="BTC-USDT-SWAP", px="60000", sz="7")
    stream(Market("BTC-USDT-SWAP", 0.01), "okx.trades.BTC-USDT_PERP").receive(linear, 0, out)
    inverse = frame(1, inst="BTC-USD-SWAP", px="60000", sz="3")
    stream(Market("BTC-USD-SWAP", 100.0, inverse=True), "okx.trades.BTC-USD_PERP").receive(inverse, 0, out)
    assert [record.amount for record in out if isinstance(record, Trade)] == [0.07, 0.005]


def test_contracts_that_are_no_amount() -> None:
    """Such a frame is refused as a whole, its ids included."""
    made, out = stream(Market("BTC-USD-SWAP", 100.0, inverse=True), "okx.trades.BTC-USD_PERP"), list[Record]()
    made.receive(frame(1, inst="BTC-USD-SWAP"), 0, out)
    state = repr(made), repr(made._ids), list(out)  # type: ignore[attr-defined]  # the state that is to stay
    good = msgspec.json.decode(frame(2, inst="BTC-USD-SWAP"))
    bad = msgspec.json.decode(frame(3, inst="BTC-USD-SWAP", px="1e-307"))
    both = msgspec.json.encode(good | {"data": good["data"] + bad["data"]})
    with pytest.raises(ParseError, match="no amount"):
        made.receive(both, 0, out)
    assert (repr(made), repr(made._ids), out) == state  # type: ignore[attr-defined]  # likewise
    made.receive(frame(2, inst="BTC-USD-SWAP"), 0, out)
    assert tids(out) == ["1", "2"]
    assert not made.unresolved()


def test_holes_late_and_twice() -> None:
    """What is late fills the hole, what comes twice is dropped, what is missing is a hole after two seconds."""
    made = stream()
    out: list[Record] = []
    made.receive(frame(1, 4), 0, out)
    made.receive(frame(2, 1, 4), 0, out)
    assert tids(out) == ["1", "4", "2"]
    hole = Broken("trade 3 is missing", (T0 + 2) * MS, "none", (T0 + 4) * MS + 1)
    assert made.receive(frame(5), 2 * NS, out) == hole
    made.receive(frame(9), 2 * NS, out)
    assert [broken.reason for broken in made.unresolved()] == ["trades 6 to 8 are missing"]


def test_summed_up_trades() -> None:
    """Three matches under the id of the last one, as `trades` has them, are one trade and no hole."""
    made = stream()
    out: list[Record] = []
    made.receive(frame(7, channel="trades", count="1"), 0, out)
    made.receive(frame(10, channel="trades", count="3"), 0, out)
    made.receive(frame(10, channel="trades", count="3"), 0, out)
    made.receive(frame(11), 0, out)
    assert tids(out) == ["7", "10", "11"]
    assert made.unresolved() == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(2, px=None), frame(2, px="0"), frame(2, px="nan"), frame(2, px="-1"), frame(2, px=""), frame(2, sz="0"),
        frame(2, side="none"), frame(2, ts="yesterday"), frame(2, ts="-5"), frame(2, tradeId="x"), frame(2, count="0"),
        frame(2).replace(b'"px":"2",', b""), frame(2)[:-1], frame(2, 3).replace(b'"2"', b'"Infinity"', 1),
        b'{"arg":{"channel":"trades-all","instId":"BTC-USDT"}}',
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A frame with one bad trade is a ParseError as a whole; to the next one it didn't come."""
    made = stream()
    out: list[Record] = []
    made.receive(frame(1), 0, out)
    with pytest.raises(ParseError) as caught:
        made.receive(broken, 0, out)
    assert caught.value.exchange == "okx"
    assert made.receive(frame(2, 3), 0, out) is None
    assert tids(out) == ["1", "2", "3"]
    assert made.unresolved() == []
