"""The REST side of a simulated exchange: requests flow in over aiohttp, the venue's answers flow out, or faults."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dccd.simulator.clock import Clock
from dccd.simulator.control import Control
from dccd.simulator.faults import FaultPlan, HttpError, HttpMalformed, HttpReset, HttpSlow
from dccd.simulator.venue import Answer, Venue

__all__ = ["RestServer"]


class RestServer:
    """One exchange's REST port."""

    def __init__(self, venue: Venue, clock: Clock, faults: FaultPlan, control: Control) -> None:
        self._venue = venue
        self._clock = clock
        self._faults = faults
        self._control = control
        self._runner: web.ServerRunner | None = None
        self.requests: dict[str, int] = {}
        """Requests so far, by path."""
        self.answers: dict[int, int] = {}
        """Answers so far, by status."""

    def __repr__(self) -> str:
        return f"<RestServer {self._venue.id} requests={sum(self.requests.values())}>"

    def statistics(self) -> dict[str, Any]:
        """Requests by path, answers by status."""
        return {"requests": dict(self.requests), "answers": {str(key): n for key, n in self.answers.items()}}

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises OSError when it is taken."""
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close, cutting off what is being answered after a second."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        query = dict(request.query)
        if request.path.startswith("/_sim/"):
            return _response(self._control.answer(request.method, request.path, query, await request.read()))
        self.requests[request.path] = self.requests.get(request.path, 0) + 1
        answer = await self._answer(request, query)
        self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
        return _response(answer)

    async def _answer(self, request: web.BaseRequest, query: dict[str, str]) -> Answer:
        take, path, id = self._faults.take, request.path, self._venue.id
        if slow := take(HttpSlow, id, path=path):
            await self._clock.sleep(slow.seconds)
        if take(HttpReset, id, path=path):
            if request.transport is not None:
                request.transport.abort()
            return Answer(b"", 500)
        if error := take(HttpError, id, path=path):
            return self._venue.error(error.status, error.retry_after)
        if request.method not in ("GET", "HEAD"):
            return self._venue.error(405, None)
        answer = self._venue.get(path, query, self._clock.now(), request.remote or "")
        if take(HttpMalformed, id, path=path):
            return Answer(answer.body[: len(answer.body) // 2], answer.status, answer.headers, answer.content_type)
        return answer


def _response(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body, status=answer.status, headers=answer.headers, content_type=answer.content_type
    )
