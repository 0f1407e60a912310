"""A remote for tests: objects in memory, faults on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dccd.errors import RemoteAway, RemoteMissing
from dccd.store.remote.base import CHUNK, Object

__all__ = ["FakeRemote"]


class FakeRemote:
    """Keeps ``objects``; ``calls`` are what was asked of it, as ``put KEY``.

    ``away`` is how many of the next calls fail as if it couldn't be reached; ``step`` is called with each call's name
    before it does anything, and may raise.
    """

    def __init__(self, name: str = "fake") -> None:
        self.name, self.url = name, f"fake://{name}"
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.away = 0
        self.step: Callable[[str], None] = lambda name: None

    def __repr__(self) -> str:
        return f"<FakeRemote {self.name}: {len(self.objects)} objects>"

    def put(self, key: str, content: Iterable[bytes], size: int) -> None:
        self._called("put", key)
        whole = b"".join(content)
        assert len(whole) == size
        self.objects[key] = whole

    def read(self, key: str) -> Iterator[bytes]:
        self._called("read", key)
        if key not in self.objects:
            raise RemoteMissing(self.name, key)
        whole = self.objects[key]
        for at in range(0, len(whole), CHUNK):
            yield whole[at : at + CHUNK]

    def list(self, prefix: str) -> Iterator[Object]:
        self._called("list", prefix)
        for key, whole in sorted(self.objects.items()):
            if key.startswith(prefix):
                yield Object(key, len(whole))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._called("delete", key)
            self.objects.pop(key, None)

    def _called(self, name: str, key: str) -> None:
        self.calls.append(f"{name} {key}")
        self.step(name)
        if self.away:
            self.away -= 1
            raise RemoteAway(self.name, "away, as asked")
