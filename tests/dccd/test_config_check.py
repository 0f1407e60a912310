"""All that is wrong with a configuration is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.config import convert
from dccd.config_check import errors_in
from dccd.errors import ConfigError


def errors(raw: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        convert(raw)
    return [error.path for error in errors_in(raw, caught.value)]


def test_each_field_exchange_and_job_has_its_own_error() -> None:
    """In the order of the paths, jobs by their number."""
    good = {"exchange": "kraken", "pairs": ["BTC/USD"], "data_type": "trades"}
    assert errors(
        {
            "bus": {"port": -1, "prot": 1},
            "exchanges": {"kraken": {"rest_url": "ftp://x", "concurrency": 0}},
            "jobs": [good, *({**good, "pairs": [f"A{n}/USD"], "depth": 5} for n in range(2)), {**good, "span": 60}],
        }
    ) == [
        "bus.port",
        "bus.prot",
        "jobs[1].depth",
        "jobs[2].depth",
        "jobs[3].span",
        "exchanges.kraken.rest_url",
        "exchanges.kraken.concurrency",
    ]  # fmt: skip


def test_what_is_wrong_between_parts_is_told_too() -> None:
    """Two jobs of one name are right each by itself."""
    job = {"exchange": "kraken", "pairs": ["BTC/USD"], "data_type": "trades"}
    assert errors({"jobs": [job, job]}) == ["jobs[1].pairs"]


def test_what_is_no_mapping_has_one_error() -> None:
    """There are no parts to look at."""
    assert errors([1, 2]) == ["the file"]
