"""Changes of a configuration file: what isn't concerned stays as it was written."""

from __future__ import annotations

import difflib
import random
import re
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.config import Config, Job, parse
from dccd.config_edit import edit, plain, sparse

FILE = """\
# Ours
settings:
  data_path: /x   # where
  # the level
  log_level: debug
bus: {port: 0, password: geheim}   # on one line
jobs:   # all of them
  # bitcoin
  - exchange: binance
    pairs: [BTC/USDT, ETH/USDT]   # two
    data_type: trades

  # kraken's book
  - {exchange: kraken, pairs: [BTC/USD], data_type: orderbook, depth: 10}
  # candles
  - exchange: binance
    pairs:
      - BTC/USDT
      - SOL/USDT  # the second
    data_type: ohlc
    span: 1m
    operation: backfill
    start: 2024-01-01

# Alarms
alerts:
  archiver_lag: 30s
"""
OLD = parse(FILE)
ETH = Job(exchange="kraken", pairs=["ETH/USD"], data_type="trades")
replace = msgspec.structs.replace


def changes(new: Config) -> list[str]:
    """The lines that go and come."""
    text, kept = edit(FILE, new)
    assert kept
    assert parse(text) == new
    return [line for line in difflib.ndiff(FILE.splitlines(), text.splitlines()) if line[0] in "+-"]


@pytest.mark.parametrize(
    ("new", "lines"),
    [
        (OLD, []),
        (
            replace(OLD, jobs=[OLD.jobs[0], OLD.jobs[2]]),
            [
                "-   # kraken's book",
                "-   - {exchange: kraken, pairs: [BTC/USD], data_type: orderbook, depth: 10}",
            ],
        ),
        (
            replace(OLD, jobs=[*OLD.jobs, ETH]),
            ["+   - exchange: kraken", "+     pairs: [ETH/USD]", "+     data_type: trades"],
        ),
        (
            replace(OLD, jobs=[ETH, *OLD.jobs]),
            ["+   - exchange: kraken", "+     pairs: [ETH/USD]", "+     data_type: trades"],
        ),
        (
            replace(OLD, jobs=[OLD.jobs[0], replace(OLD.jobs[1], depth=None), OLD.jobs[2]]),
            [
                "-   - {exchange: kraken, pairs: [BTC/USD], data_type: orderbook, depth: 10}",
                "+   - {exchange: kraken, pairs: [BTC/USD], data_type: orderbook}",
            ],
        ),
        (
            replace(OLD, jobs=[*OLD.jobs[:2], replace(OLD.jobs[2], pairs=["BTC/USDT"], trigger_kind="manual")]),
            ["-       - SOL/USDT  # the second", "+     trigger_kind: manual"],
        ),
        (
            replace(OLD, settings=replace(OLD.settings, log_level="info")),
            ["-   log_level: debug", "+   log_level: info"],
        ),
        (
            replace(OLD, bus=replace(OLD.bus, password=None, port=5)),
            ["- bus: {port: 0, password: geheim}   # on one line", "+ bus: {port: 5}   # on one line"],
        ),
        (
            replace(OLD, alerts=replace(OLD.alerts, free_space="9GiB")),
            ["+   free_space: 9GiB"],
        ),
        (
            replace(OLD, storage=replace(OLD.storage, fold_interval="9s")),
            ["+ ", "+ storage:", "+   fold_interval: 9s"],
        ),
    ],
)
def test_only_what_changes_is_written(new: Config, lines: list[str]) -> None:
    """A comment right above an entry goes with it; no other line is touched."""
    assert [line for line in changes(new) if line[0] in "+-"] == lines


def test_a_list_may_lose_all_its_entries() -> None:
    """An empty list stands where it was, and may be filled again."""
    text, kept = edit(FILE, replace(OLD, jobs=[]))
    assert kept
    assert "jobs: []   # all of them" in text
    assert "# Alarms" in text
    again, kept = edit(text, replace(OLD, jobs=[ETH]))
    assert kept
    assert parse(again) == replace(OLD, jobs=[ETH])


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "jobs: []\n", "\n\njobs: []\nsettings: {}\n", "{}\n"])
def test_an_empty_file_takes_its_first_job(text: str) -> None:
    """A file of comments, or with empty sections, is edited as any other."""
    new = Config(jobs=[ETH])
    made, _ = edit(text, new)
    assert parse(made) == new
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in made.splitlines() if line.startswith("#")
    ]


def test_a_file_that_cannot_be_edited_in_parts_is_written_anew() -> None:
    """Where two places share an anchor, the meaning is kept and the caller is told that the rest isn't."""
    first = "jobs:\n  - {exchange: binance, pairs: &these [BTC/USDT], data_type: trades}\n"
    text = first + "  - {exchange: binance, pairs: *these, data_type: ohlc, span: 60}\n"
    old = parse(text)
    new = replace(old, jobs=[replace(old.jobs[0], pairs=["ETH/USDT"]), old.jobs[1]])
    made, kept = edit(text, new)
    assert parse(made) == new
    assert not kept


