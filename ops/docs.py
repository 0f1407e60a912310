"""Writes the reference parts of docs/ from the code: ``.venv/bin/python ops/docs.py`` (``--check``: say what is old).

The configuration's structs, the operations, events and records flow in; the text between a page's markers flows out.
What stands outside of them is written by hand. What the code doesn't say of itself (what a field of the
configuration means, where an event travels) is in the tables below, and a name that is missing there, or too many, is
an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from dccd import config, messages, records, runs, subjects
from dccd.auth.permissions import ROLES, Entry, access, authorization
from dccd.bus.server import CONF
from dccd.cli.words import Words
from dccd.exchanges.base import Capability
from dccd.exchanges.registry import EXCHANGES
from dccd.metrics import FAMILIES
from dccd.operations import ANY, OPERATIONS, Operation
from dccd.symbols import DataType, span_label

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLE = CONF.with_name("auth.conf")

MEANINGS = {
    "settings.data_path": "Where the files go. `~` is the home folder; a relative path counts from where dccd starts.",
    "settings.timezone": "The zone in which `cron` fields are read. Times in files and messages are UTC always.",
    "settings.host": "This host's name on the bus. `null`: the machine's.",
    "settings.log_level": "The least that is logged.",
    "settings.log_format": "`json` for log collectors; `auto` is `console`.",
    "bus.url": "A NATS server or cluster to join, as `nats://a:4222,nats://b:4222`. `null`: dccd runs its own.",
    "bus.host": "Where its own server listens. Other than loopback needs TLS and users.",
    "bus.port": "Its port. 0 takes a free one, and the same again at the next start on the same `data_path`.",
    "bus.user": "User name, for a server that asks for one.",
    "bus.password": "Its password.",
    "bus.credentials": "Instead of both, a file: one of `dccd auth`, the seed of an NKEY, or a `.creds` file.",
    "bus.auth": "The folder of its own server's users. `null`: `.dccd/auth` under `data_path`, where it has users.",
    "bus.tls": "Encryption, as below.",
    "bus.insecure": "Let its own server listen on other addresses than loopback without users or TLS.",
    "bus.tls.cert": "Its own server's certificate (PEM), or the one to show to a server that asks for one.",
    "bus.tls.key": "Its key.",
    "bus.tls.ca": "Whose certificates are believed. `null`: those of the system.",
    "bus.tls.verify": "Its own server lets in only who has a certificate of `ca`.",
    "bus.ticks_max_age": "How long the bus keeps ticks.",
    "bus.ticks_max_bytes": "How many bytes of ticks it keeps, at most.",
    "bus.events_max_age": "How long the bus keeps events.",
    "bus.events_max_bytes": "How many bytes of events it keeps, at most. `null`: 256 MiB, and no more than of ticks.",
    "bus.window": "How many tick messages may be unacknowledged before collectors pause.",
    "bus.buffer": "How many bytes of ticks are kept in memory while the bus is away. What is more is a reported gap.",
    "exchanges.*.rest_url": "Scheme, host and port instead of the exchange's own; the paths stay.",
    "exchanges.*.ws_url": "The same of its WebSocket.",
    "exchanges.*.rate_limit": "Keep to the exchange's limits. `false` only for a server of your own: exchanges ban.",
    "exchanges.*.concurrency": "How many pages of one backfill are asked for at once.",
    "storage.flush_interval": "How long rows wait, at most, before they are written and fsynced.",
    "storage.flush_rows": "About how many rows are written at once, if so many come sooner.",
    "storage.fold_interval": "How often to look whether segments are due to be folded into the base files.",
    "storage.remotes": "Where copies go, each as below.",
    "storage.retention": "How much is kept here, as below.",
    "storage.cache": "How many bytes of purged files are kept here for readers, once they were fetched.",
    "storage.remotes[].url": "`s3://bucket/prefix`, `gs://…`, `az://…`, `file:///folder`, or `rclone:remote:path`.",
    "storage.remotes[].name": "What it is called. `null`: by its URL, as `s3-bucket`.",
    "storage.remotes[].interval": "How often what is new is copied. 0: only when asked.",
    "storage.remotes[].endpoint": "The server that speaks S3, as `https://s3.example.org`. `null`: the provider's.",
    "storage.remotes[].region": "S3: its region. `null`: `AWS_REGION`, else `us-east-1`.",
    "storage.remotes[].access_key_id": "S3: the key. `null`: the environment's.",
    "storage.remotes[].secret_access_key": "S3: its secret.",
    "storage.remotes[].session_token": "S3: of temporary keys.",
    "storage.remotes[].options": "Other options of the provider, by the names that [obstore](https://developmentseed.org/"
    "obstore/latest/) has for them.",
    "storage.retention.trades": "The rule for trades: `{age: …, size: …}`.",
    "storage.retention.orderbook": "For order books.",
    "storage.retention.ohlc": "For bars.",
    "storage.retention.funding": "For funding rates.",
    "storage.retention.open_interest": "For open interest.",
    "storage.retention.free_space": "What is to stay free of the disk. 0: no matter.",
    "storage.retention.interval": "How often to look.",
    "alerts.failures": "How many runs of a job must fail in a row. 0: no matter.",
    "alerts.hole": "How long a hole must be that the exchange doesn't serve any more. 0: no matter.",
    "alerts.settle": "How long it must hold, or be over, before it counts.",
    "alerts.silence": 'The same by dataset: the first pattern that fits counts, as `{"*.trades.*": 5m}`.',
    "alerts.webhooks": "Who is told, each as below.",
    "alerts.webhooks[].url": "Where a message is posted. It is a secret: `dccd config get` masks it.",
    "alerts.webhooks[].format": "`json`: all that is known. `slack`: an incoming webhook (Mattermost and Discord's"
    " `/slack` take it, too). `ntfy`: a topic's URL.",
    "alerts.webhooks[].name": "What it is called. `null`: as the host that it goes to.",
    "alerts.webhooks[].rules": "Only these. Empty: all.",
    "alerts.webhooks[].headers": "More headers, as `Authorization: Bearer …`. Secret.",
    "metrics.listen": "Host and port where Prometheus may fetch `/metrics`, as `127.0.0.1:9464`. `null`: nowhere.",
    "runs.keep": "How long the history keeps a run after it is done.",
    "runs.keep_failed": "The same of one that failed or was cancelled; not shorter.",
    "alerts.archiver_lag": "How old the oldest record may get that is not on disk.",
    "alerts.stream_silence": "How long a stream may be without a record. 0: for ever.",
    "alerts.free_space": "What must be left on the disk of `data_path`.",
    "jobs[].exchange": "Which exchange: `dccd exchanges` lists them.",
    "jobs[].pairs": "Which symbols, as `BTC/USDT`. Each is a dataset, a stream or a run of its own.",
    "jobs[].data_type": "What kind of data.",
    "jobs[].operation": "`stream`: live. `backfill`: history.",
    "jobs[].span": "The span of bars, as `1m`, `1h`, or seconds. For `ohlc`, and only then.",
    "jobs[].trigger_kind": "When. Streams: `supervised` (always) or `manual`. Backfills: `once` (at each start of the"
    " daemon), `interval`, `cron` or `manual`. `null`: `supervised` for a stream, `once` for a backfill.",
    "jobs[].every": "How often, at least `1s`. With `interval`, and only then.",
    "jobs[].cron": "Five cron fields, in `timezone`. With `cron`, and only then.",
    "jobs[].timezone": "The zone in which `cron` is read, as `Europe/Paris`. `null`: that of `settings`.",
    "jobs[].jitter": "How long a run may be put off, at random: each of `cron`, the first of the others."
    " At most `every`. `null`: a tenth of a second for each job that would begin at the same time.",
    "jobs[].missed": "With `interval` and `cron`: what becomes of runs that were due while nothing could run them."
    " `once`: one run makes up for all; `skip`: none. `null`: `once`.",
    "jobs[].start": "Where each run begins: `last` (goes on at the first hole, else where what is stored ends),"
    " `origin`, an ISO date or time, or ns; from a time on all is fetched again each run. `null`: `last`.",
    "jobs[].depth": "Order books: levels a side. `null`: the exchange's default.",
    "jobs[].snapshot_interval": "Order books: between stored snapshots, `1s` to `1d`. `null`: `60s`.",
    "jobs[].book": "Order books: store deltas with periodic snapshots, or snapshots only. `null`: `deltas`.",
    "jobs[].restart": "Streams: after which exit the collector is started again, as in OTP. `null`: `permanent`.",
}
"""What each field of the configuration means."""

EVENT_SUBJECTS = {
    "AlertChanged": subjects.alert_event("<host>", "<opened or resolved>"),
    "RunStatus": subjects.run_event("<run_id>", "status"),
    "RunProgress": subjects.run_event("<run_id>", "progress"),
    "RunFile": subjects.run_event("<run_id>", "file"),
    "RunLog": subjects.run_event("<run_id>", "log"),
    "StreamChanged": f"{subjects.EVENTS}.stream.<dataset>.status",
    "StreamGap": f"{subjects.EVENTS}.stream.<dataset>.gap",
    "StreamSample": f"{subjects.EVENTS}.stream.<dataset>.sample",
    "StoragePurged": subjects.storage_event("purged"),
    "ReplayChanged": subjects.replay_event("<id>"),
    "HostChanged": subjects.host_event("<id>", "<change>"),
    "ActorChanged": subjects.actor_event("<change>"),
}

# ---------------------------------------------------------------- types in words


_WORDS = Words(code=lambda text: f"`{text}`", struct=lambda kind: f"[{kind.__name__}](#{kind.__name__.lower()})")
said, shown, default = _WORDS.said, _WORDS.shown, _WORDS.default


def asked(kind: type[msgspec.Struct]) -> str:
    """A request's fields as a table."""
    lines = ["| field | type | default |", "|---|---|---|"]
    lines += [f"| `{f.name}` | {shown(f.type)} | {default(f)} |" for f in msgspec.structs.fields(kind)]
    return "\n".join(lines)


