"""The wire of Kraken Futures' WebSocket v1, all of it: address, requests, frames as types, and whose a frame is.

Kraken ends this API on 2027-03-01, and ``/derivatives/api/v3`` with it (of the charts and the market history no end is
told): https://docs.kraken.com/exchange/api-reference/futures-rest. The modules beside this one know the fields of its
types and nothing of what they are called on the wire, so that the successor is another module like it.

The successor is the Unified WebSocket, ``wss://uws.kraken.com/v2/public``, without authentication, for derivatives only
until 2027: https://docs.kraken.com/exchange/api-reference/unified-websocket. What is documented of it:

* the format of Kraken's spot v2, for which ``dccd.exchanges.kraken.frames`` is the model: ``method``, ``params``,
  ``req_id``; ``channel``, ``type``, ``data``; times as RFC 3339; products are called as here (``PF_XBTUSD``);
* each subscription has ``"asset_class":"derivatives"`` besides;
* ``trade``: consecutive ids for each book, and a snapshot of 50 trades if asked for. So ids won't be those of today: a
  dataset that is collected over the change has the trades of that moment twice where both are stored;
* ``book``: 10 to 1000 levels a side, with spot's CRC32 checksum in place of sequence numbers;
* ``ticker``: best prices. Where funding rates and open interest will be isn't known here.
"""

from __future__ import annotations

import re
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import field

from dccd.errors import ParseError
from dccd.exchanges.base import Market, Refused, Router, Signal
from dccd.exchanges.stream import FrameStream
from dccd.exchanges.wire import Amount, Decoder, Id, Millis, Price, Rate, Traded, passes
from dccd.exchanges.wire import parse_error as _parse_error
from dccd.records import Side

__all__ = [
    "EXCHANGE",
    "PING",
    "BookFrame",
    "BookLevel",
    "FuturesRouter",
    "FuturesStream",
    "TickerFrame",
    "TradeFrame",
    "TradesFrame",
    "WholeBookFrame",
    "parse_error",
]

EXCHANGE = "krakenfutures"

URL = "wss://futures.kraken.com/ws/v1"
PING = '{"event":"ping"}'
_BEAT = '{"event":"subscribe","feed":"heartbeat"}'
_HEARTBEAT = 50.0
"""Answers to pings come more often; how often the feed of that name beats isn't documented."""


class TradeFrame(msgspec.Struct, gc=False, tag_field="feed", tag="trade"):
    """One trade, liquidations and blocks included; ``side`` is the taker's, ``qty`` in contracts."""

    product: str = field(name="product_id")
    uid: str
    side: Side
    seq: Id
    ms: Millis = field(name="time")
    qty: Traded
    price: Price


class TradesFrame(msgspec.Struct, gc=False, tag_field="feed", tag="trade_snapshot"):
    """The newest hundred, the last one first."""

    product: str = field(name="product_id")
    trades: list[TradeFrame]


class BookFrame(msgspec.Struct, gc=False, tag_field="feed", tag="book"):
    """One level's new size in contracts, 0 where it is gone; ``seq`` is that of the product's frame before plus one."""

    product: str = field(name="product_id")
    side: Side
    seq: Id
    price: Price
    qty: Amount
    ms: Millis = field(name="timestamp")


class BookLevel(msgspec.Struct, gc=False):
    """A price and the contracts there."""

    price: Price
    qty: Amount


class WholeBookFrame(msgspec.Struct, gc=False, tag_field="feed", tag="book_snapshot"):
    """The whole book; the next frame's number is one more. Levels come in any order."""

    product: str = field(name="product_id")
    ms: Millis = field(name="timestamp")
    seq: Id
    bids: list[BookLevel]
    asks: list[BookLevel]


class TickerFrame(msgspec.Struct, gc=False, tag_field="feed", tag="ticker"):
    """What there is of a product: ``rate`` as a fraction and in ``money``, until ``due``; ``interest`` in contracts."""

    product: str = field(name="product_id")
    ms: Millis = field(name="time")
    rate: Rate | None = field(name="relative_funding_rate", default=None)
    money: float | None = field(name="funding_rate", default=None)
    due: Millis | None = field(name="next_funding_rate_time", default=None)
    interest: Amount | None = field(name="openInterest", default=None)
    mark: Price | None = field(name="markPrice", default=None)


