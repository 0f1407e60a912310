"""Settings as those take them who use them: sections of the configuration flow in, options and remotes flow out."""

from __future__ import annotations

from collections.abc import Mapping

from actors.links import RemoteState
from dccd.config import Config, ExchangeConfig, parse_duration
from dccd.feeds.history import RestOptions
from dccd.store.remote.opening import open_remote

__all__ = ["remotes_of", "rest_options"]


def rest_options(exchange: ExchangeConfig | None) -> RestOptions:
    """How to ask an exchange, whose section may be missing."""
    exchange = exchange or ExchangeConfig()
    return RestOptions(rest_url=exchange.rest_url, rate_limit=exchange.rate_limit)


def remotes_of(
    config: Config, before: Config | None = None, known: Mapping[str, RemoteState] | None = None
) -> dict[str, RemoteState]:
    """The remotes of *config*, opened; those of *before*, which are *known*, stay what they are. Raises RemoteError."""
    same = {} if before is None else {remote.id: remote for remote in before.storage.remotes}
    found = {}
    for remote in config.storage.remotes:
        if known is not None and same.get(remote.id) == remote and remote.id in known:
            found[remote.id] = known[remote.id]
            continue
        opened = open_remote(remote.id, remote.url, remote.provider_options)
        found[remote.id] = RemoteState(opened, parse_duration(remote.interval))
    return found
