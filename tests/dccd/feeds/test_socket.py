from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from dccd.errors import SocketClosed
from dccd.feeds.socket import Socket, connect
from tests.waiting import Until

pytestmark = pytest.mark.anyio

Serve = Callable[..., Awaitable[str]]
BOUND = 30.0


async def everything(socket: Socket) -> tuple[list[bytes], SocketClosed]:
    """All messages until the end, and the end."""
    messages: list[bytes] = []
    async with asyncio.timeout(BOUND):
        while True:
            try:
                messages += await socket.receive()
            except SocketClosed as closed:
                return messages, closed


async def test_messages_arrive_as_bytes_and_a_clean_close_comes_after_them(serving: Serve) -> None:
    """Text is not decoded on the way; the close's code and reason come once all before it was taken."""

    async def handler(peer: ServerConnection) -> None:
        assert peer.request is not None
        await peer.send(f"{peer.request.path} {await peer.recv()} {peer.request.headers['User-Agent'][:4]}")
        for number in range(100):
            await peer.send(str(number))
        await peer.send(["in ", "three ", "parts"])
        await peer.send("é" * 200_000)
        await peer.close(1001, "going away")

    socket = await connect(await serving(handler) + "/ws/btcusdt@aggTrade?x=1")
    await socket.send("subscribe")
    messages, closed = await everything(socket)
    assert messages[0] == b"/ws/btcusdt@aggTrade?x=1 subscribe dccd"
    assert messages[1:101] == [str(number).encode() for number in range(100)]
    assert messages[101:] == [b"in three parts", ("é" * 200_000).encode()]
    assert (closed.code, closed.reason) == (1001, "going away")
    assert socket.statistics()["messages"] == 103
    assert "closed" in repr(socket)
    await socket.aclose()


async def test_an_abrupt_end_comes_after_what_was_received(serving: Serve, until: Until) -> None:
    """A connection that just breaks is 1006, and costs nothing that had come."""

    async def handler(peer: ServerConnection) -> None:
        await peer.send("last words")
        await peer.recv()
        peer.transport.abort()

    socket = await connect(await serving(handler))
    await until(lambda: socket.statistics()["messages"])
    await socket.send("die")
    messages, closed = await everything(socket)
    assert messages == [b"last words"]
    assert closed.code == 1006
    with pytest.raises(SocketClosed):
        await socket.send("anything")
    socket.ping()
    await socket.aclose()


async def test_each_read_is_a_batch_with_its_time(serving: Serve) -> None:
    """What take() gives are reads: when each was made, and what it completed."""

    async def handler(peer: ServerConnection) -> None:
        await peer.send("a")
        await peer.recv()

    socket = await connect(await serving(handler))
    async with asyncio.timeout(BOUND):
        await socket.changed.wait()
    ((recv_ts, messages),) = socket.take()
    assert messages == [b"a"]
    assert recv_ts > 1_700_000_000_000_000_000
    assert socket.take() == []
    await socket.aclose()


async def test_pings_are_answered_and_pongs_are_seen(serving: Serve, until: Until) -> None:
    """The server gets its pong, and our own ping shows in last_read."""
    answered = asyncio.Event()

    async def handler(peer: ServerConnection) -> None:
        await (await peer.ping())
        answered.set()
        await peer.wait_closed()

    socket = await connect(await serving(handler))
    async with asyncio.timeout(BOUND):
        await answered.wait()
        before = socket.statistics()["bytes"]
        socket.ping()
        await until(lambda: socket.statistics()["bytes"] > before)
    assert socket.take() == []
    await socket.aclose()


async def test_nobody_taking_pauses_reading_and_memory_stays_bounded(serving: Serve, until: Until) -> None:
    """A flood that nobody takes fills the queue to its bound, not memory; then all of it arrives, in order."""
    count, size = 3_000, 4_000
    blocked = asyncio.Event()

    async def handler(peer: ServerConnection) -> None:
        for number in range(count):
            await peer.send(str(number).encode().ljust(size))
            if peer.transport.get_write_buffer_size() > 0:
                blocked.set()
        await peer.close()

    socket = await connect(await serving(handler), queue_bytes=64 * 1024)
    async with asyncio.timeout(BOUND):
        await blocked.wait()
        await until(lambda: socket.statistics()["paused"])
    assert socket.statistics()["queued_bytes"] <= (64 + 256) * 1024
    messages, closed = await everything(socket)
    assert [int(message) for message in messages] == list(range(count))
    assert closed.code == 1000
    assert socket.statistics()["pauses"] > 1
    await socket.aclose()


