"""Whose frames are whose: nothing a router says loses a frame in silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import MessagesLost
from dccd.exchanges.base import Router
from dccd.feeds.switch import Inbox, Switch

LIMIT = 1000


class ByFirstByte(Router):
    """By the first byte: a topic, or ``*`` for all, ``-`` for nobody, ``!`` for a loss, ``?`` for a fault."""

    def opening(self) -> list[str]:
        return []

    def route(self, frame: bytes) -> str | None:
        first = frame[:1].decode()
        if first == "!":
            raise MessagesLost("fake", "one is missing")
        if first == "?":
            raise ZeroDivisionError("a fault of the router")
        return {"*": None, "-": ""}.get(first, first)


class Alike(ByFirstByte):
    """The same, where a first letter tells the topic."""

    def alike(self, frame: bytes) -> bytes:
        return frame[:1] if frame[:1].isalpha() else b""


def switch_of(*topics: str, listening: str = "", router: type[Router] = ByFirstByte) -> tuple[Switch, dict[str, Inbox]]:
    switch = Switch(router(), LIMIT)
    inboxes = {topic: Inbox(topic, lambda: None) for topic in topics}
    for topic, inbox in inboxes.items():
        switch.add(inbox)
        if topic in listening:
            switch.listen(inbox)
    return switch, inboxes


def give(switch: Switch, frames: list[bytes], stamp: int = 5) -> None:
    switch.give((stamp, frames), sum(map(len, frames)), 7.0)


def frames_of(inbox: Inbox) -> list[bytes]:
    return [frame for _, frames in inbox.take() for frame in frames]


def test_each_gets_its_own_and_all_get_what_is_for_all() -> None:
    """In order, with the time of the read, one piece a read and stream; who hasn't spoken gets nothing for all."""
    switch, boxes = switch_of("a", "b", "c", listening="ab")
    give(switch, [b"a1", b"b1", b"*1", b"a2", b"-1", b"c1"])
    assert boxes["a"].take() == [(5, [b"a1", b"*1", b"a2"])]
    assert boxes["b"].take() == [(5, [b"b1", b"*1"])]
    assert boxes["c"].take() == [(5, [b"c1"])]
    assert (switch.dropped, switch.unclaimed) == (1, 0)


def test_what_is_for_all_before_anybody_has_spoken_is_counted() -> None:
    """A greeting, as a rule."""
    switch, boxes = switch_of("a")
    give(switch, [b"*1", b"*2"])
    give(switch, [b"*3", b"a1"])
    assert switch.unheard == 3
    assert frames_of(boxes["a"]) == [b"a1"]


def test_a_read_of_one_stream_is_handed_on_as_it_is() -> None:
    """No list is copied where there is nothing to part."""
    switch, boxes = switch_of("a", "b")
    frames = [b"a1", b"a2"]
    give(switch, frames)
    ((_, got),) = boxes["a"].take()
    assert got is frames
    assert boxes["a"].last == 7.0
    assert boxes["b"].last is None


def test_what_was_handed_out_never_grows() -> None:
    """Reads of the same nanosecond don't run into each other, nor into a list that somebody has taken."""
    switch, boxes = switch_of("a", "b")
    give(switch, [b"a1", b"b1"])
    first = boxes["a"].take()
    give(switch, [b"a2", b"b2"])
    give(switch, [b"a3"])
    give(switch, [b"b4", b"a4"])
    assert first == [(5, [b"a1"])]
    assert frames_of(boxes["a"]) == [b"a2", b"a3", b"a4"]
    assert frames_of(boxes["b"]) == [b"b1", b"b2", b"b4"]


def test_a_topic_that_nobody_has_is_counted() -> None:
    """Also when a whole read is of it; the last one is named."""
    switch, boxes = switch_of("a")
    give(switch, [b"x1", b"x2"])
    give(switch, [b"a1", b"y1"])
    assert (switch.unclaimed, switch.stranger) == (3, "y")
    assert frames_of(boxes["a"]) == [b"a1"]