def told(kind: type[msgspec.Struct]) -> str:
    """The fields of a reply, event or record as a table. All are there in each: defaults are of no interest."""
    lines = ["| field | type |", "|---|---|"]
    tag = kind.__struct_config__
    if tag.tag_field:
        lines.append(f"| `{tag.tag_field}` | `{tag.tag}` |")
    lines += [f"| `{f.name}` | {shown(f.type)} |" for f in msgspec.structs.fields(kind)]
    return "\n".join(lines)


# ---------------------------------------------------------------- the parts


def config_part(section: str) -> str:
    """The fields of one section of the configuration."""
    kind, prefix = _SECTIONS[section]
    lines = ["| field | what it means | allowed | default |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        name = prefix + field.name
        lines.append(f"| `{field.name}` | {MEANINGS[name]} | {_allowed(name, field.type)} | {default(field)} |")
    return "\n".join(lines)


def _allowed(name: str, kind: Any) -> str:
    """The type, without null: that is told by the default."""
    if get_origin(kind) in (Union, UnionType):
        kind = Union[tuple(arg for arg in get_args(kind) if arg is not NoneType)]  # noqa: UP007  # made of a tuple
    if kind is config.RetentionRule or name in ("bus.tls", "storage.remotes", "storage.retention", "alerts.webhooks"):
        told = dict.fromkeys(("bus.tls", "storage.retention"), "object") | dict.fromkeys(
            ("storage.remotes", "alerts.webhooks"), "list"
        )
        return told.get(name, "`age` a duration, `size` a size")
    if name in ("jobs[].span", "jobs[].start"):
        return shown(kind)
    return {config.Duration: "duration", config.Size: "size"}.get(kind) or shown(kind)


_SECTIONS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "settings": (config.Settings, "settings."),
    "bus": (config.BusConfig, "bus."),
    "tls": (config.TlsConfig, "bus.tls."),
    "exchanges": (config.ExchangeConfig, "exchanges.*."),
    "storage": (config.StorageConfig, "storage."),
    "remotes": (config.RemoteConfig, "storage.remotes[]."),
    "retention": (config.RetentionConfig, "storage.retention."),
    "alerts": (config.Alerts, "alerts."),
    "webhooks": (config.Webhook, "alerts.webhooks[]."),
    "metrics": (config.MetricsConfig, "metrics."),
    "runs": (config.RunsConfig, "runs."),
    "jobs": (config.Job, "jobs[]."),
}


