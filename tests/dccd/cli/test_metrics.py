"""``dccd metrics``: what a daemon counts, for people, scripts and Prometheus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dccd.cli.metrics import quantile
from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError
from dccd.messages import MetricsGet

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


async def test_a_table_for_people(dccd: Command, daemon: FakeDaemon) -> None:
    """All pages, one line a sample, a histogram in one line."""
    done = await dccd("metrics", "--prefix", "dccd_")
    assert done.code == 0
    assert [line.split() for line in done.out.splitlines()] == [
        ["metric", "labels", "value"],
        ["dccd_dataset_rows", "dataset=binance.trades.BTC-USDT", "1,234,567"],
        ["dccd_dataset_rows", "dataset=binance.trades.ETH-USDT", "0"],
        [
            "dccd_request_duration_seconds",
            "operation=read",
            "1,",
            "mean",
            "7ms,",
            "p50",
            "≤",
            "10ms,",
            "p99",
            "≤",
            "10ms",
        ],
    ]
    after = "dccd_request_duration_seconds:0"
    assert daemon.asked("metrics") == [MetricsGet(prefix="dccd_"), MetricsGet(prefix="dccd_", after=after)]


async def test_json_for_scripts(dccd: Command, daemon: FakeDaemon) -> None:
    """The reply of dccd.metrics, its pages joined."""
    done = await dccd("metrics", "--json")
    told = json.loads(done.out)
    assert [family["name"] for family in told["families"]] == ["dccd_dataset_rows", "dccd_request_duration_seconds"]
    assert told["families"][0]["samples"][0]["value"] == 1_234_567
    assert told["next"] is None


async def test_text_for_prometheus(dccd: Command, daemon: FakeDaemon) -> None:
    """As the endpoint serves it, with the host as a label."""
    lines = (await dccd("metrics", "--prometheus")).out.splitlines()
    assert lines[:3] == [
        "# HELP dccd_dataset_rows Rows stored",
        "# TYPE dccd_dataset_rows gauge",
        'dccd_dataset_rows{dataset="binance.trades.BTC-USDT",host="fake"} 1.234567e+06',
    ]
    assert lines[-1] == 'dccd_request_duration_seconds_count{host="fake",operation="read"} 1.0'


async def test_what_there_is_not(dccd: Command, daemon: FakeDaemon) -> None:
    """A prefix that no metric has is said so, with exit code 3; two forms at once are a wrong usage."""
    daemon.replies["metrics"] = RequestError(404, "no_metric", "no metric's name begins with 'node_'", "prefix")
    done = await dccd("metrics", "--prefix", "node_")
    assert (done.code, "begins with 'node_'" in done.err) == (3, True)
    assert (await dccd("metrics", "--json", "--prometheus")).code == 2


@pytest.mark.parametrize(
    ("share", "says"), [(0.5, "≤ 50ms"), (0.6, "≤ 50ms"), (0.61, "≤ 2.5s"), (0.9, "≤ 2.5s"), (0.99, "> 2.5s")]
)
def test_quantiles_are_bounds(share: float, says: str) -> None:
    """What is said of a quantile is sure: the bound of the bucket it lies in, or that it lies above all of them."""
    assert quantile([("0.01", 0), ("0.05", 6), ("2.5", 9), ("+Inf", 10)], share) == says
