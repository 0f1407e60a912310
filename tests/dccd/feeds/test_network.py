"""Why a server can't be reached."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import aiohttp
import ccxt
import pytest

from dccd.errors import ExchangeDown, SocketClosed
from dccd.exchanges.base import PageRequest
from dccd.feeds.history import Rest, RestOptions
from dccd.feeds.network import why
from dccd.feeds.socket import connect
from dccd.symbols import Symbol

pytestmark = pytest.mark.anyio

NOWHERE = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def wrapped(exc: BaseException) -> BaseException:
    """As ccxt does: what it asked for, and the library's error behind that."""
    outer = ccxt.ExchangeNotAvailable("kraken GET https://api.kraken.com/0/public/Assets")
    outer.__cause__ = exc
    return outer


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (NOWHERE, "no network or no DNS (Name or service not known)"),
        (wrapped(NOWHERE), "no network or no DNS"),
        (ConnectionRefusedError(111, "Connect call failed"), "refused"),
        (ConnectionResetError(104, "reset"), "broken off"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "perhaps no network (Network is unreachable)"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "TLS failed"),
        (TimeoutError(), "no answer in time"),
        (wrapped(TimeoutError()), "no answer in time"),
        (aiohttp.ServerDisconnectedError(), "closed the connection without an answer"),
    ],
)
def test_each_cause_has_its_words(exc: BaseException, words: str) -> None:
    """However it is wrapped."""
    assert words in (why(exc) or "")


@pytest.mark.parametrize("exc", [ValueError("odd"), ccxt.ExchangeError("500"), OSError("odd")])
def test_what_isn_t_of_the_way_has_none(exc: BaseException) -> None:
    """The exchange's own words tell then."""
    assert why(exc) is None


@pytest.mark.parametrize("exchange", ["kraken", "kucoin"])
async def test_rest_says_why(exchange: str) -> None:
    """Of what dccd asks, and of what ccxt asks by itself: it names only the address."""
    rest = Rest(exchange, RestOptions(rest_url="http://127.0.0.1:1", attempts=1, timeout=5.0))
    try:
        async with asyncio.timeout(60):
            with pytest.raises(ExchangeDown, match=rf"^{exchange} can't be reached: the connection was refused"):
                await rest.market(Symbol.parse("BTC/USD"))
            if exchange == "kraken":
                with pytest.raises(ExchangeDown, match=r"kraken can't be reached: the connection was refused.*OHLC"):
                    await rest.get(PageRequest("publicGetOHLC", {"pair": "XXBTZUSD"}))
    finally:
        await rest.aclose()


async def test_a_socket_says_why() -> None:
    """With the server's name."""
    with pytest.raises(SocketClosed, match=r"127\.0\.0\.1 can't be reached: the connection was refused"):
        await connect("ws://127.0.0.1:1")