def operations_part() -> str:
    """Every operation."""
    return "\n\n".join(_operation(op) for op in OPERATIONS.values())


def _operation(op: Operation) -> str:
    parts = [f"### `{subjects.request(op.name)}`", f"{op.description}. {_asked_of(op)}"]
    if op.request is messages.Empty:
        parts.append("Request: empty, or `{}`.")
    else:
        parts += [f"Request: {said(op.request)}", asked(op.request)]
    parts.append(f"Reply: {_reply(op.reply)}")
    if op.reply is not runs.Run:
        parts.append(told(op.reply))
    if op.refusals:
        parts.append("\n".join(f"- {no.code} `{no.reason}`: {no.when}." for no in op.refusals))
    parts.append("```sh\n" + "\n".join(filter(None, (op.setup, op.command))) + "\n```")
    return "\n\n".join(parts)


def _asked_of(op: Operation) -> str:
    """Who may ask, and what asking twice does."""
    who = "A viewer may ask." if op.role == "viewer" else "An operator may ask."
    return who if op.idempotent else f"{who} Not idempotent: asked twice, it does it twice."


def any_part() -> str:
    """What any operation may answer."""
    lines = ["| code | reason | when |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {no.code} | `{no.reason}` | {no.when} |" for no in ANY)])


def _reply(kind: type) -> str:
    return "a [Run](#run)." if kind is runs.Run else said(kind)


