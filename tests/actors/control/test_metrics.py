"""Metrics in pages: nothing is left out, nothing told twice, no page larger than it may be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.control.metrics import page
from dccd.client.metrics import joined
from dccd.errors import RequestError
from dccd.messages import MetricFamily, Metrics, MetricSample


def family(number: int, samples: int) -> MetricFamily:
    name = f"dccd_m{number}_total"
    told = [MetricSample(name=name, labels={"dataset": f"d{n}"}, value=float(n)) for n in range(samples)]
    return MetricFamily(name=name, type="counter", help="Something", samples=told)


def paged(families: list[MetricFamily], room: int) -> list[Metrics]:
    pages: list[Metrics] = []
    while not pages or pages[-1].next is not None:
        found, following = page(families, pages[-1].next if pages else None, room)
        pages.append(Metrics(host="h", at=1, families=found, next=following))
    return pages


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(250, 4000))
def test_pages_joined_are_the_whole(counts: list[int], room: int) -> None:
    """Whatever room a page has: each metric once, its samples in order, and each page within its room."""
    families = [family(number, samples) for number, samples in enumerate(counts)]
    pages = paged(families, room)
    assert joined(pages).families == families
    assert all(len(msgspec.json.encode(one.families)) <= room + 2 for one in pages)


def test_what_fits_is_one_page() -> None:
    """There is no next one then."""
    (one,) = paged([family(1, 3), family(2, 0)], 10_000)
    assert one.families == [family(1, 3), family(2, 0)]


def test_a_page_after_what_is_none_of_these_is_refused() -> None:
    """As when the prefix changed between two pages."""
    with pytest.raises(RequestError) as caught:
        page([family(1, 1)], "dccd_m2_total:0", 1000)
    assert (caught.value.code, caught.value.reason, caught.value.field) == (404, "no_metric", "after")


def test_a_page_after_the_last_sample_goes_on_with_the_next_metric() -> None:
    """Samples may have gone since the page before was made."""
    found, following = page([family(1, 1), family(2, 1)], "dccd_m1_total:5", 1000)
    assert ([one.samples for one in found], following) == ([[], family(2, 1).samples], None)
