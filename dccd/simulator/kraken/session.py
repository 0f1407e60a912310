"""One connection to Kraken's WebSocket v2: frames of a client flow in, answers and snapshots flow out, without I/O.

https://docs.kraken.com/exchange/api-reference/spot-websocket-v2: status on connecting, an acknowledgement or a refusal
for each symbol, a heartbeat each second in which nothing else is sent, ping and pong.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.kraken.formats import iso
from dccd.simulator.kraken.streams import CHANNELS, KrakenStream, Refused, stream_name
from dccd.simulator.venue import Session
from dccd.symbols import NS

__all__ = ["KrakenSession", "Maker"]

Maker = Callable[[dict[str, Any], str, int], KrakenStream]
"""(params, symbol, now) → the stream subscribed to; raises Refused."""


class KrakenSession(Session):
    """One connection. *make* gives the streams."""

    def __init__(self, opened_at: int, faults: FaultPlan, make: Maker) -> None:
        super().__init__(opened_at)
        self._faults = faults
        self._make = make
        self._last_sent = opened_at
        self._id = random.Random(opened_at).getrandbits(63)

    def opening(self) -> list[str]:
        """The status."""
        return [
            f'{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"online","api_version":"v2",'
            f'"connection_id":{self._id}}}]}}'
        ]

    def idle(self, now: int, sent: bool) -> list[str]:
        """A heartbeat after each second without a channel's frame, once anything is subscribed."""
        if sent or not self.streams:
            self._last_sent = now
        elif now - self._last_sent >= NS:
            self._last_sent = now
            return ['{"channel":"heartbeat"}']
        return []

    def receive(self, text: str, now: int) -> list[str]:
        """Answer a request: one frame for each symbol, then the snapshots."""
        try:
            request = json.loads(text)
        except ValueError:
            return [_answer("error", None, now, error="Malformed request")]
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return [_answer("error", None, now, error="Malformed request")]
        method, req_id = request["method"], request.get("req_id")
        if req_id is not None and (isinstance(req_id, bool) or not isinstance(req_id, int)):
            return [_answer(method, None, now, error="Field 'req_id' must be an integer")]
        if method == "ping":
            return [_pong(req_id, now)]
        if method not in ("subscribe", "unsubscribe"):
            return [_answer(method, req_id, now, error=f"Unsupported method: '{method}'")]
        params = request.get("params")
        if not isinstance(params, dict):
            return [_answer(method, req_id, now, error="Field 'params' must be an object")]
        try:
            symbols = self._symbols(params)
        except Refused as exc:
            return [_answer(method, req_id, now, error=str(exc))]
        answers, snapshots = [], []
        for symbol in symbols:
            try:
                result, frames = (
                    self._subscribe(params, symbol, now) if method == "subscribe" else self._unsubscribe(params, symbol)
                )
                answers.append(_answer(method, req_id, now, result=result))
                snapshots += frames
            except Refused as exc:
                answers.append(_answer(method, req_id, now, error=str(exc), symbol=symbol))
        return answers + snapshots

    def _symbols(self, params: dict[str, Any]) -> list[str]:
        channel = params.get("channel")
        if channel == "heartbeat":
            return [""]
        if channel not in CHANNELS:
            raise Refused(f"Subscription name invalid: '{channel}'" if channel else "Missing field: 'channel'")
        if channel == "instrument":
            return [""]
        symbols = params.get("symbol")
        if not isinstance(symbols, list) or not symbols or not all(isinstance(one, str) for one in symbols):
            raise Refused("Field 'symbol' must be an array of strings")
        return symbols

    def _subscribe(self, params: dict[str, Any], symbol: str, now: int) -> tuple[dict[str, Any], list[str]]:
        channel = params["channel"]
        if channel == "heartbeat":
            return {"channel": channel}, []
        # A client may send null for "as you like".
        snapshot = params.get("snapshot")
        snapshot = channel != "trade" if snapshot is None else snapshot
        if not isinstance(snapshot, bool):
            raise Refused("Field 'snapshot' must be a boolean")
        data_type = {"trade": "trades", "ohlc": "ohlc", "book": "orderbook"}.get(channel, "")
        refusal = self._faults.take(RefuseSubscription, "kraken", symbol=symbol, data_type=data_type)
        if refusal is not None:
            raise Refused(refusal.message or f"Currency pair not supported {symbol}")
        stream = self._make(params, symbol, now)
        if stream.name in self.streams:
            raise Refused("Already subscribed")
        self.streams[stream.name] = stream
        result = {"channel": channel, "snapshot": snapshot} | ({"symbol": symbol} if symbol else {}) | stream.result
        return result, stream.first(now) if snapshot else []

    def _unsubscribe(self, params: dict[str, Any], symbol: str) -> tuple[dict[str, Any], list[str]]:
        channel = params["channel"]
        if channel != "heartbeat" and self.streams.pop(stream_name(params, symbol), None) is None:
            raise Refused("Subscription Not Found")
        return {"channel": channel} | ({"symbol": symbol} if symbol else {}), []


def _answer(
    method: str,
    req_id: int | None,
    now: int,
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
    symbol: str | None = None,
) -> str:
    out: dict[str, Any] = {}
    if error is not None:
        out["error"] = error
    out["method"] = method
    if req_id is not None:
        out["req_id"] = req_id
    if result is not None:
        out["result"] = result
    out["success"] = error is None
    if error is not None and symbol:
        out["symbol"] = symbol
    out["time_in"] = iso(now)
    out["time_out"] = iso(now + 40_000)
    return json.dumps(out, separators=(",", ":"))


def _pong(req_id: int | None, now: int) -> str:
    out: dict[str, Any] = {"method": "pong"}
    if req_id is not None:
        out["req_id"] = req_id
    return json.dumps(out | {"time_in": iso(now), "time_out": iso(now + 40_000)}, separators=(",", ":"))
