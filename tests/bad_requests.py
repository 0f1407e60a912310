"""Requests that nobody should send: an operation's JSON schema and a seed flow in, requests flow out. Pure.

Most are wrong by the schema that ``dccd.operations`` publishes, which is also the judge: what it refuses has to be
answered by ``400 malformed``. The others have the right shape and ask for what there isn't.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from dccd import subjects
from dccd.operations import ANY, OPERATIONS, schema

__all__ = ["KINDS", "Bad", "Generator", "declared"]

_BROKEN = [
    b"{", b"nul", b"\xff\xfe{}", b"{}x", b"'a'", b"{'a': 1}", b"[" * 5000, b'{"a":' * 3000, b"\x00", b" ",
    b'{"limit": 1e999}', b'{"a": NaN}', b'{"a": 01}', b'{"a": 1,}', b'{"a" 1}', b'{"a": .5}', b"/* */ {}", b"{}{}",
    b'{"a": "\xc3\x28"}', b'{"a": "\xed\xa0\x80"}', b'{"\xff": 1}', b'{"a": "\n"}', b'{"a": "\\x"}', b'{"a": "\\u12"}',
    b'{"a": "unended', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), '{"dataset": "é"}'.encode("latin-1"), b"dataset: x",
    b'{"a": ' + b"9" * 100_000 + b"e}", b"\x1f\x8b\x08\x00", b"{" * 100_000, b'{"a": [' * 50_000,
]  # fmt: skip
_NO_OBJECTS = [b"[]", b"1", b'"x"', b"null", b"true", b"-0", b"[[[]]]", b"1e5", b'[{"dataset": "x"}]', b'"{}"']
_VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2**31, 2**53, 2**63, 2**64, 10**40, -(10**300), 1.5, -0.0, 1e308, 1e-320,
    "", " ", "x" * 5000, "🦀" * 30, "\u0000", "a\nb", "../..", "binance.trades.*", ">", "$JS.API", "9" * 40, "-1",
    "\ud800", "\u202e", "٣", "%s%n", "{}", "'; --", "*", ".", "a..b", "~", "NaN", "null",
    [], [1], [None], {}, {"a": 1}, {"": ""}, [[]], [""] * 2000, {str(i): i for i in range(500)},
]  # fmt: skip
_TIMES: list[Any] = [
    "2024-13-45", "2024-02-30", "1969-12-31", "2300-01-01", "0", "-1", "now", "last", "origin", "yesterday", "",
    "2024-01-01T25:00:00Z", "2024-01-01T00:00:00+99:00", "2024-01-01T00:00:60Z", "２０２４-01-01", "9" * 40, 0, 1,
    2**63 - 1, 1_700_000_000, "2024-W01-1", "20240101", "2024-01-01T00:00:00.1234567891Z", "2024-01-01T00.5:00",
    "2024-01-01", "2260-12-31T23:59:59Z", "2009-01-01",
]  # fmt: skip
_DURATIONS: list[Any] = [
    "0s", "-1h", "1e9h", "1 h", "h", "", "∞", "nan", "1h30m", "9" * 19, 0, -1, 1e308, 1e-9, "1ms", "0.0000001s", True,
]  # fmt: skip
_DATASETS = [
    "nobody.trades.BTC-USDT", "binance.trades", "binance.trades.NO-SUCH", "binance.ohlc.BTC-USDT", "binance", "...",
    "binance.ohlc.BTC-USDT.0m", "binance.ohlc.BTC-USDT.7777s", "binance.funding.BTC-USDT", "kraken.trades.BTC-USD.1m",
    "kraken.orderbook.BTC-USD", "kraken/trades/BTC-USD", "BINANCE.TRADES.BTC-USDT", "binance.nonsense.BTC-USDT", "a",
    "../../etc/passwd", "binance.trades.*", "binance.trades.>", "binance.open_interest.BTC-USDT_PERP", "*.*.*", ">",
    "kraken.ohlc.BTC-USD.1m", "kraken.trades.BTC-USD", " kraken.trades.BTC-USD", "kraken.trades.BTC-USD\n",
]  # fmt: skip
_FIELDS: dict[str, list[Any]] = {
    "dataset": _DATASETS,
    "exchange": ["nobody", "binance", "kraken", "Binance", "", "krakn", "x" * 100, "a.b", "*", "../..", "$SRV"],
    "symbol": ["BTC/USD", "NO/SUCH", "BTCUSD", "btc/usd", "BTC/USD:perp", "BTC-USD_QUARTER", "/", "A" * 100, "ﬁ/USD"],
    "data_type": ["trades", "ohlc", "orderbook", "funding", "open_interest", "nonsense", "TRADES"],
    "span": ["1m", "0m", "1y", 60, 1, 2_419_200, "7777s", "-1m", "1 m", "999999999w"],
    **dict.fromkeys(("start", "end", "at", "since", "until", "to"), _TIMES),
    **dict.fromkeys(("every", "jitter", "snapshot_interval"), _DURATIONS),
    "run_id": ["0190-aaaa", "0" * 64, "-", "018f3b2e-7c1a-7def-8000-000000000000", "active", "A" * 36],
    "before": ["0190-aaaa", "1", "0", "9" * 64, "018f3b2e-7c1a-7def-8000-000000000000", "-"],
    "after": ["", "x", "a:0", "dccd_up:999999999", "zz:1", "binance.trades", "1", "0:0", "9" * 40],
    "id": ["nobody", "_", "-", "a" * 32],
    "name": ["stream.nobody.trades.BTC-USDT", "backfill", "x", "stream.", "backfill.kraken.ohlc.BTC-USD.1m", "*"],
    "columns": [["nothing"], [], ["TS", "TS"], ["TS", "price"], ["../.."], ["TS"] * 300],
    "cron": ["61 * * * *", "* * * *", "@daily", "* * * * * *", "0 0 31 2 *", "", "a b c d e", "*/0 * * * *"],
    "timezone": ["Mars/Olympus", "../../etc/passwd", "UTC\u0000", "/etc/localtime", "", "utc", "Europe/Berlin"],
    "pairs": [["NO/SUCH"], ["BTC/USD", "BTC/USD"], [""], ["*"], ["BTCUSD"], ["BTC/USD:perp"], ["A/B"] * 1000],
    "datasets": [["nobody.trades.*"], ["*"], [">"], [">.x"], ["kraken.trades.BTC-USD"], ["binance.*.*"], ["a"] * 64],
    "symbols": [{"BTCUSDT": "nonsense"}, {"": "BTC/USDT"}, {"x" * 5000: "BTC/USDT"}],
    "revision": ["x", "0" * 64, "\u0000", "sha256"],
    "config": [{}, {"jobs": 1}, {"nonsense": {}}, {"settings": {"data_path": 1}}, {"jobs": [{}]}, {"bus": None}],
    "yaml": ["", "a: [", "\t", "a: &a [*a]", "jobs: 1", "!!python/object/apply:os.system [exit]", "\u0000",
             "---\n---\n", "a: 2024-13-45", "1: 2", "? [a]\n: b", "- 1", "&a [" + "*a," * 50 + "]",
             "{" * 200, "jobs: !!binary x", 'jobs: "\\ud800"', '"\\ud800": 1'],
    "prefix": ["nothing", "dccd_", "", "*", "dccd_stream", "DCCD"],
    "job": ["backfill.nobody.ohlc.A-B.1m", "storage.sync", "x", "*", ">", "a..b", "."],
    "remotes": [["nobody"], [], ["nobody", "nobody"]],
    "remote": ["nobody", "../.."],
    "webhook": ["nobody", "https://localhost:1/"],
    "host": ["nobody", "alpha", "*", ">", "a.b"],
    "source": ["trades", "stored", "auto", "1m", "nonsense", "0m", "-1s"],
    "depth": [1, 100_000, 7],
    "limit": [1, 1000, 1001, 2**63 - 1],
    "wait": [0, 0.01, -1, 31],
    "stream": ["ticks", "events", "binance", "binance.trades.BTC-USDT", "a..b", "*"],
    "filters": [["dccd.ticks.>"], ["dccd.events.>"], ["dccd.>"], [">"], ["dccd.ticks.*.trades.*", "dccd.ticks.>"]],
    "inbox": ["_INBOX.nobody.x", "_INBOX.*", "$KV.dccd_runs.x", "dccd.ticks.binance.trades.BTC-USDT", "_INBOX", "x"],
    "kinds": [["run"], ["run.log", "stream"], ["nothing"], ["run", "run"], ["*"]],
    "subject": ["dccd.events.>", "dccd.events.run.*.log", "dccd.ticks.>", "$KV.>", "dccd.events"],
    "seq": [1, 10**18],
    "last": [0, 1, 100_000, 1001],
    "speed": [0, 1e-9, 1_000_000, "max", 1e-300],
}  # fmt: skip
"""By field: what has the right shape, as a rule, and is nothing, or not this."""
_WAIT = re.compile(rb'("wait": ?)(?:30|0\.5)\b')
"""How long an answer may be put off, at its bounds: it rightly would be."""
_PARTS = ["exchange", "symbol", "data_type", "span"]
_ODD_HEADERS: list[dict[str, str]] = [
    {"Status": "503"}, {"Nats-Service-Error-Code": "500", "Nats-Service-Error": "x"}, {"Nats-Msg-Id": "1"},
    {"Content-Encoding": "gzip"}, {"X": "y" * 20_000}, {f"X-{i}": "y" for i in range(300)}, {"Dccd-Chunk": "1"},
    {"Nats-TTL": "1s"}, {"Nats-Rollup": "all"}, {"Dccd-Covered": "0-0"}, {"X": "🦀"}, {"Nats-Expected-Stream": "X"},
    {"Dccd-Flow": "nonsense"}, {"Nats-Trace-Dest": "dccd.health"}, {"Nats-Trace-Only": "true"},
]  # fmt: skip
_TRACED = {"Nats-Trace-Dest", "Nats-Trace-Only"}


@dataclass(frozen=True, repr=False)
class Bad:
    """A request. ``malformed``: the schema refuses it. ``answered``: whether anybody answers such a subject; of some
    it is no matter (None). ``operation``: which one it reaches, if any."""

    kind: str
    subject: str
    payload: bytes
    operation: str | None
    malformed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    answered: bool | None = True
    seed: int | None = None

    def __repr__(self) -> str:
        headers = f" {dict(self.headers)!r:.80}" if self.headers else ""
        shown = f"{self.subject} {self.payload[:200]!r} ({len(self.payload):,} bytes){headers}"
        return f"<seed {self.seed}, {self.kind}: {shown}>"


@cache
def declared(operation: str) -> frozenset[tuple[int, str]]:
    """Code and reason of each error that *operation* may be answered with, but for those that are our own fault."""
    found = (*ANY, *OPERATIONS[operation].refusals)
    return frozenset((refusal.code, refusal.reason) for refusal in found if refusal.code != 500)


class Generator:
    """Makes requests from *seed*, the same ones each time.

    *seen* and *changed*: by field, values that there are, so that some requests get past the first look, of operations
    that only see, and of those that change something. *host*: whose own subjects are asked, too. *max_payload*: of the
    server.
    """

    def __init__(
        self,
        seed: int,
        host: str,
        *,
        seen: Mapping[str, list[Any]] | None = None,
        changed: Mapping[str, list[Any]] | None = None,
        max_payload: int = 1 << 20,
    ) -> None:
        self.seed, self.chance = seed, random.Random(seed)
        self.host = host
        self.known = {"viewer": seen or {}, "operator": changed or {}}
        self.max_payload = max_payload
        self.operations = list(OPERATIONS)

    def any(self) -> Bad:
        """A request of any kind: of an operation, or on a subject that only looks like one."""
        if self.chance.random() < 0.08:
            return self.elsewhere()
        return self.of(self.chance.choice(self.operations))

    def of(self, operation: str, kind: str | None = None) -> Bad:
        """A request of *operation*, on its subject or on the host's own."""
        kind = kind or self.chance.choices(list(KINDS), [_WEIGHTS.get(one, 1) for one in KINDS])[0]
        made = KINDS[kind](self, operation)
        payload = _WAIT.sub(rb"\g<1>0.02", made if isinstance(made, bytes) else _encoded(made))
        own = self.chance.random() < 0.3
        subject = subjects.host_request(self.host, operation) if own else subjects.request(operation)
        headers = self.chance.choice(_ODD_HEADERS) if self.chance.random() < 0.1 else {}
        answered = None if _TRACED & set(headers) else True  # a traced one need not be delivered
        return Bad(kind, subject, payload, operation, self._malformed(operation, payload), headers, answered, self.seed)

    def config(self, config: Any, revision: str) -> Bad:
        """*config*, which is right at *revision*, with something else somewhere; only to be told what would be done."""
        changed = json.loads(json.dumps(config))
        at = changed
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = self.chance.choice(keys)
            if not isinstance(at[key], dict | list) or not at[key] or self.chance.random() < 0.1:
                break
            at = at[key]
        match self.chance.choice(["value", "value", "value", "gone", "more"]):
            case "value":
                at[key] = self.chance.choice(_FIELDS[key] if key in _FIELDS and self.chance.random() < 0.5 else _VALUES)
            case "gone":
                del at[key]
            case "more" if isinstance(at, dict):
                at[self.chance.choice(["unknown", "", "\u0000", "x" * 300])] = self.chance.choice(_VALUES)
        how = {"yaml": json.dumps(changed)} if self.chance.random() < 0.3 else {"config": changed}
        payload = _encoded({"revision": revision, "dry_run": True, **how})
        name, malformed = "config.put", self._malformed("config.put", payload)
        return Bad("another configuration", subjects.request(name), payload, name, malformed, seed=self.seed)

    def elsewhere(self) -> Bad:
        """A request on a subject that looks like one of ours, or is the server's."""
        some = self.chance.choice(self.operations)
        nobody = [
            f"dccd.host.nobody.{some}", "dccd.no.such", "dccd", f"dccd.host.{self.host}", f"dccd.{some}.more",
            f"DCCD.{some}", f"dccd.host..{some}", "dccd.>", "dccd.*", f"dccd.host.*.{some}", f"dccd.{'x' * 200}",
            "$SRV.INFO.nobody", "$SRV.NONSENSE", "dccd.flow.a.b", "dccd.host", "dccd.ticks",
        ]  # fmt: skip
        here = [
            f"dccd.host.{self.host}.{tail}" for tail in ("no.such", f"{some}.more", "*", ">", "x" * 1000, some.upper())
        ]
        server = [
            "$JS.API.STREAM.INFO.NOBODY", "$JS.API.STREAM.NAMES", "$JS.API.CONSUMER.INFO.DCCD_TICKS.nobody",
            "$JS.API.DIRECT.GET.DCCD_TICKS", "$JS.API.STREAM.MSG.GET.DCCD_TICKS",
            "$JS.API.CONSUMER.MSG.NEXT.DCCD_TICKS.x", "$SRV.PING", "$SRV.INFO.dccd", "$SRV.STATS.dccd.nobody",
            "$JS.API.CONSUMER.CREATE.DCCD_TICKS", "$JS.API.NONSENSE",
        ]  # fmt: skip
        payload = self.chance.choice([b"", b"{}", *_BROKEN, *_NO_OBJECTS])
        kind, choices, answered = self.chance.choice(
            [("nobody's subject", nobody, False), ("no operation", here, True), ("the server's subject", server, None)]
        )
        return Bad(kind, self.chance.choice(choices), payload, None, answered=answered, seed=self.seed)

    def _malformed(self, operation: str, payload: bytes) -> bool:
        try:
            # NaN and Infinity, which Python reads, come to _finite, too.
            found = json.loads(payload.decode() or "{}", parse_float=_finite, parse_constant=_finite)
        except (ValueError, RecursionError):
            return True
        return not _validator(operation).is_valid(found)

    # ------------------------------------------------------------ what is sent

    def object(self, operation: str, share: float = 0.5) -> dict[str, Any]:
        """An object of the right shape: the required fields, and a *share* of the others; of a dataset mostly its name
        or its parts, not both."""
        definition = _definition(operation)
        needed = definition["required"]
        names = [name for name in definition["properties"] if name in needed or self.chance.random() < share]
        if {"dataset", *_PARTS} <= set(definition["properties"]) and self.chance.random() < 0.8:
            given = ["dataset"] if self.chance.random() < 0.7 else _PARTS[: self.chance.choice([3, 3, 4])]
            names = given + [name for name in names if name not in ("dataset", *_PARTS)]
        known = self.known[OPERATIONS[operation].role]
        return {name: self.value(name, definition["properties"][name], known.get(name, [])) for name in names}

    def value(self, name: str, wanted: Mapping[str, Any], known: list[Any]) -> Any:
        """A value for the field *name*: one that there is, one that there isn't, or any that its schema allows."""
        if known and self.chance.random() < 0.4:
            return self.chance.choice(known)
        choices = _FIELDS.get(name)
        if choices and self.chance.random() < 0.8:
            return self.chance.choice(choices)
        return self.right(wanted)

    def right(self, wanted: Mapping[str, Any]) -> Any:
        """A value that *wanted* allows, often one at its bounds."""
        choice, low = self.chance.choice, wanted.get("minimum", wanted.get("exclusiveMinimum", -1000))
        if "anyOf" in wanted:
            return self.right(choice(wanted["anyOf"]))
        if "enum" in wanted:
            return choice(wanted["enum"])
        match wanted.get("type"):
            case "string":
                length = choice([wanted.get("minLength", 0), 8, wanted.get("maxLength", 100)])
                text = "".join(self.chance.choices("abz019-", k=length))
                return text if re.search(wanted.get("pattern", ""), text) else "a:1"
            case "integer":
                return choice([low, low + 1, wanted.get("maximum", 1000)])
            case "number":
                return choice([low + 0.5, wanted.get("maximum", 1e12)])
            case "boolean":
                return choice([True, False])
            case "array":
                count = choice([wanted.get("minItems", 0), 1, min(50, wanted.get("maxItems", 50))])
                return [self.right(wanted.get("items", {})) for _ in range(max(count, wanted.get("minItems", 0)))]
            case "object":
                return {self.right({"type": "string"}): self.right(wanted.get("additionalProperties") or {})}
        return None

    def wrong(self, wanted: Mapping[str, Any]) -> Any:
        """A value that *wanted* doesn't allow: of another type, or out of its bounds by one."""
        near: list[Any] = []
        for one in wanted.get("anyOf", [wanted]):
            near += [one[bound] + step for bound in ("minimum", "maximum") if bound in one for step in (-1, 1)]
            near += [one["exclusiveMinimum"]] if "exclusiveMinimum" in one else []
            near += ["x" * (one["maxLength"] + 1)] if "maxLength" in one else []
            near += ["x" * (one["minLength"] - 1)] if "minLength" in one else []
            near += ["a b", "../a", "a\n", "a:1\n"] if "pattern" in one else []
            items = one.get("items", {})
            near += [[self.right(items)] * (one["maxItems"] + 1)] if "maxItems" in one else []
            near += [[{"a": []}], [None]] if items else []
            near += [one["enum"][0].upper(), one["enum"][0] + " "] if "enum" in one else []
        allowed = Draft202012Validator(wanted)
        choices = [value for value in near if not allowed.is_valid(value)]
        if choices and self.chance.random() < 0.6:
            return self.chance.choice(choices)
        others = (self.chance.choice(_VALUES) for _ in range(100))
        return next((value for value in others if not allowed.is_valid(value)), math.inf)


