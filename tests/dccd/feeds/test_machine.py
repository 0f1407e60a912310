from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from dccd.errors import SubscriptionRefused
from dccd.exchanges.base import Market, StreamOptions
from dccd.exchanges.kraken import Kraken
from dccd.feeds.actions import Action, Drop, Fetch, Ping, Send
from dccd.feeds.fake import START, FakeExchange, FakeFrame
from dccd.feeds.holes import Holes
from dccd.feeds.items import Batch, Broke, Connected, Hole, Live, Lost, Silent, Unparsed
from dccd.feeds.machine import Machine
from dccd.feeds.settings import SessionSettings
from dccd.feeds.silence import Probe
from dccd.feeds.timing import Backoff
from dccd.records import Bar, BookSnapshot, Record, Trade
from dccd.symbols import NS, Dataset

TRADES = Dataset.make("fake", "trades", "BTC/USD")
BOOK = Dataset.make("fake", "orderbook", "BTC/USD")


class Driver:
    """A machine with a time that the test sets; seconds from START."""

    def __init__(self, dataset: Dataset = TRADES, since: int | None = None, **settings: Any) -> None:
        self.exchange = FakeExchange()
        self.dataset = dataset
        given = {"backoff": Backoff(initial=1.0, jitter=0.0), **settings}
        self.machine = Machine(dataset, SessionSettings(**given), lambda: 0.0, Holes(dataset, False, since))
        self.time = 0.0

    @property
    def wall(self) -> int:
        return START + round(self.time * NS)

    def connect(self) -> list[Any]:
        protocol = self.exchange.stream(self.dataset, StreamOptions(), Market("BTCUSD"))
        return self.performed(self.machine.connected(protocol, self.time, self.wall))

    def live(self) -> list[Any]:
        return [*self.connect(), *self.frames(FakeFrame(ok=True))]

    def frames(self, *frames: FakeFrame | bytes) -> list[Any]:
        data = [frame if isinstance(frame, bytes) else frame.encode().encode() for frame in frames]
        return self.performed(self.machine.received([(self.wall, data)], self.time, self.wall))

    def timer(
        self,
        last_read: float | None = None,
        last_frame: float = 0.0,
        last_own: float | None = None,
        spoke_at: float | None = None,
    ) -> list[Any]:
        read = self.time if last_read is None else last_read
        return self.performed(self.machine.timer(self.time, self.wall, read, last_frame, last_own, spoke_at))

    def performed(self, actions: list[Action]) -> list[Any]:
        """What is to be sent is sent at once."""
        if any(isinstance(action, Send) for action in actions):
            self.machine.sent(self.time)
        return list(actions)

    def seconds(self, count: int, last_read: float | None = None) -> list[Any]:
        """What the timer says in the next *count* seconds."""
        said = []
        for _ in range(count):
            self.time += 1
            said += self.timer(last_read)
        return said

    def lost(self, reason: str = "gone") -> Lost:
        said, wait = self.machine.lost(reason, self.time, self.wall)
        assert said == [Lost(self.wall, reason, wait)]
        return said[0]


def test_it_subscribes_and_is_live_once_the_exchange_confirms() -> None:
    """Connected and the subscription come first; Live comes with the confirmation, not before."""
    driver = Driver()
    assert driver.connect() == [Connected(START), Send(["subscribe BTC/USD"])]
    assert not driver.machine.live
    assert driver.frames(FakeFrame(ok=True)) == [Live(START)]
    assert driver.machine.live


def test_all_frames_that_were_there_make_one_batch() -> None:
    """Records of several frames and reads are one batch, in order, with the time of the first read."""
    driver = Driver()
    driver.live()
    reads = [
        (START + 5, [FakeFrame(trades=[START + 1, START + 2]).encode().encode()]),
        (START + 9, [FakeFrame(trades=[START + 3]).encode().encode()]),
    ]
    (batch,) = driver.machine.received(reads, 0.0, START + 10)
    assert isinstance(batch, Batch)
    assert [record.ts for record in batch.records] == [START + 1, START + 2, START + 3]
    assert [record.recv_ts for record in batch.records] == [START + 5, START + 5, START + 9]
    assert batch.recv_ts == START + 5
    assert driver.machine.statistics()["records"] == 3


