"""``dccd req``: what is sent, and that the reply comes out as it came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest

from dccd import messages as m
from dccd.cli.req import payload
from dccd.client.fake import FakeDaemon
from dccd.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["limit=5"], {"limit": 5}),
        (["state=failed", "limit=5"], {"state": "failed", "limit": 5}),
        (["symbol=BTC/USDT", "span=1m"], {"symbol": "BTC/USDT", "span": "1m"}),
        (['columns=["TS"]', "newest=true", "end=null"], {"columns": ["TS"], "newest": True, "end": None}),
        (["start=2024-01-01T00:00:00+00:00"], {"start": "2024-01-01T00:00:00+00:00"}),
        (["reason="], {"reason": ""}),
        (["reason=a=b"], {"reason": "a=b"}),
        (['{"limit": 5}'], {"limit": 5}),
    ],
)
def test_fields_are_json_or_text(words: list[str], value: dict[str, Any]) -> None:
    """key=value takes JSON values, and text where they aren't JSON; a whole object goes as it is."""
    assert json.loads(payload(tuple(words))) == value


def test_no_message_is_an_empty_one() -> None:
    """An operation without fields needs none."""
    assert payload(()) == b""


@pytest.mark.parametrize("words", [["limit"], ["=5"], ["{"], ['{"limit": 5}', "state=done"]])
def test_what_is_neither_is_refused(words: list[str]) -> None:
    """A word that is no field is a usage error."""
    with pytest.raises(click.UsageError):
        payload(tuple(words))


@pytest.mark.anyio
async def test_the_reply_comes_as_it_came(dccd: Command, daemon: FakeDaemon) -> None:
    """A request by name with its fields, the reply on stdout as JSON."""
    run = daemon.new_run("binance.ohlc.BTC-USDT.1m")
    done = await dccd("req", "runs.list", "limit=5", "state=running")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["runs"][0]["run_id"] == run.run_id
    assert daemon.asked("runs.list") == [m.RunsList(limit=5, state="running")]
    assert json.loads((await dccd("req", "dccd.health", "--host", "fake")).out)["ok"] is True


@pytest.mark.anyio
async def test_a_refused_request_is_2(dccd: Command) -> None:
    """An unknown field is refused by the daemon, with its words."""
    done = await dccd("req", "runs.list", '{"limits": 5}')
    assert (done.code, done.out) == (2, "")
    assert "limits" in done.err


@pytest.mark.anyio
@pytest.mark.parametrize("flags", [[], ["--host", "fake"]])
async def test_a_misspelt_operation_is_3_and_its_neighbours_are_named(dccd: Command, flags: list[str]) -> None:
    """It may be one of a newer daemon: so the daemon is asked first."""
    done = await dccd("req", "run.list", *flags)
    assert (done.code, done.out) == (3, "")
    assert "there is no operation 'run.list': did you mean runs.list" in done.err


@pytest.mark.anyio
async def test_where_no_daemon_answers_that_is_told(dccd: Command, daemon: FakeDaemon) -> None:
    """Whatever was asked for."""
    dccd.environ["DCCD_BUS_URL"] = "nats://127.0.0.1:1"
    done = await dccd("req", "run.list")
    assert (done.code, "no daemon answers" in done.err) == (4, True)


@pytest.mark.parametrize("words", [["read", "--help"], ["-h", "dccd.read"], ["--host", "alpha", "read", "x=1", "-h"]])
def test_help_beside_an_operation_is_that_operations(words: list[str]) -> None:
    """Whatever else the line has."""
    from click.testing import CliRunner

    from dccd.cli.main import cli

    assert CliRunner().invoke(cli, ["req", *words]).stdout.startswith("dccd.read: Rows of a dataset")
    assert CliRunner().invoke(cli, ["req", "--help"]).stdout.startswith("Usage: dccd req")
    for misspelt in (["rea", "--help"], ["--schema", "rea"]):
        result = CliRunner().invoke(cli, ["req", *misspelt])
        assert (result.exit_code, "did you mean read" in result.stderr) == (2, True)


def test_the_list_is_the_table() -> None:
    """``--list`` and ``--schema`` come from the one table of operations."""
    from click.testing import CliRunner

    from dccd.cli.main import cli

    result = CliRunner().invoke(cli, ["req", "--list"])
    assert [text.split()[0] for text in result.stdout.splitlines()[1:]] == list(OPERATIONS)
    result = CliRunner().invoke(cli, ["req", "--list", "--json"])
    assert [entry["operation"] for entry in json.loads(result.stdout)] == list(OPERATIONS)
    result = CliRunner().invoke(cli, ["req", "--schema", "runs.list"])
    assert "limit" in json.dumps(json.loads(result.stdout)["request"])
