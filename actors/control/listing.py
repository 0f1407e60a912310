"""Whether exchanges list what is asked for: datasets flow in; an error flows out before an actor has to find it out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import anyio

from actors.links import Links
from dccd import messages as m
from dccd.errors import BadSymbol, ExchangeError, IdentityError
from dccd.exchanges.registry import get as get_exchange
from dccd.symbols import Dataset

__all__ = ["check_listed", "streams_of"]

_SECONDS = 5.0


async def check_listed(links: Links, datasets: Iterable[Dataset]) -> None:
    """Raise BadSymbol for the first of *datasets* that its exchange says it doesn't list.

    One that can't be asked within some seconds says nothing; nor does one whose symbols are known by heart.
    """
    with anyio.move_on_after(_SECONDS):
        for dataset in datasets:
            try:
                get_exchange(dataset.exchange).check(dataset, live=True)
                await links.rest.get(dataset.exchange).market(dataset.symbol)
            except BadSymbol:
                raise
            except ExchangeError:
                continue  # away, or it has no such stream: whoever starts it says so


def streams_of(ask: m.JobCreate) -> Iterator[Dataset]:
    """The datasets of the streams that *ask* is to create; what is none is told by who checks it whole."""
    for pair in ask.pairs if ask.operation == "stream" else ():
        with contextlib.suppress(IdentityError):
            yield Dataset.make(ask.exchange, ask.data_type, pair, ask.span)
