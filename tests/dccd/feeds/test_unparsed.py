"""When bad frames are told of."""

from __future__ import annotations

from dccd.feeds.items import Unparsed
from dccd.feeds.unparsed import BadFrames


def test_the_first_is_told_at_once_and_later_ones_together() -> None:
    """Within the time given nothing more is said; then how many there were, and the newest of them."""
    bad = BadFrames(30.0)
    assert bad.tell(0.0) is None
    bad.add("no JSON", b"{")
    assert bad.tell(100.0) == Unparsed("no JSON", b"{", 1)
    bad.add("no JSON", b"{")
    bad.add("no price", b"{}")
    assert bad.tell(129.9) is None
    assert bad.tell(130.0) == Unparsed("no price", b"{}", 2)
    assert bad.tell(200.0) is None


def test_a_sample_is_short() -> None:
    """However long a frame is: it goes into an event."""
    bad = BadFrames(30.0)
    bad.add("no JSON", b"x" * 10_000)
    told = bad.tell(0.0)
    assert told is not None and told.sample == b"x" * 512
