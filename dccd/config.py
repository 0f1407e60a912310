"""The configuration file as typed structs.

YAML flows in, a checked :class:`Config` flows out; an error names the field's path, what was found and what is
allowed. Found at ``--config``, ``DCCD_CONFIG``, ``./config.yml``, then ``$XDG_CONFIG_HOME/dccd/config.yml``.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import yaml
from cronsim import CronSim, CronSimError
from msgspec import Meta

from dccd.config_alerts import Alerts, Webhook, check_alerts
from dccd.config_bus import BusConfig, TlsConfig, check_bus
from dccd.config_errors import explain
from dccd.config_metrics import MetricsConfig, check_metrics
from dccd.config_storage import RemoteConfig, RetentionConfig, RetentionRule, StorageConfig, check_storage
from dccd.config_units import LARGEST, Duration, Size, parse_duration, parse_size
from dccd.errors import ConfigError, IdentityError, NoCapability
from dccd.exchanges.base import Exchange, StreamOptions
from dccd.exchanges.capability import depth_warning
from dccd.exchanges.registry import get as get_exchange
from dccd.exchanges.registry import knows
from dccd.symbols import Dataset, DataType, Symbol, parse_time

__all__ = [
    "Alerts",
    "BusConfig",
    "Config",
    "Duration",
    "ExchangeConfig",
    "Job",
    "MetricsConfig",
    "RemoteConfig",
    "RetentionConfig",
    "RetentionRule",
    "RunsConfig",
    "Settings",
    "Size",
    "StorageConfig",
    "TlsConfig",
    "Webhook",
    "convert",
    "find",
    "limit",
    "load",
    "parse",
    "parse_duration",
    "parse_size",
    "raw_of",
]


_DEPTH, _VALUES = 20, 1_000_000
"""Of a configuration: levels and values at most."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Settings(_Section, frozen=True, kw_only=True):
    """``settings``: where data goes, who this host is, how it logs."""

    data_path: str = "data"
    timezone: str = "UTC"
    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)")] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"

    @property
    def host_id(self) -> str:
        """This host's name as a subject token: as configured, else the machine's."""
        return self.host or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:64] or "host"


class ExchangeConfig(_Section, frozen=True, kw_only=True):
    """``exchanges.<id>``: other base URLs (scheme, host and port; the exchange's own paths stay), and limits.

    ``concurrency``: how many pages of one backfill are asked for at once.
    """

    rest_url: str | None = None
    ws_url: str | None = None
    rate_limit: bool = True
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 4


class RunsConfig(_Section, frozen=True, kw_only=True):
    """``runs``: how long the history keeps runs after their end; ``keep_failed`` those that failed or were cancelled,
    which is at least as long."""

    keep: Duration = "30d"
    keep_failed: Duration = "90d"


class Job(_Section, frozen=True, kw_only=True):
    """One entry of ``jobs``: an operation on one data type of some pairs of an exchange."""

    exchange: str
    pairs: Annotated[list[str], Meta(min_length=1)]
    data_type: Literal["ohlc", "trades", "orderbook", "funding", "open_interest"]
    operation: Literal["stream", "backfill"] = "stream"
    span: str | int | None = None
    trigger_kind: Literal["once", "interval", "cron", "supervised", "manual"] | None = None
    every: Duration | None = None
    cron: str | None = None
    timezone: str | None = None
    jitter: Duration | None = None
    missed: Literal["once", "skip"] | None = None
    start: str | int | None = None
    depth: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    snapshot_interval: Duration | None = None
    book: Literal["deltas", "snapshots"] | None = None
    restart: Literal["permanent", "transient", "temporary"] | None = None

    @property
    def trigger(self) -> str:
        """``trigger_kind``, or its default: streams are supervised, backfills run once at the start."""
        return self.trigger_kind or ("supervised" if self.operation == "stream" else "once")

    @property
    def datasets(self) -> list[Dataset]:
        """One dataset a pair."""
        return [Dataset.make(self.exchange, self.data_type, pair, self.span) for pair in self.pairs]

    @property
    def options(self) -> StreamOptions:
        """What the stream of an order book is asked for."""
        interval = 60.0 if self.snapshot_interval is None else parse_duration(self.snapshot_interval)
        return StreamOptions(depth=self.depth, snapshot_interval=interval, book=self.book or "deltas")