def structures_part() -> str:
    """The structs that replies and events hold."""
    found: dict[str, type[msgspec.Struct]] = {}
    # What a reply or an event is itself stands with it; one that is a part of another, too, stands here as well.
    for kind in (*(op.reply for op in OPERATIONS.values()), *get_args(messages.Event)):
        for field in msgspec.structs.fields(kind):
            _collect(field.type, found)
    return "\n\n".join(f"### {name}\n\n{said(kind)}\n\n{told(kind)}" for name, kind in sorted(found.items()))


def _collect(kind: Any, found: dict[str, type[msgspec.Struct]]) -> None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind.__name__ in found:
            return
        found[kind.__name__] = kind
        for field in msgspec.structs.fields(kind):
            _collect(field.type, found)
    for arg in get_args(kind):
        _collect(arg, found)


def events_part() -> str:
    """Every event."""
    return "\n\n".join(
        f"### `{EVENT_SUBJECTS[kind.__name__]}`\n\n{said(kind)}\n\n{told(kind)}" for kind in get_args(messages.Event)
    )


def ticks_part() -> str:
    """The records of each data type."""
    return "\n\n".join(
        f"### `{data_type}`: {record.__name__}\n\n{said(record)}\n\n{told(record)}"
        for data_type, kind in records.RECORD_TYPES.items()
        for record in get_args(get_args(kind)[0]) or get_args(kind)
    )


def exchanges_part() -> str:
    """What each exchange offers: a table each, a row for each data type of a kind of market."""
    parts = []
    for name, exchange in sorted(EXCHANGES.items()):
        lines = ["| market | data type | live | historical |", "|---|---|---|---|"]
        for market in ("spot", "perp", "dated"):
            offer = getattr(exchange.capabilities, market)
            if offer is None:
                continue
            for data_type in DataType:
                live, past = offer.live.get(data_type), offer.historical.get(data_type)
                if live is not None or past is not None:
                    lines.append(f"| {market} | `{data_type}` | {_offered(live)} | {_offered(past, past=True)} |")
        head = f"### {name}\n\n"
        if exchange.closed:
            head += (
                f"{exchange.closed}: what follows is had of a server that speaks its API, as those do that replay what "
                f"was recorded. `exchanges.{name}.ws_url` and `rest_url` in the configuration name it; without, it is "
                "refused.\n\n"
            )
        parts.append(head + "\n".join(lines))
    return "\n\n".join(parts)


_MANY = 100_000
"""More bars than that are told as the time that they take."""


def _offered(capability: Capability | None, *, past: bool = False) -> str:
    """One cell: the optional columns that are filled, spans, depths, how far back, and the note."""
    if capability is None:
        return "–"
    said = []
    if capability.fields:
        said.append(" ".join(f"`{field}`" for field in capability.fields))
    if capability.spans:
        said.append(" ".join(map(span_label, capability.spans)))
    if capability.depths:
        said.append(f"{', '.join(f'{depth:,}' for depth in capability.depths)} levels a side")
    if capability.recent_bars is not None:
        shortest = min(capability.spans)
        if capability.recent_bars > _MANY:
            said.append(f"{span_label(shortest)} of the last {_period(capability.recent_bars * shortest)}")
        else:
            said.append(f"the newest {capability.recent_bars:,} bars")
    elif capability.recent:
        said.append(f"the last {_period(capability.recent)}")
    elif past and capability.recent is None:
        said.append("from the beginning")
    if capability.note:
        said.append(capability.note)
    return "; ".join(said) or "yes"


