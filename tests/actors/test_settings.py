"""Settings as those take them who use them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from actors.settings import remotes_of, rest_options
from dccd.config import Config, ExchangeConfig, RemoteConfig, StorageConfig
from dccd.feeds.history import RestOptions


def test_an_exchange_without_a_section_has_the_defaults() -> None:
    """As one with an empty section."""
    assert rest_options(None) == rest_options(ExchangeConfig()) == RestOptions()
    assert rest_options(ExchangeConfig(rest_url="http://a:1", rate_limit=False)) == RestOptions(
        rest_url="http://a:1", rate_limit=False
    )


def test_a_remote_that_is_as_it_was_stays_what_it_is(tmp_path: Path) -> None:
    """What its last sync said goes with it; one that has changed, or that is new, is opened."""
    one, two = (RemoteConfig(url=f"file://{tmp_path}/{name}", name=name, interval="1m") for name in ("one", "two"))
    before = Config(storage=StorageConfig(remotes=[one, two]))
    known = remotes_of(before)
    assert {name: state.interval for name, state in known.items()} == {"one": 60.0, "two": 60.0}
    after = Config(storage=StorageConfig(remotes=[msgspec.structs.replace(one, interval="2m"), two]))
    found = remotes_of(after, before, known)
    assert found["two"] is known["two"]
    assert found["one"] is not known["one"]
    assert found["one"].interval == 120.0
