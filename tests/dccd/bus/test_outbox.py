"""What is done about messages to deliver: each is sent until it is acknowledged, or is told as dropped."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dccd.bus.outbox import Dropped, Offer, Outbox

A, B = "dccd.ticks.binance.trades.BTC-USDT", "dccd.ticks.kraken.trades.BTC-USD"
COST = 256
"""What a message costs beside its payload."""


def outbox(window: int = 4, deadline: float = 5.0, limit: int = 100_000, duplicate_window: float = 120.0) -> Outbox:
    """An outbox that began at 0."""
    return Outbox(window, deadline, limit, duplicate_window, 0.0)


def offer(box: Outbox, now: float, size: int = 100, subject: str = A, ts: int = 0, count: int = 1) -> bool:
    return box.offer(subject, bytes(size), count, ts, ts, None, None, now)


def send(box: Outbox, now: float) -> list[int]:
    """Send what may be sent."""
    sent = []
    while (one := box.next(now)) is not None:
        box.sent(one, now)
        sent.append(one.number)
    return sent


def send_again(box: Outbox, now: float) -> list[int]:
    """Send what is marked, and look up nothing."""
    marked, _ = box.again(now)
    sent = []
    for one in marked:
        if box.take_again(one):
            box.sent(one, now)
            sent.append(one.number)
    box.sent_again()
    return sent


def on_way(box: Outbox, number: int) -> Offer:
    found = box.get(number)
    assert found is not None
    return found


def test_a_window_is_on_its_way() -> None:
    """So many messages are sent, in the order of their offers, and the next when one is acknowledged."""
    box = outbox(window=2)
    for now in (1.0, 2.0, 3.0):
        assert offer(box, now)
    assert (len(box), box.waiting_since) == (3, 1.0)
    assert send(box, 4.0) == [1, 2]
    assert not box.window_open
    assert box.acked(1, 1, 5.0) is not None
    assert box.acked(1, 1, 5.0) is None
    assert box.window_open
    assert (len(box), box.waiting_since) == (2, 2.0)
    assert send(box, 6.0) == [3]


def test_who_offers_waits_for_a_bus_that_takes_it() -> None:
    """A window here is full; a bus that is away, or has acknowledged nothing for a deadline, is not waited for."""
    box = outbox(window=2, deadline=5.0)
    offer(box, 1.0)
    assert not box.full
    offer(box, 1.0)
    assert box.full
    assert not box.stalled(100.0, True)  # nothing is on its way: nothing could have been acknowledged
    assert box.stalled(1.0, False)
    send(box, 1.0)
    assert not box.stalled(5.0, True)
    assert box.stalled(5.1, True)
    box.acked(1, 1, 6.0)
    assert not box.stalled(11.0, True)
    assert box.stalled(11.1, True)
    box.reconnected(12.0)
    assert not box.stalled(17.0, True)


def test_what_is_overdue_goes_before_what_is_new() -> None:
    """Only messages older than the deadline are sent again, and nothing else until they are."""
    box = outbox(deadline=5.0)
    offer(box, 0.0)
    assert send(box, 0.0) == [1]
    offer(box, 3.0)
    assert send(box, 3.0) == [2]
    assert box.look(5.0)
    assert not box.resend
    offer(box, 5.5)
    assert not box.look(5.5)
    assert not box.resend
    assert box.look(6.25)
    assert box.has_work
    assert send(box, 6.25) == []
    assert send_again(box, 6.25) == [1]
    assert send(box, 6.25) == [3]
    assert box.statistics()["published_again"] == 1


def test_a_new_connection_sends_all_again() -> None:
    """All that is on its way, in order, at once, whatever pause was to be made."""
    box = outbox()
    for _ in range(3):
        offer(box, 0.0)
    send(box, 0.0)
    box.acked(2, 2, 0.1)
    box.failed(0.2)
    assert not box.may_send(0.2)
    box.reconnected(0.21)
    assert box.may_send(0.21)
    assert send_again(box, 0.21) == [1, 3]
    assert not box.resend


def test_what_is_answered_meanwhile_is_not_sent_again() -> None:
    """Of those marked one is acknowledged before its turn; one that is marked in the meantime stays marked."""
    box = outbox()
    for _ in range(3):
        offer(box, 0.0)
    send(box, 0.0)
    box.refused(on_way(box, 1), 0.1)
    box.refused(on_way(box, 2), 0.1)
    marked, _ = box.again(0.2)
    assert [one.number for one in marked] == [1, 2]
    box.acked(1, 1, 0.2)
    box.refused(on_way(box, 3), 0.2)
    assert [box.take_again(one) for one in marked] == [False, True]
    box.sent(marked[1], 0.2)
    assert not box.take_again(marked[1])
    box.sent_again()
    assert box.resend
    assert send_again(box, 0.3) == [3]


def test_old_messages_are_looked_up_first() -> None:
    """After half of the duplicate window, by their first sending: their subjects, behind what was stored before it."""
    box = outbox(window=8, duplicate_window=120.0)
    offer(box, 0.0, subject=A)
    offer(box, 0.0, subject=B)
    offer(box, 0.0, subject=A)
    send(box, 0.0)
    box.acked(3, 700, 0.1)
    offer(box, 1.0, subject=B)
    offer(box, 1.0, subject=A)
    send(box, 1.0)
    box.reconnected(30.0)
    assert box.again(30.0)[1] == {}
    send_again(box, 30.0)
    box.reconnected(60.0)
    assert box.again(60.0)[1] == {}
    assert box.again(60.1)[1] == {A: 1, B: 1}
    box.acked(1, 701, 60.1)
    box.acked(2, 702, 60.1, duplicate=True)
    assert box.again(61.1)[1] == {A: 701, B: 701}


def test_a_stream_made_anew_is_looked_up_from_where_it_is() -> None:
    """What was stored last says where, though the numbers of the stream before were greater."""
    box = outbox(duplicate_window=120.0)
    for seq in (5000, 3):
        offer(box, 0.0)
        (number,) = send(box, 0.0)
        box.acked(number, seq, 0.0)
    offer(box, 0.0)
    send(box, 0.0)
    box.reconnected(70.0)
    assert box.again(70.0)[1] == {A: 4}


def test_pauses_between_tries_grow_and_end_with_success() -> None:
    """A twentieth of a second, twice as long each time, a second at most; then again from the beginning."""
    box = outbox()
    offer(box, 0.0)
    assert box.next(0.0) is not None
    now, pauses = 0.0, []
    for _ in range(6):
        box.failed(now)
        pause = box.wait(now)
        assert pause is not None
        assert not box.may_send(now + pause * 0.9)
        pauses.append(pause)
        now += 2.0
        assert box.may_send(now)
        assert box.resend
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0])
    box.acked(1, 1, now)
    box.failed(now)
    assert box.wait(now) == pytest.approx(0.05)


def test_when_to_look_again() -> None:
    """Never while nothing is on its way, four times a deadline while something is, however much else happens."""
    box = outbox(deadline=4.0)
    offer(box, 10.0)
    assert box.wait(10.0) is None
    send(box, 10.0)
    assert box.wait(10.0) == 1.0
    assert box.wait(10.75) == 0.25
    offer(box, 10.75)
    send(box, 10.75)
    assert box.wait(10.75) == 0.25
    assert not box.look(10.75)
    assert box.wait(11.5) == 0.0
    assert box.look(11.5)
    assert box.wait(11.5) == 1.0
    box.acked(1, 1, 11.5)
    box.acked(2, 2, 11.5)
    assert box.wait(11.5) is None


def test_a_window_of_refusals_is_told_once() -> None:
    """The first is, and makes the pause; the next one when all was sent again and is refused again."""
    box = outbox()
    for _ in range(3):
        offer(box, 0.0)
    send(box, 0.0)
    assert [box.refused(on_way(box, number), 0.1) for number in (1, 2, 3)] == [True, False, False]
    assert box.wait(0.1) == pytest.approx(0.05)
    assert box.may_send(0.2)
    assert send_again(box, 0.2) == [1, 2, 3]
    assert box.refused(on_way(box, 2), 0.3)
    assert box.wait(0.3) == pytest.approx(0.1)
    assert box.statistics()["refused"] == 4


def test_what_is_refused_for_good_is_dropped() -> None:
    """It is told with its records and times, and isn't here any more."""
    box = outbox()
    box.offer(A, b"12", 7, 1, 2, None, None, 0.0)
    send(box, 0.0)
    assert box.refused_for_good(on_way(box, 1)) == {A: Dropped(1, 7, 1, 2)}
    assert (len(box), box.held_bytes) == (0, 0)
    now = box.statistics()
    assert (now["acked"], now["refused"], now["dropped_messages"], now["dropped_records"]) == (0, 1, 1, 7)