def _with_one(self: Generator, operation: str, make: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    """An object of the right shape, in which one field has what *make* makes of its schema."""
    properties = _definition(operation)["properties"]
    name = self.chance.choice(list(properties) or ["unknown"])
    return {**self.object(operation), name: make(properties.get(name, {"enum": ["nothing"]}))}


def _unknown(self: Generator, operation: str) -> dict[str, Any]:
    known = list(_definition(operation)["properties"]) or ["x"]
    name = self.chance.choice(known)
    odd = self.chance.choice(
        [name.upper(), f" {name}", f"{name}s_", "unknown", "", "x" * 5000, "__class__", "\u0000", "é"]
    )
    return {**self.object(operation), odd: self.chance.choice(_VALUES)}


def _missing(self: Generator, operation: str) -> dict[str, Any]:
    needed = _definition(operation)["required"]
    left_out = self.chance.choice(needed) if needed else None
    return {name: value for name, value in self.object(operation, 0.3).items() if name != left_out}


def _twice(self: Generator, operation: str) -> bytes:
    whole, name = self.object(operation), self.chance.choice([*_definition(operation)["properties"], "x"])
    pairs = [*whole.items(), *((name, self.chance.choice(_VALUES)) for _ in range(self.chance.choice([1, 2, 50])))]
    self.chance.shuffle(pairs)
    return b"{" + b",".join(_encoded(key) + b":" + _encoded(value) for key, value in pairs) + b"}"


def _damaged(self: Generator, operation: str) -> bytes:
    """Right but for a byte that is changed, left out or put in; or in another encoding."""
    text = _encoded(self.object(operation))
    at, byte = self.chance.randrange(len(text)), bytes([self.chance.randrange(256)])
    return self.chance.choice(
        [
            text[:at] + byte + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + byte + text[at:], text[:at],
            text + byte, text.decode().encode(self.chance.choice(["utf-16", "utf-32", "utf-7", "utf-8-sig"])),
        ]
    )  # fmt: skip


def _huge(self: Generator, operation: str) -> dict[str, Any] | bytes:
    """Strings, numbers, lists and depths that are far too much."""
    name = self.chance.choice([*_definition(operation)["properties"], "x"])
    size = self.chance.choice([1_000, 30_000, 150_000])
    many = [
        b'"' + b"x" * size + b'"', b'"' + b"\\u0000" * (size // 6) + b'"', b"9" * size, b"0." + b"9" * size,
        b"-1e" + b"9" * 50, b"[" + b"1," * size + b"1]", b"[" * size + b"]" * size, b"1e400", b"1e-400",
        b'{"a":' * size + b"1" + b"}" * size, b"[" + b'"a",' * size + b'"a"]', b'{"' + b"x" * size + b'": 1}',
        '"🦀"'.encode() + b" " * size,
    ]  # fmt: skip
    return b'{"' + name.encode() + b'": ' + self.chance.choice(many) + b"}"


def _full(self: Generator, operation: str) -> bytes:
    """As large as a message may be, or a little less."""
    room = self.max_payload - 25_000 - self.chance.choice([0, 1, 1000])
    name = self.chance.choice([*_definition(operation)["properties"], "x"]).encode()
    return self.chance.choice(
        [
            b"{" + b" " * (room - 2) + b"}",
            b'{"' + b"y" * (room - 6) + b'":1}',
            b'{"' + b"\\u0001" * ((room - 6) // 6) + b'":1}',
            b'{"' + name + b'":"' + b"y" * (room - len(name) - 7) + b'"}',
            b'{"' + name + b'":["' + b"y" * (room - len(name) - 9) + b'"]}',
        ]
    )


def _odd(self: Generator, operation: str) -> dict[str, Any]:
    names = [*_definition(operation)["properties"], "unknown"]
    chosen = self.chance.sample(names, self.chance.randint(1, min(4, len(names))))
    return {name: self.chance.choice(_VALUES) for name in chosen}


KINDS: dict[str, Callable[[Generator, str], Any]] = {
    "not JSON": lambda self, _: self.chance.choice(_BROKEN),
    "no object": lambda self, _: self.chance.choice(_NO_OBJECTS),
    "unknown field": _unknown,
    "missing field": _missing,
    "wrong value": lambda self, operation: _with_one(self, operation, self.wrong),
    "bounds": lambda self, operation: _with_one(self, operation, self.right),
    "impossible": lambda self, operation: self.object(operation),
    "impossible, and little of it": lambda self, operation: self.object(operation, 0.15),
    "odd values": _odd,
    "a field twice": _twice,
    "damaged": _damaged,
    "huge": _huge,
    "a full message": _full,
}
"""What makes each kind of payload: bytes, or what is to be JSON."""
_WEIGHTS = {"huge": 0.2, "a full message": 0.1, "impossible": 2, "impossible, and little of it": 2}
"""Those that are large take their time; those that get further than others are worth it."""


@cache
def _definition(operation: str) -> dict[str, Any]:
    whole = schema(OPERATIONS[operation].request)
    found: dict[str, Any] = whole["$defs"][whole["$ref"].rsplit("/", 1)[1]]
    return found


@cache
def _validator(operation: str) -> Draft202012Validator:
    return Draft202012Validator(schema(OPERATIONS[operation].request))


def _encoded(value: Any) -> bytes:
    # json of the standard library: msgspec refuses integers beyond 64 bits and lone surrogates; those are to be sent.
    return json.dumps(value).encode()


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that no float holds")
    return number
