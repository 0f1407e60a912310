"""One connection to OKX's WebSocket: frames of a client flow in, answers and snapshots flow out, without I/O.

https://www.okx.com/docs-v5/en/#overview-websocket: ``/ws/v5/public`` and ``/ws/v5/business``; an answer for each
argument, with the request's id; the text ``ping`` is answered with ``pong``; 480 requests an hour.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.okx.streams import OkxStream
from dccd.simulator.venue import Session, Stream
from dccd.symbols import NS

__all__ = ["OkxSession"]

_REQUESTS = 480
_HOUR = 3600 * NS


class OkxSession(Session):
    """One connection. *make* gives the streams by channel and instrument; *limits*: whether requests are counted."""

    def __init__(
        self, opened_at: int, faults: FaultPlan, make: Callable[[str, str, int], Stream | None], *, limits: bool
    ) -> None:
        super().__init__(opened_at)
        self._faults = faults
        self._make = make
        self._limits = limits
        self._requests: list[int] = []
        self._id = f"{random.Random(opened_at).getrandbits(32):08x}"

    def opening(self) -> list[str]:
        """Nothing: OKX waits."""
        return []

    def receive(self, text: str, now: int) -> list[str]:
        """Answer a request; snapshots follow the answers."""
        if text == "ping":
            return ["pong"]
        try:
            request = json.loads(text)
        except ValueError:
            return [self._error(None, 60012, f"Invalid request: {text}")]
        op, id = (request.get("op"), request.get("id")) if isinstance(request, dict) else (None, None)
        if id is not None and not (isinstance(id, str) and re.fullmatch("[0-9A-Za-z]{1,32}", id)):
            return [self._error(None, 60012, f"Invalid request: {text}")]
        if op not in ("subscribe", "unsubscribe"):
            return [
                self._error(id, 60019, f"Invalid op: {op}")
                if op
                else self._error(id, 60012, f"Invalid request: {text}")
            ]
        if self._too_often(now):
            return [self._error(id, 60014, "Requests too frequent")]
        args = request.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(arg, dict) for arg in args):
            return [self._error(id, 60012, f"Invalid request: {text}")]
        answers: list[str] = []
        snapshots: list[str] = []
        for arg in args:
            channel, inst = str(arg.get("channel", "")), str(arg.get("instId", ""))
            if op == "unsubscribe":
                self.streams.pop(f"{channel}:{inst}", None)
                answers.append(self._answer(id, op, channel, inst))
                continue
            stream = self._make(channel, inst, now)
            refusal = stream and self._faults.take(
                RefuseSubscription, "okx", symbol=stream.symbol, data_type=stream.data_type
            )
            if stream is None or refusal is not None:
                unknown = (
                    f"Wrong URL or channel:{channel},instId:{inst} doesn't exist. Please use the correct URL, channel "
                    "and parameters referring to API document."
                )
                answers.append(self._error(id, 60018, (refusal and refusal.message) or unknown))
                continue
            self.streams[stream.name] = stream
            answers.append(self._answer(id, op, channel, inst))
            if isinstance(stream, OkxStream):
                snapshots += stream.first(now)
        return answers + snapshots

    def _too_often(self, now: int) -> bool:
        self._requests = [at for at in self._requests if at > now - _HOUR] + [now]
        return self._limits and len(self._requests) > _REQUESTS

    def _answer(self, id: str | None, event: str, channel: str, inst: str) -> str:
        body = {"event": event, "arg": {"channel": channel, "instId": inst}, "connId": self._id}
        return json.dumps(body if id is None else {"id": id, **body}, separators=(",", ":"))

    def _error(self, id: str | None, code: int, words: str) -> str:
        body = {"event": "error", "code": str(code), "msg": words, "connId": self._id}
        return json.dumps(body if id is None else {"id": id, **body}, separators=(",", ":"))
