"""One connection to Binance's streams: frames of a client flow in, answers flow out, without I/O.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams: raw streams at ``/ws/<name>``, combined
ones at ``/stream?streams=<name>/<name>``, live SUBSCRIBE and UNSUBSCRIBE on both; of futures the same after ``/public``
and ``/market``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Maker, Session, Stream

__all__ = ["BinanceSession", "open_session"]

_MAX_STREAMS = 1024
_MAX_FUTURES = 200
_PARTS = ("public", "market")
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_SYNTAX = re.compile(r"[!a-z0-9_]+@[\w@+:-]+|![\w@-]+")


class BinanceSession(Session):
    """One connection, for at most *most* subscriptions. *make* gives the streams."""

    def __init__(
        self, opened_at: int, faults: FaultPlan, make: Maker, *, combined: bool, most: int = _MAX_STREAMS
    ) -> None:
        super().__init__(opened_at)
        self._most = most
        self._faults = faults
        self._make = make
        self._combined = combined
        self._named: list[str] = []  # subscriptions in order, those to streams that don't exist too

    def opening(self) -> list[str]:
        """Nothing: Binance waits."""
        return []

    def wrap(self, stream: Stream, frames: list[str]) -> list[str]:
        """A combined connection's frames say which stream they are of."""
        if not self._combined:
            return frames
        head = f'{{"stream":"{stream.name}","data":'
        return [f"{head}{frame}}}" for frame in frames]

    def subscribe(self, names: list[str], now: int) -> None:
        """Add streams; one of a symbol that isn't listed stays silent, as with Binance."""
        for name in names:
            if name not in self._named:
                self._named.append(name)
                if stream := self._make(name, now):
                    self.streams[name] = stream

    def receive(self, text: str, now: int) -> list[str]:
        """Answer a request."""
        try:
            request = json.loads(text)
        except ValueError as exc:
            column = getattr(exc, "pos", 0) + 1
            return [_error(3, f"Invalid JSON: expected value at line 1 column {column}", None)]
        if not isinstance(request, dict):
            return [_error(2, "Invalid request: expected a map", None)]
        id, method, params = request.get("id"), request.get("method"), request.get("params")
        if isinstance(id, bool) or not isinstance(id, int | str | None) or (isinstance(id, int) and id < 0):
            return [_error(2, "Invalid request: request ID must be an unsigned integer", None)]
        if method is None:
            return [_error(2, f"Invalid request: missing field `method` at line 1 column {len(text)}", id)]
        if method not in _METHODS:
            known = ", ".join(f"`{known}`" for known in _METHODS)
            words = f"Invalid request: unknown variant `{method}`, expected one of {known} at line 1 column {len(text)}"
            return [_error(2, words, id)]
        return [self._call(method, params, id, now)]

    def _call(self, method: str, params: Any, id: Any, now: int) -> str:
        if method == "LIST_SUBSCRIPTIONS":
            return _result(self._named, id)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params, id)
        if not isinstance(params, list) or not params:
            return _error(2, "Invalid request: missing field `params`", id)
        if not all(isinstance(name, str) for name in params):
            return _error(2, "Invalid request: stream names must be strings", id)
        if method == "UNSUBSCRIBE":
            for name in params:
                if name in self._named:
                    self._named.remove(name)
                self.streams.pop(name, None)
            return _result(None, id)
        if not all(_SYNTAX.fullmatch(name) for name in params):
            return _error(2, "Invalid request: invalid stream", id)
        for name in params:
            stream = self._make(name, now)
            pair = (stream.symbol, stream.data_type) if stream else ("", "")
            refusal = self._faults.take(RefuseSubscription, "binance", symbol=pair[0], data_type=pair[1])
            if refusal is not None:
                return _error(2, refusal.message or "Invalid request: invalid stream", id)
        if len({*self._named, *params}) > self._most:
            return _error(2, f"Invalid request: too many subscriptions, at most {self._most} a connection", id)
        self.subscribe(params, now)
        return _result(None, id)

    def _property(self, method: str, params: Any, id: Any) -> str:
        if not isinstance(params, list) or not params or not isinstance(params[0], str):
            return _error(2, "Invalid request: property name must be a string", id)
        if params[0] != "combined":
            return _error(0, "Unknown property", id)
        if method == "GET_PROPERTY":
            return _result(self._combined, id)
        if len(params) != 2 or not isinstance(params[1], bool):
            return _error(1, "Invalid value type: expected Boolean", id)
        self._combined = params[1]
        return _result(None, id)


def open_session(faults: FaultPlan, path: str, now: int, make: Callable[[str], Maker]) -> BinanceSession | None:
    """A connection to *path*; ``None`` when Binance has no such path. *make*: ``""``, ``public`` or ``market`` → what
    gives its streams.
    """
    url = urlsplit(path)
    parts = [unquote(part) for part in url.path.split("/") if part]
    part = parts.pop(0) if parts and parts[0] in _PARTS else ""
    if not parts or parts[0] not in ("ws", "stream"):
        return None
    most = _MAX_FUTURES if part else _MAX_STREAMS
    session = BinanceSession(now, faults, make(part), combined=parts[0] == "stream", most=most)
    if parts[0] == "ws":
        session.subscribe(parts[1:], now)
    for names in parse_qs(url.query).get("streams", []):
        session.subscribe([name for name in names.split("/") if name], now)
    return session


def _result(result: Any, id: Any) -> str:
    return json.dumps({"result": result, "id": id}, separators=(",", ":"))


def _error(code: int, msg: str, id: Any) -> str:
    # Since 2024 errors come nested; the request's id, where there was one, beside.
    return json.dumps({"error": {"code": code, "msg": msg}, "id": id}, separators=(",", ":"))
