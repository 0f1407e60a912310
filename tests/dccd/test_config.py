"""The configuration file: what is accepted, and how errors read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd import config
from dccd.errors import ConfigError
from dccd.exchanges import registry
from dccd.feeds import elsewhere
from dccd.symbols import Dataset

GOOD = """
settings: {data_path: store, timezone: Europe/Paris, host: alpha}
bus: {port: 0, ticks_max_bytes: 64MiB, buffer: 1MiB}
exchanges:
  binance: {rest_url: "http://127.0.0.1:1", ws_url: "ws://127.0.0.1:2", rate_limit: false}
storage: {flush_interval: 500ms}
jobs:
  - {exchange: binance, pairs: [BTC/USDT, ETH/USDT], data_type: trades}
  - {exchange: kraken, pairs: [XBT/USD], data_type: orderbook, depth: 100, snapshot_interval: 30s}
  - exchange: binance
    pairs: [BTC/USDT]
    data_type: ohlc
    span: 1m
    operation: backfill
    trigger_kind: interval
    every: 1h
  - exchange: binance
    pairs: [BTC/USDT]
    data_type: ohlc
    span: 1h
    operation: backfill
    trigger_kind: cron
    cron: "5 * * * *"
    start: 2024-01-01
"""


def test_a_whole_file_becomes_typed_values() -> None:
    """A file that uses every section is read into structs, a dataset a pair."""
    made = config.parse(GOOD.replace("start: 2024-01-01", "start: '2024-01-01'"))
    assert made.settings.host_id == "alpha"
    assert made.exchanges["binance"].rest_url == "http://127.0.0.1:1"
    assert made.jobs[0].datasets == [
        Dataset.parse("binance.trades.BTC-USDT"),
        Dataset.parse("binance.trades.ETH-USDT"),
    ]
    assert made.jobs[1].datasets[0].name == "kraken.orderbook.BTC-USD"
    assert made.jobs[1].options.snapshot_interval == 30
    assert [job.trigger for job in made.jobs] == ["supervised", "supervised", "interval", "cron"]


def test_a_bare_date_is_a_start() -> None:
    """YAML reads an unquoted 2024-01-01 as a date; it means the same as the text."""
    assert config.parse(GOOD).jobs[3].start == "2024-01-01"


def test_nothing_is_a_configuration() -> None:
    """An empty file means all defaults."""
    assert config.parse("") == config.Config()


JOB = "{exchange: binance, pairs: [BTC/USDT], data_type: ohlc, span: 1m"


@pytest.mark.parametrize(
    ("text", "path", "found", "allowed"),
    [
        ("settings: {data_pth: x}", "settings.data_pth", "unknown", "did you mean data_path"),
        ("setings: {}", "setings", "unknown", "did you mean settings"),
        ("bus: {port: 70000}", "bus.port", "70000", "<= 65535"),
        ("bus: {port: high}", "bus.port", "'high'", "int"),
        ("bus: {url: 'http://x'}", "bus.url", "http://x", "NATS URL"),
        ("bus: {buffer: lots}", "bus.buffer", "'lots'", "64MiB"),
        ("exchanges: {kraken: {}, binance: {rest: x}}", "exchanges.binance.rest", "unknown", "rest_url"),
        ("exchanges: {binance: {concurrency: 0}}", "exchanges.binance.concurrency", "0", ">= 1"),
        ("exchanges: {binance: {ws_url: 'http://x'}}", "exchanges.binance.ws_url", "http://x", "ws://"),
        ("exchanges: {kraken: {rest_url: 'http://x:99999'}}", "exchanges.kraken.rest_url", "99999", "1 to 65535"),
        ("exchanges: {kraken: {ws_url: 'ws://x:0'}}", "exchanges.kraken.ws_url", "x:0", "1 to 65535"),
        ("exchanges: {kraken: {ws_url: 'ws://:80'}}", "exchanges.kraken.ws_url", ":80", "host and port"),
        ("bus: {url: 'nats://a:4222,nats://b:99999'}", "bus.url", "99999", "NATS URL"),
        ("bus: {events_max_bytes: many}", "bus.events_max_bytes", "'many'", "64MiB"),
        ("runs: {keep: 30m}", "runs.keep", "'30m'", "1h or longer"),
        ("runs: {keep: 30d, keep_failed: 7d}", "runs.keep_failed", "'7d'", "runs.keep (30d) or longer"),
        ("runs: {keep_failed: 7d}", "runs.keep_failed", "'7d'", "runs.keep (30d) or longer"),
        ("settings: {timezone: Mars/Base}", "settings.timezone", "Mars/Base", "IANA"),
        ("jobs: [{exchange: binance, pairs: [BTC/USDT]}]", "jobs[0].data_type", "nothing", "must be given"),
        ("jobs: [{exchange: binance, pairs: [], data_type: trades}]", "jobs[0].pairs", "[]", "length >= 1"),
        ("jobs: [{exchange: binance, pairs: [BTC], data_type: trades}]", "jobs[0].pairs", "BTC", "BASE/QUOTE"),
        ("jobs: [{exchange: binance, pairs: [B/U], data_type: ticks}]", "jobs[0].data_type", "'ticks'", "trades"),
        ("jobs: [{exchange: binance, pairs: [B/U], data_type: ohlc}]", "jobs[0].span", "None", "needs a span"),
        (f"jobs: [{JOB}, depth: 10}}]", "jobs[0].depth", "10", "orderbook"),
        ("jobs: [{exchange: kraken, pairs: [B/U], data_type: orderbook, operation: backfill, depth: 5}]",
            "jobs[0].depth", "5", "for streams of data_type: orderbook only"),
        (f"jobs: [{JOB}, trigger_kind: once}}]", "jobs[0].trigger_kind", "once", "supervised"),
        (f"jobs: [{JOB}, operation: backfill, trigger_kind: interval}}]", "jobs[0].every", "nothing", "1h"),
        (f"jobs: [{JOB}, operation: backfill, every: 1h}}]", "jobs[0].every", "1h", "interval"),
        (
            f"jobs: [{JOB}, operation: backfill, trigger_kind: cron, cron: never}}]",
            "jobs[0].cron", "never", "five cron fields",
        ),
        (f"jobs: [{JOB}, operation: backfill, timezone: UTC}}]", "jobs[0].timezone", "UTC", "cron only"),
        (
            f"jobs: [{JOB}, operation: backfill, trigger_kind: cron, cron: '0 1 * * *', timezone: Moon}}]",
            "jobs[0].timezone", "Moon", "IANA",
        ),
        (f"jobs: [{JOB}, operation: backfill, missed: skip}}]", "jobs[0].missed", "skip", "interval or cron"),
        (f"jobs: [{JOB}, jitter: 5s}}]", "jobs[0].jitter", "5s", "once only"),
        (
            f"jobs: [{JOB}, operation: backfill, trigger_kind: interval, every: 1m, jitter: 2m}}]",
            "jobs[0].jitter", "2m", "at most `every`",
        ),
        (f"jobs: [{JOB}, operation: backfill, jitter: soon}}]", "jobs[0].jitter", "soon", "30s"),
        (f"jobs: [{JOB}, operation: backfill, start: soon}}]", "jobs[0].start", "soon", "last, origin"),
        (f"jobs: [{JOB}}}, {JOB}}}]", "jobs[1].pairs", "stream.binance.ohlc.BTC-USDT.1m", "once"),
        ("a: 1\na: 2", "config:2:1", "twice", "YAML"),
        ("jobs: [", "config:", "", "YAML"),
        ("[1, 2]", "the file", "[1, 2]", "object"),
    ],
)  # fmt: skip
def test_an_error_names_path_found_and_allowed(text: str, path: str, found: str, allowed: str) -> None:
    """What is wrong is named by its path in the file, with what stands there and what may."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    assert caught.value.path.startswith(path)
    assert found in caught.value.found
    assert allowed in caught.value.allowed


