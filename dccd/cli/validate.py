"""``dccd validate``: a configuration file flows in; everything wrong with it, or what it would run, flows out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from dccd import config as configuration
from dccd.cli.app import DONE, USAGE, App, entry_point, local_options, note
from dccd.cli.output import json_document, table
from dccd.config import Config, Job, RemoteConfig, RetentionRule, parse_duration
from dccd.config_reach import beyond_reach
from dccd.errors import ConfigError

__all__ = ["errors_in", "validate"]


@click.command(
    epilog="""\b
Examples:
  dccd validate
  dccd validate /etc/dccd.yml
  dccd validate --json | jq '.errors[].path'

Exit code 0 when the configuration is right, 2 when it isn't.
"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@local_options
@click.pass_obj
def validate(app: App, file: Path | None) -> int:
    """Check the configuration (FILE, or the one that `dccd start` would take) and say what it would run."""
    path = configuration.find(file or app.config_file)
    if path is None:
        raise ConfigError("--config", "no configuration file", "FILE, DCCD_CONFIG, ./config.yml or the XDG folder")
    entry_point("exchanges")()  # so that the jobs of any are checked, as `dccd start` does
    try:
        config = configuration.load(path)
    except ConfigError as exc:
        found = errors_in(path, exc)
        if app.json:
            errors = [{"path": e.path, "found": e.found, "allowed": e.allowed} for e in found]
            json_document({"file": str(path), "ok": False, "errors": errors, "warnings": [], "jobs": []})
        else:
            for error in found:
                click.echo(f"{error.path}: found {error.found}\n    allowed: {error.allowed}", err=True)
            note(f"{path}: {len(found)} error{'s' if len(found) > 1 else ''}")
        return USAGE
    if app.json:
        jobs = [
            {"job": f"{job.operation}.{dataset}", "dataset": dataset.name, "trigger": job.trigger}
            for job in config.jobs
            for dataset in job.datasets
        ]
        json_document({"file": str(path), "ok": True, "errors": [], "warnings": _warnings(config), "jobs": jobs})
    else:
        _show(path, config)
    return DONE


def _show(path: Path, config: Config) -> None:
    bus = config.bus.url or f"embedded, on {config.bus.host}:{config.bus.port or 'a free port'}"
    table(
        ["", ""],
        [
            ["configuration", path],
            ["data", config.data_path],
            ["bus", bus],
            *([f"remote {r.id}", f"{r.url}, {_every(r)}"] for r in config.storage.remotes),
            *([f"kept of {kind}", _kept(rule)] for kind, rule in config.storage.retention.rules.items()),
            *([["kept free", config.storage.retention.free_space]] if config.storage.retention.free_space else []),
            *([f"{name} at", " ".join(filter(None, (e.rest_url, e.ws_url)))] for name, e in config.exchanges.items()),
        ],
    )
    click.echo()
    table(
        ["job", "runs", "start"],
        (
            [f"{job.operation}.{dataset}", _when(job), "" if job.start is None else job.start]
            for job in config.jobs
            for dataset in job.datasets
        ),
        empty="no jobs: the daemon does what it is asked over the bus",
    )
    for warning in _warnings(config):
        note(f"warning: {warning}")


def _warnings(config: Config) -> list[str]:
    """What is right, and isn't quite what is asked for."""
    return [*config.warnings, *beyond_reach(config, time.time_ns())]


def _every(remote: RemoteConfig) -> str:
    return f"every {remote.interval}" if parse_duration(remote.interval) else "when asked"


def _kept(rule: RetentionRule) -> str:
    return " and ".join(str(value) for value in (rule.age, rule.size) if value is not None)


def _when(job: Job) -> str:
    if job.every is not None:
        return f"every {job.every}"
    if job.cron is not None:
        return f"cron {job.cron}" + (f" in {job.timezone}" if job.timezone else "")
    return {"supervised": "always", "once": "at the start", "manual": "when asked"}.get(job.trigger, job.trigger)


def errors_in(path: Path, first: ConfigError) -> list[ConfigError]:
    """Every error that can be told from the others: of each field of a section, each exchange, each job.

    *first* is the one that loading the whole file gave; it alone is returned for a file that is no YAML mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return [first]
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


_SOUND = {"rest_url": "http://localhost", "ws_url": "ws://localhost"}


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
        configuration.parse(yaml.safe_dump(part, allow_unicode=True))
    except ConfigError as exc:
        yield ConfigError(exc.path.replace("jobs[0]", f"jobs[{index}]", 1), exc.found, exc.allowed)
