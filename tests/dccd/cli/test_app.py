"""What all commands share: which host answers, and what is of one host."""

from __future__ import annotations

import msgspec
import pytest

from dccd import messages as m
from dccd.client.fake import FakeDaemon
from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("words", [["--host", "fake", "streams"], ["streams", "--host", "fake"]])
async def test_a_command_asks_the_host_that_it_is_told(dccd: Command, daemon: FakeDaemon, words: list[str]) -> None:
    """Before the command or after it; of a host that isn't there, it says who lists those that are."""
    assert (await dccd(*words)).code == 0
    away = await dccd(*(word.replace("fake", "gone") for word in words))
    assert away.code == 4
    assert "dccd.host.gone.streams.list" in away.err and "`dccd hosts`" in away.err


@pytest.mark.parametrize(
    "words",
    [
        ["config", "get"],
        ["config", "put", "new.yml"],
        ["jobs", "delete", "stream.kraken.trades.BTC-USD"],
        ["jobs", "create", "kraken", "BTC/USD"],
        ["jobs", "run", "backfill.kraken.trades.BTC-USD"],
    ],
)
async def test_of_several_hosts_one_is_to_be_named(dccd: Command, daemon: FakeDaemon, words: list[str]) -> None:
    """What is one host's own is asked of no other: whoever answered first would change."""
    (dccd.folder / "new.yml").write_text("{}")
    here = daemon.replies["hosts"]
    other = msgspec.structs.replace(here.hosts[0], id="beta")
    daemon.replies["hosts"] = m.Hosts(host="fake", hosts=[*here.hosts, other])
    refused = await dccd(*words)
    assert (refused.code, "--host names one of fake, beta" in refused.err) == (2, True)
    assert [name for name, _ in daemon.requests] == ["hosts"]
    assert "names one of" not in (await dccd(*words, "--host", "fake")).err
    assert len(daemon.requests) > 1


async def test_a_daemon_is_found_though_its_configuration_is_broken(dccd: Command, daemon: FakeDaemon) -> None:
    """It goes on with what it had; what is wrong is said once, and to scripts on stdout nothing but what they asked."""
    (dccd.folder / "config.yml").write_text(f"bus: {{url: '{dccd.url}'}}\njobs:\n  - [")
    found = Command(dccd.folder)
    done = await found("streams")
    assert (done.code, done.err.count("warning: ")) == (0, 1)
    assert "says only where the bus is: config.yml:3:6: " in done.err
    assert (await found("health", "--json")).err == ""
    (dccd.folder / "config.yml").write_text("bus: 7")
    assert (await found("streams")).code == 2
