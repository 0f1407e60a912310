"""Records whose times are ahead of our clock: times flow in, what they may be used for flows out. Pure; times are ns.

An exchange's clock may be ahead of ours, or ours behind; and a time may be plainly wrong. What is far ahead is no time.
What is a little ahead is handed on, but holes are judged from it only as far as records agree about the clocks.
"""

from __future__ import annotations

from collections import deque

from dccd.symbols import NS

__all__ = ["SLACK", "Clocks", "TooFar"]

SLACK = NS
"""How much more than the clocks differ a record may be ahead: frames are on their way for longer or shorter."""
_FAR = 60 * NS
"""So far ahead a time is none. NTP keeps clocks within milliseconds, a desktop left alone within seconds."""
_EVER = 86_400 * NS
"""So far ahead it is none whatever else is."""
_TIMES = 3
_MANY = 20
_LATELY = 600 * NS


class Clocks:
    """By how much the exchange's clock is ahead of ours."""

    def __init__(self) -> None:
        self.most = 0
        """The most that any record was ahead: where something ends for certain."""
        self.agreed = 0
        """What two records in a row were ahead, which one wrong time can't make: where something begins for certain.

        Where two were wrong, the next twenty say so."""
        self._before = 0
        self._less: list[int] = []

    def __repr__(self) -> str:
        return f"<Clocks ahead by {self.agreed / NS:g} to {self.most / NS:g} s>"

    def saw(self, ts: int, recv_ts: int) -> None:
        """A record of *ts* came at *recv_ts*."""
        ahead = ts - recv_ts
        if ahead > self.agreed:
            self.most = max(self.most, ahead)
            self.agreed = max(self.agreed, min(ahead, self._before))
        if ahead >= self.agreed - SLACK:
            self._less.clear()
        else:
            self._less.append(ahead)
            if len(self._less) == _MANY:
                self.agreed = max(0, *self._less)
                self._less.clear()
        self._before = ahead

    def believed(self, ts: int, recv_ts: int) -> int:
        """*ts* of a record that came at *recv_ts*, or as much of it as is believed."""
        most = recv_ts + self.agreed
        return ts if ts <= most + SLACK else most


class TooFar:
    """Which times are none, being too far ahead of ours.

    Where three subscriptions in a row say the same, it is our clock that is wrong, and what they say is taken.
    """

    def __init__(self) -> None:
        self._behind = 0
        self._refused: deque[tuple[int, int]] = deque(maxlen=_TIMES)

    def __repr__(self) -> str:
        return f"<TooFar from {(self._behind + _FAR) / NS:g} s on>"

    def limit(self, wall: int) -> int:
        """A time beyond this one is refused at *wall*, by our clock."""
        return wall + min(self._behind + _FAR, _EVER)

    def refuse(self, ts: int, wall: int) -> str | None:
        """Why *ts*, which is beyond the limit, is none; None when it is taken after all, and the limit is another."""
        ahead = ts - wall
        self._refused.append((wall, ahead))
        said = [one for at, one in self._refused if wall - at <= _LATELY]
        if len(said) == _TIMES and max(said) - min(said) <= _FAR and ahead <= _EVER:
            self._behind = ahead
            self._refused.clear()
            return None
        return f"a record's time is {ahead // NS} s ahead of ours: it is wrong, or this host's clock is"

    def took(self, ts: int, wall: int) -> None:
        """A record was taken; one of now shows that our clock is right."""
        if self._refused and abs(ts - wall) <= _FAR:
            self._refused.clear()
