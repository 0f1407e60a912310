from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.uri import parse_uri
from websockets.utils import accept_key

from dccd.feeds.framing import CAPACITY, Framing

LIMIT = 70_000


def client(*, max_size: int = LIMIT, deflate: bool = False) -> ClientProtocol:
    """A client whose handshake is still to come."""
    extensions = [ClientPerMessageDeflateFactory()] if deflate else None
    protocol = ClientProtocol(parse_uri("ws://localhost/"), max_size=max_size, extensions=extensions)
    protocol.send_request(protocol.connect())
    protocol.data_to_send()
    return protocol


def handshake(protocol: ClientProtocol, *, deflate: bool = False) -> bytes:
    """The server's answer that opens the connection."""
    headers = Headers(Upgrade="websocket", Connection="Upgrade")
    headers["Sec-WebSocket-Accept"] = accept_key(protocol.key)
    if deflate:
        headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
    return Response(101, "Switching Protocols", headers).serialize()


def feed(framing: Framing, chunks: Iterable[bytes]) -> list[bytes]:
    """Give *chunks* as reads, cut where there is less room."""
    messages = []
    for chunk in chunks:
        while chunk:
            room = framing.room()
            part, chunk = chunk[: len(room)], chunk[len(room) :]
            room[: len(part)] = part
            messages += framing.received(len(part))
    return messages


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """*data* in pieces of these sizes, the last one being what is left."""
    pieces, pos = [], 0
    for size in sizes:
        pieces.append(data[pos : pos + size])
        pos += size
    return [*pieces, data[pos:]]


def reference(protocol: ClientProtocol, chunks: Iterable[bytes]) -> list[bytes]:
    """The messages that websockets alone makes of the same reads and their end."""
    messages: list[bytes] = []
    parts: list[bytes] = []
    for chunk in chunks:
        protocol.receive_data(chunk)
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                parts.append(bytes(event.data))
                if event.fin:
                    messages.append(b"".join(parts))
                    parts = []
    protocol.receive_eof()
    return messages


def sent(protocol: ClientProtocol) -> list[tuple[Opcode, bytes]]:
    """What the client wrote, as frames: its masks are random."""
    server = Protocol(SERVER, state=OPEN)
    server.receive_data(b"".join(protocol.data_to_send()))
    return [(event.opcode, bytes(event.data)) for event in server.events_received() if isinstance(event, Frame)]


def text(payload: bytes, **fields: bool) -> bytes:
    return Frame(Opcode.TEXT, payload, **fields).serialize(mask=False)


payloads = st.one_of(
    st.binary(max_size=140),
    st.sampled_from([0, 125, 126, 127, 4_000, 65_535, 65_536, 69_999]).map(lambda size: b"x" * size),
)
controls = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125)).map(
    lambda made: Frame(*made).serialize(mask=False)
)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """One message in several frames, with control frames between them."""
    parts = draw(st.lists(st.binary(max_size=200), min_size=2, max_size=4))
    data = b""
    for index, part in enumerate(parts):
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY])) if index == 0 else Opcode.CONT
        data += Frame(opcode, part, fin=index == len(parts) - 1).serialize(mask=False)
        data += draw(st.one_of(st.just(b""), controls))
    return data


good = st.one_of(
    payloads.map(text),
    st.binary(max_size=200).map(lambda payload: Frame(Opcode.BINARY, payload).serialize(mask=False)),
    controls,
    fragmented(),
)
endings = st.one_of(
    st.just(b""),
    st.binary(min_size=1, max_size=40),
    st.just(Frame(Opcode.CLOSE, Close(1001, "going").serialize()).serialize(mask=False) + text(b"too late")),
    st.just(Frame(Opcode.TEXT, b"masked").serialize(mask=True) + text(b"too late")),
    st.just(text(b"y" * (LIMIT + 1)) + text(b"too late")),
    st.just(text(b"begun", fin=False) + text(b"no continuation") + text(b"too late")),
    st.just(Frame(Opcode.CONT, b"of nothing").serialize(mask=False)),
    st.just(text(b"cut short")[:-3]),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(good, max_size=12), endings, st.lists(st.integers(1, 30_000), max_size=12))
