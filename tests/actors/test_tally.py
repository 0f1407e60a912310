"""What is counted of actors, and under which names."""

from __future__ import annotations

import pytest

from actors.runtime.events import ActorEvent, EventKind
from actors.tally import Tally, actor_label

CORE = ("dccd", "work", "core")


@pytest.mark.parametrize(
    ("path", "label"),
    [
        (("dccd",), "dccd"),
        ((*CORE, "archiver"), "dccd/work/core/archiver"),
        ((*CORE, "streams", "binance.trades.BTC-USDT"), "dccd/work/core/streams/binance.trades.BTC-USDT"),
        ((*CORE, "backfills"), "dccd/work/core/backfills"),
        ((*CORE, "backfills", "018f3c5e-7a40"), "dccd/work/core/backfills/*"),
        ((*CORE, "replays", "r1", "reader"), "dccd/work/core/replays/*"),
    ],
)
def test_no_label_is_of_a_run(path: tuple[str, ...], label: str) -> None:
    """Streams are known by name, since there are so many of them; runs are ever new ones, and one together."""
    assert actor_label(path) == label


def test_restarts_are_counted_and_nothing_else() -> None:
    """An actor that starts or ends is no restart; one that is set aside has a count of its own."""
    tally = Tally()
    kinds: list[EventKind] = ["started", "exited", "restarted", "restarted", "gave_up"]
    for kind in kinds:
        tally.saw(ActorEvent(kind, (*CORE, "backfills", kind), at=0))
    assert tally.restarts == {"dccd/work/core/backfills/*": 2}
    assert tally.gave_up == {"dccd/work/core/backfills/*": 1}
