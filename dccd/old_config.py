"""Configuration files of dccd 3.x: their YAML flows in, ours flows out, with a word on what isn't carried over.

What is written is read again by our own :func:`dccd.config.parse`, job by job: a job that it refuses is left out, and
its words say why.
"""

from __future__ import annotations

import re
from math import isfinite, nan
from typing import Any

import msgspec
import yaml

from dccd.config import parse
from dccd.errors import ConfigError, IdentityError
from dccd.symbols import Symbol, span_label

__all__ = ["NewConfig", "convert_config"]

_NO_UI = "there is no web page yet"
_SETTINGS = {
    "ui_host": _NO_UI,
    "ui_port": _NO_UI,
    "ui_auth_token": _NO_UI,
    "ui_allow_origins": _NO_UI,
    "ui_readonly": _NO_UI,
    "ui_rate_limit": _NO_UI,
    "ui_trusted_proxy": _NO_UI,
}
_DEFAULTS: dict[str, Any] = {
    "ui_host": "127.0.0.1", "ui_port": 8080, "ui_auth_token": None, "ui_allow_origins": [], "ui_readonly": False,
    "ui_rate_limit": 0, "ui_trusted_proxy": False,
}  # fmt: skip
_RUN_DAYS, _KEPT_DAYS, _FAILURES = 90, 36_500, 3
"""3.x's default of days that runs are kept; as good as for ever; 3.x's default of failures that are told."""
_FIELDS = ("exchange", "pairs", "data_type", "operation", "span", "trigger_kind", "every", "cron", "start", "depth")


class NewConfig(msgspec.Struct, frozen=True):
    """Our file's text, what of the old one has no place in it, and what is done otherwise."""

    text: str
    notes: tuple[str, ...]


def convert_config(text: str, name: str = "config") -> NewConfig:
    """Return *text*, a configuration of dccd 3.x, as one of ours. Raises ConfigError when it is no such thing; *name*
    is what the error calls the file."""
    try:
        old = yaml.safe_load(text) or {}
    except yaml.YAMLError as exc:
        raise ConfigError(name, str(exc), "YAML") from exc
    if not isinstance(old, dict):
        raise ConfigError(name, type(old).__name__, "a configuration of dccd 3.x: settings, storage, alerts, jobs")
    notes: list[str] = []
    settings = _section(old, "settings", name)
    storage = _section(old, "storage", name)
    new: dict[str, Any] = {
        "settings": _settings(settings, storage, notes),
        "runs": _runs(settings, name, notes),
        "alerts": _alerts(_section(old, "alerts", name), name, notes),
    }
    later = _storage(storage, name, notes)
    jobs = old.get("jobs") or []
    if not isinstance(jobs, list):
        raise ConfigError(f"{name}: jobs", type(jobs).__name__, "a list")
    new["jobs"] = _jobs(jobs, notes)
    notes += [f"{field} is left out: unknown to dccd 3.8, too" for field in old if field not in _SECTIONS]
    made = yaml.safe_dump({k: v for k, v in new.items() if v or k == "jobs"}, sort_keys=False, allow_unicode=True)
    made += later
    parse(made, name)
    return NewConfig(made, tuple(notes))


_SECTIONS = ("settings", "storage", "alerts", "jobs")


def _section(old: dict[str, Any], field: str, name: str) -> dict[str, Any]:
    found = old.get(field) or {}
    if not isinstance(found, dict):
        raise ConfigError(f"{name}: {field}", type(found).__name__, "a section with fields")
    return found


def _differs(field: str, value: Any) -> bool:
    return field not in _DEFAULTS or value != _DEFAULTS[field]