def test_it_makes_of_any_stream_what_websockets_makes_of_it(
    frames: list[bytes], ending: bytes, sizes: list[int]
) -> None:
    """Messages, answers and the end of the connection equal those of websockets' own parser, however reads are cut."""
    ours, theirs = client(), client()
    stream = b"".join(frames) + ending
    framing = Framing(ours)
    messages = feed(framing, cut(handshake(ours) + stream, sizes))
    framing.ended()
    assert messages == reference(theirs, cut(handshake(theirs) + stream, sizes))
    assert sent(ours) == sent(theirs)
    assert (ours.state, ours.close_rcvd, ours.close_sent) == (theirs.state, theirs.close_rcvd, theirs.close_sent)
    assert type(ours.parser_exc) is type(theirs.parser_exc)


@pytest.mark.parametrize("size", [CAPACITY - 20, CAPACITY, CAPACITY + 1, 5 * CAPACITY])
def test_a_message_longer_than_the_buffer_arrives_whole_and_so_does_the_next(size: int) -> None:
    """Frames around and above the buffer's capacity are collected, with nothing of their neighbours lost."""
    protocol = client(max_size=8 * CAPACITY)
    stream = text(b"before") + text(b"z" * size) + text(b"after") + text(b"z" * size) + text(b"last")
    data = handshake(protocol) + stream
    messages = feed(Framing(protocol), cut(data, [9_000] * (len(data) // 9_000)))
    assert [len(message) for message in messages] == [6, size, 5, size, 4]


def test_compressed_messages_are_inflated() -> None:
    """What permessage-deflate has compressed reaches the reader in clear, between plain messages."""
    protocol = client(deflate=True)
    deflate = PerMessageDeflate(False, False, 15, 15)
    packed = [
        Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[deflate])
        for payload in (b"abc" * 500, b"abc" * 700)
    ]
    stream = handshake(protocol, deflate=True) + packed[0] + text(b"plain") + packed[1]
    assert feed(Framing(protocol), cut(stream, [150, 10])) == [b"abc" * 500, b"plain", b"abc" * 700]


@pytest.mark.parametrize("sizes", [[], [1] * 200, [60]])
def test_frames_may_come_with_the_answer_to_the_handshake(sizes: list[int]) -> None:
    """Frames in the same read as the response are not lost, wherever the reads are cut."""
    protocol = client()
    framing = Framing(protocol)
    assert feed(framing, cut(handshake(protocol) + text(b"one") + text(b"two"), sizes)) == [b"one", b"two"]
    assert framing.response is not None
    assert framing.response.status_code == 101


@pytest.mark.parametrize("sizes", [[], [1] * 200, [60]])
def test_a_refused_handshake_keeps_the_server_s_words(sizes: list[int]) -> None:
    """A response that isn't an upgrade is kept with its body, and nothing after it is a message."""
    protocol = client()
    framing = Framing(protocol)
    body = b"too many connections"
    answer = Response(429, "Too Many Requests", Headers({"Content-Length": str(len(body))}), body).serialize()
    assert feed(framing, cut(answer, sizes)) == []
    framing.ended()
    assert framing.response is not None
    assert bytes(framing.response.body) == body
    assert protocol.handshake_exc is not None


def test_a_refusal_whose_body_ends_with_the_stream_is_kept() -> None:
    """Without a length, the body is what comes until the end of the stream."""
    framing = Framing(client())
    feed(framing, [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"not from ", b"here"])
    framing.ended()
    assert framing.response is not None
    assert bytes(framing.response.body) == b"not from here"


def test_the_buffer_grows_with_the_load_and_not_beyond_its_bound() -> None:
    """A quiet socket keeps a small buffer; one that fills each read gets up to CAPACITY."""
    protocol = client()
    framing = Framing(protocol)
    feed(framing, [handshake(protocol)])
    assert len(framing.room()) < CAPACITY // 8
    feed(framing, [text(b"q" * 1_000) * 3_000])
    assert len(framing.room()) == CAPACITY
    assert framing.messages == 3_000


def test_headers_without_an_end_are_refused() -> None:
    """A peer that is no HTTP server, and never ends its headers, fails the handshake instead of filling memory."""
    protocol = client()
    framing = Framing(protocol)
    feed(framing, [b"x" * CAPACITY, b"y" * CAPACITY])
    assert protocol.handshake_exc is not None
    assert len(framing.room()) == CAPACITY
