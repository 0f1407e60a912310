"""``dccd metrics``: what a daemon counts flows in, a table, JSON or Prometheus' text flows out."""

from __future__ import annotations

from collections.abc import Iterator

import click

from dccd.cli.app import DONE, App, options
from dccd.cli.output import count, duration, json_document, number, size, table, when
from dccd.messages import MetricFamily, MetricSample

__all__ = ["metrics", "quantile"]


@click.command(
    epilog="""\b
Examples:
  dccd metrics --prefix dccd_stream_lag
  dccd metrics --prefix dccd_archiver --json
  dccd metrics --prometheus > /var/lib/node_exporter/dccd.prom
"""
)
@click.option("--prefix", metavar="NAME", help="Only metrics whose name begins so, as dccd_stream.")
@click.option("--prometheus", is_flag=True, help="In Prometheus' text format, as the endpoint serves them.")
@options
@click.pass_obj
def metrics(app: App, prefix: str | None, prometheus: bool) -> int:
    """Show what the daemon counts: rates, lags, sizes and errors of everything. docs/metrics.md says what each means.

    Of histograms it tells how many values there were, their mean, and within which bucket's bound half of them were and
    99 % of them.
    """
    if prometheus and app.json:
        raise click.UsageError("--json or --prometheus, not both")

    async def main() -> int:
        async with app.connect() as session:
            await app.settle(session)
            found = await session.client.metrics(prefix)
        if app.json:
            json_document(found)
        elif prometheus:
            from dccd.exposition import text

            click.echo(text(found)[0], nl=False)
        else:
            rows = [row for family in found.families for row in _rows(family)]
            table(["metric", "labels", ">value"], rows, empty="nothing was counted of that yet")
        return DONE

    return app.run(main)


def _rows(family: MetricFamily) -> Iterator[list[str]]:
    if family.type == "histogram":
        for labels, samples in _histograms(family).items():
            yield [family.name, labels, _summary(family.name, samples)]
        return
    for sample in family.samples:
        yield [family.name, _shown(sample.labels), _value(family.name, sample.value)]


def _histograms(family: MetricFamily) -> dict[str, list[MetricSample]]:
    """The samples of each histogram by its labels."""
    found: dict[str, list[MetricSample]] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        found.setdefault(_shown(labels), []).append(sample)
    return found


def _shown(labels: dict[str, str]) -> str:
    """``exchange=binance``; a dataset's name says its exchange and data type."""
    if "dataset" in labels:
        labels = {name: value for name, value in labels.items() if name not in ("exchange", "data_type")}
    return " ".join(f"{name}={value}" for name, value in labels.items())


def _summary(name: str, samples: list[MetricSample]) -> str:
    values = {sample.name.removeprefix(name): sample.value for sample in samples if "le" not in sample.labels}
    total = int(values["_count"])
    if not total:
        return "0"
    buckets = [(sample.labels["le"], sample.value) for sample in samples if "le" in sample.labels]
    middle, high = quantile(buckets, 0.5), quantile(buckets, 0.99)
    return f"{count(total)}, mean {_seconds(values['_sum'] / total)}, p50 {middle}, p99 {high}"


def quantile(buckets: list[tuple[str, float]], share: float) -> str:
    """Within what *share* of the values were: ``≤ 0.5s``, ``> 300s``, by the bound of the bucket (cumulative)."""
    wanted = share * buckets[-1][1]
    last = 0.0
    for bound, so_far in buckets:
        if bound == "+Inf":
            break
        last = float(bound)
        if so_far >= wanted:
            return f"≤ {_seconds(last)}"
    return f"> {_seconds(last)}"


def _value(name: str, value: float) -> str:
    base = name.removesuffix("_total")
    if base.endswith("timestamp_seconds") or base.endswith("start_time_seconds"):
        return when(int(value * 1e9))
    if base.endswith("_bytes"):
        return size(int(value))
    if base.endswith("_seconds") and "per_second" not in base:
        return duration(value)
    return count(int(value)) if value == int(value) else number(round(value, 6))


def _seconds(value: float) -> str:
    return f"{value * 1000:g}ms" if value < 0.0995 else f"{value:.3g}s"
