"""What a live session makes of what happens to it, without I/O and without a clock.

Frames, bodies of REST snapshots, the time and losses flow in; items for the consumer and actions for
:mod:`dccd.feeds.session` flow out, in the order in which they are to be done. One machine outlives its connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from dccd.errors import ParseError, SubscriptionRefused
from dccd.exchanges.base import Broken, Refused, Signal, SnapshotWanted, StreamProtocol, Subscribed
from dccd.feeds.actions import Action, Drop, Fetch, Ping, Send
from dccd.feeds.ahead import TooFar
from dccd.feeds.holes import Holes
from dccd.feeds.items import Batch, Broke, Connected, Hole, Item, Live, Lost, Silent
from dccd.feeds.settings import SessionSettings
from dccd.feeds.silence import Patience, Probe, Suspicion
from dccd.feeds.unparsed import BadFrames
from dccd.records import Record
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Machine"]

# Exchanges whose connections are dead after so many seconds have heartbeats or answers to pings well within.
_TALKATIVE = 60.0
_UNASKED = "silence, of which the exchange could not be asked"
# A timer called later than this means that we stood still, not the exchange.
_STALL = 5.0


class Machine:
    """The decisions of one session. ``now`` is monotonic seconds, ``wall`` ns UTC, everywhere.

    *chance* gives random numbers in [0, 1). *holes* keeps account of what is missing.
    """

    def __init__(self, dataset: Dataset, settings: SessionSettings, chance: Callable[[], float], holes: Holes) -> None:
        self._dataset = dataset
        self._settings = settings
        self._chance = chance
        self._holes = holes
        self._protocol: StreamProtocol | None = None
        self.live = False
        self.attempt = 0
        self._breaks: deque[float] = deque(maxlen=settings.max_breaks + 1)
        self._confirm_by: float | None = None
        self._asked = False  # for a confirmation, the time for which hasn't begun
        self.refused = False
        """Whether the exchange refused the subscription of this connection."""
        self._last_frame = self._last_data = self._last_timer = self._spoke_at = 0.0
        self._beat_from = 0.0  # since when the stream's own beat can be missed
        self._pinged = False
        self._suspicion = Suspicion(dataset)
        self._too_far = TooFar()
        self._probe: tuple[Probe, float] | None = None  # and since when nothing had come
        self._heard = 0.0
        self._unproven = False  # the silence is of trades, and REST couldn't be asked
        self._resumed_ts = 0  # of the first record since REST was asked
        self._last: Record | None = None
        self._patience = Patience(settings.silence, settings.first_silence)
        self._bad = BadFrames(settings.unparsed_every)
        self.counts = dict.fromkeys(("connects", "losses", "frames", "records", "unparsed", "breaks"), 0)

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and the state."""
        holes = self._holes
        state = {"live": self.live, "attempt": self.attempt, "last_ts": holes.last_ts}
        return {**self.counts, "holes": holes.count, **state}

    # ------------------------------------------------------------ what happens

    def market_changed(self) -> None:
        """The symbol means another contract from now on; no connection is open."""
        self._holes.market_changed()

    def connected(self, protocol: StreamProtocol, now: float, wall: int) -> list[Action]:
        """A connection is open; *protocol* is new."""
        self._protocol = protocol
        self.live = self.refused = False
        self._last_frame = self._last_data = self._last_timer = self._spoke_at = self._beat_from = now
        self._pinged = False
        self._patience.heard()
        self._heard = now
        self._suspicion.heard()
        self._probe = None
        self._unproven = False
        self._confirm_by = None
        self._asked = True
        self.counts["connects"] += 1
        return [Connected(wall), Send(protocol.subscribe())]

    def sent(self, now: float) -> None:
        """What was to be sent is: from now on the exchange has its time to confirm."""
        if self._asked:
            self._asked = False
            self._confirm_by = now + self._settings.confirm_timeout

    def received(self, reads: list[tuple[int, list[bytes]]], now: float, wall: int) -> list[Action]:
        """Frames came. Raises SubscriptionRefused."""
        assert self._protocol is not None
        receive = self._protocol.receive
        done: list[Action] = []
        out: list[Record] = []
        first = reads[0][0]
        self._last_frame = self._spoke_at = now
        for recv_ts, frames in reads:
            self.counts["frames"] += len(frames)
            for frame in frames:
                try:
                    signal = receive(frame, recv_ts, out)
                except ParseError as exc:
                    self._unparsed(str(exc), frame)
                    # What came before it in this read is before the hole.
                    if not self._batch(out, first, now, wall, done):
                        return done
                    out, first = [], recv_ts
                    self._holes.spoilt(recv_ts)
                    continue
                if signal is None:
                    continue
                if isinstance(signal, Broken) and signal.resync == "none":
                    # Before the records: once a consumer has them it must know of the hole before them.
                    self._broken(signal, now, wall, done)
                    continue
                if not self._batch(out, first, now, wall, done):
                    return done
                out = []
                first = recv_ts
                self._signal(signal, now, wall, done)
                if done and isinstance(done[-1], Drop):
                    return done
        if self._batch(out, first, now, wall, done):
            self._tell_unparsed(now, done)
        return done

    def snapshot(self, body: bytes, now: float, wall: int) -> list[Action]:
        """The REST snapshot asked for has come."""
        assert self._protocol is not None
        done: list[Action] = []
        out: list[Record] = []
        try:
            signal = self._protocol.snapshot(body, wall, out)
        except ParseError as exc:
            self._unparsed(str(exc), body)
            self._tell_unparsed(now, done)
            done.append(Drop(f"the REST snapshot can't be used: {exc}"))
            return done
        if self._batch(out, wall, now, wall, done) and signal is not None:
            self._signal(signal, now, wall, done)
        return done

    def probed(self, found: list[Record] | None) -> list[Action]:
        """REST was asked for what the subscription doesn't send; None when that couldn't be had."""
        asked, self._probe = self._probe, None
        if asked is None or not self.live:
            return []
        if asked[1] != max(self._heard, self._last_data):
            return self._proven(asked[0], found)
        self._unproven = found is None and self._only_asked(asked[0])
        if found is None:
            return []
        dead = self._suspicion.answer(asked[0], found, self._last)
        return [Drop("the subscription is silent, but the exchange has new records")] if dead else []

    def _proven(self, probe: Probe, found: list[Record] | None) -> list[Action]:
        """The stream has spoken again; trades of its silence that nothing numbers were missed all the same."""
        if found == [] or not self._only_asked(probe):
            return []
        reason = "silence, in which the exchange had trades" if found else _UNASKED
        hole = self._holes.told(probe.since, max(probe.until, self._resumed_ts + 1), reason)
        return [] if hole is None else [hole]

    def _only_asked(self, probe: Probe) -> bool:
        """Whether only the answer tells if something was missed: of trades that nothing numbers."""
        return probe.decisive and self._dataset.data_type is DataType.TRADES and not self._holes.numbered

    def timer(
        self,
        now: float,
        wall: int,
        last_read: float,
        last_frame: float,
        last_own: float | None = None,
        spoke_at: float | None = None,
    ) -> list[Action]:
        """About a second has gone by. When the connection last gave a byte, a message, and a message of our topic.

        *spoke_at*: when a message really came last, if *last_frame* forgives that nobody read.
        """
        assert self._protocol is not None
        done: list[Action] = []
        stall, self._last_timer = now - self._last_timer, now
        self._tell_unparsed(now, done)
        if stall > _STALL:
            # The consumer or the machine stood still. What has come meanwhile is perhaps not read yet.
            self._last_frame = self._beat_from = now
            self._last_data += stall
            self._confirm_by = None if self._confirm_by is None else self._confirm_by + stall
            return done
        heartbeat, settings = self._protocol.heartbeat, self._settings
        self._last_frame = max(self._last_frame, last_frame)
        if spoke_at is not None and last_frame > spoke_at:
            self._beat_from = max(self._beat_from, last_frame)  # nobody read meanwhile
        if now - self._last_frame > heartbeat:
            done.append(Drop(f"no frame for {heartbeat:g} s", dead=True))
            return done
        if self._confirm_by is not None and now > self._confirm_by:
            done.append(Drop(f"no confirmation of the subscription within {settings.confirm_timeout:g} s"))
            return done
        idle = now - max(last_read, self._last_frame)
        if idle < settings.ping_after:
            self._pinged = False
        elif idle > 2 * settings.ping_after:
            done.append(Drop(f"no answer to a ping for {settings.ping_after:g} s", dead=True))
            return done
        elif not self._pinged:
            self._pinged = True
            done.append(Ping())
        out: list[Record] = []
        # Time closes bars, and repeats books, only as far as the connection has spoken: what came since may be lost, or
        # not be read yet where it is we who stood still.
        self._spoke_at = max(self._spoke_at, last_frame if spoke_at is None else spoke_at)
        quiet = now - self._spoke_at if heartbeat <= _TALKATIVE else 0.0
        signal = self._protocol.tick(wall - round(quiet * NS), out)
        if isinstance(signal, Broken) and signal.resync == "none":
            self._broken(signal, now, wall, done)
            signal = None
        self._hand_on(out, wall, wall, done, by_time=True)
        if signal is not None:
            self._signal(signal, now, wall, done)
        if (hole := self._holes.quiet(wall)) is not None:
            done.append(hole)
        if (beat := self._missed(now, last_own)) is not None:
            done.append(Drop(f"nothing of the stream's own for {beat:g} s, though it always says something"))
            return done
        self._watch(now, wall, last_own, done)
        return done

    def _missed(self, now: float, last_own: float | None) -> float | None:
        """The stream's beat, if that has stopped: other streams keep the connection alive."""
        beat = None if self._protocol is None else self._protocol.beat
        if beat is None or not self.live:
            return None
        if last_own is None and self._last is None:
            # Never anything: REST is asked first whether the symbol is listed at all.
            beat += self._settings.first_silence
        return beat if now - max(self._beat_from, last_own or 0.0) > beat else None

    def _watch(self, now: float, wall: int, last_own: float | None, done: list[Action]) -> None:
        """Tell of silence, and suspect the subscription."""
        heard = self._last_data
        if self._dataset.data_type is not DataType.TRADES and last_own is not None:
            # Not all of their messages make records: values that haven't changed, books of which snapshots are kept.
            heard = max(heard, last_own)
        if heard > self._heard:
            self._heard = heard
            self._patience.heard()
            self._suspicion.heard()
        if not self.live or now - heard <= self._patience.seconds:
            return
        self._patience.told()
        since = self._holes.known_until(wall)
        done.append(Silent(wall, since))
        self._holes.silent()
        probe = self._suspicion.question(self._last, since, wall - round((now - heard) * NS), wall)
        if probe is not None and self._probe is None:
            self._probe, self._resumed_ts = (probe, heard), 0
            done.append(probe)

    def lost(self, reason: str, now: float, wall: int, retry_after: float | None = None) -> tuple[list[Item], float]:
        """The connection ended, or could not be made: what to say, and the seconds after which to try again."""
        done: list[Action] = []
        for broken in [] if self._protocol is None else self._protocol.unresolved():
            # What the protocol still hoped to get late won't come any more.
            self._broken(broken, now, wall, done)
        holes: list[Item] = [found for found in done if isinstance(found, Hole)]
        delay = self._settings.backoff.delay(self.attempt, self._chance())
        self.attempt += 1
        self.counts["losses"] += 1
        self._holes.begin(reason, wall)
        self.live = False
        self._protocol = None
        wait = max(delay, retry_after or 0.0)
        return [*holes, Lost(wall, reason, wait)], wait

    # ------------------------------------------------------------ what to make of it

    def _batch(self, out: list[Record], recv_ts: int, now: float, wall: int, done: list[Action]) -> bool:
        """Records came from the exchange; False when one of them is none, and the subscription is given up."""
        if not out:
            return True
        limit = self._too_far.limit(wall)
        if any([record.ts > limit for record in out]):
            # Whatever keeps it, the newest time, an open bar, a value announced, would wait for that time. So it goes
            # to nobody, nor does what came after it, and a new subscription begins without it.
            at = next(index for index, record in enumerate(out) if record.ts > limit)
            reason = self._too_far.refuse(out[at].ts, wall)
            if reason is None:
                return self._batch(out, recv_ts, now, wall, done)
            self._batch(out[:at], recv_ts, now, wall, done)
            done.append(Drop(reason))
            return False
        self._too_far.took(out[-1].ts, wall)
        if self._unproven:
            self._unproven = False
            self._holes.begin(_UNASKED, wall, self._holes.known_until(wall))
        self._resumed_ts = self._resumed_ts or min(out[0].ts, wall)
        self._patience.batch(now - self._last_data)
        self._last_data = now
        # Data, not the connection, shows that all is well; unless it is data that keeps breaking.
        if not self._breaks or now - self._breaks[-1] > self._settings.break_period:
            self.attempt = 0
        self._hand_on(out, recv_ts, wall, done)
        return True

    def _hand_on(
        self, out: list[Record], recv_ts: int, wall: int, done: list[Action], *, by_time: bool = False
    ) -> None:
        """The hole before these records, if there is one, then the records; *by_time*: made by us, as time went by."""
        if out:
            self.counts["records"] += len(out)
            self._last = out[-1]
            hole, kept = self._holes.records(out, recv_ts, wall, by_time=by_time)
            if hole is not None:
                done.append(hole)
            if kept:
                done.append(Batch(kept, recv_ts, self._certain()))

    def _certain(self) -> int | None:
        """Nothing is from a hole on that the protocol hopes to be filled: were we killed, nobody would tell it."""
        certain = self._holes.certain
        held = None if self._protocol is None else self._protocol.held_since
        return certain if certain is None or held is None else min(certain, held)

    def _signal(self, signal: Signal, now: float, wall: int, done: list[Action]) -> None:
        if isinstance(signal, Subscribed):
            self._confirm_by = None
            self._asked = False
            if not self.live:
                self.live = True
                self._last_data = self._beat_from = now
                done.append(Live(wall))
            self._holes.confirmed(wall)
        elif isinstance(signal, Refused):
            self.refused = True
            if signal.permanent:
                raise SubscriptionRefused(
                    self._dataset.exchange,
                    f"{self._dataset.exchange} refuses {self._dataset.name}: {signal.message}",
                )
            done.append(Drop(f"subscription refused: {signal.message}"))
        elif isinstance(signal, SnapshotWanted):
            done.append(Fetch(signal.request))
        else:
            self._broken(signal, now, wall, done)

    def _broken(self, broken: Broken, now: float, wall: int, done: list[Action]) -> None:
        self.counts["breaks"] += 1
        known = self._holes.known_until(wall)
        since = known if broken.since is None else broken.since
        if broken.resync == "none":
            if (hole := self._holes.told(since, broken.until or wall, broken.reason)) is not None:
                done.append(hole)
            return
        since = min(since, known)  # a book's last time may have been a wrong one
        self._holes.begin(broken.reason, wall, since)
        done.append(Broke(wall, since, broken.reason, broken.resync))
        self._breaks.append(now)
        often = len(self._breaks) > self._settings.max_breaks
        if often and now - self._breaks[0] < self._settings.break_period:
            # Mending doesn't help, and doing it again at this rate is what exchanges ban hosts for.
            done.append(Drop(f"{broken.reason}: {len(self._breaks)} breaks in a short time"))
        elif broken.resync == "snapshot" and broken.request is not None:
            done.append(Fetch(broken.request))
        elif broken.resync == "resubscribe" and self._protocol is not None:
            self._confirm_by = None
            self._asked = True
            done.append(Send(self._protocol.resubscribe()))
        else:
            done.append(Drop(broken.reason))

    def _unparsed(self, error: str, frame: bytes) -> None:
        self.counts["unparsed"] += 1
        self._bad.add(error, frame)

    def _tell_unparsed(self, now: float, done: list[Action]) -> None:
        if (unparsed := self._bad.tell(now)) is not None:
            done.append(unparsed)
