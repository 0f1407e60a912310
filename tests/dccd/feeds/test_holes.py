from __future__ import annotations

from itertools import pairwise

import msgspec

from dccd.feeds.fake import START
from dccd.feeds.holes import Holes
from dccd.feeds.items import Hole
from dccd.records import Bar, BookDelta, BookSnapshot, Trade
from dccd.symbols import NS, Dataset

TRADES = Dataset.make("fake", "trades", "BTC/USD")
BARS = Dataset.make("fake", "ohlc", "BTC/USD", 60)
BOOK = Dataset.make("fake", "orderbook", "BTC/USD")
MINUTE = 60 * NS


def at(seconds: float) -> int:
    return START + round(seconds * NS)


def trade(seconds: float, number: int | None = None) -> Trade:
    return Trade(at(seconds), 1.0, 1.0, "buy", None if number is None else str(number))


def bar(minute: int, closed: bool) -> Bar:
    return Bar(START + minute * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0, closed=closed)


def listening(dataset: Dataset, consecutive_ids: bool = False, since: int | None = None) -> Holes:
    holes = Holes(dataset, consecutive_ids, since)
    holes.confirmed(START)
    return holes


def take(holes: Holes, *records: Trade | Bar | BookDelta | BookSnapshot, now: float | None = None) -> Hole | None:
    """At the time of the last of them, or a closed bar's end."""
    last = records[-1]
    then = last.ts + MINUTE * (isinstance(last, Bar) and last.closed) if now is None else at(now)
    hole, kept = holes.records([*records], then, then)
    assert kept == [*records]
    return hole


def test_a_hole_lies_between_the_records_around_it() -> None:
    """From the last record before the loss to the first one after it, both inside: others may share their times."""
    holes = listening(TRADES)
    assert take(holes, trade(1), trade(2)) is None
    holes.begin("gone", at(7))
    holes.confirmed(at(9))
    assert take(holes, trade(9.5), trade(10)) == Hole(at(2), at(9.5) + 1, "gone")
    assert take(holes, trade(11)) is None
    assert holes.count == 1


def test_consecutive_ids_prove_that_nothing_is_missing() -> None:
    """The next id after the loss is the last one's successor, or one that is sent again: no hole."""
    for number, seconds in ((8, 5), (7, 2), (3, 1)):
        holes = listening(TRADES, consecutive_ids=True)
        take(holes, trade(2, 7))
        holes.begin("gone", at(3))
        holes.confirmed(at(4))
        assert take(holes, trade(seconds, number)) is None
        assert holes.count == 0


def test_a_jump_of_ids_is_a_hole() -> None:
    """One id too many after a loss."""
    holes = listening(TRADES, consecutive_ids=True)
    take(holes, trade(2, 7))
    holes.begin("gone", at(3))
    holes.confirmed(at(4))
    assert take(holes, trade(5, 9)) == Hole(at(2), at(5) + 1, "gone")


def test_ids_prove_nothing_of_a_hole_that_began_elsewhere() -> None:
    """A break in the data, or a start, says itself from where on records are missing."""
    holes = listening(TRADES, consecutive_ids=True)
    take(holes, trade(2, 7))
    holes.begin("a gap", at(3), since=at(1))
    assert take(holes, trade(5, 8)) == Hole(at(1), at(5) + 1, "a gap")


def test_ids_prove_nothing_of_another_contract() -> None:
    """Where a symbol means the next contract from now on, that one's lower ids don't hide what lies between."""
    holes = listening(TRADES, consecutive_ids=True)
    take(holes, trade(2, 700))
    holes.begin("the contract has expired", at(3))
    holes.market_changed()
    holes.confirmed(at(22))
    assert take(holes, trade(23, 5)) == Hole(at(2), at(23) + 1, "the contract has expired")
    holes.begin("gone", at(24))
    holes.confirmed(at(25))
    assert take(holes, trade(26, 6)) is None


def test_older_trades_at_first_don_t_end_a_hole_before_the_present() -> None:
    """Without ids, a snapshot of past trades tells nothing of where the new ones begin: the confirmation does."""
    holes = listening(TRADES)
    take(holes, trade(4.9), now=2.9)
    take(holes, trade(5), now=3)  # the exchange's clock is two seconds ahead
    holes.begin("gone", at(6))
    holes.confirmed(at(9))
    assert take(holes, trade(1), trade(2)) == Hole(at(5), at(11), "gone")


