"""One connection to Bybit's public streams: frames of a client flow in, answers and snapshots flow out, without I/O.

https://bybit-exchange.github.io/docs/v5/ws/connect: ``/v5/public/spot`` and ``/v5/public/linear``; subscribe,
unsubscribe and ping, each answered with the request's id. Of several topics in a request all are refused when one is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from dccd.simulator.bybit.streams import BybitStream
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Maker, Session, Stream

__all__ = ["BybitSession"]

_MOST_ARGS = 10  # a request, on spot
_MOST_CHARACTERS = 21_000  # of all topics of a connection


class BybitSession(Session):
    """One connection of *category*. *make* gives the streams."""

    def __init__(self, opened_at: int, faults: FaultPlan, category: str, make: Maker) -> None:
        super().__init__(opened_at)
        self._faults = faults
        self._spot = category == "spot"
        self._make: Callable[[str, int], Stream | None] = make
        self._id = f"d{random.Random(opened_at).getrandbits(80):020x}-1x"

    def opening(self) -> list[str]:
        """Nothing: Bybit waits."""
        return []

    def receive(self, text: str, now: int) -> list[str]:
        """Answer a request; snapshots follow the answer."""
        try:
            request = json.loads(text)
        except ValueError:
            return [self._answer(False, "Illegal json data", "", "")]
        if not isinstance(request, dict):
            return [self._answer(False, "Illegal json data", "", "")]
        op, req_id, args = request.get("op"), str(request.get("req_id") or ""), request.get("args")
        if op == "ping":
            return [self._answer(True, "pong", req_id, op)]
        if op not in ("subscribe", "unsubscribe"):
            return [self._answer(False, "error:invalid op", req_id, str(op or ""))]
        if not isinstance(args, list) or not args or not all(isinstance(arg, str) for arg in args):
            return [self._answer(False, "error:invalid args", req_id, op)]
        if op == "unsubscribe":
            for topic in args:
                self.streams.pop(topic, None)
            return [self._answer(True, "", req_id, op)]
        refusal, streams = self._streams(args, now)
        if refusal:
            return [self._answer(False, refusal, req_id, op)]
        self.streams |= {stream.name: stream for stream in streams}
        snapshots = [frame for stream in streams if isinstance(stream, BybitStream) for frame in stream.first(now)]
        return [self._answer(True, op if self._spot else "", req_id, op), *snapshots]

    def _streams(self, topics: list[str], now: int) -> tuple[str, list[Stream]]:
        """Why they are refused, or the streams."""
        if self._spot and len(topics) > _MOST_ARGS:
            return f"args size >{_MOST_ARGS}", []
        if len(json.dumps([*self.streams, *topics], separators=(",", ":"))) > _MOST_CHARACTERS:
            return f"args length exceeds {_MOST_CHARACTERS}", []
        found: list[Stream] = []
        for topic in topics:
            if topic in self.streams:
                return f"error:already subscribed,topic:{topic}", []
            stream = self._make(topic, now)
            if stream is None:
                return self._unknown(topic), []
            pair = {"symbol": stream.symbol, "data_type": stream.data_type}
            refusal = self._faults.take(RefuseSubscription, "bybit", **pair)
            if refusal is not None:
                return refusal.message or self._unknown(topic), []
            found.append(stream)
        return "", found

    def _unknown(self, topic: str) -> str:
        return f"Invalid symbol :[{topic}]" if self._spot else f"error:handler not found,topic:{topic}"

    def _answer(self, success: bool, words: str, req_id: str, op: str) -> str:
        answer = {"success": success, "ret_msg": words, "conn_id": self._id, "req_id": req_id, "op": op}
        return json.dumps(answer, separators=(",", ":"))
