"""Everything that is wrong with a configuration, and not just what is found first. Pure.

A configuration as plain values flows in; a :class:`~dccd.errors.ConfigError` for each field that is wrong flows out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dccd import config as configuration
from dccd.errors import ConfigError

__all__ = ["errors_in"]

_SOUND = {"rest_url": "http://localhost", "ws_url": "ws://localhost"}


def errors_in(raw: Any, first: ConfigError) -> list[ConfigError]:
    """Every error that can be told from the others: of each field of a section, each exchange, each job.

    *first* is the one that the whole gave; it alone is returned for what is no mapping.
    """
    if not isinstance(raw, dict):
        return [first]
    found = {str(error): error for part in _parts(raw) for error in _check(*part)}
    found.setdefault(str(first), first)  # between jobs, as two of one name
    return sorted(found.values(), key=lambda error: [(len(s), s) for s in re.split(r"[.\[\]]+", error.path)])


def _parts(raw: dict[Any, Any]) -> Iterator[tuple[dict[Any, Any], int]]:
    """The file in parts that are right or wrong by themselves, each with the index of its job."""
    exchanges = _sound(raw.get("exchanges"))
    for section, content in raw.items():
        if section == "jobs" and isinstance(content, list):
            for index, job in enumerate(content):
                yield {"exchanges": exchanges, section: [job]}, index
        elif isinstance(content, dict):
            for name, value in content.items():
                if section == "exchanges" and isinstance(value, dict):
                    yield {section: {name: {}}}, 0
                    for field, given in value.items():
                        yield {section: {name: {field: given}}}, 0
                else:
                    yield {section: {name: value}}, 0
        else:
            yield {section: content}, 0


def _sound(exchanges: Any) -> dict[str, dict[str, Any]]:
    """What of ``exchanges`` is right, for the jobs that go by it. A URL that isn't one is told as such, and counts as
    given: a job that needs it has no second error for that.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, fields in exchanges.items() if isinstance(exchanges, dict) else ():
        if not isinstance(name, str) or not isinstance(fields, dict) or any(_check({"exchanges": {name: {}}}, 0)):
            continue
        found[name] = {}
        for field, value in fields.items():
            if not any(_check({"exchanges": {name: {field: value}}}, 0)):
                found[name][field] = value
            elif field in _SOUND:
                found[name][field] = _SOUND[field]
    return found


def _check(part: dict[Any, Any], index: int) -> Iterator[ConfigError]:
    try:
        configuration.convert(part)
    except ConfigError as exc:
        yield ConfigError(exc.path.replace("jobs[0]", f"jobs[{index}]", 1), exc.found, exc.allowed)