async def test_a_message_beyond_the_bound_ends_the_socket(serving: Serve) -> None:
    """1009 instead of memory without end, after the messages before it."""

    async def handler(peer: ServerConnection) -> None:
        await peer.send("fits")
        await peer.send("x" * 100_001)
        await peer.wait_closed()

    socket = await connect(await serving(handler), max_size=100_000)
    messages, closed = await everything(socket)
    assert messages == [b"fits"]
    assert closed.code == 1009
    await socket.aclose()


async def test_compression_is_off_unless_asked_for(serving: Serve) -> None:
    """The server would compress; only a client that asks for it gets it."""
    offers: list[str | None] = []

    async def handler(peer: ServerConnection) -> None:
        assert peer.request is not None
        offers.append(peer.request.headers.get("Sec-WebSocket-Extensions"))
        await peer.send("abc" * 1_000)
        await peer.close()

    url = await serving(handler)
    sizes = []
    for compression in (False, True):
        socket = await connect(url, compression=compression)
        assert (await everything(socket))[0] == [b"abc" * 1_000]
        sizes.append(socket.statistics()["bytes"])
        await socket.aclose()
    assert offers[0] is None
    assert offers[1] is not None
    assert sizes[1] < sizes[0] / 5


async def test_tls(serving: Serve, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """wss:// speaks TLS and checks the certificate; pausing and resuming work over it too."""
    server, client = certificate

    async def handler(peer: ServerConnection) -> None:
        for number in range(2_000):
            await peer.send(str(number).ljust(1_000))
        await peer.close()

    url = await serving(handler, ssl=server)
    socket = await connect(url, tls=client, queue_bytes=64 * 1024)
    messages, closed = await everything(socket)
    assert [int(message) for message in messages] == list(range(2_000))
    assert closed.code == 1000
    await socket.aclose()
    with pytest.raises(SocketClosed, match="certificate"):
        await connect(url)


async def test_a_refused_handshake_tells_status_words_and_time_to_wait(serving: Serve) -> None:
    """429 with Retry-After is in the error as the exchange said it."""

    def refuse(peer: ServerConnection, request: Request) -> Response:
        body = b"Way too many connections"
        headers = Headers({"Retry-After": "17", "Content-Length": str(len(body))})
        return Response(429, "Too Many Requests", headers, body)

    async def handler(peer: ServerConnection) -> None:
        raise AssertionError("never opened")

    with pytest.raises(SocketClosed, match="Way too many connections") as caught:
        await connect(await serving(handler, process_request=refuse))
    assert (caught.value.code, caught.value.retry_after) == (429, 17.0)


async def test_what_can_t_be_opened_says_why(raw_serving: Serve) -> None:
    """No listener, a server that hangs up, one that never answers, and an URL that is none are all SocketClosed."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with pytest.raises(SocketClosed, match="no WebSocket URL"):
        await connect("http://127.0.0.1:1")
    with pytest.raises(SocketClosed, match="refused"):
        await connect("ws://127.0.0.1:1")
    with pytest.raises(SocketClosed) as caught:
        await connect(await raw_serving(hang_up))
    assert caught.value.code == 1006
    with pytest.raises(SocketClosed, match="not open within"):
        await connect(await raw_serving(never), open_timeout=0.05)


async def test_a_cancelled_connect_leaves_no_socket_behind(raw_serving: Serve) -> None:
    """Cancelled during the handshake, the TCP connection is gone: the server sees its end."""
    connected, ended = asyncio.Event(), asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        connected.set()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        ended.set()

    task = asyncio.create_task(connect(await raw_serving(never)))
    async with asyncio.timeout(BOUND):
        await connected.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended.wait()


async def test_closing_doesn_t_wait_for_a_peer_that_doesn_t_answer(raw_serving: Serve) -> None:
    """The close's answer is waited for, for a bounded time only; a flood meanwhile is thrown away."""
    ended = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
        headers = Headers({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_key(key)})
        writer.write(Response(101, "Switching Protocols", headers).serialize())
        try:
            while True:
                writer.write(Frame(Opcode.TEXT, b"x" * 10_000).serialize(mask=False))
                await writer.drain()
        except ConnectionError:
            ended.set()
        finally:
            writer.close()

    socket = await connect(await raw_serving(deaf), queue_bytes=1_000)
    async with asyncio.timeout(BOUND):
        await socket.aclose(timeout=0.05)
        await socket.aclose(timeout=0.05)
        await ended.wait()
    with pytest.raises(SocketClosed):
        socket.take()


async def test_a_closed_socket_told_the_peer_so(serving: Serve) -> None:
    """Closing is clean: the peer gets 1000."""
    codes: list[int | None] = []
    done = asyncio.Event()

    async def handler(peer: ServerConnection) -> None:
        try:
            await peer.recv()
        except ConnectionClosed:
            codes.append(peer.close_code)
            done.set()

    socket = await connect(await serving(handler))
    await socket.aclose()
    async with asyncio.timeout(BOUND):
        await done.wait()
    assert codes == [1000]