def _settings(old: dict[str, Any], storage: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    new = {"data_path": str(old.get("data_path", "./data/crypto"))}
    local = storage.get("local_path")
    if local and local != new["data_path"]:
        notes.append(f"storage.local_path is left out: data is kept in settings.data_path, {new['data_path']}")
    zone = old.get("timezone", "local")
    if str(zone).lower() == "local":
        notes.append("settings.timezone was this machine's: it is UTC now; cron jobs run by it. Set it if you need to")
    else:
        new["timezone"] = str(zone)
    for field, value in old.items():
        if field not in ("data_path", "timezone", "runs_retention_days") and _differs(field, value):
            notes.append(f"settings.{field} is left out: {_SETTINGS.get(field, 'unknown to dccd 3.8, too')}")
    return new


def _number(value: Any, field: str, name: str) -> float:
    """What 3.x read as a number, text too. Raises ConfigError."""
    try:
        found = float("x" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        found = nan
    if not isfinite(found):
        raise ConfigError(f"{name}: {field}", repr(value), "a number")
    return found


def _runs(settings: dict[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    """As long as 3.x kept them: its default is longer than ours, and it never forgot one that had failed."""
    days = _number(settings.get("runs_retention_days", _RUN_DAYS), "settings.runs_retention_days", name)
    keep = _KEPT_DAYS if days <= 0 else min(max(int(days), 1), _KEPT_DAYS)
    failed = max(keep, _RUN_DAYS)
    if failed < _KEPT_DAYS:
        notes.append(f"runs that failed were kept for ever: now for {failed} days; runs.keep_failed says how long")
    return {"keep": f"{keep}d", "keep_failed": f"{failed}d"}


def _alerts(old: dict[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    """Who was told of failures is told of all that is wrong, in the form that 3.x had for it."""
    new: dict[str, Any] = {}
    failures = _number(old.get("max_consecutive_errors", _FAILURES), "alerts.max_consecutive_errors", name)
    if failures != _FAILURES:
        new["failures"] = min(max(int(failures), 1), 1000)
        if new["failures"] != failures:
            notes.append(f"alerts.max_consecutive_errors was {failures:g}: alerts.failures is {new['failures']} now")
    if old.get("webhook_url"):
        url = str(old["webhook_url"])
        # 3.x: Slack's form for Slack's hosts, and for all others text with a title, which is ntfy's.
        form = "slack" if re.match(r"https?://([^/?#]*[@.])?hooks\.slack\.com(:\d+)?([/?#]|$)", url, re.I) else "ntfy"
        try:
            parse(yaml.safe_dump({"alerts": {"webhooks": [{"url": url, "format": form}]}}))
        except ConfigError as exc:
            notes.append(f"alerts.webhook_url is left out: found {exc.found}; allowed: {exc.allowed}")
        else:
            new["webhooks"] = [{"url": url, "format": form}]
            notes.append(
                f"alerts.webhook_url is in alerts.webhooks, as {form}. It was told of failures only; now of all that "
                "is wrong, and when it is over (as before: rules: [failures, gave_up]). Try it: dccd alerts test"
            )
    known = ("max_consecutive_errors", "webhook_url")
    notes += [f"alerts.{field} is left out: unknown to dccd 3.8, too" for field in old if field not in known]
    return new


def _storage(old: dict[str, Any], name: str, notes: list[str]) -> str:
    """What is to stand at the end of the file, as comments: remotes, and the purging that needs them.

    A remote holds files of the old layout: ours need a folder of their own there, and nobody is to guess which. What is
    purged without a remote is gone, so that doesn't begin by itself either.
    """
    every = _number(old.get("sync_interval", 3600), "storage.sync_interval", name)
    free = _number(old.get("min_free_gb") or 0, "storage.min_free_gb", name)
    new: dict[str, Any] = {}
    for one in old.get("remotes") or []:
        remote = str(one.get("remote", one) if isinstance(one, dict) else one)
        ours = {"url": f"rclone:{remote.rstrip('/')}-dccd4", "interval": max(int(every), 1)}
        why = f"storage.remotes: {remote} is left out, since it holds files of the old layout"
        try:
            parse(yaml.safe_dump({"storage": {"remotes": [*new.get("remotes", []), ours]}}))
        except ConfigError as exc:
            notes.append(f"{why}; nor can copies beside it be made: found {exc.found}; allowed: {exc.allowed}")
        else:
            new.setdefault("remotes", []).append(ours)
            notes.append(
                f"{why}. Copies in a folder of their own, {ours['url']}, are at the end of the file, as comments"
            )
    if free > 0:
        size = f"{free:g}GiB" if free == int(free) else int(free * 2**30)
        new["retention"] = {"free_space": size}
        notes.append(
            f"storage.min_free_gb is storage.retention.free_space: {size}, at the end of the file, as a comment: "
            "without remotes what it purges is gone for good"
        )
    if every != 3600 and not old.get("remotes"):
        notes.append("storage.sync_interval is left out: there are no remotes")
    known = {"local_path", "remotes", "sync_interval", "min_free_gb"}
    notes += [f"storage.{field} is left out: unknown to dccd 3.8, too" for field in old if field not in known]
    if not new:
        return ""
    lines = yaml.safe_dump({"storage": new}, sort_keys=False, allow_unicode=True)
    parse(lines, name)
    return "".join(f"{line}\n" for line in ["", *(f"# {line}" for line in lines.splitlines())])


def _jobs(old: list[Any], notes: list[str]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for index, job in enumerate(old):
        where = f"jobs[{index}]"
        if not isinstance(job, dict):
            raise ConfigError(where, type(job).__name__, "a job: exchange, pairs, data_type, …")
        made = _job(job, where, notes)
        pairs: list[str] = []
        for pair in made["pairs"]:
            try:
                # With those before it, so that one that is there twice is found as well.
                parse(yaml.safe_dump({"jobs": [*kept, {**made, "pairs": [*pairs, pair]}]}))
            except ConfigError as exc:
                field = exc.path.rpartition(".")[2]
                notes.append(f"{where}, {pair}, is left out: {field}: found {exc.found}; allowed: {exc.allowed}")
            else:
                pairs.append(pair)
        if pairs:
            kept.append({**made, "pairs": pairs})
    return kept


def _job(old: dict[str, Any], where: str, notes: list[str]) -> dict[str, Any]:
    """One job with 3.x's defaults written out where ours are others."""
    operation = old.get("operation", "backfill")
    kind = old.get("data_type", "ohlc")
    trigger = old.get("trigger_kind", "interval")
    new: dict[str, Any] = {
        "exchange": str(old.get("exchange", "")).lower(),
        "pairs": [_pair(pair) for pair in old.get("pairs") or []],
        "data_type": kind,
        "operation": operation,
    }
    span = old.get("span")
    if kind == "ohlc" and isinstance(span, int) and span > 0:
        new["span"] = span_label(span)
    elif span is not None and kind != "ohlc":
        notes.append(f"{where}.span is left out: {kind} has none here; all of it is one dataset")
    if operation == "stream":
        # 3.x ran a stream for ever, whatever its trigger said, unless it was started by hand.
        new["trigger_kind"] = "manual" if trigger == "manual" else "supervised"
        if trigger not in ("manual", "supervised"):
            notes.append(f"{where}.trigger_kind was {trigger}: a stream is supervised")
    else:
        new["trigger_kind"] = "once" if trigger == "supervised" else trigger
        if trigger == "supervised":
            notes.append(f"{where}.trigger_kind was supervised: a backfill runs once, at the start")
        if trigger == "interval":
            new["every"] = old.get("every") or span or 3600
        if trigger == "cron" and old.get("cron"):
            new["cron"] = old["cron"]
        new["start"] = str(old.get("start", "last"))
    if kind == "orderbook" and operation == "stream":
        if old.get("depth") is not None:
            new["depth"] = old["depth"]
        # 3.x kept whole books at an interval, which is what `book: snapshots` does.
        new["book"] = "snapshots"
        new["snapshot_interval"] = old.get("snapshot_interval") or 60
    known = (*_FIELDS, "snapshot_interval")
    notes += [f"{where}.{field} is left out: unknown to dccd 3.8, too" for field in old if field not in known]
    return new


def _pair(text: Any) -> str:
    try:
        return Symbol.parse(str(text)).human
    except IdentityError:
        return str(text)