class Config(_Section, frozen=True, kw_only=True):
    """The whole file."""

    settings: Settings = Settings()
    bus: BusConfig = BusConfig()
    exchanges: dict[str, ExchangeConfig] = {}
    storage: StorageConfig = StorageConfig()
    runs: RunsConfig = RunsConfig()
    alerts: Alerts = Alerts()
    metrics: MetricsConfig = MetricsConfig()
    jobs: list[Job] = []

    @property
    def data_path(self) -> Path:
        """``settings.data_path``, absolute."""
        return Path(self.settings.data_path).expanduser().absolute()

    def reach(self, exchange: Exchange, symbol: Symbol, live: bool) -> None:
        """Raise NoCapability where *exchange* has closed, and no server that speaks its API is named here instead."""
        if not exchange.closed:
            return
        named = self.exchanges.get(exchange.id, ExchangeConfig())
        wanted = {"ws_url": named.ws_url} if live else {"rest_url": named.rest_url}
        if exchange.market(symbol) is None:
            wanted["rest_url"] = named.rest_url  # its markets are listed there
        missing = [f"exchanges.{exchange.id}.{field}" for field, url in wanted.items() if url is None]
        if missing:
            where = " and ".join(missing)
            told = f"{exchange.closed}; a server that speaks its API can be named in {where}"
            raise NoCapability(exchange.id, told, "exchange")

    @property
    def warnings(self) -> list[str]:
        """What will be collected where that isn't quite what a job asks for."""
        found = (
            depth_warning(get_exchange(job.exchange).capabilities, dataset, job.options)
            for job in self.jobs
            if job.operation == "stream"
            for dataset in job.datasets
        )
        return [*(warning for warning in found if warning is not None), *self.storage.warnings]


def find(given: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the configuration file to use, or None when there is none.

    Raises ConfigError when a named one is missing.
    """
    for source, name in (("--config", given), ("DCCD_CONFIG", environ.get("DCCD_CONFIG"))):
        if name:
            path = Path(name).expanduser()
            if not path.is_file():
                raise ConfigError(source, f"{path}, which is no file", "the path of a configuration file")
            return path
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config")
    return next((p for p in (Path("config.yml"), home / "dccd" / "config.yml") if p.is_file()), None)


def load(path: Path | None) -> Config:
    """Return the configuration in *path*, or the defaults for None.

    Raises ConfigError: the first thing that is wrong.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), str(exc), "a readable UTF-8 file") from exc
    return parse(text, str(path))


def parse(text: str, name: str = "config") -> Config:
    """Return the configuration in *text*. Raises ConfigError; *name* is what the error calls the file."""
    return convert(raw_of(text, name))


def raw_of(text: str, name: str = "config") -> Any:
    """Return what the YAML *text* says, as plain values that nobody has checked. Raises ConfigError."""
    if len(text) > LARGEST:
        raise ConfigError(name, f"more than {LARGEST:,} characters", "fewer")
    try:
        raw = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        problem = getattr(exc, "problem", None) or str(exc)
        raise ConfigError(where, problem.removeprefix("found "), "YAML") from exc
    except RecursionError as exc:
        raise ConfigError(name, "values within values without end", f"{_DEPTH} levels at most") from exc
    limit(raw, name)
    return {} if raw is None else raw


def limit(raw: Any, name: str = "config") -> None:
    """Raise ConfigError for plain values that no configuration has: too deep, far too many (as of anchors within
    anchors, which are few in YAML), or text that can't be written to a file."""
    level, count = [raw], 0
    for _ in range(_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str) and ("\0" in value or not _can_be_written(value)):
                raise ConfigError(name, repr(value[:40]), "text without NUL and lone surrogates")
            if isinstance(value, (dict, list)):
                count += len(value)
                if count > _VALUES:
                    raise ConfigError(name, f"more than {_VALUES:,} values", "fewer")
                below += [*value, *value.values()] if isinstance(value, dict) else value
        if not below:
            return
        level = below
    raise ConfigError(name, "values within values without end", f"{_DEPTH} levels at most")


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def convert(raw: Any, *, checked: bool = True) -> Config:
    """Return the configuration that the plain values *raw* are; not *checked*, only the types are. Raises
    ConfigError."""
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as exc:
        raise explain(str(exc), raw, Config) from exc
    if checked:
        _check(config)
    return config


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (str, int)) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            if isinstance(key, (str, int)):
                seen.add(key)
        return super().construct_mapping(node, deep)