def test_what_is_lost_after_a_quiet_market_ended_a_hole_is_one_too() -> None:
    """The next id tells, on whatever connection: where it follows there is none, else from the confirmation on."""
    for number, missing in ((8, None), (9, Hole(at(61), at(80) + 1, "gone"))):
        holes = listening(TRADES, consecutive_ids=True)
        take(holes, trade(2, 7))
        holes.begin("gone", at(50))
        holes.confirmed(at(61))
        assert holes.quiet(at(71)) == Hole(at(2), at(61), "gone")
        assert holes.certain is None and holes.quiet(at(79)) is None
        assert take(holes, trade(80, number)) == missing


def test_a_stream_that_starts_in_a_quiet_market_can_prove_nothing() -> None:
    """Which id the first trade should have is unknown: the hole goes on until it comes."""
    holes = listening(TRADES, consecutive_ids=True, since=at(-100))
    assert holes.quiet(at(10)) == Hole(at(-100), at(0), "the collector was not running")
    assert take(holes, trade(80, 9)) == Hole(at(0), at(80) + 1, "the collector was not running")


def test_a_quiet_market_ends_a_hole_too() -> None:
    """Ten seconds after the confirmation nothing has come: the hole ended with the confirmation."""
    holes = listening(TRADES)
    take(holes, trade(2), now=2)
    holes.begin("gone", at(3))
    assert holes.quiet(at(60)) is None
    holes.confirmed(at(61))
    assert holes.quiet(at(70)) is None
    assert holes.quiet(at(71)) == Hole(at(2), at(61), "gone")
    assert holes.quiet(at(90)) is None


def test_a_hole_keeps_its_beginning_over_further_losses() -> None:
    """It begins with the first loss and has its reason."""
    holes = listening(TRADES)
    take(holes, trade(2))
    holes.begin("first", at(3))
    holes.confirmed(at(4))
    holes.begin("second", at(5))
    holes.confirmed(at(6))
    assert take(holes, trade(7)) == Hole(at(2), at(7) + 1, "first")


def test_nothing_is_missing_before_it_was_ever_confirmed() -> None:
    """Attempts that fail before the first confirmation promise nothing."""
    holes = Holes(TRADES, False)
    holes.begin("refused", at(0))
    holes.confirmed(at(3))
    assert take(holes, trade(4)) is None


def test_without_a_record_a_hole_begins_when_we_began_to_listen() -> None:
    """A market that was quiet all the while."""
    holes = listening(TRADES)
    holes.begin("gone", at(30))
    holes.confirmed(at(33))
    assert take(holes, trade(34)) == Hole(at(0), at(34) + 1, "gone")


def test_the_time_before_the_start_is_a_hole_when_told_so() -> None:
    """``since`` opens one."""
    holes = listening(TRADES, consecutive_ids=True, since=at(-9))
    assert take(holes, trade(1, 5)) == Hole(at(-9), at(1) + 1, "the collector was not running")


def test_bars_that_follow_each_other_prove_that_none_is_missing() -> None:
    """The bar in progress at the loss, or the one after a closed one, is told whole by what comes later."""
    for last, first in ((bar(3, closed=False), bar(3, closed=False)), (bar(3, closed=True), bar(4, closed=False))):
        holes = listening(BARS)
        take(holes, bar(2, closed=True), last)
        holes.begin("gone", at(200))
        holes.confirmed(at(210))
        assert take(holes, first) is None


def test_bars_between_are_a_hole_of_whole_bars() -> None:
    """From the first bar that isn't known to be final to the one that is in progress again."""
    holes = listening(BARS)
    take(holes, bar(2, closed=True), bar(3, closed=False))
    assert holes.known_until(at(0)) == START + 3 * MINUTE
    holes.begin("gone", at(200))
    holes.confirmed(at(400))
    assert take(holes, bar(6, closed=False)) == Hole(START + 3 * MINUTE, START + 6 * MINUTE, "gone")


def test_a_book_is_whole_again_with_its_next_record_only() -> None:
    """A quiet market ends no hole of a book: there is none until it has been built anew."""
    holes = listening(BOOK)
    take(holes, BookDelta(at(1), 1, [], []))
    holes.begin("a gap", at(2), since=at(1))
    holes.confirmed(at(3))
    assert holes.quiet(at(60)) is None
    assert take(holes, BookSnapshot(at(61), 9, [], [])) == Hole(at(1), at(61), "a gap")


def test_a_hole_is_never_empty() -> None:
    """A record's own time is inside, since others may share it."""
    assert listening(TRADES).told(at(5), at(5), "a gap") == Hole(at(5), at(5) + 1, "a gap")


