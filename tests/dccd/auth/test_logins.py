"""Contexts, credentials files and the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dccd.auth.logins import Access, from_environment, read_context, read_credentials, selected_context
from dccd.bus.login import Login, Tls
from dccd.errors import AuthError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home with a context, which is selected."""
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    fields = {
        "url": "tls://bus:4222", "user": "u", "password": "p", "ca": "/ca.pem", "cert": "/c.pem", "key": "/k.pem",
        "inbox_prefix": "_INBOX.viewer", "description": "", "color_scheme": "", "creds": "", "nkey": "",
    }  # fmt: skip
    (folder / "mine.json").write_text(json.dumps(fields))
    (folder.parent / "context.txt").write_text("mine\n")
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_a_context(environ: dict[str, str]) -> None:
    """What `nats context` keeps says where the bus is, who one is, and whom one believes."""
    tls = Tls(ca="/ca.pem", cert="/c.pem", key="/k.pem")
    login = Login(user="u", password="p", inbox_prefix="_INBOX.viewer", tls=tls)
    assert read_context("mine", environ) == Access("tls://bus:4222", login)
    assert selected_context(environ) == "mine"
    assert selected_context({"XDG_CONFIG_HOME": "/absent"}) is None


def test_a_context_that_is_none(environ: dict[str, str], tmp_path: Path) -> None:
    """A name that isn't there is told with those that are, and what can't be followed isn't left out in silence."""
    with pytest.raises(AuthError, match="there are: mine"):
        read_context("other", environ)
    path = tmp_path / "x.json"
    for text, told in (
        ("{", "no context"),
        ('{"url": 7}', "no context"),
        ('{"jetstream_domain": "hub"}', "jetstream_domain"),
        ('{"creds": "op://vault/x"}', "op://"),
    ):
        path.write_text(text)
        with pytest.raises(AuthError, match=told):
            read_context(str(path))


def test_credentials_are_told_by_what_they_hold(tmp_path: Path) -> None:
    """A context, a seed and a .creds file are told apart by themselves; anything else is refused."""
    path = tmp_path / "file"
    seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
    for text, access in (
        ('{"url": "nats://a:1", "token": "t"}', Access("nats://a:1", Login(token="t"))),
        (f"{seed}\n", Access(None, Login(nkey=str(path)))),
        (f"-----BEGIN NATS USER JWT-----\nx\n{seed}", Access(None, Login(credentials=str(path)))),
    ):
        path.write_text(text)
        assert read_credentials(str(path)) == access
    path.write_text("password")
    with pytest.raises(AuthError, match="neither"):
        read_credentials(str(path))
    with pytest.raises(AuthError, match="can't be read"):
        read_credentials(str(tmp_path / "absent"))


def test_credentials_that_were_carried_elsewhere(tmp_path: Path) -> None:
    """A seed that isn't where it was is looked for beside the file that names it."""
    (tmp_path / "a.json").write_text('{"nkey": "file:///gone/a.nk"}')
    assert read_credentials(str(tmp_path / "a.json")).login.nkey == "/gone/a.nk"
    (tmp_path / "a.nk").write_text("SU")
    assert read_credentials(str(tmp_path / "a.json")).login.nkey == str(tmp_path / "a.nk")


def test_the_environment() -> None:
    """The variables of the `nats` command say who one is, or nothing."""
    assert from_environment({"NATS_URL": "x", "NATS_USER": ""}) is None
    assert from_environment({"NATS_USER": "u", "NATS_PASSWORD": "p"}) == Login(user="u", password="p")
    assert from_environment({"NATS_NKEY": "a.nk", "NATS_CA": "ca"}) == Login(nkey="a.nk", tls=Tls(ca="ca"))