def test_an_overflow_ends_when_half_is_free() -> None:
    """From the first message that doesn't fit all are dropped, small ones too, and told by subject with their times."""
    box = outbox(window=10, limit=4 * (100 + COST))
    for ts in range(4):
        assert offer(box, 0.0, ts=ts)
    assert not offer(box, 0.0, ts=30, count=3)
    assert not offer(box, 0.0, size=0, ts=20, count=2, subject=B)
    assert not offer(box, 0.0, size=0, ts=10, count=2)
    send(box, 0.0)
    box.acked(1, 1, 0.0)
    assert box.end_overflow() == {}
    assert not offer(box, 0.0, size=0, ts=40)
    box.acked(2, 2, 0.0)
    assert box.overflow == 4
    assert box.statistics()["dropped_messages"] == 0
    assert box.end_overflow() == {A: Dropped(3, 6, 10, 40), B: Dropped(1, 2, 20, 20)}
    assert not box.overflow
    assert box.end_overflow() == {}
    assert offer(box, 0.0)
    now = box.statistics()
    assert (now["dropped_messages"], now["dropped_records"]) == (4, 8)


def test_a_message_larger_than_all_there_is_room_for() -> None:
    """It is taken where nothing waits, since an overflow that begins there would never end, and nowhere else."""
    box = outbox(limit=100)
    assert offer(box, 0.0, size=1000)
    assert not offer(box, 0.0, size=0)
    send(box, 0.0)
    box.acked(1, 1, 0.0)
    assert box.end_overflow() == {A: Dropped(1, 1, 0, 0)}
    assert offer(box, 0.0, size=1000)