def _period(seconds: int) -> str:
    """A number of days, hours or minutes, as it follows on "the last": of one alone the unit."""
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * unit or seconds % unit == 0:
            count = round(seconds / unit)
            return name if count == 1 else f"{count} {name}s"
    return f"{seconds} seconds"


def roles_part() -> str:
    """What each role may: the operations, and the other subjects."""
    may = {role: access(role) for role in ROLES}
    lines = [f"| | {' | '.join(ROLES)} |", "|---" * (len(ROLES) + 1) + "|"]
    rows: dict[str, set[str]] = {}
    requests = {op: subjects.request(op) for op in OPERATIONS}
    for subject in requests.values():
        rows[f"ask `{subject}`"] = {"collector"} | {role for role in ROLES if subject in may[role].publish}
    apart = {*requests.values(), *(subjects.host_request("*", op) for op in OPERATIONS)}
    for verb in ("publish", "subscribe"):
        for role in ROLES:
            for subject in getattr(may[role], verb):
                if verb == "subscribe" or subject not in apart:
                    what = "publish to" if verb == "publish" else "subscribe to"
                    rows.setdefault(f"{what} `{subject}`", set()).add(role)
    for what, roles in rows.items():
        lines.append(f"| {what} | {' | '.join('yes' if role in roles else '' for role in ROLES)} |")
    return "\n".join(lines)


def example_conf(text: str) -> str:
    """The example of a server's users, which has *text* now, with the permissions of today's operations."""
    keys = re.findall(r'nkey: "(\w+)"', text)
    head, _, _ = text.partition("authorization {")
    return head + authorization(Entry(name=role, role=role, nkey=key) for role, key in zip(ROLES, keys, strict=True))


def metrics_part() -> str:
    """Every metric: a table for each group."""
    parts = []
    for group in dict.fromkeys(family.group for family in FAMILIES.values()):
        lines = ["| metric | type | labels | what it is |", "|---|---|---|---|"]
        for family in FAMILIES.values():
            if family.group == group:
                labels = " ".join(f"`{label}`" for label in family.labels)
                lines.append(f"| `{family.name}` | {family.type} | {labels} | {family.help}. |")
        parts.append(f"### {group}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


PARTS: dict[str, Callable[[], str]] = {
    "exchanges": exchanges_part,
    "metrics": metrics_part,
    **{f"config {section}": partial(config_part, section) for section in _SECTIONS},
    "roles": roles_part,
    "any": any_part,
    "operations": operations_part,
    "structures": structures_part,
    "events": events_part,
    "ticks": ticks_part,
}

_MARKED = re.compile(r"(<!-- from the code: ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """*text* with what stands between its markers as the code has it now. Raises KeyError for an unknown marker."""
    return _MARKED.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]()}\n\n{match[3]}", text)


def complete() -> list[str]:
    """What the tables above lack or have too many of."""
    known = {prefix + f.name for kind, prefix in _SECTIONS.values() for f in msgspec.structs.fields(kind)}
    sections = {field.name for field in msgspec.structs.fields(config.Config)}
    return sorted(
        (known ^ MEANINGS.keys())
        | (sections ^ {prefix.partition(".")[0].removesuffix("[]") for _, prefix in _SECTIONS.values()})
        | ({kind.__name__ for kind in get_args(messages.Event)} ^ EVENT_SUBJECTS.keys())
    )


def main(check: bool) -> int:
    """Bring the pages up to date, or with *check* only name those that aren't."""
    if wrong := complete():
        print(f"ops/docs.py: in the code or in the tables here, not in both: {', '.join(wrong)}", file=sys.stderr)
        return 1
    old = 0
    for page, made in (*((page, written) for page in sorted(DOCS.glob("*.md"))), (EXAMPLE, example_conf)):
        text = page.read_text()
        if (fresh := made(text)) != text:
            old += 1
            print(f"{page.parent.name}/{page.name} {'is not up to date' if check else 'written'}")
            if not check:
                page.write_text(fresh)
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
