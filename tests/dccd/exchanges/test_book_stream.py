"""What order books that begin with a snapshot have in common."""

from __future__ import annotations

import re

import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Signal, StreamOptions, Subscribed
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import UNREAD, UnnumberedBook
from dccd.exchanges.stream import FrameStream
from dccd.exchanges.wire import DECODE_ERRORS, parse_error
from dccd.records import Record
from dccd.symbols import NS


class _Numbers(FrameStream[list[int]]):
    """Frames are lists of numbers: the first one says whose it is."""

    exchange = "test"

    def _request_of(self, op: str) -> str:
        return f"{op} {self._next_request()}"

    def _is_of_us(self, found: list[int]) -> bool:
        return found[0] == 7

    def _other(self, frame: bytes, cause: Exception) -> Signal | None:
        raise parse_error("test", cause, frame) from cause


class _Book(UnnumberedBook, _Numbers):
    named = re.compile(rb"name=(\w+)")

    def __init__(self) -> None:
        super().__init__("wss://test", "book", 1.0)
        self._hold(Book(), StreamOptions())
        self._mark, self._name = b"book", b"us"

    def take(self, found: list[int], recv_ts: int, out: list[Record]) -> Signal | None:
        if self._unread:
            return self._broken(UNREAD)
        if len(found) > 1:
            self._book.reset([(found[1], 1.0)], [])
            self._output.start(recv_ts, self._next(recv_ts), recv_ts, out)
        elif not self._output.live:
            self._waiting = self._waiting or recv_ts
        return None


class _Json:
    """A decoder of lists."""

    def decode(self, frame: bytes) -> list[int]:
        try:
            return [int(part) for part in frame.split(b",")]
        except ValueError as exc:
            raise DECODE_ERRORS[0](str(exc)) from exc


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> _Book:
    monkeypatch.setattr(_Book, "decoder", _Json(), raising=False)
    made = _Book()
    made.lane = 3
    return made


def test_requests_end_with_the_lane(book: _Book) -> None:
    """Each has another id, and an answer is known by it."""
    assert [*book.subscribe(), *book.resubscribe()] == ["subscribe 3", "unsubscribe 10003", "subscribe 20003"]
    assert [book._answers_us(number) for number in (3, 20003, 4, 30000)] == [True, True, False, False]


def test_the_snapshot_confirms(book: _Book) -> None:
    """An update before it doesn't, nor does a frame of somebody else's; a new subscription needs a new one."""
    out: list[Record] = []
    assert [book.receive(frame, 1, out) for frame in (b"7", b"8,1", b"7,1", b"7,2")] == [None, None, Subscribed(), None]
    book.resubscribe()
    assert book.receive(b"7", 2, out) is None and not book.confirms
    assert book.receive(b"7,1", 3, out) == Subscribed()


def test_updates_without_a_snapshot(book: _Book) -> None:
    """After ten seconds of them the subscription is renewed."""
    book.receive(b"7", 1, [])
    assert book.tick(10 * NS, []) is None
    assert book.tick(11 * NS, []) == Broken("updates come, but no snapshot", None, "resubscribe")
    book.resubscribe()
    assert book.tick(30 * NS, []) is None


@pytest.mark.parametrize(
    ("frame", "ours"),
    [(b"book x name=us", True), (b"book x name=them name=us", True), (b"book x", True),
     (b"book x name=them", False), (b"x name=us", False), (b"", False)],
)  # fmt: skip
def test_a_frame_that_cannot_be_read(book: _Book, frame: bytes, ours: bool) -> None:
    """It breaks the book if it may have been one of its own: what is for all names others, or nothing of it."""
    broke = Broken(UNREAD, 1, "resubscribe") if ours else None
    for told in (lambda: book.receive(b"7", 2, []), lambda: book.tick(2, [])):
        book.receive(b"7,1", 1, [])
        with pytest.raises(ParseError):
            book.receive(frame, 2, [])
        assert told() == broke
        assert book.tick(3, []) is None


def test_what_cannot_be_read_before_the_snapshot(book: _Book) -> None:
    """There is nothing yet to be broken."""
    with pytest.raises(ParseError):
        book.receive(b"book name=us", 1, [])
    assert book.receive(b"7,1", 2, []) == Subscribed()
    assert book.tick(3, []) is None
