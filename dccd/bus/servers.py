"""Which servers a connection is for, and when to try them again: URLs and chance flow in, seconds flow out. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["Servers", "pause"]

_MAX_PAUSE = 1.0


class Servers:
    """The nodes of one cluster: several URLs, or one text with commas. As text it is fit to be shown."""

    def __init__(self, url: str | Sequence[str]) -> None:
        self.urls = [one.strip() for one in (url.split(",") if isinstance(url, str) else url)]

    @property
    def encrypted(self) -> bool:
        """Whether one of them says so."""
        return any(url.startswith(("tls://", "wss://")) for url in self.urls)

    def __str__(self) -> str:
        return ",".join(re.sub(r"//[^@/]*@", "//", url) for url in self.urls)

    def __repr__(self) -> str:
        return f"<Servers {self}>"


def pause(attempt: int, chance: float) -> float:
    """Seconds before *attempt*, the first of which is 0: none, then doubling up to a second, of which *chance* (in
    [0, 1]) takes up to a half."""
    # The exponent is capped: 2.0 ** 1024 overflows, and a bus may be away for hours. nats-py calls a handler that
    # raises again at once, for ever, and nothing else in the process has its turn.
    wait = min(_MAX_PAUSE, 0.01 * 2.0 ** min(attempt, 16)) if attempt else 0.0
    return wait * (1.0 - chance / 2)