def test_what_is_left_at_the_end_is_told() -> None:
    """With what an overflow has dropped, whether it was sent or not."""
    box = outbox(window=1, limit=2 * (100 + COST))
    for ts in (5, 6, 7):
        offer(box, 0.0, ts=ts)
    send(box, 0.0)
    assert box.end() == {A: Dropped(3, 3, 5, 7)}
    assert (len(box), box.held_bytes, box.overflow, box.waiting_since) == (0, 0, 0, None)
    assert box.get(1) is None


class Delivery(RuleBasedStateMachine):
    """Any course of offers, sends, answers and losses, next to lists of what became of each message."""

    @initialize(window=st.integers(1, 4), limit=st.sampled_from([1, 700, 2000]))
    def begin(self, window: int, limit: int) -> None:
        self.now = 0.0
        self.window = window
        self.limit = limit
        self.box = outbox(window=window, limit=limit, duplicate_window=20.0)
        self.offered = 0
        self.sizes: dict[int, int] = {}  # of each that was taken, by number
        self.times: dict[int, float] = {}
        self.stamps: dict[int, tuple[str, int]] = {}
        self.sent: list[int] = []  # for the first time
        self.gone: list[int] = []  # acknowledged
        self.duplicates = 0
        self.told: dict[str, list[int]] = {A: [], B: []}  # dropped, by their ts
        self.untold: dict[str, list[int]] = {A: [], B: []}

    def tell(self, dropped: dict[str, Dropped], expected: dict[str, list[int]]) -> None:
        assert dropped == {
            subject: Dropped(len(all_ts), 2 * len(all_ts), min(all_ts), max(all_ts))
            for subject, all_ts in expected.items()
            if all_ts
        }
        for subject, all_ts in expected.items():
            self.told[subject] += all_ts

    def held(self) -> list[int]:
        """The numbers of what is neither acknowledged nor dropped, in order."""
        refused = {ts for all_ts in self.told.values() for ts in all_ts}
        return [n for n in self.sizes if n not in self.gone and self.stamps[n][1] not in refused]

    def under_way(self) -> list[int]:
        return [number for number in self.held() if number in self.sent]

    def after_one_has_left(self) -> None:
        half_free = self.box.held_bytes <= self.limit // 2
        dropped = self.box.end_overflow()
        if half_free:
            self.tell(dropped, self.untold)
            self.untold = {A: [], B: []}
        else:
            assert dropped == {}

    @rule(size=st.integers(0, 600), subject=st.sampled_from([A, B]))
    def offer(self, size: int, subject: str) -> None:
        self.offered += 1
        overflowing = self.box.overflow
        held = self.box.held_bytes
        taken = self.box.offer(subject, bytes(size), 2, self.offered, self.offered, None, None, self.now)
        assert taken is (not overflowing and (not held or held + size <= self.limit))
        if taken:
            number = len(self.sizes) + 1
            self.sizes[number], self.times[number] = size, self.now
            self.stamps[number] = (subject, self.offered)
        else:
            self.untold[subject].append(self.offered)

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 6.0]))
    def later(self, seconds: float) -> None:
        self.now += seconds

    @rule(fails=st.booleans())
    def send(self, fails: bool) -> None:
        marked = self.box.resend
        room = len(self.under_way()) < self.window
        waits = [number for number in self.held() if number not in self.sent]
        one = self.box.next(self.now)
        if one is None:
            assert marked or not room or not waits
            return
        assert not marked
        assert room
        assert one.number == waits[0]
        self.sent.append(one.number)
        if fails:
            self.box.failed(self.now)
            assert self.box.resend
        else:
            self.box.sent(one, self.now)

    @rule(data=st.data(), duplicate=st.booleans())
    @precondition(lambda self: self.under_way())
    def acknowledge(self, data: st.DataObject, duplicate: bool) -> None:
        number = data.draw(st.sampled_from(self.under_way()))
        one = self.box.acked(number, number, self.now, duplicate)
        assert one is not None and (one.number, one.subject) == (number, self.stamps[number][0])
        self.gone.append(number)
        self.duplicates += duplicate
        self.after_one_has_left()

    @rule(data=st.data())
    @precondition(lambda self: self.gone)
    def acknowledge_twice(self, data: st.DataObject) -> None:
        assert self.box.acked(data.draw(st.sampled_from(self.gone)), 1, self.now) is None

    @rule(data=st.data(), for_good=st.booleans())
    @precondition(lambda self: self.under_way())
    def refuse(self, data: st.DataObject, for_good: bool) -> None:
        number = data.draw(st.sampled_from(self.under_way()))
        one = on_way(self.box, number)
        if for_good:
            subject, ts = self.stamps[number]
            self.tell(self.box.refused_for_good(one), {subject: [ts]})
            self.after_one_has_left()
        else:
            self.box.refused(one, self.now)
            assert self.box.resend

    @rule()
    def look_for_overdue(self) -> None:
        self.box.look(self.now)

    @rule()
    def reconnect(self) -> None:
        self.box.reconnected(self.now)
        assert self.box.resend is bool(self.under_way())

    @rule()
    def send_again(self) -> None:
        again = send_again(self.box, self.now)
        assert again == sorted(again)
        assert set(again) <= set(self.under_way())
        assert not self.box.resend

    @rule()
    def all_are_delivered(self) -> None:
        for _ in range(len(self.sizes) + 1):
            send_again(self.box, self.now)
            self.sent += send(self.box, self.now)
            for number in self.under_way():
                assert self.box.acked(number, number, self.now) is not None
                self.gone.append(number)
                self.after_one_has_left()
        assert len(self.box) == 0
        assert not self.box.overflow
        assert not self.box.has_work

    @invariant()
    def each_is_accounted_for_once(self) -> None:
        held, now = self.held(), self.box.statistics()
        told = sum(map(len, self.told.values()))
        untold = sum(map(len, self.untold.values()))
        assert (len(self.box), now["acked"], now["dropped_messages"]) == (len(held), len(self.gone), told)
        assert len(held) + now["acked"] + now["dropped_messages"] + untold == self.offered
        assert (self.box.overflow, now["overflowing"]) == (untold, bool(untold))
        assert now["on_way"] == len(self.under_way()) <= self.window
        assert (now["offered"], now["duplicates"]) == (len(self.sizes), self.duplicates)
        assert [number for number in self.sizes if self.box.get(number) is not None] == self.under_way()
        assert self.box.held_bytes == sum(self.sizes[number] + COST for number in held)

    @invariant()
    def the_oldest_goes_first(self) -> None:
        assert self.sent == sorted(self.sent)
        held = self.held()
        assert self.box.waiting_since == (self.times[held[0]] if held else None)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            for number in self.held():
                subject, ts = self.stamps[number]
                self.untold[subject].append(ts)
            self.tell(self.box.end(), self.untold)
            self.untold = {A: [], B: []}
            self.each_is_accounted_for_once()


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
