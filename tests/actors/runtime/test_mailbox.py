"""The bounded queue: order, backpressure, withdrawal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.runtime.mailbox import Closed, Envelope, Full, Mailbox

pytestmark = pytest.mark.anyio


async def take(mailbox: Mailbox, count: int) -> list[Any]:
    return [(await mailbox.get()).message for _ in range(count)]


async def test_messages_come_out_in_order() -> None:
    """First in, first out; what was taken is counted."""
    mailbox = Mailbox(3)
    for number in range(3):
        mailbox.put_nowait(Envelope(number))
    assert repr(mailbox) == "<Mailbox 3/3 waiting=0 received=0>"
    assert await take(mailbox, 3) == [0, 1, 2]
    assert (len(mailbox), mailbox.received) == (0, 3)


async def test_a_full_mailbox_refuses_or_makes_wait() -> None:
    """It never holds more than its size, and those who wait are let in in order."""
    mailbox = Mailbox(2)
    assert mailbox.put(Envelope(0)) is None
    assert mailbox.put(Envelope(1)) is None
    with pytest.raises(Full):
        mailbox.put_nowait(Envelope("x"))
    rooms = [mailbox.put(Envelope(number)) for number in (2, 3)]
    assert [room.done() for room in rooms if room] == [False, False]
    assert len(mailbox) == 2
    assert await take(mailbox, 1) == [0]
    assert [room.done() for room in rooms if room] == [True, False]
    with pytest.raises(Full):
        # The room that came free belongs to who waited, not to who comes now.
        mailbox.put_nowait(Envelope("x"))
    assert await take(mailbox, 3) == [1, 2, 3]


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    """A cancelled wait withdraws the message, and the next one is let in."""
    mailbox = Mailbox(1)
    mailbox.put_nowait(Envelope(0))
    gone, stays = mailbox.put(Envelope(1)), mailbox.put(Envelope(2))
    assert gone is not None
    assert stays is not None
    gone.cancel()
    assert await take(mailbox, 2) == [0, 2]
    assert stays.done()


async def test_signals_come_first_and_are_never_refused() -> None:
    """However full the mailbox is."""
    mailbox = Mailbox(1)
    mailbox.put_nowait(Envelope("message"))
    for number in range(100):
        mailbox.signal(number)
    assert await take(mailbox, 101) == [*range(100), "message"]


async def test_the_reader_is_woken() -> None:
    """By a message, and by a signal."""
    mailbox = Mailbox(1)
    for send in (lambda: mailbox.put_nowait(Envelope("m")), lambda: mailbox.signal("m")):
        reader = asyncio.create_task(mailbox.get())
        await asyncio.sleep(0)
        assert not reader.done()
        send()
        assert (await reader).message == "m"


async def test_a_cancelled_reader_loses_nothing() -> None:
    """The message that woke it is there for the next."""
    mailbox = Mailbox(1)
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put_nowait(Envelope("m"))
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await take(mailbox, 1) == ["m"]


async def test_there_is_one_reader() -> None:
    """A second one would take messages away at random: it is an error."""
    mailbox = Mailbox(1)
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await mailbox.get()
    mailbox.put_nowait(Envelope("m"))
    await reader


async def test_closing_hands_back_what_nobody_will_read() -> None:
    """Also of those who wait for room, who are told."""
    mailbox = Mailbox(1)
    mailbox.put_nowait(Envelope(0))
    room = mailbox.put(Envelope(1))
    assert room is not None
    assert [envelope.message for envelope in mailbox.close()] == [0, 1]
    assert isinstance(room.exception(), Closed)
    for put in (mailbox.put, mailbox.put_nowait):
        with pytest.raises(Closed):
            put(Envelope(2))
    mailbox.signal("nobody hears it")
    assert mailbox.close() == []


async def test_a_larger_size_lets_the_waiting_in() -> None:
    """An actor's own size counts from when it is made."""
    mailbox = Mailbox(1)
    mailbox.put_nowait(Envelope(0))
    rooms = [mailbox.put(Envelope(number)) for number in (1, 2, 3)]
    mailbox.grow(3)
    assert [room.done() for room in rooms if room] == [True, True, False]


async def test_an_answer_nobody_waits_for_is_dropped() -> None:
    """Answering twice, or after the asker was cancelled, is no error."""
    reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    envelope = Envelope("q", reply)
    assert repr(envelope) == "<Envelope ask 'q'>"
    envelope.answer(1)
    envelope.answer(2)
    envelope.fail(RuntimeError())
    assert await reply == 1
    Envelope("tell").answer(1)
    Envelope("tell").fail(RuntimeError())
