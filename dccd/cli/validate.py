"""``dccd validate``: a configuration file flows in; everything wrong with it, or what it would run, flows out."""

from __future__ import annotations

import time
from pathlib import Path

import click

from dccd import config as configuration
from dccd.auth.local import auth_folder
from dccd.cli.app import DONE, USAGE, App, entry_point, local_options, note
from dccd.cli.output import json_document, table
from dccd.config import Config, Job, RemoteConfig, RetentionRule, parse_duration
from dccd.config_bus import exposed
from dccd.config_check import errors_in
from dccd.config_reach import beyond_reach
from dccd.errors import ConfigError

__all__ = ["validate"]


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
        if problem := exposed(config.bus, auth_folder(config).exists):
            raise problem
    except ConfigError as exc:
        found = _all_errors(path, exc)
        if app.json:
            errors = [{"path": e.path, "found": e.found, "allowed": e.allowed} for e in found]
            json_document({"file": str(path), "ok": False, "errors": errors, "warnings": [], "jobs": []})
        else:
            for error in found:
                note(f"{error.path}: found {error.found}\n    allowed: {error.allowed}")
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


def _all_errors(path: Path, first: ConfigError) -> list[ConfigError]:
    try:
        return errors_in(configuration.raw_of(path.read_text(encoding="utf-8"), str(path)), first)
    except (OSError, UnicodeDecodeError, ConfigError):  # no YAML: that is what *first* says
        return [first]


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
    return job.trigger  # as the file and `dccd jobs` call it
