"""KuCoin, Gate and Bitstamp on loopback, in their own wire formats: a made-up market flows in, REST and WebSocket out.

Just as much of each as ccxt and ccxt.pro ask for: markets, trades, bars, a book. Written after their API documents and
the examples in ccxt's source. They know the market's truth, which tests compare with what was collected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from dccd.symbols import NS

__all__ = ["VENUES", "Bitstamp", "Gate", "Kucoin", "Print", "Venue", "venue"]

MINUTE = 60 * NS


@dataclass(frozen=True)
class Print:
    """One trade: number, time (ns), price, amount, taker's side."""

    n: int
    ts: int
    price: float
    amount: float
    side: str


@dataclass
class Venue:
    """One exchange with one market. Subclasses know its formats. *newest*: trades that its REST serves."""

    prints: list[Print] = field(default_factory=list)
    bids: dict[float, float] = field(default_factory=lambda: {99.5: 1.0, 99.0: 2.0})
    asks: dict[float, float] = field(default_factory=lambda: {100.5: 1.5, 101.0: 2.5})
    seq: int = 1000
    newest: int = 100
    base: str = ""
    asked: list[str] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    id = ""
    pair = "BTC/USDT"

    # ------------------------------------------------------------ the market

    def trade(self, ts: int, price: float, amount: float = 0.25, side: str = "buy") -> Print:
        """A trade has happened; nobody is told yet."""
        # The middle of a millisecond: ccxt makes milliseconds of KuCoin's nanoseconds with floats, which round.
        self.prints.append(Print(len(self.prints) + 1, ts - ts % 1_000_000 + 500_000, price, amount, side))
        return self.prints[-1]

    def bars(self, span: int, start: int, end: int) -> list[tuple[int, float, float, float, float, float]]:
        """The bars that open in ``[start, end)`` seconds: time in seconds, open, high, low, close, volume."""
        found: dict[int, list[Print]] = {}
        for one in self.prints:
            found.setdefault(one.ts // NS // span * span, []).append(one)
        return [
            (
                at,
                ones[0].price,
                max(one.price for one in ones),
                min(one.price for one in ones),
                ones[-1].price,
                sum(one.amount for one in ones),
            )
            for at, ones in sorted(found.items())
            if start <= at < end
        ]

    # ------------------------------------------------------------ the wire

    def rest(self, method: str, path: str, query: dict[str, str]) -> Any:
        """The answer to a request; KeyError: there is no such."""
        raise NotImplementedError

    def said(self, message: Any) -> list[Any]:
        """What to answer to a client's message."""
        raise NotImplementedError

    def trades_frames(self, prints: list[Print]) -> list[Any]:
        """What subscribers of trades get."""
        raise NotImplementedError

    def book_frame(self, ts: int) -> Any:
        """What subscribers of the book get after :meth:`change`."""
        raise NotImplementedError

    async def tell(self, *frames: Any) -> None:
        """Send frames to everybody who is connected."""
        for socket in [*self.sockets]:
            for frame in frames:
                await socket.send_str(json.dumps(frame))

    async def publish(self, *prints: Print) -> None:
        """Tell subscribers of these trades."""
        await self.tell(*self.trades_frames([*prints]))

    async def change(self, ts: int, bids: dict[float, float], asks: dict[float, float]) -> None:
        """Change the book (0: the level is gone), and tell."""
        for side, new in ((self.bids, bids), (self.asks, asks)):
            side.update(new)
            for price in [price for price, amount in side.items() if not amount]:
                del side[price]
        self.changed = (bids, asks)
        self.seq += 1
        await self.tell(self.book_frame(ts))

    async def until_heard(self, type: str, topic: str, times: int = 1) -> None:
        """Wait until a client has said so."""
        async with asyncio.timeout(20):
            while [(said.get("type"), said.get("topic")) for said in self.heard].count((type, topic)) < times:
                self._news.clear()
                await self._news.wait()

    async def drop(self) -> None:
        """End all connections."""
        for socket in [*self.sockets]:
            await socket.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._converse(request)
        self.asked.append(f"{request.method} {request.path_qs}")
        try:
            answer = self.rest(request.method, request.path, dict(request.query))
        except KeyError:
            return web.json_response({"error": f"no {request.path}"}, status=404)
        return web.json_response(answer)

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    said = json.loads(message.data)
                    self.heard.append(said)
                    self._news.set()
                    for answer in self.said(said):
                        await socket.send_str(json.dumps(answer))
                    if "subscribe" in json.dumps(said):
                        self.subscribed.set()
        finally:
            self.sockets.remove(socket)
        return socket

    @property
    def urls(self) -> dict[str, str]:
        """Where it is."""
        return {"rest_url": f"http://{self.base}", "ws_url": f"ws://{self.base}"}


class Kucoin(Venue):
    """https://www.kucoin.com/docs-new: the WebSocket's address comes with a token; REST has the newest 100 trades."""

    id = "kucoin"

    def rest(self, method: str, path: str, query: dict[str, str]) -> Any:
        table: dict[str, Callable[[], Any]] = {
            "/api/v3/currencies": lambda: [
                {"currency": name, "fullName": name, "precision": 8, "chains": []} for name in ("BTC", "USDT")
            ],
            "/api/v2/symbols": lambda: [
                {
                    "symbol": "BTC-USDT",
                    "baseCurrency": "BTC",
                    "quoteCurrency": "USDT",
                    "baseIncrement": "0.00000001",
                    "priceIncrement": "0.1",
                    "baseMinSize": "0.00001",
                    "baseMaxSize": "10000",
                    "enableTrading": True,
                }
            ],
            "/api/v1/market/allTickers": lambda: {"ticker": []},
            "/api/v1/contracts/active": lambda: [],
            "/api/v1/market/histories": lambda: [
                {
                    "sequence": str(one.n),
                    "price": str(one.price),
                    "size": str(one.amount),
                    "side": one.side,
                    "time": one.ts,
                }
                for one in self.prints[-self.newest :]
            ],
            "/api/v1/market/candles": lambda: [
                [str(at), str(o), str(c), str(h), str(low), str(v), "0"]
                for at, o, h, low, c, v in reversed(
                    self.bars(
                        {"1min": 60, "1hour": 3600, "1day": 86_400}[query["type"]],
                        int(query.get("startAt", 0)),
                        int(query.get("endAt", 1 << 40)),
                    )[-1500:]
                )
            ],
            "/api/v1/market/orderbook/level2_100": self._level2,
            "/api/v3/market/orderbook/level2": self._level2,
            "/api/v1/bullet-public": lambda: {
                "token": "t0ken",
                "instanceServers": [
                    {"endpoint": "wss://ws-api-spot.kucoin.com/", "pingInterval": 18000, "pingTimeout": 10000}
                ],
            },
        }
        return {"code": "200000", "data": table[path]()}

    def _level2(self) -> Any:
        sides = {
            "bids": [[str(p), str(a)] for p, a in sorted(self.bids.items(), reverse=True)],
            "asks": [[str(p), str(a)] for p, a in sorted(self.asks.items())],
        }
        return {"sequence": str(self.seq), "time": 1_700_000_000_000, **sides}

    def said(self, message: Any) -> list[Any]:
        if message["type"] == "ping":
            return [{"id": message["id"], "type": "pong"}]
        return [{"id": message["id"], "type": "ack"}]

    def trades_frames(self, prints: list[Print]) -> list[Any]:
        return [
            {
                "type": "message",
                "topic": "/market/match:BTC-USDT",
                "subject": "trade.l3match",
                "data": {
                    "sequence": str(one.n),
                    "tradeId": f"5e356c4aeefabd{one.n:010x}",
                    "symbol": "BTC-USDT",
                    "side": one.side,
                    "price": str(one.price),
                    "size": str(one.amount),
                    "time": str(one.ts),
                    "type": "match",
                },
            }
            for one in prints
        ]

    def bar_frame(self, span: int, name: str, at: int) -> Any:
        """What subscribers of bars get: the state of the one that opened at *at* seconds."""
        ((_, o, h, low, c, v),) = self.bars(span, at, at + 1)
        return {
            "type": "message",
            "topic": f"/market/candles:BTC-USDT_{name}",
            "subject": "trade.candles.update",
            "data": {"symbol": "BTC-USDT", "candles": [str(at), *map(str, (o, c, h, low, v, 0))], "time": at * NS},
        }

    def book_frame(self, ts: int) -> Any:
        bids, asks = self.changed
        return {
            "type": "message",
            "topic": "/market/level2:BTC-USDT",
            "subject": "trade.l2update",
            "data": {
                "symbol": "BTC-USDT",
                "sequenceStart": self.seq,
                "sequenceEnd": self.seq,
                "time": ts // 1_000_000,
                "changes": {
                    "bids": [[str(p), str(a), str(self.seq)] for p, a in bids.items()],
                    "asks": [[str(p), str(a), str(self.seq)] for p, a in asks.items()],
                },
            },
        }


class Gate(Venue):
    """https://www.gate.com/docs/developers/apiv4: REST has the newest trades, whatever is asked for."""

    id = "gate"

    def rest(self, method: str, path: str, query: dict[str, str]) -> Any:
        market = {
            "id": "BTC_USDT",
            "base": "BTC",
            "quote": "USDT",
            "fee": "0.2",
            "min_base_amount": "0.0001",
            "min_quote_amount": "1",
            "amount_precision": 6,
            "precision": 1,
            "trade_status": "tradable",
            "sell_start": 0,
            "buy_start": 0,
        }
        table: dict[str, Callable[[], Any]] = {
            "spot/currencies": lambda: [{"currency": name, "chains": []} for name in ("BTC", "USDT")],
            "spot/currency_pairs": lambda: [market],
            "margin/currency_pairs": lambda: [],
            "futures/usdt/contracts": lambda: [],
            "futures/btc/contracts": lambda: [],
            "delivery/usdt/contracts": lambda: [],
            "delivery/btc/contracts": lambda: [],
            "options/underlyings": lambda: [],
            "spot/trades": lambda: [
                self._print(one) for one in reversed(self.prints[-int(query.get("limit", self.newest)) :])
            ],
            "spot/candlesticks": lambda: [
                [str(at), "0", str(c), str(h), str(low), str(o), str(v), "true"]
                for at, o, h, low, c, v in self.bars(
                    {"1m": 60, "1h": 3600, "1d": 86_400}[query["interval"]],
                    int(query.get("from", 0)),
                    int(query.get("to", 1 << 40)) + 1,
                )[-int(query.get("limit", 1000)) :]
            ],
        }
        return table[path.removeprefix("/api/v4/")]()

    @staticmethod
    def _print(one: Print) -> Any:
        return {
            "id": one.n,
            "create_time": one.ts // NS,
            "create_time_ms": f"{one.ts // 1_000_000}.{one.ts // 1000 % 1000:03}",
            "currency_pair": "BTC_USDT",
            "side": one.side,
            "amount": str(one.amount),
            "price": str(one.price),
        }

    def said(self, message: Any) -> list[Any]:
        if message.get("channel", "").endswith(".ping"):
            return [{"time": 0, "channel": "spot.pong", "event": "", "result": None}]
        keys = ("id", "time", "channel", "event")
        return [{**{key: message[key] for key in keys}, "error": None, "result": {"status": "success"}}]

    def trades_frames(self, prints: list[Print]) -> list[Any]:
        return [
            {"time": one.ts // NS, "channel": "spot.trades", "event": "update", "result": self._print(one)}
            for one in prints
        ]


class Bitstamp(Venue):
    """https://www.bitstamp.net/api and /websocket/v2: REST has the last hour's trades, its times are seconds."""

    id = "bitstamp"
    pair = "BTC/USD"

    def rest(self, method: str, path: str, query: dict[str, str]) -> Any:
        table: dict[str, Callable[[], Any]] = {
            "markets": lambda: [
                {
                    "name": "BTC/USD",
                    "market_symbol": "btcusd",
                    "base_currency": "BTC",
                    "base_decimals": 8,
                    "counter_currency": "USD",
                    "counter_decimals": 0,
                    "minimum_order_value": "10",
                    "trading": "Enabled",
                    "description": "Bitcoin / U.S. dollar",
                    "market_type": "SPOT",
                }
            ],
            "transactions/btcusd": lambda: [
                {
                    "date": str(one.ts // NS),
                    "tid": str(one.n),
                    "amount": str(one.amount),
                    "type": "0" if one.side == "buy" else "1",
                    "price": str(one.price),
                }
                for one in reversed(self.prints[-self.newest :])
            ],
            "ohlc/btcusd": lambda: {
                "data": {
                    "pair": "BTC/USD",
                    "ohlc": [
                        dict(
                            zip(
                                ("timestamp", "open", "high", "low", "close", "volume"),
                                map(str, row),
                                strict=True,
                            )
                        )
                        for row in self.bars(
                            int(query["step"]), int(query.get("start", 0)), int(query.get("end", 1 << 40)) + 1
                        )[-1000:]
                    ],
                }
            },
        }
        return table[path.removeprefix("/api/v2/").rstrip("/")]()

    def said(self, message: Any) -> list[Any]:
        event = message["event"].replace("scribe", "scription_succeeded")
        return [{"event": event, "channel": message["data"]["channel"], "data": {}}]

    def trades_frames(self, prints: list[Print]) -> list[Any]:
        return [
            {
                "event": "trade",
                "channel": "live_trades_btcusd",
                "data": {
                    "id": one.n,
                    "timestamp": str(one.ts // NS),
                    "microtimestamp": str(one.ts // 1000),
                    "amount": one.amount,
                    "amount_str": str(one.amount),
                    "price": one.price,
                    "price_str": str(one.price),
                    "type": 0 if one.side == "buy" else 1,
                    "buy_order_id": 1,
                    "sell_order_id": 2,
                },
            }
            for one in prints
        ]


VENUES: dict[str, type[Venue]] = {kind.id: kind for kind in (Kucoin, Gate, Bitstamp)}


@asynccontextmanager
async def venue(made: Venue) -> AsyncIterator[Venue]:
    """Serve it on loopback while the block runs."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        made.base = "{}:{}".format(*site._server.sockets[0].getsockname()[:2])  # type: ignore[attr-defined]  # a TCP server's
        yield made
    finally:
        await runner.cleanup()
