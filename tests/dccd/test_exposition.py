"""Metrics as Prometheus reads them, by its own parsers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from dccd.exposition import process, text
from dccd.histogram import Histogram
from dccd.messages import MetricFamily, Metrics, MetricSample

OPEN = "application/openmetrics-text; version=1.0.0"


def told() -> Metrics:
    """A counter whose label needs escapes, a gauge, a histogram."""
    of = Histogram((0.5, 1.0))
    for value in (0.2, 0.7, 3.0):
        of.observe(value)
    name = "dccd_request_duration_seconds"
    buckets = [MetricSample(name=f"{name}_bucket", labels={"le": le}, value=n) for le, n in of.cumulative()]
    return Metrics(
        host='a"b\\c\n', at=1, families=[
            MetricFamily(
                name="dccd_actor_restarts_total", type="counter", help="Times", samples=[
                    MetricSample(name="dccd_actor_restarts_total", labels={"actor": 'x"y'}, value=2.0)
                ],
            ),
            MetricFamily(name="dccd_bus_connected", type="gauge", help="1 or 0", samples=[
                MetricSample(name="dccd_bus_connected", value=1.0)
            ]),
            MetricFamily(name=name, type="histogram", help="How long", samples=[
                *buckets,
                MetricSample(name=f"{name}_sum", value=of.total), MetricSample(name=f"{name}_count", value=3.0),
            ]),
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8", parse_plain),
        ("", "text/plain; version=0.0.4; charset=utf-8", parse_plain),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", parse_plain),
        (f"{OPEN}, text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPEN, parse_open),
    ],
)
def test_the_form_is_what_the_client_accepts(accept: str, content_type: str, parse: object) -> None:
    """Both forms have the same samples, each with the host; OpenMetrics ends with its mark."""
    body, kind = text(told(), accept)
    assert kind.startswith(content_type)
    assert body.endswith(b"# EOF\n") == kind.startswith(OPEN)
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(body.decode())  # type: ignore[operator]  # one of two functions
        for sample in family.samples
    }
    host = ("host", 'a"b\\c\n')
    assert samples == {
        ("dccd_actor_restarts_total", (("actor", 'x"y'), host)): 2,
        ("dccd_bus_connected", (host,)): 1,
        ("dccd_request_duration_seconds_bucket", (host, ("le", "0.5"))): 1,
        ("dccd_request_duration_seconds_bucket", (host, ("le", "1.0"))): 2,
        ("dccd_request_duration_seconds_bucket", (host, ("le", "+Inf"))): 3,
        ("dccd_request_duration_seconds_sum", (host,)): 3.9,
        ("dccd_request_duration_seconds_count", (host,)): 3,
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
def test_of_the_process_the_system_tells() -> None:
    """Its files, memory and CPU time, as they are."""
    values = {family.name: family.samples[0].value for family in process()}
    assert values["process_open_fds"] == pytest.approx(len(os.listdir("/proc/self/fd")), abs=3)
    assert values["process_resident_memory_bytes"] > 10 << 20
    assert values["process_cpu_seconds_total"] > 0
