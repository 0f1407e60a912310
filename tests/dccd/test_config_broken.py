"""Where the bus is, by a configuration that has an error elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd.config_broken import load_for_bus, of_bus
from dccd.errors import ConfigError

BUS = "bus:\n  url: nats://far:4222\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{BUS}jobs: 7\n",
        f"{BUS}jobs:\n  - exchange: [\n",
        f"jobs:\n  - exchange: [\n\n{BUS}# and so on\n",
        f"{BUS}what: ever\nsettings:\n  log_level: loud\n",
        f"{BUS}jobs:\n\t- exchange: kraken\n",
        f"\ufeff{BUS}jobs: [\n",
        f"{BUS}jobs:\n<<<<<<< HEAD\n  - exchange: kraken\n=======\n>>>>>>> other\n",
    ],
)
def test_an_error_elsewhere_leaves_the_bus(text: str) -> None:
    """Whether it is a field's, a section's, or one after which it is no YAML at all."""
    found = of_bus(text)
    assert found is not None and found.bus.url == "nats://far:4222"


def test_a_bus_of_ones_own_is_where_the_data_are() -> None:
    """The folder counts, and nothing else of the settings."""
    found = of_bus("settings:\n  data_path: here\n  log_level: loud\nbus:\n  port: 0\njobs: [\n")
    assert found is not None and (found.settings.data_path, found.bus.port) == ("here", 0)
    assert found.settings.log_level == "info"


@pytest.mark.parametrize("text", ["jobs: 7\n", "jobs: [\n", "settings:\njobs: [\n"])
def test_without_a_word_of_it_the_bus_is_the_default(text: str) -> None:
    """Nothing was left out of what concerns it."""
    found = of_bus(text)
    assert found is not None and (found.bus.url, found.bus.port) == (None, 4222)


@pytest.mark.parametrize(
    "text",
    [
        "bus: {url: 7}\n",
        "bus: {url: 'nats://far:4222', prot: 1}\n",
        "bus: [\n",
        "bus: {port: 1}\nbus: {port: 2}\n",
        "settings: {data_path: 7}\n",
        "settings: [\nbus: {port: 1}\n",
        "- a list\n",
        "{bus: {port: 1}, jobs: [\n",
        '"bus": {port: 1}\njobs: [\n',
        "jobs: [\n'bus': {port: 1}\n",
        "jobs: [\n? bus\n: {port: 1}\n",
    ],
)
def test_where_the_bus_itself_is_in_doubt_nothing_is_said(text: str) -> None:
    """Another daemon's bus would be worse than none."""
    assert of_bus(text) is None


def test_a_file_that_is_right_has_no_error(tmp_path: Path) -> None:
    """One with an error comes with it; one that says nothing of use raises it, as one that can't be read."""
    file = tmp_path / "config.yml"
    file.write_text(BUS)
    assert load_for_bus(file)[1] is None and load_for_bus(None)[1] is None
    file.write_text(f"{BUS}jobs: 7\n")
    config, error = load_for_bus(file)
    assert config.bus.url == "nats://far:4222" and error is not None and error.path == "jobs"
    file.write_text("bus: 7\n")
    with pytest.raises(ConfigError, match="bus"):
        load_for_bus(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_for_bus(file)