def test_without_a_confirmation_the_connection_is_dropped() -> None:
    """Silence after a subscription is a failure after confirm_timeout, though frames do come."""
    driver = Driver()
    driver.connect()
    assert driver.seconds(10) == []
    driver.frames(FakeFrame())
    assert driver.seconds(1) == [Drop("no confirmation of the subscription within 10 s")]


def test_a_refusal_for_good_is_raised_in_the_exchange_s_words() -> None:
    """A permanent refusal ends the session; one that may pass drops the connection only."""
    driver = Driver()
    driver.connect()
    with pytest.raises(SubscriptionRefused, match="Currency pair not supported"):
        driver.frames(FakeFrame(refused="Currency pair not supported"))
    again = Driver()
    again.connect()
    assert again.frames(FakeFrame(refused="Rate limit", permanent=False)) == [Drop("subscription refused: Rate limit")]


def test_a_socket_that_sends_no_frame_is_dropped_though_it_answers_pings() -> None:
    """The watchdog counts frames, not bytes."""
    driver = Driver(first_silence=1e9)
    driver.live()
    assert driver.seconds(30) == []
    assert driver.seconds(1) == [Drop("no frame for 30 s", dead=True)]


def test_another_stream_s_message_shows_that_the_connection_lives() -> None:
    """The heartbeat is the connection's: only when nobody gets a message is it dead, for all."""
    driver = Driver(first_silence=1e9)
    driver.live()
    for second in range(60):
        driver.time += 1
        assert driver.timer(last_frame=float(second)) == []


def test_the_time_to_confirm_begins_when_the_subscription_is_sent() -> None:
    """The exchange's pace may hold it back for a while."""
    driver = Driver()
    driver.machine.connected(driver.exchange.stream(TRADES, StreamOptions(), Market("BTCUSD")), 0.0, START)
    for _ in range(15):
        driver.time += 1
        assert driver.timer(last_frame=driver.time) == []
    driver.machine.sent(driver.time)
    for _ in range(10):
        driver.time += 1
        assert driver.timer(last_frame=driver.time) == []
    driver.time += 1
    assert driver.timer(last_frame=driver.time) == [Drop("no confirmation of the subscription within 10 s")]


def test_a_connection_without_a_byte_is_pinged_once_and_then_dropped() -> None:
    """A dead peer is found sooner than by its heartbeat: a ping, and no byte for as long again."""
    driver = Driver(ping_after=10.0)
    driver.live()
    assert driver.seconds(19, last_read=0.0) == [Ping()]
    assert driver.seconds(2, last_read=0.0) == [Drop("no answer to a ping for 10 s", dead=True)]


def test_a_pong_keeps_a_quiet_connection() -> None:
    """Any byte after the ping shows that the peer is there."""
    driver = Driver(ping_after=10.0, first_silence=1e9)
    driver.live()
    assert driver.seconds(12, last_read=0.0) == [Ping()]
    assert driver.seconds(8, last_read=12.0) == []


def test_time_in_which_we_stood_still_is_not_held_against_the_exchange() -> None:
    """After a lag of the consumer, the connection gets the chance to show what came meanwhile."""
    driver = Driver()
    driver.live()
    driver.time += 300
    assert driver.timer(last_read=0.0) == []
    assert driver.seconds(5, last_read=0.0) == []


def test_a_loss_is_a_hole_that_is_told_before_what_follows_it() -> None:
    """Whoever has a record knows of the hole before it, also when the record comes before the confirmation."""
    driver = Driver()
    driver.live()
    driver.time = 5
    driver.frames(FakeFrame(trades=[START + 4 * NS]))
    driver.time = 7
    assert driver.lost("closed (1001)") == Lost(START + 7 * NS, "closed (1001)", 1.0)
    driver.time = 9
    assert [type(said) for said in driver.connect()] == [Connected, Send]
    hole, batch = driver.frames(FakeFrame(trades=[START + 8 * NS]))
    assert hole == Hole(START + 4 * NS, START + 8 * NS + 1, "closed (1001)")
    assert isinstance(batch, Batch)
    assert driver.frames(FakeFrame(ok=True)) == [Live(START + 9 * NS)]
    assert driver.machine.statistics()["holes"] == 1