def test_line_ends_of_windows_stay() -> None:
    """No line but the new one is written by us, and new ones end as the others do."""
    made, kept = edit(FILE.replace("\n", "\r\n"), replace(OLD, bus=replace(OLD.bus, port=7)))
    assert kept
    assert made == FILE.replace("\n", "\r\n").replace("port: 0", "port: 7")
    made, kept = edit(made, replace(OLD, jobs=[ETH, *OLD.jobs], storage=replace(OLD.storage, fold_interval="9s")))
    assert kept
    assert made.count("\n") == made.count("\r\n") == FILE.count("\n") + 6


SOL = replace(ETH, exchange="binance", pairs=["SOL/USDT", "ADA/USDT"])
JOBS = [*OLD.jobs, ETH, SOL, replace(OLD.jobs[1], depth=25), replace(OLD.jobs[0], pairs=["ETH/USDT"])]


def no_job_twice(jobs: list[Job]) -> bool:
    names = [(job.operation, dataset) for job in jobs for dataset in job.datasets]
    return len(names) == len(set(names))


states = st.tuples(
    st.lists(st.sampled_from(JOBS), max_size=5).filter(no_job_twice), st.sampled_from(["info", "debug", "error"])
)


@settings(deadline=None, max_examples=60)
@given(st.lists(states, min_size=1, max_size=4), st.sampled_from([FILE, "", "jobs: []\n"]))
def test_any_series_of_changes_means_what_it_should(
    series: list[tuple[list[Job], Literal["info", "debug", "error"]]], text: str
) -> None:
    """However the entries come, go and move, the file says the configuration that was wanted."""
    for jobs, level in series:
        old = parse(text)
        new = replace(old, jobs=jobs, settings=replace(old.settings, log_level=level))
        text, _ = edit(text, new)
        assert parse(text) == new


PAIRS = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "ADA/USDT", "XRP/USDT"]
pairs = st.lists(st.sampled_from(PAIRS), min_size=1, unique=True)
fields = st.fixed_dictionaries(
    {}, optional={"depth": st.sampled_from([5, 10]), "book": st.just("snapshots"), "restart": st.just("transient")}
)
ON_LINES = (
    "# ours\njobs:\n  # this\n  - exchange: binance\n    pairs: [{}]  # all\n    data_type: orderbook\n    depth: 7\n"
)
ON_ONE_LINE = "# ours\njobs:\n  # this\n  - {{exchange: binance, pairs: [{}], data_type: orderbook, depth: 7}}  # all\n"
ON_MANY = (
    "# ours\njobs:\n  # this\n  - exchange: binance  # all\n    depth: 7\n    pairs:\n      - {}\n"
    "    data_type: orderbook\n"
)


@settings(deadline=None, max_examples=60)
@given(pairs, pairs, fields, st.sampled_from([(ON_LINES, ", "), (ON_ONE_LINE, ", "), (ON_MANY, "\n      - ")]))
def test_an_entry_may_change_in_any_way_and_keeps_its_comments(
    before: list[str], after: list[str], changes: dict[str, Any], style: tuple[str, str]
) -> None:
    """Pairs come, go and change places, fields come and go, in whatever style it is written."""
    text = style[0].format(style[1].join(before))
    old = parse(text)
    job = replace(old.jobs[0], **{"depth": None, **changes, "pairs": [*before[:1], *after]})
    new = replace(old, jobs=[replace(job, pairs=list(dict.fromkeys(job.pairs)))])
    made, kept = edit(text, new)
    assert parse(made) == new
    assert kept
    assert [word for word in ("# ours", "# this", "# all") if word not in made] == []


def test_what_is_written_is_what_one_would_write() -> None:
    """A configuration from nothing has what isn't the default only; plain values have all that isn't None."""
    job = {"exchange": "kraken", "pairs": ["ETH/USD"], "data_type": "trades"}
    assert sparse(Config(jobs=[ETH])) == {"jobs": [job]}
    assert plain(ETH) == {**job, "operation": "stream"}
    assert plain(Config())["bus"]["port"] == 4222
    assert "url" not in plain(Config())["bus"]


GLOBS = ["*.funding.*", "binance.trades.*", "kraken.>", "*"]
FLOW = "jobs:  # all\n- {exchange: kraken, pairs: [BTC/USD], data_type: trades}\nalerts: {silence: {a: 1m}}  # us"


@pytest.mark.parametrize("text", [FILE, FILE.replace("\n", "\r\n"), FLOW, FLOW + "\n"])
def test_a_hundred_changes_lose_no_comment(text: str) -> None:
    """Of what is there all the time; and the file is never written anew, whatever names patterns have."""
    chance = random.Random(text)
    comments = re.findall(r"# (?:Ours|where|the level|on one line|all of them|Alarms|all|us)\b", text)
    stay = parse(text).jobs
    for _ in range(100):
        old = parse(text)
        silence = {name: chance.choice(["1m", "2h"]) for name in chance.sample(GLOBS, chance.randint(1, 3))}
        new = replace(
            old,
            jobs=[*chance.choice([[], [ETH]]), *stay, *chance.choice([[], [SOL]])],
            alerts=replace(old.alerts, silence=silence, settle=chance.choice(["1s", "5s"])),
            settings=replace(old.settings, log_level=chance.choice(["info", "debug"])),
        )
        text, kept = edit(text, new)
        assert kept
        assert parse(text) == new
        assert [comment for comment in comments if comment not in text] == []
