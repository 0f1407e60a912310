"""A recording as an exchange: captured frames flow in from a file, and out again to subscribers, as they were.

A recording (``NAME.tsv``) has a line a frame: receive time in seconds, ``<`` (from the exchange) or ``>`` (to it), the
frame, tab-separated. ``NAME.rest.tsv`` beside it has the REST answers: time, ``GET``, URL, body. Subscriptions are
answered as the exchange does; a subscriber gets its stream's frames at the recorded distances, or all at once. A
stream plays once: who comes later, or comes back, joins where it stands, as with a live exchange. Which stream a frame
is of, and how its subscription is answered, the exchange's own folder says (``Venue.reader``, ``Venue.open``).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument
from dccd.simulator.venue import Answer, Maker, Session, Stream, Venue
from dccd.simulator.venues import VENUES
from dccd.symbols import NS, Symbol

__all__ = ["Frame", "Recording", "RecordingError", "Replay", "load"]


class RecordingError(ValueError):
    """Raised when a file is no recording; names the line."""


class Frame(NamedTuple):
    """One recorded frame that an exchange sent: when (ns), on which stream, and its text."""

    at: int
    stream: str
    text: str


class RestAnswer(NamedTuple):
    """One recorded REST answer."""

    path: str
    query: dict[str, str]
    body: str


class Recording(NamedTuple):
    """What a file holds."""

    frames: list[Frame]
    answers: list[RestAnswer]


def load(path: Path, exchange: str) -> Recording:
    """Read a recording of *exchange*. Raises RecordingError, or OSError when there is no such file; ValueError when
    recordings of that exchange can't be read.
    """
    frames, read = [], VENUES[exchange].reader()
    for number, (time, mark, text) in _lines(path, 3):
        if mark not in ("<", ">"):
            raise RecordingError(f"{path}:{number}: found {mark!r} where < or > must be")
        if mark == "<":
            try:
                found = read(text)
            except (ValueError, LookupError, TypeError) as exc:
                raise RecordingError(f"{path}:{number}: the frame is no JSON, or not {exchange}'s: {exc!r}") from None
            at = _ns(time, f"{path}:{number}")
            frames += [Frame(at, stream, payload) for stream, payload in found]
    answers = []
    beside = path.with_name(path.name.removesuffix(".tsv") + ".rest.tsv")
    if beside.exists():
        for _, (_, _, url, body) in _lines(beside, 4):
            parts = urlsplit(url)
            answers.append(RestAnswer(parts.path, dict(parse_qsl(parts.query)), body))
    return Recording(frames, answers)


def _lines(path: Path, fields: int) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            found = line.rstrip("\n").split("\t", fields - 1)
            if len(found) != fields:
                raise RecordingError(f"{path}:{number}: found {len(found)} fields where {fields} must be")
            yield number, found


def _ns(text: str, where: str) -> int:
    try:
        return int(Decimal(text) * NS)
    except InvalidOperation:
        raise RecordingError(f"{where}: {text!r} is no time in seconds") from None


class _Tape:
    """One stream's frames, and how far they have been played: for all connections."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, str]] = []
        self.played = 0
        self.started: int | None = None


class _Player(Stream):
    """A subscription to a tape."""

    def __init__(self, replay: Replay, name: str, tape: _Tape, now: int) -> None:
        self.name = name
        self.symbol, self.data_type = replay.stands_for.identity(name)
        self._tape = tape
        self._speed = replay.config.replay_speed
        self._origin = replay.recording.frames[0].at if replay.recording.frames else 0
        if tape.started is None:
            tape.started = now

    def due(self, now: int) -> list[str]:
        """What the recording had got by now, counted from the first subscription."""
        tape = self._tape
        if not self._speed:
            return []
        assert tape.started is not None
        until = self._origin + (now - tape.started) * self._speed
        first = tape.played
        while tape.played < len(tape.frames) and tape.frames[tape.played][0] <= until:
            tape.played += 1
        return [text for _, text in tape.frames[first : tape.played]]

    def take(self, count: int) -> list[str]:
        """At full speed: the next frames."""
        if self._speed:
            return []
        first = self._tape.played
        self._tape.played = min(first + count, len(self._tape.frames))
        return [text for _, text in self._tape.frames[first : self._tape.played]]


class Replay(Venue):
    """Stands in for *venue*, whose formats and metadata it borrows, and serves the recording instead of its market."""

    def __init__(self, venue: Venue, config: SimConfig, faults: FaultPlan, started: int) -> None:
        assert config.replay is not None
        self.id = venue.id
        self.resolution, self.first_id = venue.resolution, venue.first_id
        self.ping_interval, self.lifetime = venue.ping_interval, venue.lifetime
        self.recording = load(config.replay, venue.id)
        super().__init__(config, faults, started)
        self.stands_for = venue
        self._tapes: dict[str, _Tape] = {}
        self._asked: dict[int, int] = {}
        for frame in self.recording.frames:
            self._tapes.setdefault(frame.stream, _Tape()).frames.append((frame.at, frame.text))

    def __repr__(self) -> str:
        return f"<Replay {self.id} frames={len(self.recording.frames)} streams={len(self._tapes)}>"

    def listed(self) -> list[str]:
        """Nothing: a recording has no market."""
        return []

    def instrument(self, symbol: Symbol) -> Instrument:
        """As the exchange does."""
        return self.stands_for.instrument(symbol)

    @property
    def streams(self) -> dict[str, int]:
        """The recorded streams, and how many frames each has."""
        return {name: len(tape.frames) for name, tape in self._tapes.items()}

    @property
    def finished(self) -> bool:
        """Whether all streams have been played to their end."""
        return all(tape.played == len(tape.frames) for tape in self._tapes.values())

    def rewind(self) -> None:
        """Play from the start again."""
        for tape in self._tapes.values():
            tape.played, tape.started = 0, None

    # ------------------------------------------------------------ as an exchange

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """A connection, on the exchange's own paths."""
        return self.stands_for.open(path, now, tape or self._play)

    def _play(self, name: str, now: int) -> Stream | None:
        tape = self._tapes.get(name)
        return _Player(self, name, tape, now) if tape else None

    def get(self, path: str, query: dict[str, str], now: int, client: str) -> Answer:
        """A recorded answer: of those with the same path and query the next one, the last one for good.

        What the recording lacks is answered by the exchange itself if it is about the exchange (time, symbols), and
        refused if it is about a market.
        """
        same = [n for n, one in enumerate(self.recording.answers) if one.path == path and _same(one.query, query)]
        if same:
            n = min(self._asked.get(same[0], 0), len(same) - 1)
            self._asked[same[0]] = n + 1
            return Answer(self.recording.answers[same[n]].body.encode())
        if path.startswith(self.stands_for.metadata):
            return self.stands_for.get(path, query, now, client)
        return self.error(404, None)

    def error(self, status: int, retry_after: float | None) -> Answer:
        """As the exchange words it."""
        return self.stands_for.error(status, retry_after)

    def spoil(self, frame: str) -> str | None:
        """As the exchange does."""
        return self.stands_for.spoil(frame)


def _same(recorded: dict[str, str], asked: dict[str, str]) -> bool:
    """Whether a recorded answer fits: what was asked for then and now has to agree, but for how many levels."""
    leave = {"limit", "count"}
    return {k: v for k, v in recorded.items() if k not in leave} == {k: v for k, v in asked.items() if k not in leave}