def test_an_exchange_without_a_folder_is_checked_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ccxt tells what it can do, and who just looks for the bus doesn't load it."""
    text = "jobs: [{exchange: nasdaq, pairs: [B/U], data_type: trades}]"
    monkeypatch.setattr(registry, "_elsewhere", None)
    assert config.parse(text).jobs[0].exchange == "nasdaq"
    elsewhere.install()
    with pytest.raises(ConfigError, match=r"jobs\[0\].exchange: found 'nasdaq'.*did you mean"):
        config.parse(text)


@pytest.mark.parametrize(
    ("pair", "operation", "named", "missing"),
    [
        ("BTC/USD:perp", "stream", set(), "exchanges.bitmex.ws_url"),
        ("BTC/USD:perp", "stream", {"rest_url"}, "exchanges.bitmex.ws_url"),
        ("BTC/USD:perp", "stream", {"ws_url"}, ""),
        ("BTC/USDT:perp", "stream", {"ws_url"}, "exchanges.bitmex.rest_url"),
        ("BTC/USDT:perp", "stream", {"ws_url", "rest_url"}, ""),
        ("BTC/USD:perp", "backfill", {"ws_url"}, "exchanges.bitmex.rest_url"),
        ("BTC/USDT:perp", "backfill", {"rest_url"}, ""),
    ],
)
def test_an_exchange_that_has_closed_needs_a_server(pair: str, operation: str, named: set[str], missing: str) -> None:
    """One that speaks its API, for what is asked; where markets aren't known by their names, for them too."""
    urls = {"ws_url": "'ws://127.0.0.1:1'", "rest_url": "'http://127.0.0.1:2'"}
    settings = ", ".join(f"{field}: {urls[field]}" for field in sorted(named))
    job = f"exchange: bitmex, pairs: ['{pair}'], data_type: trades, operation: {operation}"
    text = f"exchanges: {{bitmex: {{{settings}}}}}\njobs: [{{{job}}}]"
    if not missing:
        assert config.parse(text).jobs[0].exchange == "bitmex"
        return
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    assert (caught.value.path, caught.value.found) == ("jobs[0].exchange", "'bitmex'")
    assert (
        caught.value.allowed == f"BitMEX closed on 2026-09-23; a server that speaks its API can be named in {missing}"
    )


