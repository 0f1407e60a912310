"""What every remote does, and the fake like them: a folder, a real S3 server, and the real rclone command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dccd.errors import RemoteAway, RemoteError, RemoteMissing, Uninstalled
from dccd.store.remote import rclone
from dccd.store.remote.base import Object, Remote
from dccd.store.remote.fake import FakeRemote
from dccd.store.remote.opening import open_remote
from tests.commands import needed
from tests.s3 import S3Server, serving

LARGE = os.urandom(20_000_000)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with serving(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["fake", "folder", "s3", "rclone"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """One of each kind, empty."""
    match request.param:
        case "folder":
            return open_remote("folder", tmp_path.as_uri())
        case "s3":
            server = request.getfixturevalue("s3")
            return open_remote("s3", f"s3://data/{tmp_path.name}", server.options)
        case "rclone":
            with_rclone(monkeypatch)
            return open_remote("rclone", f"rclone:files:{tmp_path}/copies")
    return FakeRemote()


def with_rclone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the command on PATH, with a remote called ``files``: this machine's."""
    folder = str(Path(needed("rclone")).parent)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RCLONE_CONFIG", "/nowhere/rclone.conf")
    monkeypatch.setenv("RCLONE_CONFIG_FILES_TYPE", "local")


def put(remote: Remote, key: str, content: bytes) -> None:
    pieces = [content[at : at + 4_000_000] for at in range(0, len(content), 4_000_000)]
    remote.put(key, iter(pieces), len(content))


@pytest.mark.parametrize("content", [b"", b"some bytes", LARGE], ids=["empty", "small", "large"])
def test_what_is_put_is_read(remote: Remote, content: bytes) -> None:
    """Byte for byte, whether it takes one request or many."""
    put(remote, "a/.b/c.parquet", content)
    assert b"".join(remote.read("a/.b/c.parquet")) == content
    assert list(remote.list("a/")) == [Object("a/.b/c.parquet", len(content))]


def test_a_later_object_takes_the_place_of_an_earlier(remote: Remote) -> None:
    """Under the same key."""
    put(remote, "a/b", b"one")
    put(remote, "a/b", b"another")
    assert b"".join(remote.read("a/b")) == b"another"


def test_a_prefix_is_a_folder(remote: Remote) -> None:
    """What merely begins alike isn't listed; an empty one has nothing."""
    for key in ("a/b/1", "a/b/2/3", "a/bc", "ab/1"):
        put(remote, key, b"x")
    assert sorted(found.key for found in remote.list("a/b/")) == ["a/b/1", "a/b/2/3"]
    assert list(remote.list("none/")) == []


def test_what_is_not_there_is_told(remote: Remote) -> None:
    """By its key."""
    put(remote, "a/b", b"x")
    with pytest.raises(RemoteMissing) as caught:
        list(remote.read("a/c"))
    assert caught.value.key == "a/c"


def test_what_is_deleted_is_gone(remote: Remote) -> None:
    """What is gone already is no error, and ends nothing."""
    for key in ("a/1", "a/2", "a/3"):
        put(remote, key, b"x")
    remote.delete(["a/1", "a/none", "a/2"])
    remote.delete([])
    assert [found.key for found in remote.list("a/")] == ["a/3"]


