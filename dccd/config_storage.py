"""The ``storage`` section: flushing and folding, remotes, retention. Pure.

The section as it was written flows in; a :class:`~dccd.errors.ConfigError` for the first thing that is wrong with it
flows out.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta

from dccd.config_units import Duration, Size, parse_duration, parse_size
from dccd.errors import ConfigError
from dccd.symbols import DataType

__all__ = ["RemoteConfig", "RetentionConfig", "RetentionRule", "StorageConfig", "check_storage"]

_URL = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9._-]+(?:/\S*)?|file:///\S+|rclone:[\w.+@ -]+:\S*")
_URLS = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///folder or rclone:remote:path"
_SECRETS = ("access_key_id", "secret_access_key", "session_token", "options")
_S3 = ("region", "access_key_id", "secret_access_key", "session_token")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class RemoteConfig(_Section, frozen=True, kw_only=True):
    """One of ``storage.remotes``: where copies go, how often, and how it is reached."""

    url: str
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$(?!\n)")] | None = None
    interval: Duration = "15m"
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    options: dict[str, str] = {}

    def __repr__(self) -> str:
        """Without what is secret: it gets into logs and tracebacks."""
        shown = {f: getattr(self, f) for f in self.__struct_fields__}
        masked = {f: "…" if f in _SECRETS and value else value for f, value in shown.items()}
        return f"RemoteConfig({', '.join(f'{f}={value!r}' for f, value in masked.items())})"

    @property
    def scheme(self) -> str:
        """``s3``, ``gs``, ``az``, ``file`` or ``rclone``."""
        return self.url.partition(":")[0]

    @property
    def id(self) -> str:
        """``name``, or what the URL suggests: ``s3-bucket``."""
        rest = self.url.removeprefix(f"{self.scheme}:").strip("/")
        first = rest.rpartition("/")[2] if self.scheme == "file" else re.split("[/:]", rest)[0]
        return self.name or re.sub(r"[^A-Za-z0-9_-]", "-", f"{self.scheme}-{unquote(first)}")[:40]

    @property
    def provider_options(self) -> dict[str, Any]:
        """What the object store's library is to be told."""
        named = {field: getattr(self, field) for field in ("endpoint", *_S3)}
        return {**{field: value for field, value in named.items() if value is not None}, **self.options}


class RetentionRule(_Section, frozen=True, kw_only=True):
    """What is kept here of one data type."""

    age: Duration | None = None
    size: Size | None = None


class RetentionConfig(_Section, frozen=True, kw_only=True):
    """``storage.retention``: a rule a data type, and what must stay free of the disk."""

    trades: RetentionRule | None = None
    orderbook: RetentionRule | None = None
    ohlc: RetentionRule | None = None
    funding: RetentionRule | None = None
    open_interest: RetentionRule | None = None
    free_space: Size = 0
    interval: Duration = "10m"

    @property
    def rules(self) -> dict[DataType, RetentionRule]:
        """The rules that there are."""
        found = {kind: getattr(self, kind) for kind in DataType}
        return {kind: rule for kind, rule in found.items() if rule is not None}

    @property
    def active(self) -> bool:
        """Whether anything is ever purged."""
        return bool(self.rules) or parse_size(self.free_space) > 0


class StorageConfig(_Section, frozen=True, kw_only=True):
    """``storage``: how often new rows are flushed to segments, when segments are folded into the base, where copies
    go, and what is kept here."""

    flush_interval: Duration = "2s"
    flush_rows: Annotated[int, Meta(ge=100, le=5_000_000)] = 50_000
    fold_interval: Duration = "1m"
    remotes: list[RemoteConfig] = []
    retention: RetentionConfig = RetentionConfig()
    cache: Size = "10GiB"

    @property
    def warnings(self) -> list[str]:
        """What is allowed, and may not be meant."""
        if self.retention.active and not self.remotes:
            return ["storage.retention removes for good: without storage.remotes there is no copy"]
        return []


def check_storage(storage: StorageConfig) -> None:
    """Raise ConfigError for values that have the right type and are impossible all the same."""
    for field, read in (("flush_interval", parse_duration), ("fold_interval", parse_duration), ("cache", parse_size)):
        _read(f"storage.{field}", getattr(storage, field), read)
    seen: dict[str, int] = {}
    for index, remote in enumerate(storage.remotes):
        _check_remote(remote, f"storage.remotes[{index}]")
        if remote.id in seen:
            found = f"{remote.id!r}, which storage.remotes[{seen[remote.id]}] is called, too"
            raise ConfigError(f"storage.remotes[{index}].name", found, "each name once")
        seen[remote.id] = index
    retention = storage.retention
    for kind, rule in retention.rules.items():
        path = f"storage.retention.{kind}"
        if rule.age is None and rule.size is None:
            raise ConfigError(path, "nothing", "age, as 90d, or size, as 100GB, or both")
        if rule.age is not None:
            _read(f"{path}.age", rule.age, parse_duration)
        if rule.size is not None:
            _read(f"{path}.size", rule.size, parse_size)
    _read("storage.retention.free_space", retention.free_space, parse_size)
    if _read("storage.retention.interval", retention.interval, parse_duration) < 1:
        raise ConfigError("storage.retention.interval", repr(retention.interval), "at least 1s")


def _check_remote(remote: RemoteConfig, path: str) -> None:
    if not _URL.fullmatch(remote.url):
        found = remote.url if "@" not in remote.url else "a URL with credentials"
        raise ConfigError(f"{path}.url", repr(found), _URLS)
    if 0 < _read(f"{path}.interval", remote.interval, parse_duration) < 1:
        raise ConfigError(f"{path}.interval", repr(remote.interval), "at least 1s, or 0: only when asked")
    for field in ("endpoint", *_S3, "options"):
        if not getattr(remote, field):
            continue
        if remote.scheme in ("file", "rclone"):
            raise ConfigError(f"{path}.{field}", "a value", f"nothing for a {remote.scheme} URL")
        if field in _S3 and remote.scheme != "s3":
            raise ConfigError(f"{path}.{field}", "a value", "for s3 URLs only; what others need goes into options")
    if remote.endpoint is not None and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", remote.endpoint):
        raise ConfigError(f"{path}.endpoint", repr(remote.endpoint), "a URL, as https://s3.example.org")
    if (remote.access_key_id is None) != (remote.secret_access_key is None):
        missing = "access_key_id" if remote.access_key_id is None else "secret_access_key"
        raise ConfigError(f"{path}.{missing}", "nothing", "both keys, or neither: then the environment's are taken")


def folder_of(url: str) -> str:
    """The path that a ``file`` URL names."""
    return unquote(urlsplit(url).path)


def _read(path: str, value: Any, read: Any) -> Any:
    try:
        return read(value)
    except ValueError as exc:
        raise ConfigError(path, repr(value), str(exc)) from exc