# A date without quotes (start: 2024-01-01) stays text: our own reader of times says what is wrong with it.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


# ---------------------------------------------------------------- checks beyond types


def _check(config: Config) -> None:
    """Raise ConfigError for values that have the right type and are impossible all the same."""
    _check_zone("settings.timezone", config.settings.timezone)
    for section, field, read in (
        ("bus", "ticks_max_age", parse_duration), ("bus", "events_max_age", parse_duration),
        ("bus", "ticks_max_bytes", parse_size), ("bus", "buffer", parse_size),
        ("runs", "keep", parse_duration), ("runs", "keep_failed", parse_duration),
    ):  # fmt: skip
        _read(f"{section}.{field}", getattr(getattr(config, section), field), read)
    if config.bus.events_max_bytes is not None:
        _read("bus.events_max_bytes", config.bus.events_max_bytes, parse_size)
    check_bus(config.bus)
    if parse_duration(config.runs.keep) < 3600:
        raise ConfigError("runs.keep", repr(config.runs.keep), "1h or longer: who follows a run asks for it at its end")
    if parse_duration(config.runs.keep_failed) < parse_duration(config.runs.keep):
        raise ConfigError(
            "runs.keep_failed", repr(config.runs.keep_failed), f"runs.keep ({config.runs.keep}) or longer"
        )
    check_storage(config.storage)
    check_alerts(config.alerts)
    check_metrics(config.metrics)
    if config.bus.url is not None:
        for url in config.bus.url.split(","):
            if not _is_url(url.strip(), ("nats", "tls", "ws", "wss"), bare=False):
                raise ConfigError("bus.url", repr(config.bus.url), "a NATS URL, as nats://host:4222")
    for exchange, settings in config.exchanges.items():
        for field, schemes in (("rest_url", ("http", "https")), ("ws_url", ("ws", "wss"))):
            url = getattr(settings, field)
            if url is not None and not _is_url(url, schemes):
                raise ConfigError(
                    f"exchanges.{exchange}.{field}",
                    repr(url),
                    f"scheme, host and port (1 to 65535), as {schemes[0]}://127.0.0.1:8080",
                )
        if knows(exchange):  # else whoever runs it checks: it takes ccxt to tell
            try:
                get_exchange(exchange)
            except NoCapability as exc:
                raise ConfigError(f"exchanges.{exchange}", repr(exchange), str(exc)) from exc
    seen: dict[str, str] = {}
    for index, job in enumerate(config.jobs):
        _check_job(config, job, f"jobs[{index}]")
        for dataset in job.datasets:
            name = f"{job.operation}.{dataset}"
            if name in seen:
                raise ConfigError(f"jobs[{index}].pairs", f"{name}, which {seen[name]} has too", "each job once")
            seen[name] = f"jobs[{index}]"


def _check_zone(path: str, name: str) -> None:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as exc:
        raise ConfigError(path, repr(name), "an IANA time zone, as UTC or Europe/Paris") from exc


def _is_url(text: str, schemes: tuple[str, ...], *, bare: bool = True) -> bool:
    """Whether *text* is a URL of one of *schemes* with a host and a port that can be; *bare*: and nothing else."""
    if re.fullmatch(rf"({'|'.join(schemes)})://[^/\s]+" + ("/?" if bare else r"(/\S*)?"), text) is None:
        return False
    try:
        of = urlsplit(text)
        return bool(of.hostname) and of.port != 0
    except ValueError:  # a port that is no number, or beyond 65535; brackets that don't match
        return False


