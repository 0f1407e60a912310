"""The simulator's own HTTP requests, under ``/_sim``: faults and questions flow in, truth flows out.

* ``GET /_sim/status``
* ``GET|POST|DELETE /_sim/faults``, ``DELETE /_sim/faults/<id>``: a POST has one fault or a list (see ``faults``).
* ``GET /_sim/truth/trades?symbol=BTC/USDT&start=…&end=…`` (ns), or ``first=…&last=…`` (trades' numbers, inclusive)
* ``GET /_sim/truth/bars?symbol=…&span=60&start=…&end=…``
* ``GET /_sim/truth/book?symbol=…&at=…&depth=…``
* ``GET /_sim/truth/funding?symbol=BTC/USDT:perp&start=…&end=…``: the rates paid
* ``GET /_sim/truth/open_interest?symbol=…&at=…``, or ``span=1h&start=…&end=…``: a list, at each multiple of the span

Any exchange's REST port takes them; the truth is that exchange's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dccd.errors import IdentityError
from dccd.simulator.faults import Fault, FaultPlan, Injected
from dccd.simulator.truth import Truth
from dccd.simulator.venue import Answer
from dccd.symbols import NS, Symbol, parse_span

__all__ = ["Control"]

_MOST_TRADES = 1_000_000


class _Refused(Exception):
    """A request that can't be served: status and why."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Control:
    """Answers them for one exchange."""

    def __init__(self, truth: Truth, faults: FaultPlan, status: Callable[[], dict[str, Any]]) -> None:
        self._truth = truth
        self._faults = faults
        self._status = status

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """Answer one request; *path* begins with ``/_sim/``."""
        parts = path.strip("/").split("/")[1:]
        try:
            match method, parts:
                case "GET", ["status"]:
                    found: Any = self._status()
                case "GET", ["faults"]:
                    found = [_shown(one) for one in self._faults.active]
                case "POST", ["faults"]:
                    found = self._inject(body)
                case "DELETE", ["faults"]:
                    found = {"lifted": self._faults.lift()}
                case "DELETE", ["faults", id]:
                    found = {"lifted": self._faults.lift(_whole({"id": id}, "id"))}
                case "GET", ["truth", kind]:
                    found = self._tell(kind, query)
                case _:
                    raise _Refused(404, f"no such request: {method} {path}")
        except _Refused as exc:
            return Answer(msgspec.json.encode({"error": str(exc)}), exc.status)
        except (IdentityError, ValueError, KeyError) as exc:
            return Answer(msgspec.json.encode({"error": str(exc)}), 400)
        return Answer(msgspec.json.encode(found))

    def _inject(self, body: bytes) -> list[dict[str, Any]]:
        # msgspec's errors are ValueErrors that name the field.
        asked = msgspec.json.decode(body)
        faults = msgspec.convert(asked if isinstance(asked, list) else [asked], list[Fault])
        return [_shown(self._faults.inject(fault)) for fault in faults]

    def _tell(self, kind: str, query: dict[str, str]) -> Any:
        symbol = Symbol.parse(query.get("symbol", "")).human
        if symbol not in self._truth.symbols:
            raise _Refused(404, f"{symbol} is not listed; there are {', '.join(self._truth.symbols)}")
        if kind == "trades":
            if "first" in query:
                first, last = _whole(query, "first"), _whole(query, "last")
                _bounded(last - first + 1)
                return self._truth.numbered(symbol, first, last)
            start, end = _whole(query, "start"), _whole(query, "end")
            _bounded(self._truth.count(symbol, start, end))
            return self._truth.trades(symbol, start, end)
        if kind == "bars":
            span, start, end = parse_span(query.get("span", "60")), _whole(query, "start"), _whole(query, "end")
            _bounded((end - start) // (span * NS))
            return self._truth.bars(symbol, span, start, end)
        if kind == "book":
            return self._truth.book(symbol, _whole(query, "at"), _whole(query, "depth") if "depth" in query else 1000)
        if kind == "funding":
            start, end = _whole(query, "start"), _whole(query, "end")
            _bounded((end - start) // self._truth.derivative(symbol).interval)
            return self._truth.funding(symbol, start, end)
        if kind == "open_interest":
            if "at" in query:
                return self._truth.open_interest(symbol, _whole(query, "at"))
            span, start, end = parse_span(query.get("span", "300")), _whole(query, "start"), _whole(query, "end")
            _bounded((end - start) // (span * NS))
            return self._truth.open_interests(symbol, span, start, end)
        raise _Refused(404, f"no truth about {kind!r}; there are trades, bars, book, funding, open_interest")


def _whole(query: dict[str, str], name: str) -> int:
    value = query.get(name, "")
    if not value.isdecimal() or len(value) > 19:
        raise _Refused(400, f"{name} must be a whole number, found {value!r}")
    return int(value)


def _bounded(count: int) -> None:
    if count > _MOST_TRADES:
        raise _Refused(400, f"{count:,} at once; ask for at most {_MOST_TRADES:,}")


def _shown(injected: Injected) -> dict[str, Any]:
    return {"id": injected.id, "fault": injected.fault, "hits": injected.hits, "done": injected.done}