def test_a_frame_that_cannot_be_read_is_a_hole_where_nothing_else_would_tell() -> None:
    """Between the records around it; a quiet market ends it by our clock."""
    holes = listening(TRADES)
    take(holes, trade(1), now=1)
    assert holes.spoilt(at(2))
    assert holes.spoilt(at(3))
    assert take(holes, trade(4), now=4) == Hole(at(1), at(4) + 1, "a frame could not be read")
    assert holes.spoilt(at(5))
    assert holes.quiet(at(14)) is None
    assert holes.quiet(at(15)) == Hole(at(4), at(5), "a frame could not be read")


def test_a_frame_that_cannot_be_read_is_told_by_what_comes_next() -> None:
    """By a jump of consecutive ids, a book's numbers or checksum."""
    for dataset, ids in ((TRADES, True), (BOOK, False)):
        assert not listening(dataset, consecutive_ids=ids).spoilt(at(1))
    assert not Holes(TRADES, False).spoilt(at(1)), "nothing was to come yet"


def test_a_book_that_time_gave_out_again_proves_nothing() -> None:
    """The hole of a loss begins at the last change that was sent."""
    holes = listening(BOOK)
    take(holes, BookSnapshot(at(1), 1, [], []), BookDelta(at(2), 2, [], []))
    book = BookSnapshot(at(60), 2, [], [])
    assert holes.records([book], at(60), at(60), by_time=True) == (None, [book])
    holes.begin("gone", at(70))
    assert take(holes, BookSnapshot(at(80), 9, [], [])) == Hole(at(2), at(80), "gone")


def test_ids_that_begin_anew_prove_nothing() -> None:
    """A lower id at a later time is no trade sent again, nor is all after an absurd one: there is a hole, each time."""
    holes = listening(TRADES, consecutive_ids=True)
    take(holes, trade(1, 5), trade(2, 10**15), trade(3, 6))
    for lost, number in ((4, 306), (70, 606)):
        holes.begin("gone", at(lost))
        holes.confirmed(at(lost + 60))
        before = holes.known_until(at(lost))
        assert take(holes, trade(lost + 61, number)) == Hole(before, at(lost + 61) + 1, "gone")
    holes.begin("gone", at(140))
    assert take(holes, trade(150, 607)) is None, "from then on they prove again"


def test_an_open_bar_proves_nothing_of_the_one_before() -> None:
    """A closing that was lost just before the connection was is in the hole, and told once."""
    holes = listening(BARS)
    take(holes, bar(0, closed=True), bar(1, closed=False), bar(2, closed=False))
    holes.begin("gone", at(130))
    assert take(holes, bar(2, closed=False)) == Hole(START + MINUTE, START + 2 * MINUTE, "gone")
    holes.begin("gone", at(140))
    assert take(holes, bar(2, closed=False)) is None
    assert take(holes, bar(2, closed=True)) is None


def test_a_time_that_is_a_little_ahead_moves_no_hole() -> None:
    """It begins where that record came; where two agree, it is the clocks that differ."""
    holes = listening(TRADES)
    take(holes, trade(1), now=1)
    take(holes, trade(50), now=2)
    holes.begin("gone", at(3))
    assert take(holes, trade(9), now=9) == Hole(at(2), at(9) + 1, "gone")
    ahead = listening(TRADES)
    take(ahead, trade(31), now=1)
    take(ahead, trade(32), now=2)
    ahead.begin("gone", at(3))
    assert take(ahead, trade(39), now=9) == Hole(at(32), at(39) + 1, "gone")


def test_a_closed_bar_that_is_ahead_proves_nothing_of_those_before_it() -> None:
    """A hole begins where bars are known to be closed."""
    holes = listening(BARS)
    take(holes, bar(0, closed=True))
    take(holes, bar(1, closed=True), now=61)
    holes.begin("gone", at(70))
    assert take(holes, bar(3, closed=False)) == Hole(START + MINUTE, START + 3 * MINUTE, "gone")


def test_losses_upon_losses_are_told_in_advance() -> None:
    """A few each; then one a minute, on record before what it leaves out comes. Each loss lies in one."""
    holes = listening(TRADES)
    told: list[Hole] = []
    lost: list[int] = []
    for second in range(1, 601):
        take_one = take(holes, trade(second))
        told += [] if take_one is None else [take_one]
        assert all(any(hole.since <= ts < hole.until for hole in told) for ts in lost)
        assert holes.spoilt(at(second + 0.5))
        lost.append(at(second + 0.5))
        lost = [ts for ts in lost if ts < at(second)]
    assert 9 <= len(told) <= 13
    assert all(later.since <= sooner.until for sooner, later in pairwise(told[2:]))


