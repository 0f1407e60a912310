"""What it takes to get from one configuration to another. Pure.

What runs and what is wanted flow in; which streams start, stop and restart, which jobs change, which other settings
can be taken over, and which need a restart of the daemon, flow out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from dccd.config import Config
from dccd.jobs import JobSpec

__all__ = ["Plan", "plan"]

_LIVE = ("settings.timezone", "settings.log_level", "exchanges", "storage", "alerts", "runs", "metrics")
"""What is taken over while the daemon runs; all else (but jobs) when it starts the next time."""
_CONNECTION = ("rest_url", "ws_url", "rate_limit")
"""Of an exchange, what its connections are made with."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do. Streams that are in none of ``start``, ``stop`` and ``restart`` go on as they are.

    ``running`` is the configuration that the daemon then runs with: the one that is wanted, but for
    ``restart_required``. ``exchanges`` are those whose connections are to be made anew; ``added``, ``changed`` and
    ``removed`` are names of jobs, of streams, too.
    """

    running: Config
    specs: tuple[JobSpec, ...]
    start: tuple[JobSpec, ...] = ()
    restart: tuple[JobSpec, ...] = ()
    stop: tuple[JobSpec, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    restart_required: tuple[str, ...] = ()


def plan(old: Config, new: Config, was: Iterable[JobSpec], wanted: Iterable[JobSpec]) -> Plan:
    """Return how to get from the configuration *old*, whose jobs are *was*, to *new* with the jobs *wanted*.

    Where a job stands (its ``source``) has no bearing on how it runs.
    """
    before, after = {spec.name: spec for spec in was}, {spec.name: spec for spec in wanted}
    paths = sorted(".".join(path) for path in _differing(old, new))
    live = [path for path in paths if any(path == one or path.startswith(f"{one}.") for one in _LIVE)]
    fixed = [path for path in paths if path not in live]
    exchanges = {e for kind, e, field in (path.split(".") for path in live if path.startswith("exchanges."))
                 if field in _CONNECTION}  # fmt: skip
    changed = {name for name in before.keys() & after.keys() if not _same(before[name], after[name])}
    runs = {name for name, spec in after.items() if spec.trigger_kind == "supervised"}
    ran = {name for name, spec in before.items() if spec.trigger_kind == "supervised"}
    again = {name for name in runs & ran if name in changed or after[name].of.exchange in exchanges}
    gone = [
        spec for name, spec in before.items() if spec.operation == "stream"
        and (name not in after or (name in ran and name not in runs))
    ]  # fmt: skip
    return Plan(
        running=_with(new, old, fixed),
        specs=tuple(after.values()),
        start=tuple(after[name] for name in after if name in runs - ran),
        restart=tuple(after[name] for name in after if name in again),
        stop=tuple(gone),
        added=tuple(name for name in after if name not in before),
        changed=tuple(name for name in after if name in changed),
        removed=tuple(name for name in before if name not in after),
        exchanges=tuple(sorted(exchanges)),
        applied=tuple(live),
        restart_required=tuple(fixed),
    )


def _same(one: JobSpec, other: JobSpec) -> bool:
    return one == other or msgspec.structs.replace(one, source=other.source) == other


def _differing(old: Any, new: Any) -> Iterator[tuple[str, ...]]:
    """The paths of the fields in which two structs differ, jobs apart; of lists as a whole."""
    for field in msgspec.structs.fields(type(new)):
        is_, was = getattr(new, field.name), getattr(old, field.name)
        if is_ == was or field.name == "jobs":
            continue
        if isinstance(is_, msgspec.Struct) and isinstance(was, type(is_)):
            yield from ((field.name, *path) for path in _differing(was, is_))
        elif isinstance(is_, Mapping) and isinstance(was, Mapping):
            yield from ((field.name, *path) for path in _differing_entries(was, is_))
        else:
            yield (field.name,)


def _differing_entries(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The same of a mapping; an entry that there isn't is as one with nothing in it."""
    for key in [*old, *(key for key in new if key not in old)]:
        was, is_ = old.get(key), new.get(key)
        kind = type(is_ if was is None else was)
        if issubclass(kind, msgspec.Struct):
            yield from ((key, *path) for path in _differing(was or kind(), is_ or kind()))
        elif was != is_:
            yield (key,)


def _with(config: Config, other: Config, paths: Iterable[str]) -> Config:
    """*config* with the fields at *paths* as *other* has them."""
    for path in paths:
        config = _put(config, other, path.split("."))
    return config


def _put(value: Any, other: Any, path: list[str]) -> Any:
    name, *rest = path
    if isinstance(value, Mapping):
        return {**value, name: other[name]}
    theirs = getattr(other, name)
    return msgspec.structs.replace(value, **{name: _put(getattr(value, name), theirs, rest) if rest else theirs})