def test_a_loss_in_a_quiet_market_is_told_after_a_while() -> None:
    """No record ends the hole: the timer does."""
    driver = Driver()
    driver.live()
    driver.lost()
    driver.live()
    assert driver.seconds(10) == [Hole(START, START + 1, "gone")]


def test_a_jump_that_was_held_open_is_a_hole_when_the_connection_ends() -> None:
    """What the protocol waited for won't come late any more, and may lie before the last record."""
    driver = Driver()
    driver.live()
    driver.frames(FakeFrame(trades=[START + 9], doubt=(START + 2, START + 5)))
    said, _ = driver.machine.lost("gone", 0.0, START + 10)
    assert said == [Hole(START + 2, START + 5, "ids jumped"), Lost(START + 10, "gone", 1.0)]
    driver.live()
    assert driver.frames(FakeFrame(trades=[START + 11]))[0] == Hole(START + 9, START + 12, "gone")


def test_nothing_is_certain_from_a_jump_on_that_is_held_open() -> None:
    """Were the process killed now, nobody would tell it."""
    driver = Driver()
    driver.live()
    driver.time = 100
    (batch,) = driver.frames(FakeFrame(trades=[START + 90 * NS], doubt=(START + 20, START + 90 * NS)))
    assert batch.certain == START + 20
    (batch,) = driver.frames(FakeFrame(trades=[START + 99 * NS], doubt=(0, 1)))
    assert batch.certain == START + 94 * NS


def test_losses_before_the_first_confirmation_are_no_hole() -> None:
    """Nothing was promised yet."""
    driver = Driver()
    driver.connect()
    driver.lost()
    assert [type(said) for said in driver.live()] == [Connected, Send, Live]


def test_a_book_s_hole_ends_with_its_first_record() -> None:
    """A book isn't whole at the confirmation, but when it has been built anew."""
    driver = Driver(BOOK)
    driver.live()
    driver.frames(FakeFrame(book=[START]))
    driver.lost()
    driver.time = 3
    assert [type(said) for said in driver.live()] == [Connected, Send, Live]
    hole, batch = driver.frames(FakeFrame(book=[START + 4 * NS]))
    assert hole == Hole(START, START + 4 * NS, "gone")
    assert isinstance(batch, Batch)


def test_waits_grow_until_data_comes_and_not_until_a_subscription_does() -> None:
    """Only records reset the backoff: an exchange that confirms and then closes is not asked ever faster."""
    driver = Driver()
    driver.live()
    assert driver.lost().retry_in == 1.0
    driver.live()
    assert driver.lost().retry_in == 2.0
    driver.live()
    driver.frames(FakeFrame(trades=[START]))
    assert driver.lost().retry_in == 1.0


def test_an_exchange_that_names_a_time_is_given_it() -> None:
    """Retry-After of a refused handshake is waited for when it is longer than the backoff."""
    driver = Driver()
    assert driver.machine.lost("HTTP 429", 0.0, START, 30.0) == ([Lost(START, "HTTP 429", 30.0)], 30.0)


def test_frames_that_are_none_are_counted_and_told_of_once_in_a_while() -> None:
    """The first bad frame is told of at once, later ones summed up; the good ones around them arrive."""
    driver = Driver(unparsed_every=30.0, silence=(1e9, 1e9))
    driver.live()
    before, _, after, told = driver.frames(FakeFrame(trades=[START]), b"{bad", FakeFrame(trades=[START + 1]))
    assert isinstance(before, Batch) and isinstance(after, Batch)
    assert isinstance(told, Unparsed)
    assert (told.sample, told.count) == (b"{bad", 1)
    driver.time = 10
    assert driver.frames(b"x" * 9_000, b"{worse") == []
    assert [type(said) for said in driver.seconds(19)] == [Hole]
    (told,) = driver.seconds(1)
    assert (told.sample, told.count) == (b"{worse", 2)
    assert driver.machine.statistics()["unparsed"] == 3


def test_the_protocol_s_clock_ticks() -> None:
    """The time is given to the protocol once a second, for bars that close by time."""
    driver = Driver()
    driver.live()
    for driver.time in (1.0, 2.0, 3.0):
        driver.timer(last_frame=driver.time)
    assert driver.exchange.ticks == [START + NS, START + 2 * NS, START + 3 * NS]