def test_losses_that_are_far_apart_are_told_as_they_are() -> None:
    """Nothing that came is fetched again."""
    holes = listening(TRADES)
    for second in range(0, 1000, 100):
        take(holes, trade(second + 1))
        holes.spoilt(at(second + 2))
        assert take(holes, trade(second + 3)) == Hole(at(second + 1), at(second + 3) + 1, "a frame could not be read")


def test_a_bar_whose_last_word_cannot_be_read() -> None:
    """Its time is a hole, it isn't handed on as closed, and a loss of the connection begins no later."""
    holes = listening(BARS)
    last = bar(1, closed=False)
    take(holes, bar(0, closed=True), last)
    assert holes.spoilt(at(110))
    closing = msgspec.structs.replace(last, closed=True)
    hole, kept = holes.records([closing, bar(2, closed=False)], at(121), at(121))
    assert hole == Hole(START + MINUTE, START + 2 * MINUTE, "a frame could not be read")
    assert kept == [bar(2, closed=False)]
    assert holes.spoilt(at(122))
    holes.begin("gone", at(123))
    assert take(holes, bar(3, closed=False)) == Hole(START + MINUTE, START + 3 * MINUTE, "gone")


def test_what_is_certain_lags_behind_the_last_record() -> None:
    """A trade may come some seconds late; nothing is certain while a hole is open."""
    holes = listening(TRADES)
    assert holes.certain is None
    take(holes, trade(100))
    assert holes.certain == at(95)
    holes.begin("lost", at(101))
    assert holes.certain is None


def test_a_bar_is_certain_when_it_is_closed() -> None:
    """Its later states would have told it otherwise; the open one isn't."""
    holes = listening(BARS)
    take(holes, bar(0, closed=False), now=30)
    assert holes.certain == at(0)
    take(holes, bar(0, closed=True), bar(1, closed=False), now=61)
    assert holes.certain == at(60)


def closed_by_time(holes: Holes, minute: int) -> None:
    then = START + (minute + 1) * MINUTE + 3 * NS
    assert holes.records([bar(minute, closed=True)], then, then, by_time=True)[0] is None


def test_a_bar_that_time_closed_is_certain_when_the_next_comes() -> None:
    """Until then the subscription may be dead: a hole begins with that bar; after a suspicious silence, too."""
    holes = listening(BARS)
    take(holes, bar(0, closed=True), bar(1, closed=False))
    closed_by_time(holes, 1)
    assert holes.certain == START + MINUTE
    take(holes, bar(2, closed=False), now=130)
    assert holes.certain == START + 2 * MINUTE
    closed_by_time(holes, 2)
    holes.silent()
    take(holes, bar(3, closed=False), now=239)
    take(holes, bar(3, closed=False), now=239)
    assert holes.certain == START + 2 * MINUTE
    holes.begin("gone", at(240))
    assert take(holes, bar(4, closed=False)) == Hole(START + 2 * MINUTE, START + 4 * MINUTE, "gone")


def test_bars_that_are_left_out_are_no_certainty() -> None:
    """Only history can tell that nothing was traded: the next ones are told as one hole, unclaimed until then."""
    holes, reason = listening(BARS), "bars that don't follow each other"
    take(holes, bar(0, closed=True))
    assert take(holes, bar(2, closed=False)) is None
    assert take(holes, bar(2, closed=True)) == Hole(START + MINUTE, START + 2 * MINUTE, reason)
    assert holes.certain == START + 3 * MINUTE
    for minute in (4, *range(6, 12)):
        assert take(holes, bar(minute, closed=False), bar(minute, closed=True)) is None
    assert holes.certain == START + 3 * MINUTE
    assert take(holes, bar(12, closed=True)) == Hole(START + 3 * MINUTE, START + 6 * MINUTE, reason)
    assert holes.certain == START + 13 * MINUTE
    assert take(holes, bar(13, closed=True)) is None


def test_a_hole_begins_with_the_first_bar_that_is_left_out() -> None:
    """A loss takes it along, and so does a frame that can't be read."""
    for told in ("gone", "a frame could not be read"):
        holes = listening(BARS)
        last = bar(3, closed=False)
        take(holes, bar(-3, closed=True))
        take(holes, bar(-1, closed=True), bar(0, closed=True))
        take(holes, bar(2, closed=True), last)
        if told == "gone":
            holes.begin(told, at(200))
            hole = take(holes, bar(4, closed=False))
        else:
            holes.spoilt(at(210))
            hole, _ = holes.records([bar(3, closed=True), bar(4, closed=False)], at(241), at(241))
        assert hole == Hole(START + MINUTE, START + 4 * MINUTE, told)
