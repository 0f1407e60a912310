"""What the bus keeps, while the bus can't tell: what who asks is answered."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.control.kept import Kept
from actors.control.refusals import as_request_errors
from dccd import messages as m
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams
from dccd.errors import RequestError
from dccd.operations.base import ANY
from tests.dccd.bus.not_now import not_now

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("form", ["json", "status"])
@pytest.mark.parametrize("refuses", ["STREAM.INFO", "CONSUMER.CREATE"])
async def test_what_cannot_be_had_now_is_refused_as_such(tmp_path: Path, form: str, refuses: str) -> None:
    """With the code that says so in the table of operations, of deliveries and of pages; a moment later it is done."""
    server = EmbeddedServer(tmp_path, port=0, on_log=lambda level, text: None)
    async with server, not_now(server.url, form) as bus:
        await ensure_streams(bus)
        links: Any = SimpleNamespace(bus=bus, host="alpha", page=1 << 20)
        kept = Kept(links)
        follow = m.Follow(stream="events", inbox="_INBOX.x.y")
        bus.refuses = refuses
        for asked in (lambda: kept.follow(follow), lambda: kept.journal(m.Journal())):
            with pytest.raises(RequestError) as caught, as_request_errors():
                await asked()
            assert (caught.value.code, caught.value.reason) == (503, "not_now")
            assert (503, "not_now") in [(refusal.code, refusal.reason) for refusal in ANY]
        bus.refuses = None
        assert (await kept.follow(follow)).messages == 0
        assert (await kept.journal(m.Journal())).events == []
