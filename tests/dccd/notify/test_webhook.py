"""A message to a webhook, over a real socket."""

from __future__ import annotations

import gzip
import socket

import pytest

from dccd.errors import NotTold
from dccd.notify.forms import Post
from dccd.notify.webhook import Sender
from tests.receiver import Receiver

pytestmark = pytest.mark.anyio

POST = Post({"Content-Type": "application/json", "X-Token": "t"}, b'{"a": 1}')


async def test_it_comes_as_it_was_made() -> None:
    """Headers and body, to the path."""
    async with Receiver() as receiver, Sender() as sender:
        await sender.send(f"{receiver.url}/services/x", POST)
        path, headers, body = receiver.posts[0]
    assert (path, headers["X-Token"], headers["Content-Type"], body) == (
        "/services/x",
        "t",
        "application/json",
        POST.body,
    )


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
async def test_any_other_answer_is_told_in_its_own_words(status: int) -> None:
    """A redirect, too: where it leads isn't who was meant."""
    async with Receiver() as receiver, Sender() as sender:
        receiver.status, receiver.headers = status, {"Retry-After": "7", "Location": "/elsewhere"}
        with pytest.raises(NotTold, match=f"HTTP {status}: as you say") as raised:
            await sender.send(f"{receiver.url}/secret", POST)
    assert raised.value.retry_after == 7
    assert len(receiver.posts) == 1


async def test_nobody_there_is_told_without_the_url() -> None:
    """The path is a password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/secret"
    async with Sender() as sender:
        with pytest.raises(NotTold, match="no connection") as raised:
            await sender.send(url, POST)
    assert "secret" not in str(raised.value)
    assert "1 not" in repr(sender)


async def test_what_is_answered_is_one_line_of_text() -> None:
    """What would move a terminal's cursor, or isn't text, is left out; what is packed is not unpacked."""
    async with Receiver() as receiver, Sender() as sender:
        receiver.status, receiver.body = 500, b"\x1b]0;owned\x07no\r\n way\xff\xc2\x9b2J"
        with pytest.raises(NotTold) as raised:
            await sender.send(receiver.url, POST)
        assert str(raised.value) == "HTTP 500: ]0;owned no way\ufffd 2J"
        receiver.headers, receiver.body = {"Content-Encoding": "gzip"}, gzip.compress(b"a" * (1 << 20))
        with pytest.raises(NotTold) as raised:
            await sender.send(receiver.url, POST)
        assert "aaa" not in str(raised.value)
        assert len(str(raised.value)) < 300
        assert receiver.posts[0][1]["Accept-Encoding"] == "identity"