def test_it_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config comes first, then DCCD_CONFIG, ./config.yml, the XDG folder, then nothing."""
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path / "home")}
    assert config.find(None, environ) is None
    xdg = tmp_path / "home" / ".config" / "dccd" / "config.yml"
    xdg.parent.mkdir(parents=True)
    xdg.touch()
    assert config.find(None, environ) == xdg
    (tmp_path / "config.yml").touch()
    assert config.find(None, environ) == Path("config.yml")
    named = tmp_path / "named.yml"
    named.touch()
    assert config.find(None, environ | {"DCCD_CONFIG": str(named)}) == named
    assert config.find(xdg, environ | {"DCCD_CONFIG": str(named)}) == xdg
    with pytest.raises(ConfigError, match="no file"):
        config.find(tmp_path / "absent.yml", environ)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), (30, 30), ("1.5h", 5400), ("7d", 604800), ("90", 90), (0.25, 0.25)]
)
def test_durations(text: str | float, seconds: float) -> None:
    """A duration is seconds, or a number with a unit."""
    assert config.parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("64MiB", 64 << 20), (1024, 1024), ("1.5kB", 1500), ("10 GiB", 10 << 30)])
def test_sizes(text: str | int, size: int) -> None:
    """A size is bytes, or a number with a unit."""
    assert config.parse_size(text) == size


@pytest.mark.parametrize("text", ["36501d", "9" * 400 + "w", "1e400"])
def test_a_duration_has_an_end(text: str) -> None:
    """What has no room in nanoseconds is refused, however it is written."""
    with pytest.raises(ValueError, match=r"36500d at most|a number with a unit"):
        config.parse_duration(text)


def test_a_size_has_an_end() -> None:
    """As has a duration."""
    with pytest.raises(ValueError, match="at most"):
        config.parse_size("9" * 400)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ({"jobs": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}, "values within values"),
        ({"jobs": [list(range(1000))] * 1001}, "more than 1,000,000 values"),
        ({"settings": {"data_path": "a\0b"}}, "NUL"),
        ({"settings": {"data_path": "\ud800"}}, "surrogates"),
    ],
)
def test_what_no_configuration_is_is_refused_at_once(raw: object, found: str) -> None:
    """Before anybody looks for what is wrong with it."""
    with pytest.raises(ConfigError, match=found):
        config.limit(raw)


def test_a_text_that_would_take_minutes_is_refused_at_once() -> None:
    """Of ten thousand jobs it isn't."""
    with pytest.raises(ConfigError, match="more than 2,097,152 characters"):
        config.parse("#" * (2 << 20) + "\n")
    job = "  - {exchange: binance, pairs: [A0000/USDT], data_type: trades, trigger_kind: manual}\n"
    assert len("jobs:\n" + 10_000 * job) < 2 << 20
