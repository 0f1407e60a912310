"""Tests of the storage section: remotes and retention as they are written, and what is refused."""

from __future__ import annotations

import pytest

from dccd import config
from dccd.config_storage import RemoteConfig, folder_of
from dccd.errors import ConfigError
from dccd.symbols import DataType


def storage(text: str) -> config.StorageConfig:
    """The section that *text* is."""
    return config.parse(f"storage: {text}").storage


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://market-data/dccd", "s3-market-data"),
        ("gs://bucket", "gs-bucket"),
        ("az://container/a/b", "az-container"),
        ("file:///mnt/backup%20disk", "file-backup-disk"),
        ("rclone:gdrive:dccd", "rclone-gdrive"),
        ("rclone:b2:", "rclone-b2"),
    ],
)
def test_a_remote_is_called_by_its_url(url: str, name: str) -> None:
    """Unless it has a name."""
    assert storage(f"{{remotes: [{{url: '{url}'}}]}}").remotes[0].id == name
    assert storage(f"{{remotes: [{{url: '{url}', name: mine}}]}}").remotes[0].id == "mine"


def test_options_of_a_provider() -> None:
    """Those of S3 have fields, what others need is passed on; what isn't given comes from the environment."""
    (remote,) = storage(
        "{remotes: [{url: 's3://b', endpoint: 'http://127.0.0.1:9000', region: eu-west-1, access_key_id: a,"
        " secret_access_key: b, options: {virtual_hosted_style_request: 'true'}}]}"
    ).remotes
    assert remote.provider_options == {
        "endpoint": "http://127.0.0.1:9000",
        "region": "eu-west-1",
        "access_key_id": "a",
        "secret_access_key": "b",
        "virtual_hosted_style_request": "true",
    }
    assert storage("{remotes: [{url: 'az://c'}]}").remotes[0].provider_options == {}


def test_secrets_are_not_shown() -> None:
    """Wherever the struct is printed."""
    remote = RemoteConfig(url="s3://b", access_key_id="AKIA", secret_access_key="hush", options={"x": "hush"})
    assert "hush" not in repr(remote) and "AKIA" not in repr(remote)
    assert "hush" not in repr(config.StorageConfig(remotes=[remote]))


def test_rules_of_retention() -> None:
    """Of the data types that have any."""
    found = storage("{retention: {trades: {age: 90d, size: 100GB}, orderbook: {size: 1TB}}}").retention
    assert set(found.rules) == {DataType.TRADES, DataType.ORDERBOOK}
    assert found.active
    assert storage("{retention: {free_space: 10GiB}}").retention.active
    assert not storage("{}").retention.active


def test_retention_without_a_copy_is_warned_of() -> None:
    """What goes is gone."""
    (warning,) = config.parse("storage: {retention: {free_space: 1GiB}}").warnings
    assert "removes for good" in warning
    assert config.parse("storage: {retention: {free_space: 1GiB}, remotes: [{url: 's3://b'}]}").warnings == []


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("{remotes: [{url: 'http://x'}]}", "remotes[0].url", "s3://bucket/prefix, gs://"),
        ("{remotes: [{url: 'file://relative'}]}", "remotes[0].url", "file:///folder"),
        ("{remotes: [{url: 'rclone:where'}]}", "remotes[0].url", "rclone:remote:path"),
        ("{remotes: [{}]}", "remotes[0].url", "it must be given"),
        ("{remotes: [{url: 's3://b', interval: soon}]}", "remotes[0].interval", "seconds, or a number with a unit"),
        ("{remotes: [{url: 's3://b', interval: 10ms}]}", "remotes[0].interval", "at least 1s, or 0"),
        ("{remotes: [{url: 's3://b', endpoint: here}]}", "remotes[0].endpoint", "https://"),
        ("{remotes: [{url: 's3://b', access_key_id: a}]}", "remotes[0].secret_access_key", "both keys, or neither"),
        ("{remotes: [{url: 'gs://b', region: x}]}", "remotes[0].region", "for s3 URLs only"),
        ("{remotes: [{url: 'file:///b', options: {a: b}}]}", "remotes[0].options", "nothing for a file URL"),
        ("{remotes: [{url: 's3://b', name: a.b}]}", "remotes[0].name", "matching regex"),
        ("{remotes: [{url: 's3://b/1'}, {url: 's3://b/2'}]}", "remotes[1].name", "each name once"),
        ("{retention: {trades: {}}}", "retention.trades", "age, as 90d, or size"),
        ("{retention: {trades: {age: old}}}", "retention.trades.age", "seconds, or a number"),
        ("{retention: {trades: {size: big}}}", "retention.trades.size", "bytes, or a number"),
        ("{retention: {free_space: some}}", "retention.free_space", "bytes, or a number"),
        ("{retention: {interval: 0}}", "retention.interval", "at least 1s"),
        ("{retention: {tradez: {age: 1d}}}", "retention.tradez", "did you mean trades?"),
        ("{cache: lots}", "cache", "bytes, or a number"),
    ],
)
def test_what_is_refused(text: str, path: str, allowed: str) -> None:
    """With the field, and what it may be."""
    with pytest.raises(ConfigError) as caught:
        storage(text)
    assert caught.value.path == f"storage.{path}"
    assert allowed in caught.value.allowed


def test_a_url_with_a_password_is_not_repeated() -> None:
    """An error gets into logs."""
    with pytest.raises(ConfigError) as caught:
        storage("{remotes: [{url: 's3://key:hush@b'}]}")
    assert "hush" not in str(caught.value)


def test_the_folder_of_a_url() -> None:
    """With what a URL escapes."""
    assert folder_of("file:///mnt/backup%20disk/x") == "/mnt/backup disk/x"