class _Product(Protocol):
    """What all frames of a feed have."""

    product: str


class _Control(msgspec.Struct):
    """Whatever isn't a frame of our feed: an answer, an alert, a heartbeat, another feed."""

    event: str | None = None
    feed: str | None = None
    message: str | None = None
    product: str | None = field(name="product_id", default=None)
    products: list[str] = field(name="product_ids", default_factory=list)


_CONTROL: Decoder[_Control] = Decoder(EXCHANGE, _Control)
_DONE = re.compile(r"already subscribed|not subscribed", re.I)
_NAMED = re.compile(r"`[^`]*`")
_F = TypeVar("_F", bound=_Product)


def parse_error(cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError of Kraken Futures."""
    return _parse_error(EXCHANGE, cause, sample)


class FuturesStream(FrameStream[_F], Generic[_F]):
    """One subscription: a feed of one product. Requests have no ids; answers name feed and product.

    Several products are subscribed to one by one: of further lists for the same feed Kraken has been seen to take none.
    """

    exchange = EXCHANGE

    def __init__(self, feed: str, market: Market) -> None:
        super().__init__(URL, f"{feed}:{market.id}", _HEARTBEAT)
        self._feed = feed
        self._product = market.id

    def _request_of(self, op: str) -> str:
        return f'{{"event":"{op}","feed":"{self._feed}","product_ids":["{self._product}"]}}'

    def _is_of_us(self, found: _F) -> bool:
        return found.product == self._product

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        """A frame that isn't one of our feed."""
        control = _CONTROL.decode(frame)
        if control.event is None:
            ours = control.feed is None or control.feed.removesuffix("_snapshot") == self._feed
            if ours and control.product in (None, self._product):
                raise parse_error(cause, frame) from cause
            return None
        if control.event in ("error", "alert"):
            return self._refusal(control.message or "")
        if control.feed != self._feed or self._product not in control.products:
            return None
        if control.event == "subscribed" and self.confirms:
            return self._confirm()
        if control.event == "subscribed_failed":
            return Refused(control.message or f"{control.event}: {self.topic}", permanent=False)
        return None

    def _refusal(self, words: str) -> Signal | None:
        """As "Couldn't subscribe to invalid product `PF_XYZUSD`".

        One that names none is for who still waits; it may answer another stream, which shows when each asks again.
        """
        if self._confirmed or _DONE.search(words):
            return None
        named = _NAMED.findall(words)
        if named and f"`{self._product}`" not in named:
            return None
        return Refused(words or "an error without a word", permanent=bool(named) and not passes(words))


class FuturesRouter(Router):
    """By feed and product, wherever in the frame they are."""

    def __repr__(self) -> str:
        return "<FuturesRouter>"

    def opening(self) -> list[str]:
        """Kraken's heartbeat: a connection that only has quiet markets is known to be alive."""
        return [_BEAT]

    def route(self, frame: bytes) -> str | None:
        """The topic that *frame* is of."""
        begin = frame.find(_FEED) + len(_FEED)
        if begin < len(_FEED):
            return "" if frame.startswith(_IDLE) else None
        feed = frame[begin : frame.find(b'"', begin)]
        if feed == b"heartbeat":
            return ""
        begin = frame.find(_PRODUCT) + len(_PRODUCT)
        end = frame.find(b'"', begin)
        if begin < len(_PRODUCT) or end < 0:
            return None
        return f"{feed.removesuffix(_SNAPSHOT).decode('latin-1')}:{frame[begin:end].decode('latin-1')}"


_FEED = b'"feed":"'
_PRODUCT = b'"product_id":"'
_SNAPSHOT = b"_snapshot"
_IDLE = (b'{"event":"pong"', b'{"event":"info"')
