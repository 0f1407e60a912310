"""What really happened on a simulated exchange: questions flow in, records as an exact client has them flow out."""

from __future__ import annotations

from dccd.records import Bar, BookSnapshot, FundingRate, OpenInterest, Trade
from dccd.simulator.book import Book
from dccd.simulator.derivatives import Derivative
from dccd.simulator.market import Market
from dccd.simulator.venue import Venue
from dccd.symbols import NS

__all__ = ["Truth"]


class Truth:
    """The truth about one exchange. Symbols as ``BTC/USDT`` or ``BTC/USDT:perp``, times in ns; unknown symbols raise
    KeyError, and asking spot for what only contracts have, ValueError.

    Trades have the ids and times of the wire: Binance's aggregate trades in ms, Kraken's trades in µs. Amounts are in
    base asset, also where the wire has contracts. The market has no end: what lies after the present will be so.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def __repr__(self) -> str:
        return f"<Truth {self._venue.id}>"

    @property
    def symbols(self) -> list[str]:
        """What is listed."""
        return list(self._venue.listings)

    def market(self, symbol: str) -> Market:
        """The market itself, whose trades are numbered from 0."""
        return self._venue.listings[symbol].market

    def order_book(self, symbol: str) -> Book:
        """The book itself."""
        return self._venue.listings[symbol].book

    def derivative(self, symbol: str) -> Derivative:
        """What only a contract has: mark price, index price, predicted funding and the rest."""
        return self._venue.listings[symbol].derivative

    def opened(self, symbol: str) -> int:
        """When the market opened."""
        return self.market(symbol).opened

    def count(self, symbol: str, start: int, end: int) -> int:
        """How many trades there are in ``[start, end)``."""
        market = self.market(symbol)
        return max(0, market.index(end) - market.index(start))

    def trades(self, symbol: str, start: int, end: int) -> list[Trade]:
        """The trades whose times on the wire are in ``[start, end)``."""
        # Times on the wire are cut: those cut to before start are out, those cut to before end in.
        cut = self._venue.resolution
        first_id, name = self._venue.first_id, self._venue.trade_ids(symbol)
        return self.market(symbol).trades(-(-start // cut) * cut, -(-end // cut) * cut, cut, first_id, name)

    def numbered(self, symbol: str, first: int, last: int) -> list[Trade]:
        """The trades numbered from *first* to *last*, both included; a number is the id where ids are numbers."""
        id, name = self._venue.first_id, self._venue.trade_ids(symbol)
        return self.market(symbol).numbered(max(0, first - id), last - id + 1, self._venue.resolution, id, name)

    def last_id(self, symbol: str, at: int) -> int:
        """Number of the last trade until *at*; one less than the first one's before it."""
        return self.market(symbol).index(at + 1) - 1 + self._venue.first_id

    def bars(self, symbol: str, span: int, start: int, end: int) -> list[Bar]:
        """The bars of *span* seconds that begin in ``[start, end)``, those without trades too."""
        return self.market(symbol).bars(span, start, end)

    def book(self, symbol: str, at: int, depth: int = 1000) -> BookSnapshot:
        """The book at *at*; ``seq`` is Binance's ``lastUpdateId``."""
        return self.order_book(symbol).snapshot(at, depth)

    def funding(self, symbol: str, start: int, end: int) -> list[FundingRate]:
        """The rates paid in ``[start, end)``; none for a dated contract."""
        return self.derivative(symbol).settlements(start, end)

    def open_interest(self, symbol: str, at: int) -> OpenInterest:
        """The open interest at *at*; ``ts`` is since when."""
        return self.derivative(symbol).open_interest(at)

    def open_interests(self, symbol: str, span: int, start: int, end: int) -> list[OpenInterest]:
        """The open interest at each multiple of *span* seconds in ``[start, end)``."""
        return self.derivative(symbol).open_interests(start, end, span * NS)
