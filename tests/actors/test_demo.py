"""What the demo runs with: its own folder, a free port, little disk, and whatever the configuration sets."""

from __future__ import annotations

from actors.demo import demo_config
from dccd.config import BusConfig, Config, ExchangeConfig, Settings, parse_size

ENDPOINTS = {"binance": ExchangeConfig(rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:2")}


def test_a_demo_needs_no_configuration_and_little_disk() -> None:
    """It goes beside other daemons: its folder and port are its own; and the bus sets less than a GiB aside."""
    config = demo_config(Config(), ENDPOINTS)
    assert config.settings.data_path == "demo-data"
    assert config.bus.port == 0
    assert parse_size(config.bus.ticks_max_bytes) < 1 << 30
    assert config.exchanges == ENDPOINTS
    assert {job.operation for job in config.jobs} == {"stream", "backfill"}


def test_what_is_configured_stays() -> None:
    """A folder and a bus that somebody has set are taken."""
    config = Config(settings=Settings(data_path="here"), bus=BusConfig(port=4223))
    demo = demo_config(config, ENDPOINTS)
    assert (demo.settings, demo.bus) == (config.settings, config.bus)