@pytest.mark.parametrize(("sign", "error"), [(b"!", MessagesLost), (b"?", ZeroDivisionError)])
def test_what_came_before_a_loss_arrives(sign: bytes, error: type[Exception]) -> None:
    """And what came after it in the same read doesn't, since the connection ends."""
    switch, boxes = switch_of("a", "b")
    with pytest.raises(error):
        give(switch, [b"a1", b"a2", b"b1", sign, b"a3"])
    assert frames_of(boxes["a"]) == [b"a1", b"a2"]
    assert frames_of(boxes["b"]) == [b"b1"]
    with pytest.raises(error):
        give(switch, [b"a4", sign, b"b2"])
    assert frames_of(boxes["a"]) == [b"a4"]


def test_who_is_full_is_known_until_it_takes_or_leaves() -> None:
    """By bytes, whichever way they came."""
    switch, boxes = switch_of("a", "b", "c", listening="c")
    give(switch, [b"a" * 999])
    assert switch.full == set()
    give(switch, [b"a"])
    give(switch, [b"b" * 1000, b"*"])
    give(switch, [b"*" * 999])
    assert switch.full == set(boxes.values())
    boxes["a"].take()
    switch.taken(boxes["a"])
    switch.remove(boxes["b"])
    assert switch.full == {boxes["c"]}
    assert "a" in switch.topics
    assert "b" not in switch.topics


def test_whoever_has_news_is_told_once_a_read() -> None:
    """Waking a stream costs more than routing a frame."""
    woken: list[str] = []
    switch = Switch(ByFirstByte(), LIMIT)

    def waker(topic: str) -> Callable[[], None]:
        return lambda: woken.append(topic)

    for topic in "ab":
        switch.add(Inbox(topic, waker(topic)))
    give(switch, [b"a", b"b", b"a", b"b"])
    give(switch, [b"a", b"a"])
    assert sorted(woken) == ["a", "a", "b"]


FRAMES = st.lists(st.sampled_from([b"a1", b"b1", b"c1", b"*1", b"-1", b"x1"]), min_size=1, max_size=12)


@given(st.lists(FRAMES, max_size=8), st.sets(st.integers(0, 7)))
def test_no_frame_is_lost_in_silence(reads: list[list[bytes]], takes: set[int]) -> None:
    """Whatever comes, whenever it is taken: each gets its own and what is for all, in order; the rest is counted."""
    switch, boxes = switch_of("a", "b", "c", listening="ab")
    got: dict[str, list[bytes]] = {"a": [], "b": [], "c": []}
    for number, frames in enumerate(reads):
        give(switch, frames)
        if number in takes:
            for topic in "ab":
                got[topic] += frames_of(boxes[topic])
    for topic, inbox in boxes.items():
        assert inbox.queued == sum(len(frame) for _, part in inbox.reads for frame in part)
        got[topic] += frames_of(inbox)
    sent = [frame for frames in reads for frame in frames]
    for topic, signs in (("a", "a*"), ("b", "b*"), ("c", "c")):
        assert got[topic] == [frame for frame in sent if chr(frame[0]) in signs]
        assert boxes[topic].count == len(got[topic])
    assert switch.unclaimed == sent.count(b"x1")
    assert switch.dropped == sent.count(b"-1")


@given(
    reads=st.lists(st.lists(st.sampled_from([b"a1", b"a2", b"b1", b"c1", b"*1", b"-1", b""]), min_size=1), max_size=8)
)
def test_beginnings_route_as_frames_do(reads: list[list[bytes]]) -> None:
    """Whether a router tells what a topic's frames begin with makes no difference to who gets what."""
    plain, plain_boxes = switch_of("a", "b", listening="a")
    quick, quick_boxes = switch_of("a", "b", listening="a", router=Alike)
    for stamp, frames in enumerate(reads):
        give(plain, frames, stamp)
        give(quick, frames, stamp)
        assert (plain.dropped, plain.unclaimed, plain.unheard) == (quick.dropped, quick.unclaimed, quick.unheard)
        assert [box.take() for box in plain_boxes.values()] == [box.take() for box in quick_boxes.values()]