def test_its_clock_stands_still_while_the_connection_is_silent() -> None:
    """A bar whose last trades may be lost isn't closed."""
    driver = Driver()
    driver.live()
    for driver.time in (2.0, 5.0, 8.0):
        driver.timer(last_frame=1.5)
    assert driver.exchange.ticks == [START + 3 * NS // 2] * 3


def test_a_snapshot_that_is_wanted_is_fetched_and_its_records_handed_on() -> None:
    """SnapshotWanted becomes a request; its body is the protocol's."""
    driver = Driver(BOOK)
    driver.live()
    (fetch,) = driver.frames(FakeFrame(want=True))
    assert isinstance(fetch, Fetch)
    (batch,) = driver.machine.snapshot(b"123", 0.0, START)
    assert isinstance(batch, Batch)
    assert batch.records[0].ts == 123


def test_a_snapshot_that_can_t_be_parsed_drops_the_connection() -> None:
    """There is no book to build on it: say so, keep a sample, begin anew."""
    driver = Driver(BOOK)
    driver.live()
    told, drop = driver.machine.snapshot(b"<html>", 0.0, START)
    assert isinstance(told, Unparsed)
    assert isinstance(drop, Drop)


def test_a_break_that_needs_no_mending_is_a_hole_at_once() -> None:
    """``none``: the feed goes on, and the interval is known, before any record that follows it is handed on."""
    driver = Driver()
    driver.live()
    frame = FakeFrame(trades=[START + 9], broken="none", since=START + 3, until=START + 7)
    hole, batch = driver.frames(FakeFrame(trades=[START + 2]), frame)
    assert hole == Hole(START + 3, START + 7, "a gap")
    assert isinstance(batch, Batch)
    assert [record.ts for record in batch.records] == [START + 2, START + 9]


def test_a_break_is_mended_on_the_same_socket() -> None:
    """``resubscribe``: the frames that mend it are sent, and the hole ends with what comes then."""
    driver = Driver(BOOK)
    driver.live()
    driver.frames(FakeFrame(book=[START]))
    broke, send = driver.frames(FakeFrame(broken="resubscribe"))
    assert broke == Broke(START, START, "a gap", "resubscribe")
    assert send == Send(["unsubscribe BTC/USD", "subscribe BTC/USD"])
    driver.time = 4
    assert driver.frames(FakeFrame(ok=True)) == []
    assert driver.frames(FakeFrame(book=[START + 3 * NS]))[0] == Hole(START, START + 3 * NS, "a gap")


def test_a_break_that_is_not_mended_in_time_costs_the_connection() -> None:
    """A resubscription must be confirmed too."""
    driver = Driver(BOOK)
    driver.live()
    driver.frames(FakeFrame(broken="resubscribe"))
    assert driver.seconds(11) == [Drop("no confirmation of the subscription within 10 s")]


def test_a_break_may_ask_for_a_snapshot_or_a_new_connection() -> None:
    """``snapshot`` fetches one, ``reconnect`` drops; what follows in the same read belongs to the broken feed."""
    driver = Driver(BOOK)
    driver.live()
    assert isinstance(driver.frames(FakeFrame(broken="snapshot"))[-1], Fetch)
    said = driver.frames(FakeFrame(broken="reconnect"), FakeFrame(book=[START]))
    assert said[-1] == Drop("a gap")


def test_a_feed_that_keeps_breaking_is_given_up_and_waits_ever_longer() -> None:
    """Mending at a high rate is what exchanges ban for: drop it, and don't let its data reset the backoff."""
    driver = Driver(BOOK, max_breaks=2)
    for expected in (1.0, 2.0, 4.0):
        driver.live()
        said: list[Any] = []
        while not (said and isinstance(said[-1], Drop)):
            driver.frames(FakeFrame(book=[START]))
            said = driver.frames(FakeFrame(broken="resubscribe"))
        assert driver.lost().retry_in == expected


def silences(driver: Driver, seconds: int, last_own: float | None = None) -> list[Any]:
    """What is said of silence in so many seconds, while the exchange's heartbeat goes on."""
    said = []
    for _ in range(seconds):
        driver.time += 1
        driver.frames(FakeFrame())
        said += driver.timer(last_own=last_own)
    return said


def test_silence_is_reported_ever_less_often_and_rest_is_asked() -> None:
    """A living connection without records says so, and asks whether the exchange has some."""
    driver = Driver(silence=(60.0, 60.0))
    driver.live()
    driver.frames(FakeFrame(trades=[START]))
    first, second = START + 61 * NS, START + 121 * NS
    assert silences(driver, 100) == [Silent(first, START), Probe(START + 1, first - 10 * NS, True)]
    assert driver.machine.probed([]) == []
    assert silences(driver, 30) == [Silent(second, START), Probe(START + 1, second - 10 * NS, True)]
    found: list[Record] = [Trade(START + NS, 1.0, 1.0, None, None)]
    assert driver.machine.probed(found) == [Drop("the subscription is silent, but the exchange has new records")]


def test_what_comes_while_rest_is_asked_clears_the_subscription() -> None:
    """A stream that was only late isn't given up; nor is one that has been lost meanwhile."""
    driver = Driver(silence=(60.0, 60.0))
    driver.live()
    driver.frames(FakeFrame(trades=[START]))
    assert [type(said) for said in silences(driver, 61)][-1] is Probe
    driver.frames(FakeFrame(trades=[START + 5]))
    assert driver.machine.probed([]) == []
    assert [type(said) for said in silences(driver, 61)][-1] is Probe
    driver.lost()
    driver.live()
    assert driver.machine.probed([Trade(START + NS, 1.0, 1.0, None, None)]) == []


def test_a_silence_of_which_rest_can_t_be_asked_is_a_hole_of_trades_that_nothing_numbers() -> None:
    """Whether REST fails before the stream speaks again or after; where REST had nothing there is none."""
    for found in (None, list[Record]()):
        for spoke_first in (False, True):
            driver = Driver(silence=(60.0, 60.0))
            driver.live()
            driver.frames(FakeFrame(trades=[START]))
            silent, probe = silences(driver, 61)
            said = [] if spoke_first else driver.machine.probed(found)
            said += driver.frames(FakeFrame(trades=[driver.wall]))
            if spoke_first:
                said += driver.machine.probed(found)
            holes = [(hole.since, hole.until) for hole in said if isinstance(hole, Hole)]
            begin = probe.since if spoke_first else START
            assert holes == ([(begin, silent.at + 1)] if found is None else [])


@pytest.mark.parametrize(("every", "seconds"), [(0.1, 15), (2.0, 40), (30.0, 300)])
def test_what_counts_as_silence_is_learned_from_the_market(every: float, seconds: int) -> None:
    """Twenty times the usual pause between records, within bounds: a busy market is suspicious sooner."""
    driver = Driver(silence=(15.0, 300.0))
    driver.live()
    for _ in range(100):
        for _ in range(max(1, int(every))):
            driver.time += min(every, 1.0)
            driver.frames(FakeFrame())
            driver.timer()
        driver.frames(FakeFrame(trades=[driver.wall]))
    assert [type(said) for said in silences(driver, seconds)] == []
    assert [type(said) for said in silences(driver, 2)] == [Silent, Probe]


def test_a_stream_that_never_had_a_record_is_checked_soon() -> None:
    """Of a book or of bars too: an error tells that the symbol isn't listed, a record tells nothing."""
    driver = Driver(BOOK)
    driver.live()
    silent, probe = silences(driver, 32)
    assert silent == Silent(START + 31 * NS, START)
    assert probe == Probe(START + (31 - 3600) * NS, START + 31 * NS, True)


def test_a_silent_book_is_given_up_when_the_exchange_s_has_changed() -> None:
    """Two looks at REST with nothing in between: where the best prices differ, something should have come."""
    driver = Driver(BOOK, silence=(20.0, 20.0))
    driver.live()
    driver.frames(FakeFrame(book=[START]))
    books: list[Record] = [BookSnapshot(START, 1, [(price, 1.0)], [(9.0, 1.0)]) for price in (5.0, 5.0, 6.0)]
    assert [type(said) for said in silences(driver, 25)] == [Silent, Probe]
    assert driver.machine.probed(books[:1]) == []
    assert [type(said) for said in silences(driver, 20)] == [Silent, Probe]
    assert driver.machine.probed(books[1:2]) == []
    assert [type(said) for said in silences(driver, 40)] == [Silent, Probe]
    assert [type(said) for said in driver.machine.probed(books[2:])] == [Drop]


def test_silence_is_told_at_least_every_hour() -> None:
    """However long it lasts: a dead subscription would be looked at once more tomorrow."""
    driver = Driver(silence=(300.0, 300.0))
    driver.live()
    driver.frames(FakeFrame(trades=[START]))
    told = [said.at for said in silences(driver, 6 * 3600) if isinstance(said, Silent)]
    assert all(later - earlier <= 3601 * NS for earlier, later in pairwise(told))
    assert len(told) == 9


def beating(
    own: Callable[[float], float | None] = lambda now: None, spoke_at: Callable[[float], float] = lambda now: now
) -> list[Any]:
    """What is said of a minute of a stream that always says something within 20 s, beside living ones."""
    driver = Driver(BOOK, silence=(1e6, 1e6))
    driver.exchange.beat = 20.0
    driver.live()
    driver.frames(FakeFrame(book=[START]))
    said: list[Any] = []
    while not said and driver.time < 60:
        driver.time += 1
        now = driver.time
        said += driver.timer(last_frame=now, last_own=own(now), spoke_at=spoke_at(now))
    return [driver.time, *said]


def test_a_stream_that_lost_its_beat_is_left_though_the_connection_lives() -> None:
    """Others share that, and go on."""
    drop = Drop("nothing of the stream's own for 20 s, though it always says something")
    assert beating(own=lambda now: 5.0) == [26.0, drop]
    assert beating() == [21.0, drop]
    assert beating(own=lambda now: now) == [60.0]


def test_where_nothing_ever_came_rest_is_asked_before_the_stream_is_left() -> None:
    """That the symbol isn't listed is told by an error of REST's."""
    driver = Driver(BOOK)
    driver.exchange.beat = 20.0
    driver.live()
    assert [type(said) for said in silences(driver, 51)] == [Silent, Probe, Drop]


def test_a_beat_that_nobody_could_hear_is_not_missed() -> None:
    """While reading is held up, the stream's frames wait with all others."""
    assert beating(spoke_at=lambda now: min(now, 5.0)) == [60.0]
    assert beating(spoke_at=lambda now: now - (20 < now < 30))[0] == 50.0


def test_messages_that_make_no_record_show_that_a_book_lives() -> None:
    """Where snapshots of it are kept, say, records are rare."""
    driver = Driver(BOOK, silence=(20.0, 20.0))
    driver.live()
    driver.frames(FakeFrame(book=[START]))
    said: list[Any] = []
    for second in range(60):
        driver.time += 1
        said += driver.timer(last_frame=driver.time, last_own=float(second))
    assert said == []
    assert [type(one) for one in silences(driver, 25, last_own=59.0)] == [Silent, Probe]


def test_what_an_unreadable_frame_held_is_a_hole_between_its_neighbours() -> None:
    """In one read: the trade before it, the hole, the trade after it."""
    driver = Driver()
    driver.live()
    said = driver.frames(FakeFrame(trades=[START + 1]), b"junk", FakeFrame(trades=[START + 5]))
    kinds = [type(item) for item in said]
    assert kinds == [Batch, Hole, Batch, Unparsed]
    assert said[1] == Hole(START + 1, START + 6, "a frame could not be read")
    assert [record.ts for item in (said[0], said[2]) for record in item.records] == [START + 1, START + 5]


def test_time_goes_no_further_than_the_connection_has_spoken() -> None:
    """Neither when we stood still nor while nobody reads: what came meanwhile isn't read yet."""
    driver = Driver()
    driver.live()
    driver.time = 1.0
    driver.timer(last_frame=1.0)
    driver.time = 48.0
    driver.timer(last_frame=1.0)  # we stood still: no tick
    driver.time = 49.0
    driver.timer(last_frame=1.0)
    driver.time = 50.0
    driver.performed(driver.machine.timer(50.0, driver.wall, 50.0, 50.0, None, 2.0))
    assert driver.exchange.ticks == [START + NS, START + NS, START + 2 * NS]


def test_what_rest_has_of_a_silence_is_a_hole_although_the_stream_spoke_again() -> None:
    """Where no ids tell that trades are missing: from what REST was asked about to the record that came again."""
    driver = Driver(silence=(60.0, 60.0))
    driver.live()
    driver.frames(FakeFrame(trades=[START]))
    probe = silences(driver, 61)[-1]
    assert isinstance(probe, Probe)
    driver.frames(FakeFrame(trades=[driver.wall]))
    (hole,) = driver.machine.probed([Trade(START + NS, 1.0, 1.0, None, None)])
    assert hole == Hole(probe.since, driver.wall + 1, "silence, in which the exchange had trades")


def test_a_time_that_is_days_ahead_goes_to_nobody() -> None:
    """What came before it is handed on, the subscription is given up, and later holes begin where they should."""
    driver = Driver()
    driver.live()
    far = START + 400 * 86_400 * NS
    batch, drop = driver.frames(FakeFrame(trades=[START, far, START + 2]))
    assert isinstance(batch, Batch) and [record.ts for record in batch.records] == [START]
    assert isinstance(drop, Drop) and "ahead" in drop.reason
    driver.lost(drop.reason)
    driver.live()
    hole, after = driver.frames(FakeFrame(trades=[START + 9]))
    assert isinstance(after, Batch)
    assert hole == Hole(START, START + 10, drop.reason)


def test_a_clock_of_ours_that_is_behind_is_told_of_and_then_borne() -> None:
    """Three subscriptions end with it; then all comes."""
    driver = Driver()
    for _ in range(2):
        driver.live()
        (drop,) = driver.frames(FakeFrame(trades=[driver.wall + 600 * NS]))
        assert isinstance(drop, Drop) and "600 s ahead of ours" in drop.reason and "this host's clock" in drop.reason
        driver.lost(drop.reason)
        driver.time += 5
    driver.live()
    for _ in range(3):
        *_, batch = driver.frames(FakeFrame(trades=[driver.wall + 600 * NS]))
        assert isinstance(batch, Batch)
        driver.time += 1


def test_a_book_s_time_that_is_ahead_moves_no_hole() -> None:
    """When it breaks, its parser knows no better time than that."""
    driver = Driver(BOOK)
    driver.live()
    driver.frames(FakeFrame(book=[START]))
    driver.time = 1
    driver.frames(FakeFrame(book=[START + 50 * NS]))
    driver.time = 2
    broke, _ = driver.frames(FakeFrame(broken="resubscribe", since=START + 50 * NS))
    assert isinstance(broke, Broke) and broke.since == START + NS


def test_a_bar_whose_last_update_cannot_be_read_is_not_closed() -> None:
    """Kraken never says that one is: its time is a hole, told before the next bar; the bar comes from the repair."""

    def state(minute: int, trades: int) -> bytes:
        begin = f"2023-10-04T16:{25 + minute}:00.000000000Z"
        bar = {"symbol": "BTC/USD", "open": 2, "high": 4, "low": 1, "close": 3, "trades": trades, "volume": trades,
               "vwap": 2.5, "interval_begin": begin, "interval": 1}  # fmt: skip
        return msgspec.json.encode({"channel": "ohlc", "type": "update", "data": [bar]})

    begun, minute = 1696436700 * NS, 60 * NS
    dataset = Dataset.parse("kraken.ohlc.BTC-USD.1m")
    machine = Machine(dataset, SessionSettings(), lambda: 0.0, Holes(dataset, False))
    machine.connected(Kraken().stream(dataset, StreamOptions(), Market("XXBTZUSD")), 0.0, begun)

    def came(second: int, *frames: bytes) -> list[Any]:
        at = begun + second * NS
        return list(machine.received([(at, list(frames))], float(second), at))

    came(10, state(0, 5))
    came(50, state(0, 7)[:-9])
    hole, batch = came(61, state(1, 1))
    assert hole == Hole(begun, begun + minute, "a frame could not be read")
    assert isinstance(batch, Batch) and [bar.ts for bar in batch.records] == [begun + minute]
    (batch,) = came(121, state(2, 1))
    assert isinstance(batch, Batch)
    assert [(bar.ts, bar.closed) for bar in batch.records if isinstance(bar, Bar)] == [
        (begun + minute, True),
        (begun + 2 * minute, False),
    ]
