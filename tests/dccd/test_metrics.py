"""The declarations: names as Prometheus wants them, each with its meaning."""

from __future__ import annotations

import re

import pytest

from dccd.metrics import FAMILIES, HOST, PROCESS, Family


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_names_are_as_prometheus_wants_them(family: Family) -> None:
    """``_total`` behind counters and nothing else; ours begin with dccd_; base units only."""
    assert re.fullmatch(r"(dccd|process)_[a-z0-9]+(_[a-z0-9]+)*", family.name)
    assert family.name.endswith("_total") == (family.type == "counter")
    assert family.name.startswith("process_") == (family in PROCESS)
    assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", family.name)
    assert not family.name.endswith(("_bucket", "_sum", "_count", "_created", "_info")) or family.name.endswith("_info")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_labels_are_names_and_none_is_taken(family: Family) -> None:
    """Not by a histogram's buckets, nor by the host, which all have."""
    assert len(set(family.labels)) == len(family.labels)
    assert not {HOST, "le", "job", "instance", "run_id"} & set(family.labels)
    assert all(re.fullmatch(r"[a-z_]+", label) for label in family.labels)


def test_each_says_what_it_is() -> None:
    """In a sentence of its own, without an end that Prometheus' help doesn't have."""
    assert all(family.help[0].isupper() or family.help[0] == "1" for family in FAMILIES.values())
    assert not [family.name for family in FAMILIES.values() if family.help.endswith(".")]
    assert len({family.help for family in FAMILIES.values() if family.name.startswith("dccd_stream")}) > 10
