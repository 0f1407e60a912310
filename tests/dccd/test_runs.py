"""Ids of runs, how much of a run is done, and what its record keeps of its log."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import RunFailed
from dccd.runs import LogLine, Run, as_told, new_run_id, require_done, run_time, with_line
from dccd.symbols import NS

MS = 1_000_000
NOW = 1_700_000_000 * NS
BITS = st.integers(0, (1 << 74) - 1)
TIMES = st.integers(0, (1 << 63) - 1)


def run(**fields: Any) -> Run:
    known = Run(
        run_id="1",
        dataset="binance.ohlc.BTC-USDT.1m",
        state="running",
        host="alpha",
        created=0,
        updated=0,
        start=100,
        end=300,
        position=100,
    )
    return msgspec.structs.replace(known, **fields)


def test_an_id_is_the_one_of_the_standard() -> None:
    """RFC 9562, appendix A.6, whose example was made from this time and these random bits."""
    made = new_run_id(0x017F22E279B0 * MS, 0xCC3 << 62 | 0x18C4DC0C0C07398F)
    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(TIMES, BITS)
def test_any_id_is_a_uuid_of_version_7_that_tells_its_time(now: int, random: int) -> None:
    """To the millisecond, whatever the random bits."""
    made = new_run_id(now, random)
    parsed = uuid.UUID(made)
    assert (str(parsed), parsed.version, parsed.variant) == (made, 7, uuid.RFC_4122)
    assert run_time(made) == now // MS * MS


@given(TIMES, TIMES, BITS, BITS)
def test_ids_sort_by_time(one: int, other: int, random: int, more: int) -> None:
    """As strings, since they are keys; the random bits decide within a millisecond only."""
    if one // MS != other // MS:
        assert (new_run_id(one, random) < new_run_id(other, more)) == (one < other)


@given(BITS, BITS)
def test_every_random_bit_is_in_the_id(random: int, more: int) -> None:
    """Two hosts that start a run in the same millisecond don't take the same id."""
    assert (new_run_id(NOW, random) == new_run_id(NOW, more)) == (random == more)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nightly",
        str(uuid.uuid5(uuid.NAMESPACE_DNS, "no.time")),
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
    ],
)
def test_what_is_no_such_id_has_no_time(text: str) -> None:
    """A version 5, one too short, one that is not hexadecimal."""
    assert run_time(text) is None


@pytest.mark.parametrize(
    ("fields", "fraction"),
    [
        ({}, 0.0),
        ({"position": 150}, 0.25),
        ({"position": 300}, 1.0),
        ({"position": 150, "state": "failed"}, 0.25),
        ({"position": 299, "state": "done"}, 1.0),
        ({"end": 100}, 1.0),
    ],
)
def test_fraction(fields: dict[str, Any], fraction: float) -> None:
    """By time covered; a done run is whole though its last bar may not be final; nothing asked is all of it."""
    assert run(**fields).fraction == fraction


def test_a_run_names_its_job() -> None:
    """As the configuration and the supervision tree do."""
    assert run().job == "backfill.binance.ohlc.BTC-USDT.1m"


def test_a_run_of_the_whole_store_has_no_dataset() -> None:
    """Its job and what people call it are its operation, and it covers bytes."""
    whole = run(dataset="", operation="storage.migrate", start=0, end=400, position=100)
    assert (whole.job, whole.subject, whole.fraction) == ("storage.migrate", "storage.migrate", 0.25)
    assert (run().job, run().subject) == ("backfill.binance.ohlc.BTC-USDT.1m", "binance.ohlc.BTC-USDT.1m")


def test_a_run_that_ended_otherwise_than_done_raises() -> None:
    """With its id, its state, and its own reason where it has one."""
    require_done(run(state="done"))
    with pytest.raises(RunFailed, match=r"^backfill\.binance\.ohlc\.BTC-USDT\.1m failed: no such pair$") as failed:
        require_done(run(state="failed", error="no such pair"))
    assert (failed.value.run_id, failed.value.state) == ("1", "failed")
    with pytest.raises(RunFailed, match="cancelled: no reason given"):
        require_done(run(dataset="", operation="storage.sync", state="cancelled"))


def test_the_log_of_a_record_is_its_end() -> None:
    """Fifty lines and 8 KiB at most, the newest; a line that is too long is cut, and says so."""
    known = run()
    for number in range(80):
        known = with_line(known, LogLine(number, "info", f"line {number}"))
    assert [line.at for line in known.log] == list(range(30, 80))
    for number in range(80, 90):
        known = with_line(known, LogLine(number, "warning", "ä" * 5000))
    assert [line.at for line in known.log][-3:] == [87, 88, 89]
    assert len(known.log[-1].message) == 1000 and known.log[-1].message.endswith("ä…")
    assert len(msgspec.json.encode(known.log)) <= 8200
    assert with_line(run(), LogLine(1, "info", "\0" * 5000)).log, "the newest line is always there"
    assert known.brief == msgspec.structs.replace(known, log=[]) and run().brief == run()


@pytest.mark.parametrize(
    ("state", "hosts", "told"),
    [
        ("running", {"alpha"}, "running"),
        ("running", {"beta"}, "interrupted"),
        ("queued", set(), "interrupted"),
        ("interrupted", set(), "interrupted"),
        ("done", set(), "done"),
        ("failed", set(), "failed"),
    ],
)
def test_what_a_host_was_at_that_is_not_there_is_interrupted(state: Any, hosts: set[str], told: str) -> None:
    """What is over stays what it is."""
    assert as_told(run(state=state), hosts).state == told