def _check_job(config: Config, job: Job, path: str) -> None:
    for pair in job.pairs:
        try:
            dataset = Dataset.make(job.exchange, job.data_type, pair, job.span)
            if knows(job.exchange):  # else whoever runs it checks: it takes ccxt to tell
                exchange, live = get_exchange(job.exchange), job.operation == "stream"
                exchange.check(dataset, live)
                config.reach(exchange, dataset.symbol, live)
        except IdentityError as exc:
            field = {"symbol": "pairs"}.get(exc.field, exc.field)
            raise ConfigError(f"{path}.{field}", repr(getattr(job, field, pair)), str(exc)) from exc
        except NoCapability as exc:
            field = exc.field or "data_type"
            field = {"symbol": "pairs"}.get(field, field)
            raise ConfigError(f"{path}.{field}", repr(getattr(job, field, None)), str(exc)) from exc
    allowed = ("supervised", "manual") if job.operation == "stream" else ("once", "interval", "cron", "manual")
    if job.trigger not in allowed:
        raise ConfigError(f"{path}.trigger_kind", job.trigger, f"{', '.join(allowed)} for a {job.operation}")
    for field, kind in (("every", "interval"), ("cron", "cron")):
        value = getattr(job, field)
        if (value is not None) != (job.trigger == kind):
            found = "nothing" if value is None else repr(value)
            rule = f"given with trigger_kind: {kind}" + (", as 1h" if kind == "interval" else ", as '5 * * * *'")
            raise ConfigError(f"{path}.{field}", found, f"{rule}, and only then")
    if job.every is not None and _read(f"{path}.every", job.every, parse_duration) < 1:
        raise ConfigError(f"{path}.every", repr(job.every), "at least 1s")
    if job.cron is not None:
        try:
            next(CronSim(job.cron, datetime(2024, 1, 1)))
        except (CronSimError, StopIteration) as exc:
            raise ConfigError(f"{path}.cron", repr(job.cron), f"five cron fields ({exc})") from exc
    _check_timing(job, path)
    for field in ("depth", "snapshot_interval", "book"):
        if getattr(job, field) is not None and (job.data_type, job.operation) != (DataType.ORDERBOOK.value, "stream"):
            raise ConfigError(f"{path}.{field}", repr(getattr(job, field)), "for streams of data_type: orderbook only")
    if job.start is not None and job.operation == "stream":
        raise ConfigError(f"{path}.start", repr(job.start), "for backfills only: a stream starts now")
    if job.start not in (None, "last", "origin"):
        _read(f"{path}.start", job.start, lambda v: parse_time(v, "start"), "last, origin, ")
    if job.snapshot_interval is not None and not (
        1 <= _read(f"{path}.snapshot_interval", job.snapshot_interval, parse_duration) <= 86_400
    ):
        raise ConfigError(f"{path}.snapshot_interval", repr(job.snapshot_interval), "between 1s and 1d")
    if job.restart is not None and job.operation != "stream":
        raise ConfigError(f"{path}.restart", job.restart, "for streams only: a backfill retries by itself")


def _check_timing(job: Job, path: str) -> None:
    """Raise ConfigError for what is said of a trigger that has no use for it."""
    if job.timezone is not None:
        if job.trigger != "cron":
            raise ConfigError(f"{path}.timezone", repr(job.timezone), "for trigger_kind: cron only")
        _check_zone(f"{path}.timezone", job.timezone)
    if job.missed is not None and job.trigger not in ("interval", "cron"):
        raise ConfigError(f"{path}.missed", job.missed, "for trigger_kind: interval or cron only")
    if job.jitter is not None:
        if job.trigger not in ("interval", "cron", "once"):
            raise ConfigError(f"{path}.jitter", repr(job.jitter), "for trigger_kind: interval, cron or once only")
        most = 86_400.0 if job.every is None else parse_duration(job.every)
        if _read(f"{path}.jitter", job.jitter, parse_duration) > most:
            raise ConfigError(f"{path}.jitter", repr(job.jitter), "at most `every`, and at most 1d without one")


def _read(path: str, value: Any, read: Any, also: str = "") -> Any:
    try:
        return read(value)
    except ValueError as exc:
        raise ConfigError(path, repr(value), f"{also}{exc}") from exc
