"""The seam to ccxt.pro: a class of ccxt's flows in; the same flows out, watched.

What ccxt.pro does by itself, and what we must know of it:

* It keeps trades in caches that hold a thousand, and hands out the newest of them when somebody awaits. :class:`Taps`
  has each trade at the moment when it is put there, so the size of the cache doesn't matter.
* It reconnects in silence. ``on_error`` and ``on_close`` tell that a connection has ended.
* It opens a connection whenever one is needed, however many it has opened. ``open`` waits for its turn.
* It sends subscriptions when it likes, and an exception in its handling of a message stops it reading. Both are told.

Which stream a connection and a message belong to is told by the task that asked for them (:data:`ASKING`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import urlsplit

__all__ = ["ASKING", "Taps", "Watcher", "watched"]

CACHE = 1000
"""What ccxt's caches hold, of one market's trades or bars."""


class Asker(Protocol):
    """Who watches something."""

    def uses(self, url: str) -> None:
        """It does so on this connection."""
        ...

    def sent(self) -> None:
        """Its subscription was sent, or stands already."""
        ...


ASKING: ContextVar[Asker | None] = ContextVar("ASKING", default=None)


class Watcher(Protocol):
    """Who wants to know what ccxt.pro does. URLs are those of connections."""

    async def turn(self, cost: float | None) -> None:
        """Wait until it may make a REST request."""
        ...

    async def opening(self, client: Any) -> bool:
        """Wait until *client* may open its connection; False when it needn't any more."""
        ...

    def gone(self, url: str, reason: str) -> None:
        """A connection has ended."""
        ...

    def unread(self, url: str, message: Any, error: Exception) -> None:
        """It failed over a message."""
        ...


class Taps(dict[str, Any]):
    """Stands in the place where ccxt.pro keeps its caches of trades by symbol, and calls *deliver* with each trade.

    A handler makes a cache, puts it here, and appends to it, before that or after: from here on each trade is told.
    """

    def __init__(self, deliver: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._deliver = deliver

    def __setitem__(self, symbol: str, cache: Any) -> None:
        super().__setitem__(symbol, cache)
        append, deliver = cache.append, self._deliver
        if getattr(append, "tapped", False):
            return

        def tapped(trade: Any) -> None:
            append(trade)
            deliver(symbol, trade)

        tapped.tapped = True  # type: ignore[attr-defined]  # a mark
        cache.append = tapped
        for trade in [*cache]:
            deliver(symbol, trade)


def watched(kind: Any, settings: dict[str, Any], watcher: Watcher, ws_url: str | None) -> Any:
    """An object of ccxt.pro's class *kind* that tells *watcher* what it does; *ws_url* stands before all paths."""

    def based(url: str) -> str:
        # Some URLs come from the exchange, with a token in them, so all go through here; doing so twice does no harm.
        of = urlsplit(url)
        path = f"{of.path}{f'?{of.query}' if of.query else ''}"
        return url if ws_url is None or url.startswith(ws_url) else f"{ws_url.rstrip('/')}{path}"

    class Watched(kind):  # type: ignore[misc]  # ccxt has no types
        async def throttle(self, cost: float | None = None) -> None:
            await watcher.turn(cost)

        def client(self, url: str) -> Any:
            client = super().client(based(url))
            if not hasattr(client, "dccd_send"):
                send = client.dccd_send = client.send

                async def told(message: Any) -> None:
                    await send(message)
                    if (asker := ASKING.get()) is not None:
                        asker.sent()

                client.send = told
                opened = client.open

                async def in_turn(session: Any, backoff_delay: float = 0) -> None:
                    if await watcher.opening(client):
                        await opened(session, backoff_delay)

                client.open = in_turn
            return client

        def watch(
            self, url: str, message_hash: str, message: Any = None, subscribe_hash: Any = None, subscription: Any = None
        ) -> Any:
            asked = self._asked(url, message, [subscribe_hash])
            future = super().watch(based(url), message_hash, message, subscribe_hash, subscription)
            asked()
            return future

        def watch_multiple(
            self,
            url: str,
            message_hashes: list[str],
            message: Any = None,
            subscribe_hashes: Any = None,
            subscription: Any = None,
        ) -> Any:
            asked = self._asked(url, message, subscribe_hashes or [])
            future = super().watch_multiple(based(url), message_hashes, message, subscribe_hashes, subscription)
            asked()
            return future

        def _asked(self, url: str, message: Any, hashes: list[Any]) -> Callable[[], None]:
            client, asker = self.client(url), ASKING.get()
            stands = message is None or all(one in client.subscriptions for one in hashes)

            def after() -> None:
                if asker is None:
                    return
                asker.uses(client.url)
                if stands:
                    # Nothing will be sent: it stands as soon as the connection does.
                    client.connected.add_done_callback(
                        lambda done: asker.sent() if not done.cancelled() and done.exception() is None else None
                    )

            return after

        def handle_message(self, client: Any, message: Any) -> Any:
            try:
                return super().handle_message(client, message)
            except Exception as exc:
                watcher.unread(client.url, message, exc)
                return None

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            watcher.gone(client.url, str(error) or type(error).__name__)

        def on_close(self, client: Any, code: Any) -> None:
            super().on_close(client, code)
            watcher.gone(client.url, f"the exchange closed the connection, code {code}")

    Watched.__name__ = kind.__name__
    api = Watched(settings)
    if ws_url is not None:
        api.urls["api"] = _every(api.urls["api"], lambda url: based(url) if url.startswith("ws") else url)
    api.options |= {"tradesLimit": CACHE, "OHLCVLimit": CACHE}
    api.newUpdates = True
    return api


def _every(table: Any, change: Callable[[str], str]) -> Any:
    if isinstance(table, dict):
        return {key: _every(value, change) for key, value in table.items()}
    return change(table) if isinstance(table, str) else table
