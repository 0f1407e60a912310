"""Metrics in Prometheus' own forms: replies of ``dccd.metrics`` flow in, text flows out. The only place that imports
prometheus_client; its global registry isn't used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from dccd.messages import MetricFamily, Metrics, MetricSample
from dccd.metrics import FAMILIES, HOST

__all__ = ["PLAIN", "process", "text"]

PLAIN = "text/plain"
"""What a person, or a Prometheus from before OpenMetrics, accepts."""


class _Given(Collector):
    """Hands out what was collected elsewhere."""

    def __init__(self, families: Iterable[MetricFamily], host: str) -> None:
        self._families, self._host = families, host

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name.removesuffix("_total"), family.help, family.type)
            for sample in family.samples:
                metric.add_sample(sample.name, {HOST: self._host, **sample.labels}, sample.value)
            yield metric


def text(metrics: Metrics, accept: str = PLAIN) -> tuple[bytes, str]:
    """*metrics* in the form that *accept* (the HTTP header) asks for, Prometheus' text or OpenMetrics, and the content
    type that says which."""
    encode, content_type = choose_encoder(accept)
    return encode(_Given(metrics.families, metrics.host)), content_type


_PROCESS = ProcessCollector(registry=None)


def process() -> list[MetricFamily]:
    """CPU, memory, files and age of this process, as Prometheus' own exporters name them; empty but on Linux."""
    found = []
    for metric in _PROCESS.collect():
        samples = [MetricSample(name=sample.name, value=sample.value) for sample in metric.samples]
        if (known := FAMILIES.get(samples[0].name)) is not None:
            found.append(MetricFamily(name=known.name, type=known.type, help=known.help, samples=samples))
    return found
