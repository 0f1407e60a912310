"""The same replay as :class:`~dccd.client.replay.Replay`, for programs without an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from dccd.symbols import Dataset

if TYPE_CHECKING:
    import polars as pl

    from dccd import messages as m
    from dccd.client.base import Time
    from dccd.client.replay import Replay
    from dccd.client.ticks import Batch

__all__ = ["SyncReplay"]

T = TypeVar("T")


class SyncReplay:
    """``with client.replay(…) as replay: for dataset, record in replay``; ``replay`` is that, and says what it is."""

    def __init__(
        self,
        replay: Replay,
        call: Callable[..., Any],
        each: Callable[[AsyncGenerator[Any, None]], Iterator[Any]],
    ) -> None:
        self.replay, self._call, self._each = replay, call, each

    def __repr__(self) -> str:
        return repr(self.replay).replace("Replay", "SyncReplay", 1)

    def __enter__(self) -> SyncReplay:
        self._call(self.replay.open)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self.replay.aclose)

    def __iter__(self) -> Iterator[tuple[Dataset, Any]]:
        for batch in self.batches():
            for record in batch:
                yield batch.dataset, record
                if self.replay.is_past(batch):
                    break

    def batches(self) -> Iterator[Batch[Any]]:
        """See :meth:`Replay.batches`."""
        return self._each(self.replay.batches())

    def frames(self, rows: int = 100_000) -> Iterator[pl.DataFrame]:
        """See :meth:`Replay.frames`."""
        return self._each(self.replay.frames(rows))

    def pause(self) -> m.ReplayEntry:
        """See :meth:`Replay.pause`."""
        return self._asked("pause")

    def resume(self) -> m.ReplayEntry:
        """See :meth:`Replay.resume`."""
        return self._asked("resume")

    def speed(self, speed: m.Speed) -> m.ReplayEntry:
        """See :meth:`Replay.speed`."""
        return self._asked("speed", speed)

    def seek(self, to: Time) -> m.ReplayEntry:
        """See :meth:`Replay.seek`."""
        return self._asked("seek", to)

    def stop(self) -> m.ReplayEntry:
        """See :meth:`Replay.stop`."""
        return self._asked("stop")

    def _asked(self, name: str, *args: Any) -> m.ReplayEntry:
        entry: m.ReplayEntry = self._call(getattr(self.replay, name), *args)
        return entry
