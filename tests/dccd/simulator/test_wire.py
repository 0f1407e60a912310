"""Frames: what is encoded here is what websockets' own client decodes; damage is damage."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from dccd.simulator.wire import break_frame, encode_frames, spoil_checksum

LENGTHS = [0, 1, 125, 126, 2047, 2048, 65_535, 65_536, 70_000]


def decoded(data: bytes) -> list[str]:
    """The messages in *data*, by websockets' parser."""
    reader = StreamReader()
    reader.feed_data(data)
    out = []
    while reader.buffer:
        parser = Frame.parse(reader.read_exact, mask=False)
        try:
            next(parser)
        except StopIteration as done:
            out.append(bytes(done.value.data).decode())
        else:
            raise AssertionError("the last frame is incomplete")
    return out


@given(st.lists(st.text(max_size=200), max_size=8))
def test_websockets_decodes_what_is_encoded(texts: list[str]) -> None:
    """Any text, one or many frames in a chunk."""
    assert decoded(encode_frames(texts)) == texts


@pytest.mark.parametrize("length", LENGTHS)
def test_all_three_kinds_of_length(length: int) -> None:
    """The 7-bit, 16-bit and 64-bit lengths of RFC 6455."""
    assert decoded(encode_frames(["x" * length, "é" * length])) == ["x" * length, "é" * length]


FRAME = '{"e":"aggTrade","E":1714564800124,"s":"BTCUSDT","p":"64000.01000000","m":true,"b":[["1.5","2"]]}'


@pytest.mark.parametrize("how", ["truncated", "garbage"])
def test_broken_frames_are_no_json(how: str) -> None:
    """Cut off, or something else altogether."""
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        json.loads(break_frame(FRAME, how))  # type: ignore[arg-type]  # parametrized


def test_wrong_types_are_json() -> None:
    """JSON with the right fields, of which none has the right type."""
    broken = json.loads(break_frame(FRAME, "types"))
    assert set(broken) == set(json.loads(FRAME))
    assert broken["E"] is True and broken["p"] == "NaN?" and broken["b"] == [["NaN?", "NaN?"]]


def test_a_spoilt_checksum_is_another() -> None:
    """Only the checksum differs, whatever its sign; what has none can't be spoilt."""
    frame = '{"data":[{"price":1.0,"checksum":123}]}'
    assert spoil_checksum(frame) == '{"data":[{"price":1.0,"checksum":122}]}'
    assert spoil_checksum('{"checksum":-7}') == '{"checksum":-8}'
    assert spoil_checksum(FRAME) is None
