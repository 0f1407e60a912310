"""Object stores (S3, Google Cloud Storage, Azure) through obstore, an optional extra of dccd.

Objects flow in by one atomic request, or in parts that become an object at the end. Credentials are those given, else
what the provider's own variables and files say (``AWS_ACCESS_KEY_ID``, ``GOOGLE_APPLICATION_CREDENTIALS``, …).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from dccd.errors import RemoteAway, RemoteError, RemoteMissing, Uninstalled
from dccd.store.remote.base import CHUNK, Object

__all__ = ["ObjectRemote"]

_ONE_REQUEST = 2 * CHUNK
_PART = 8 * 2**20
_DELETE = 1000  # as many as S3 takes at once
_SECONDS = 60


class ObjectRemote:
    """The bucket and prefix of *url*, with the provider's own *options* (``region``, ``endpoint``, ``access_key_id``).

    Raises Uninstalled without obstore, RemoteError for options that it doesn't know.
    """

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        try:
            import obstore
        except ImportError as exc:
            raise Uninstalled(f"remote {name}: {url} needs obstore: pip install 'dccd[remotes]'") from exc
        self.name, self.url = name, url
        self._api = obstore
        plain = str(options.get("endpoint", "")).startswith("http://")
        client: dict[str, Any] = {"timeout": timedelta(seconds=_SECONDS), "allow_http": plain}
        # Whoever calls tries again, with longer pauses, and can be stopped while it does.
        retry: dict[str, Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=_SECONDS)}
        try:
            # Its types want the options of one provider; which it is follows from the URL at run time.
            from_url: Any = obstore.store.from_url
            self._store = from_url(url, config=dict(options), client_options=client, retry_config=retry)
        except (obstore.exceptions.BaseError, ValueError, TypeError) as exc:
            raise RemoteError(name, f"{url}: {_first_line(exc)}") from exc

    def __repr__(self) -> str:
        return f"<ObjectRemote {self.name} {self.url}>"

    def put(self, key: str, content: Iterable[bytes], size: int) -> None:
        with self._errors(key):
            if size <= _ONE_REQUEST:
                self._api.put(self._store, key, b"".join(content), use_multipart=False)
            else:
                self._api.put(self._store, key, iter(content), use_multipart=True, chunk_size=_PART, max_concurrency=4)

    def read(self, key: str) -> Iterator[bytes]:
        with self._errors(key):
            size = self._api.head(self._store, key)["size"]
        # In parts, since a request has a time limit and an object may take any time.
        for start in range(0, size, _PART):
            with self._errors(key):
                piece = self._api.get_range(self._store, key, start=start, end=min(start + _PART, size))
            yield bytes(piece)

    def list(self, prefix: str) -> Iterator[Object]:
        with self._errors(prefix):
            for page in self._api.list(self._store, prefix.rstrip("/")):
                for found in page:
                    yield Object(found["path"], found["size"])

    def delete(self, keys: Iterable[str]) -> None:
        gone = list(keys)
        for at in range(0, len(gone), _DELETE):
            try:
                with self._errors(gone[at]):
                    self._api.delete(self._store, gone[at : at + _DELETE])
            except RemoteMissing:
                for key in gone[at : at + _DELETE]:  # some stores tell of one that isn't there, and stop at it
                    try:
                        with self._errors(key):
                            self._api.delete(self._store, key)
                    except RemoteMissing:
                        continue

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        found = self._api.exceptions
        try:
            yield
        except FileNotFoundError as exc:
            if "bucket" in str(exc).lower() and "NoSuchKey" not in str(exc):
                raise RemoteError(self.name, f"there is no bucket: {_first_line(exc)}") from exc
            raise RemoteMissing(self.name, key) from exc
        except (found.PermissionDeniedError, found.UnauthenticatedError) as exc:
            raise RemoteError(self.name, f"{self.url} refuses: {_first_line(exc)}") from exc
        except (found.InvalidPathError, found.NotSupportedError, found.UnknownConfigurationKeyError) as exc:
            raise RemoteError(self.name, f"{key}: {_first_line(exc)}") from exc
        except (found.BaseError, ConnectionError, TimeoutError) as exc:
            raise RemoteAway(self.name, f"{self.url}: {_first_line(exc)}") from exc


def _first_line(exc: BaseException) -> str:
    """What obstore says of an error, without the dump of its parts that follows."""
    text = str(exc).partition("\n\nDebug source:")[0]
    # How long it took, and how often it was tried, is our own doing.
    text = re.sub(r" in [\d.]+\S*s(, after \d+ retries, max_retries: \d+, retry_timeout: \S+)?", "", text)
    return " ".join(text.split())[:400]
