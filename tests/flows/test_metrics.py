"""The metrics of a whole daemon: what they say is what happened, and the dashboard and alerts ask for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec
import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from actors.daemon import Daemon, daemon
from actors.mail import RunSettled
from dccd import subjects
from dccd.bus.direct import get_batch
from dccd.client import Client
from dccd.config import Config, Job
from dccd.config_metrics import MetricsConfig
from dccd.errors import RequestError
from dccd.messages import ActorChanged, Metrics, RunStatus, StreamGap, StreamSample
from dccd.metrics import FAMILIES, HOST
from dccd.records import RECORD_TYPES
from dccd.simulator import Simulator
from dccd.simulator.faults import Disconnect, HttpError, Malformed, Silence
from dccd.symbols import NS, DataType
from tests.flows.support import take, watching, with_jobs

pytestmark = pytest.mark.anyio

OPS = Path(__file__).parent.parent.parent / "ops"
TRADES = "binance.trades.BTC-USDT"
STREAM = Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades")

Labels = dict[str, str]


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The one sample of *name* with these labels, and perhaps more."""
    (found,) = [
        sample.value
        for family in metrics.families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found


async def settled(client: Client, good: Callable[[Metrics], bool], tries: int = 600) -> Metrics:
    """The metrics, once *good* is true of them."""
    for _ in range(tries):
        if good(metrics := await client.metrics()):
            return metrics
        await anyio.sleep(0.05)
    raise AssertionError(f"not within {tries} looks: {metrics}")


async def on_bus(running: Daemon) -> list[Any]:
    """All trades that the bus has."""
    batch = await get_batch(running.links.bus, subjects.STREAM_TICKS, 1, 10_000)
    assert not batch.pending
    kind = RECORD_TYPES[DataType.TRADES]
    bodies = [message.data for message in batch.messages if message.subject == f"{subjects.TICKS}.{TRADES}"]
    return [msgspec.json.decode(body, type=kind) for body in bodies]


async def test_after_so_many_trades_the_counts_are_theirs(sim: Simulator, config: Config) -> None:
    """Each trade that the exchange sent is counted once where it comes, on the bus, and on disk."""
    async with daemon(with_jobs(config, STREAM)) as running, Client(running.bus_url) as client:
        await take(client.ticks("binance", "BTC/USDT"), 60)
        sim.faults.inject(
            Silence(exchange="binance")
        )  # nothing comes any more, and nothing is said of that for a while
        records = value(await client.metrics("dccd_stream_records"), "dccd_stream_records_total", dataset=TRADES)
        metrics = await settled(
            client, lambda found: value(found, "dccd_archiver_rows_total", dataset=TRADES) == records
        )
        messages = await on_bus(running)
    ids = [int(trade.tid) for message in messages for trade in message]
    sent = sim.exchanges["binance"].truth.numbered("BTC/USDT", ids[0], ids[-1])
    assert ids == [int(trade.tid or 0) for trade in sent]
    of_stream = {"dataset": TRADES, "exchange": "binance", "data_type": "trades"}
    expected = {
        "dccd_stream_records_total": len(ids),
        "dccd_stream_messages_total": len(messages),
        "dccd_stream_published_bytes_total": sum(len(msgspec.json.encode(message)) for message in messages),
        "dccd_archiver_rows_total": len(ids),
        "dccd_stream_reconnects_total": 0,
        "dccd_stream_gaps_total": 0,
        "dccd_stream_unparsed_frames_total": 0,
        "dccd_stream_live": 1,
    }
    assert {name: value(metrics, name, **of_stream) for name in expected} == expected
    assert value(metrics, "dccd_stream_frames_total", **of_stream) >= len(ids)  # a trade a frame, and a confirmation
    assert value(metrics, "dccd_stream_last_record_timestamp_seconds", **of_stream) == messages[-1][-1].ts / NS
    assert value(metrics, "dccd_archiver_messages_total") == len(messages)
    assert value(metrics, "dccd_publisher_acked_messages_total", publisher="ticks") == len(messages)
    for stage, count in (("receive", len(messages)), ("bus", len(messages)), ("disk", len(ids))):
        late = {**of_stream, "stage": stage}
        negative = value(metrics, "dccd_stream_negative_lags_total", **late)
        assert value(metrics, "dccd_stream_lag_seconds_count", **late) + negative == count
        # The simulator's clock is ours, and the machine a busy one.
        assert value(metrics, "dccd_stream_lag_seconds_bucket", **late, le="30.0") + negative == count


async def test_what_goes_wrong_is_counted_once(sim: Simulator, config: Config) -> None:
    """A lost connection, its hole and the repair, a frame that is none, a crash, requests that are refused."""
    async with daemon(with_jobs(config, STREAM)) as running, Client(running.bus_url) as client, watching(client) as saw:
        await take(client.ticks("binance", "BTC/USDT"), 20)
        sim.faults.inject(Disconnect(exchange="binance"))
        gap = await saw(lambda event: isinstance(event, StreamGap))
        done = await saw(lambda event: isinstance(event, RunStatus) and event.run.state == "done")
        lost = await client.metrics()
        sim.faults.inject(Malformed(exchange="binance", data_type="trades"))
        await saw(lambda event: isinstance(event, StreamSample))
        running.links.catalogue.tell_nowait(RunSettled(None))  # type: ignore[arg-type]  # it crashes over that
        await saw(lambda event: isinstance(event, ActorChanged) and event.change == "restarted")
        for _ in range(3):
            await client.health()
        with pytest.raises(RequestError):
            await client.run("018f3c5e-7a40-7cc3-98c4-dc0c0c07398f")
        metrics = await client.metrics()
    assert value(lost, "dccd_stream_reconnects_total", dataset=TRADES) == 1
    assert value(lost, "dccd_stream_gaps_total", dataset=TRADES) == 1
    assert value(lost, "dccd_stream_gap_seconds_total", dataset=TRADES) == (gap.end - gap.start) / NS
    assert value(lost, "dccd_runs_ended_total", operation="backfill", trigger="gap", state="done") == 1
    assert value(lost, "dccd_backfill_rows_total", dataset=TRADES) == done.run.rows
    assert value(lost, "dccd_exchange_connection_opens_total", exchange="binance") == 2
    assert value(lost, "dccd_stream_unparsed_frames_total", dataset=TRADES) == 0
    assert value(metrics, "dccd_stream_unparsed_frames_total", dataset=TRADES) == 1
    crashed = {"dccd/work/core/catalogue": 1.0}
    for name in ("catalogue", "archiver", "runner", f"streams/{TRADES}"):
        actor = f"dccd/work/core/{name}"
        assert value(metrics, "dccd_actor_restarts_total", actor=actor) == crashed.get(actor, 0)
        assert value(metrics, "dccd_actor_up", actor=actor) == 1
    assert value(metrics, "dccd_request_duration_seconds_count", operation="health") == 3
    assert value(metrics, "dccd_request_duration_seconds_count", operation="runs.get") == 1
    assert value(metrics, "dccd_request_errors_total", operation="runs.get", code="404") == 1


# ---------------------------------------------------------------- what is exposed, and what is asked for


@pytest.fixture
async def exposed(sim: Simulator, config: Config) -> dict[str, set[frozenset[str]]]:
    """Each sample's name that a daemon exposes to Prometheus, with the sets of labels that it has, after a life in
    which as much happened as can be made to happen."""
    sim.faults.inject(HttpError(exchange="binance", status=429, retry_after=0.0))
    jobs = [
        STREAM,
        Job(exchange="binance", pairs=["BTC/USDT"], data_type="ohlc", span="1m"),
        Job(exchange="kraken", pairs=["BTC/USD"], data_type="orderbook", depth=100),
        Job(exchange="binance", pairs=["BTC/USDT"], data_type="ohlc", span="5m", operation="backfill", start="origin"),
    ]
    paced = {name: msgspec.structs.replace(one, rate_limit=True) for name, one in config.exchanges.items()}
    config = with_jobs(
        msgspec.structs.replace(config, metrics=MetricsConfig(listen="127.0.0.1:0"), exchanges=paced), *jobs
    )
    async with daemon(config) as running, Client(running.bus_url) as client:
        await settled(
            client,
            lambda found: (
                value(found, "dccd_archiver_messages_total") > 5
                and value(found, "dccd_runs_ended_total", operation="backfill", trigger="job", state="done") == 1
            ),
        )
        await client.inventory()  # the catalogue has looked by then
        with pytest.raises(RequestError):
            await client.metrics("node_")
        assert running.links.tally.listening is not None
        async with aiohttp.ClientSession() as session, session.get(running.links.tally.listening) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = await answer.text()
        over_http = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
        over_bus = {sample.name for family in (await client.metrics()).families for sample in family.samples}
        assert over_http == over_bus
    found: dict[str, set[frozenset[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).add(frozenset(sample.labels))
    return found


def declared() -> dict[str, frozenset[str]]:
    """The labels that each sample's name has by the declarations."""
    found = {}
    for name, family in FAMILIES.items():
        labels = {HOST, *family.labels}
        if family.type != "histogram":
            found[name] = frozenset(labels)
            continue
        found |= {f"{name}_sum": frozenset(labels), f"{name}_count": frozenset(labels)}
        found[f"{name}_bucket"] = frozenset({*labels, "le"})
    return found


TOLD_BY_FEW = {"dccd_exchange_used_weight"}
"""What the simulator doesn't say."""


async def test_all_that_is_declared_is_exposed_and_asked_for_as_it_is(exposed: dict[str, set[frozenset[str]]]) -> None:
    """Names and labels are the declared ones; the dashboard and the alert rules name no metric or label that a running
    daemon doesn't expose."""
    assert {name: {labels} for name, labels in declared().items() if name not in TOLD_BY_FEW} == {
        name: labels for name, labels in exposed.items() if name not in TOLD_BY_FEW
    }
    there = {name: frozenset().union(*sets) for name, sets in exposed.items()} | {
        name: labels for name, labels in declared().items() if name in TOLD_BY_FEW
    }
    there["up"] = frozenset({"instance", "job"})  # Prometheus' own
    wrong = [f"{where}: {fault}" for where, query, shown in queries() for fault in faults(query, shown, there)]
    assert wrong == []


def test_the_checker_finds_what_is_wrong() -> None:
    """A metric, a matcher, a grouping or a legend that isn't there is named."""
    there = {"dccd_a_total": frozenset({"host", "x"}), "dccd_b": frozenset({"host"})}

    def found(query: str, shown: str = "") -> list[str]:
        return list(faults(query, shown, there))

    assert found('sum by (x) (rate(dccd_a_total{host=~"$host"}[$__rate_interval]))', "{{x}}") == []
    assert found("dccd_a") == ["no metric dccd_a"]
    assert found('dccd_b{x="1"}') == ["dccd_b has no label x"]
    assert found("sum by (y) (dccd_b)") == ["no label y to group by"]
    assert found("sum by (host) (dccd_a_total)", "{{x}}") == ["no label x to show"]
    assert found("sum(dccd_a_total)", "{{host}}") == ["no label host to show"]
    assert found("dccd_b / on (z) dccd_a_total") == ["no label z to match by"]
    assert found("dccd_b /") != []


def queries() -> Iterator[tuple[str, str, str]]:
    """Every query of ops/: where it stands, the query, and the text that shows what it gives."""
    dashboard = json.loads((OPS / "grafana" / "dccd.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']!r}", target["expr"], target["legendFormat"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert match is not None
            yield f"variable {variable['name']}", match[1], f"{{{{{match[2]}}}}}"
    for group in yaml.safe_load((OPS / "prometheus" / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"], " ".join(rule["annotations"].values())


def faults(query: str, shown: str, there: dict[str, frozenset[str]]) -> Iterator[str]:
    """What is wrong with *query*, of which *shown* tells the labels as ``{{x}}`` or ``{{ $labels.x }}``."""
    plain = query.replace("$__rate_interval", "5m")
    try:
        tree = promql.parse(plain)
    except ValueError as exc:
        yield f"no PromQL: {exc}"
        return
    found: list[str] = []
    given = _labels(tree, there, found)
    yield from found
    if not found:
        for label in re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", shown):
            if label not in given:
                yield f"no label {label} to show"


def _labels(node: Any, there: dict[str, frozenset[str]], found: list[str]) -> frozenset[str]:
    """The labels of what *node* gives; *found* gets what is wrong in it."""
    match node:
        case promql.VectorSelector():
            if node.name not in there:
                found.append(f"no metric {node.name}")
                return frozenset()
            asked = [matcher.name for matcher in node.matchers.matchers]
            found += [f"{node.name} has no label {name}" for name in asked if name not in there[node.name]]
            return there[node.name]
        case promql.MatrixSelector():
            return _labels(node.vector_selector, there, found)
        case promql.AggregateExpr():
            given = _labels(node.expr, there, found)
            if str(node.op) in ("topk", "bottomk"):
                return given
            by = frozenset(node.modifier.labels if node.modifier else ())
            found += [f"no label {label} to group by" for label in sorted(by - given)]
            return by
        case promql.BinaryExpr():
            sides = [_labels(side, there, found) for side in (node.lhs, node.rhs)]
            vectors = [labels for labels, side in zip(sides, (node.lhs, node.rhs), strict=True) if not _number(side)]
            matching = re.search(r"\bon ?\(([^)]*)\)", str(node.modifier.matching)) if node.modifier else None
            for label in filter(None, re.split(r"[,\s]+", matching[1] if matching else "")):
                if not all(label in labels for labels in vectors):
                    found.append(f"no label {label} to match by")
            return vectors[0] if vectors else frozenset()
        case promql.Call():
            given = frozenset().union(*(_labels(arg, there, found) for arg in node.args))
            return given - {"le"} if node.func.name == "histogram_quantile" else given
        case promql.ParenExpr() | promql.UnaryExpr():
            return _labels(node.expr, there, found)
        case promql.SubqueryExpr():
            return _labels(node.expr, there, found)
    return frozenset()


def _number(node: Any) -> bool:
    return isinstance(node, promql.NumberLiteral)


def test_a_dashboard_that_grafana_takes() -> None:
    """Each panel has an id and a place of its own, a title, and the data source and host that are chosen above."""
    dashboard = json.loads((OPS / "grafana" / "dccd.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels:
        for target in panel.get("targets", ()):
            assert panel["datasource"]["uid"] == target["datasource"]["uid"] == "${datasource}"
            selectors = re.findall(r"(?:dccd|process)_\w+(\{[^}]*\})?", target["expr"])
            assert all('host=~"$host"' in selector for selector in selectors), panel["title"]
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "host", "dataset"]


def test_rules_and_scrapes_are_prometheus_own() -> None:
    """Each alert once, with a severity and words; the example loads the rules and scrapes the port of the docs."""
    scrape = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text())
    assert scrape["rule_files"] == ["rules.yml"]
    assert [job["job_name"] for job in scrape["scrape_configs"]] == ["dccd"]
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:9464"]
    rules = [
        rule
        for group in yaml.safe_load((OPS / "prometheus" / "rules.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
