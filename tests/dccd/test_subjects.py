"""Subjects: every name on the bus is legal NATS, leads back to its dataset, and falls into its stream."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd import subjects
from dccd.errors import IdentityError
from dccd.symbols import Dataset, DataType, Symbol, job_name

TOKENS = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
"""No wildcard, no white space, no empty token: what a NATS subject may be made of, and a KV key, too."""

assets = st.from_regex(r"[A-Z0-9]{1,20}", fullmatch=True).filter(lambda asset: asset != "XBT")
symbols = st.builds(Symbol, assets, assets, st.sampled_from(["", "perp", "quarter", "next_quarter"]))
exchanges = st.from_regex(r"[a-z][a-z0-9]{1,31}", fullmatch=True)
datasets = st.one_of(
    st.builds(Dataset, exchanges, st.just(DataType.OHLC), symbols, st.integers(1, 2419200)),
    st.builds(Dataset, exchanges, st.sampled_from([t for t in DataType if t is not DataType.OHLC]), symbols),
)


@given(datasets)
def test_a_tick_subject_leads_back_to_its_dataset(dataset: Dataset) -> None:
    """Who gets a tick knows from its subject alone what it is of."""
    subject = subjects.ticks(dataset)
    assert subjects.dataset_of_ticks(subject) == dataset
    assert subject.startswith("dccd.ticks.")


@given(datasets)
def test_every_name_is_made_of_legal_tokens(dataset: Dataset) -> None:
    """No dataset yields a subject or key with a wildcard, a space or an empty token in it."""
    names = [
        subjects.ticks(dataset),
        subjects.stream_event(dataset, "gap"),
        subjects.run_key("01JD0000000000000000000000", job_name("backfill", dataset)),
    ]
    assert [name for name in names if not TOKENS.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (subjects.ticks(Dataset.parse("binance.trades.BTC-USDT")), "dccd.ticks.binance.trades.BTC-USDT"),
        (subjects.ticks(Dataset.parse("binance.ohlc.BTC-USDT.3600")), "dccd.ticks.binance.ohlc.BTC-USDT.1h"),
        (subjects.request("backfill.start"), "dccd.backfill.start"),
        (subjects.host_request("tokyo-1", "backfill.start"), "dccd.host.tokyo-1.backfill.start"),
        (subjects.run_event("01JD", "progress"), "dccd.events.run.01JD.progress"),
        (
            subjects.stream_event(Dataset.parse("kraken.orderbook.BTC-USD"), "gap"),
            "dccd.events.stream.kraken.orderbook.BTC-USD.gap",
        ),
        (subjects.actor_event("restarted"), "dccd.events.actor.restarted"),
        (subjects.replayed("r1"), "dccd.replay.r1.>"),
        (subjects.replay_status("r1"), "dccd.replay.r1.status"),
        (
            subjects.replay_ticks("r1", Dataset.parse("binance.trades.BTC-USDT")),
            "dccd.replay.r1.binance.trades.BTC-USDT",
        ),
        (subjects.replay_event("r1"), "dccd.events.replay.r1.status"),
        (
            subjects.run_key("01JD", "backfill.binance.ohlc.BTC-USDT.1m"),
            "01JD.backfill.binance.ohlc.BTC-USDT.1m",
        ),
    ],
)
def test_the_documented_names(name: str, expected: str) -> None:
    """These are the names that scripts outside of this project are written against."""
    assert name == expected


@pytest.mark.parametrize(
    "subject",
    [
        "binance.trades.BTC-USDT",
        "dccd.ticks",
        "dccd.ticks.",
        "dccd.ticks.binance.trades",
        "dccd.ticks.binance.trades.>",
        "dccd.events.stream.binance.trades.BTC-USDT.gap",
        "dccd.ticksbinance.trades.BTC-USDT",
    ],
)
def test_another_subject_is_no_tick_subject(subject: str) -> None:
    """A message that strayed in from elsewhere is refused, not stored under a guessed dataset."""
    with pytest.raises(IdentityError):
        subjects.dataset_of_ticks(subject)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("binance.trades.BTC-USDT", True),
        ("binance.trades.*", True),
        ("*.*.BTC-USDT", True),
        ("binance.>", True),
        (">", True),
        ("binance.trades", False),
        ("*.trades", False),
        ("kraken.>", False),
        ("binance.trades.BTC-USDT.>", False),
        ("binance.*.BTC-USDT.*", False),
    ],
)
def test_patterns_match_as_the_bus_does(pattern: str, meant: bool) -> None:
    """A star is one part, an angle bracket at the end the rest, of which there is some."""
    assert subjects.matches(pattern, "binance.trades.BTC-USDT") is meant


def test_public_names_are_listed() -> None:
    """Everything that this module spells is in __all__: no name on the bus is private to it."""
    spelt = {
        name
        for name, value in vars(subjects).items()
        if isinstance(value, str | tuple | dict) and re.match(r"[A-Z]", name) and name.isupper()
    }
    made = {
        name
        for name, value in vars(subjects).items()
        if callable(value) and getattr(value, "__module__", "") == subjects.__name__
    }
    assert spelt | made == set(subjects.__all__)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["dccd.events.>"]),
        ({"run": "r1"}, ["dccd.events.run.r1.>"]),
        ({"run": "r1", "kinds": ["run.log", "run.status"]}, ["dccd.events.run.r1.log", "dccd.events.run.r1.status"]),
        ({"run": "r1", "kinds": ["run.log", "run"]}, ["dccd.events.run.r1.>"]),
        ({"kinds": ["run.log"]}, ["dccd.events.run.*.log"]),
        (
            {"stream": "kraken.ohlc.BTC-USD.1m", "kinds": ["stream.gap"]},
            ["dccd.events.stream.kraken.ohlc.BTC-USD.1m.gap"],
        ),
        (
            {"stream": "kraken.ohlc", "kinds": ["stream.gap"]},
            ["dccd.events.stream.kraken.ohlc.*.gap", "dccd.events.stream.kraken.ohlc.*.*.gap"],
        ),
        ({"stream": "kraken"}, ["dccd.events.stream.kraken.>"]),
        ({"kinds": ["stream.gap"]}, ["dccd.events.stream.*.*.*.gap", "dccd.events.stream.*.*.*.*.gap"]),
        ({"kinds": ["actor", "host", "actor"]}, ["dccd.events.actor.>", "dccd.events.host.>"]),
    ],
    ids=str,
)
def test_the_subjects_of_events(asked: dict[str, Any], found: list[str]) -> None:
    """Those on which what is asked for travels, without an overlap."""
    assert subjects.event_filters(**asked) == found


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        ("storage.purged", subjects.storage_event("purged")),
        ("run.file", subjects.run_event("r1", "file")),
        ("stream.sample", subjects.stream_event(Dataset.parse("kraken.trades.BTC-USD"), "sample")),
    ],
)
def test_each_kind_travels_where_it_is_looked_for(event: str, subject: str) -> None:
    """The filters of a kind fit the subjects on which it is published."""
    patterns = [pattern.replace(".", r"\.").replace("*", r"[^.]+") for pattern in subjects.event_filters(kinds=[event])]
    assert any(re.fullmatch(pattern, subject) for pattern in patterns)


@pytest.mark.parametrize("text", ["dccd.ticks.>", "dccd.ticks.*.trades.*", "dccd.ticks.binance.trades.BTC-USDT"])
def test_what_may_be_delivered_of_the_ticks(text: str) -> None:
    """Subjects below those of the stream are taken as they are, wildcards included."""
    assert subjects.kept_filter("ticks", text) == text


@pytest.mark.parametrize(
    "text",
    ["binance.trades.BTC-USDT", "dccd.ticks", "dccd.ticks.", "dccd.ticks.>.x", "dccd.events.>", "dccd.ticks.a b", ">"],
)
def test_what_is_no_subject_of_the_stream_is_refused_with_the_form_of_one(text: str) -> None:
    """Somebody who left out what all of them begin with is told what that is."""
    with pytest.raises(IdentityError, match=r"write it whole, as dccd\.ticks\.>"):
        subjects.kept_filter("ticks", text)
