"""What is secret stays so, and comes back where it was."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dccd.config import parse, raw_of
from dccd.config_edit import plain
from dccd.config_secrets import mask, mask_text, unmask, unmask_text
from dccd.errors import ConfigError

FILE = """\
bus:
  url: nats://joe:geheim@one:4222,nats://joe:geheim@two:4222
  password: 'p#ss'   # password: geheim
# old: https://me:geheim@example.org/x
exchanges:
  binance: {rest_url: "http://u:geheim@127.0.0.1:80"}
storage:
  remotes:
    - name: one
      url: s3://bucket/a
      access_key_id: geheim1
      secret_access_key: geheim2
      session_token: geheim3
    - name: two
      url: az://box/b
      options: {account: geheim4}
jobs: []
"""
EXTRA = {"alerts": {"hooks": [{"url": "https://hooks.example.org/geheim/x?y=1"}, {"url": "https://ntfy.sh/geheim"}]}}


def test_nothing_secret_is_told() -> None:
    """Passwords, keys, tokens, what a URL says of its user, and the path of a webhook are masked; the rest is not."""
    raw = {**plain(parse(FILE)), **EXTRA}
    shown = mask(raw)
    assert "geheim" not in str(shown)
    assert "p#ss" not in str(shown)
    assert shown["bus"]["url"] == "nats://***@one:4222,nats://***@two:4222"
    assert shown["alerts"]["hooks"][0]["url"] == "https://hooks.example.org/***"
    assert shown["storage"]["remotes"][0]["url"] == "s3://bucket/a"
    assert shown["bus"]["port"] == 4222


def test_what_is_put_back_as_it_was_keeps_its_value() -> None:
    """Masks stand for what they hide, whatever else was changed, also when entries of a list move."""
    raw = {**plain(parse(FILE)), **EXTRA}
    shown = mask(raw)
    assert unmask(shown, raw) == raw
    shown["storage"]["remotes"].reverse()
    del shown["alerts"]["hooks"][0]
    back = unmask(shown, raw)
    assert back["storage"]["remotes"] == raw["storage"]["remotes"][::-1]
    assert back["alerts"]["hooks"] == [{"url": "https://ntfy.sh/geheim"}]


def test_two_webhooks_of_one_host_are_not_taken_for_each_other() -> None:
    """Where it can't be told which of them is left, the value itself is asked for; a name tells it."""
    hooks = [{"url": "https://hooks.example.org/a"}, {"url": "https://hooks.example.org/b"}]
    raw = {"alerts": {"webhooks": hooks}}
    shown = mask(raw)
    assert unmask(shown, raw) == raw
    with pytest.raises(ConfigError, match="the value itself"):
        unmask({"alerts": {"webhooks": shown["alerts"]["webhooks"][1:]}}, raw)
    for hook, name in zip(hooks, "ab", strict=True):
        hook["name"] = name
    assert unmask({"alerts": {"webhooks": mask(raw)["alerts"]["webhooks"][1:]}}, raw) == {
        "alerts": {"webhooks": hooks[1:]}
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("bus", "url"), "nats://***@elsewhere:4222"),
        (("bus", "credentials"), "***"),
        (("storage", "remotes"), [{"name": "three", "url": "s3://c/d", "secret_access_key": "***"}]),
    ],
)
def test_a_mask_that_stands_for_nothing_is_an_error(path: tuple[str, str], value: Any) -> None:
    """A secret isn't sent to another host, and no new entry takes the keys of one that there was."""
    raw = plain(parse(FILE))
    changed = mask(raw)
    changed[path[0]][path[1]] = value
    with pytest.raises(ConfigError, match="the value itself") as caught:
        unmask(changed, raw)
    assert caught.value.path.startswith(".".join(path))


def test_a_text_is_masked_where_its_secrets_stand() -> None:
    """Comments, order and spelling stay, and the secrets of comments are masked, too."""
    shown = mask_text(FILE)
    assert "geheim" not in shown
    assert "p#ss" not in shown
    assert [line.split(":")[0] for line in shown.splitlines()] == [line.split(":")[0] for line in FILE.splitlines()]
    assert raw_of(shown) == mask(raw_of(FILE))


def test_a_text_that_is_put_back_is_what_it_was() -> None:
    """To the letter, but for what was changed."""
    shown = mask_text(FILE)
    assert unmask_text(shown, FILE) == FILE
    changed = unmask_text(shown.replace("name: two", "name: two\n      region: x"), FILE)
    assert changed == FILE.replace("name: two", "name: two\n      region: x")


def test_a_text_that_is_no_yaml_keeps_its_secrets() -> None:
    """What can't be read can't be told apart: of a broken file only the keys are shown."""
    shown = mask_text(FILE + "a: [\n")
    assert "geheim" not in shown
    with pytest.raises(yaml.YAMLError):
        unmask_text("a: [***", FILE)