@pytest.mark.parametrize("size", [100, len(LARGE)], ids=["small", "large"])
def test_an_upload_that_ends_midway_leaves_what_was_there(remote: Remote, size: int) -> None:
    """What the content raises comes through, and no part of it is seen."""

    class Ended(Exception):
        pass

    def content() -> Iterator[bytes]:
        yield LARGE[: size // 2]
        raise Ended

    put(remote, "a/b", b"before")
    for key in ("a/b", "a/c"):
        with pytest.raises(Ended):
            remote.put(key, content(), size)
    assert b"".join(remote.read("a/b")) == b"before"
    assert [found.key for found in remote.list("a/")] == ["a/b"]


# ---------------------------------------------------------------- each by itself


def test_a_folder_that_is_not_there_is_away(tmp_path: Path) -> None:
    """It may not be mounted: it isn't made, and nothing is taken for an empty remote."""
    remote = open_remote("disk", (tmp_path / "mount").as_uri())
    for call in (lambda: put(remote, "a", b"x"), lambda: list(remote.read("a")), lambda: list(remote.list("a/"))):
        with pytest.raises(RemoteAway, match="is it mounted"):
            call()
    assert not (tmp_path / "mount").exists()


def test_s3_is_away_while_its_server_is(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is itself again when that is back."""
    remote = open_remote("s3", "s3://data/away", s3.options)
    put(remote, "a", b"x")
    s3.stop()
    try:
        for call in (lambda: put(remote, "a", b"y"), lambda: list(remote.read("a")), lambda: list(remote.list("a/"))):
            with pytest.raises(RemoteAway, match="s3://data/away"):
                call()
    finally:
        s3.start()
    assert b"".join(remote.read("a")) == b"x"


def test_s3_refuses_a_wrong_key(s3: S3Server) -> None:
    """Trying again is no use, and the secret isn't told."""
    remote = open_remote("s3", "s3://data/x", {**s3.options, "secret_access_key": "hush"})
    with pytest.raises(RemoteError) as caught:
        put(remote, "a", b"x")
    assert not isinstance(caught.value, RemoteAway)
    assert "hush" not in str(caught.value)


def test_s3_takes_credentials_from_the_environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the AWS tools."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret)
    remote = open_remote("s3", "s3://data/environment", {"endpoint": s3.url, "region": "us-east-1"})
    put(remote, "a", b"x")
    assert b"".join(remote.read("a")) == b"x"


def test_s3_tells_of_a_bucket_that_is_not_there(s3: S3Server) -> None:
    """It isn't taken for an empty one."""
    remote = open_remote("s3", "s3://none/x", s3.options)
    for call in (lambda: put(remote, "a", b"x"), lambda: list(remote.read("a"))):
        with pytest.raises(RemoteError):
            call()


def test_an_option_that_is_none_is_told() -> None:
    """When the remote is opened, before anything is asked of it."""
    with pytest.raises(RemoteError, match="remote mine: s3://b"):
        open_remote("mine", "s3://b", {"colour": "red"})


def test_without_obstore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(Uninstalled, match=r"pip install 'dccd\[remotes\]'"):
        open_remote("mine", "s3://b")


def test_without_rclone_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is a program of its own."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Uninstalled, match=r"https://rclone\.org/install"):
        open_remote("mine", "rclone:where:")


def test_a_remote_that_rclone_does_not_know_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """In rclone's own words; trying again is no use."""
    with_rclone(monkeypatch)
    with pytest.raises(RemoteError, match="didn't find section in config file") as caught:
        put(open_remote("mine", "rclone:unknown:x"), "a", b"x")
    assert not isinstance(caught.value, RemoteAway)


class Scripted:
    """A fake of the seam to rclone: each command ends as told."""

    def __init__(self, *ends: tuple[int, str, bytes]) -> None:
        self.ends, self.commands = list(ends), []  # type: list[tuple[int, str, bytes]], list[list[str]]

    def __call__(self, arguments: Any) -> rclone.Started:
        import io

        self.commands.append([word for word in arguments if not word.startswith("--")])
        code, said, out = self.ends.pop(0)

        class Done:
            stdin, stdout = io.BytesIO(), io.BytesIO(out)

            def end(self) -> tuple[int, str]:
                return code, said

            def kill(self) -> None:
                pass

        return Done()


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (1, "Failed to rcat: connection refused", RemoteAway),
        (5, "temporary", RemoteAway),
        (7, "account suspended", RemoteError),
        (2, "unknown command", RemoteError),
        (4, "not found", RemoteMissing),
    ],
)
def test_how_rclone_ends_is_what_it_means(code: int, said: str, kind: type[Exception]) -> None:
    """Its exit codes tell what trying again may mend."""
    remote = rclone.RcloneRemote("mine", "where:x", Scripted((code, said, b"")))
    with pytest.raises(RemoteError) as caught:
        list(remote.read("a"))
    assert type(caught.value) is kind


def test_rclone_shows_an_object_when_it_is_whole() -> None:
    """It is moved to its name after all of it is there."""
    commands = Scripted((0, "", b""), (0, "", b""))
    rclone.RcloneRemote("mine", "where:x/", commands).put("a/b", [b"xy"], 2)
    (rcat, *_, part), (moveto, *_, source, target) = commands.commands
    assert (rcat, moveto, source, target) == ("rcat", "moveto", part, "where:x/a/b")
    assert part.startswith("where:x/a/b.") and part.endswith(".part")


def test_an_rclone_that_ends_before_it_has_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What couldn't be written to it any more isn't what went wrong."""
    program = tmp_path / "rclone"
    program.write_text("#!/bin/sh\necho 'no such bucket' >&2\nexit 6\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    start, started = rclone.command("away"), list[rclone.Started]()

    def noting(arguments: Sequence[str]) -> rclone.Started:
        started.append(start(arguments))
        return started[-1]

    def content() -> Iterator[bytes]:
        yield b"x"
        started[0].stdout.read()  # to its end: it has ended

    with pytest.raises(RemoteError, match="no such bucket"):
        rclone.RcloneRemote("away", "away:", noting).put("a", content(), 1)
