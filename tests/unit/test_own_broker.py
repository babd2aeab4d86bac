"""Tests of `wire.own_broker` and `cli.own_broker`: which embedded broker is meant, and where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from statusd.cli.own_broker import find
from statusd.core.errors import ConfigError
from statusd.wire import own_broker
from statusd.wire.own_broker import OwnBroker, of_place

A = OwnBroker("redis://127.0.0.1:1/0", "x", "/a/statusd.toml", "/a")
A_OTHER = OwnBroker("redis://127.0.0.1:2/0", "x", "/a/other.toml", "/a")
B_FROM_A = OwnBroker("redis://127.0.0.1:3/0", "x", "/b/statusd.toml", "/a")
NO_FILE = OwnBroker("redis://127.0.0.1:4/0", "x", "", "/c")
OLD = OwnBroker("redis://127.0.0.1:5/0", "x")
ALL = [A, A_OTHER, B_FROM_A, NO_FILE, OLD]


@pytest.mark.parametrize(
    ("settings", "folder", "meant"),
    [
        ("/a/statusd.toml", "/a", [A]),
        ("/a/other.toml", "/elsewhere", [A_OTHER]),
        ("/b/statusd.toml", "/b", [B_FROM_A]),
        (None, "/b", [B_FROM_A]),
        (None, "/a", [A, A_OTHER]),
        ("/a/third.toml", "/a", [A, A_OTHER]),
        (None, "/c", [NO_FILE]),
        ("/etc/statusd/statusd.toml", "/c", [NO_FILE]),
        (None, "/a/below", []),
        (None, "", []),
    ],
)
def test_a_broker_belongs_to_its_settings_and_their_folder_and_to_where_it_was_started(
    settings: str | None, folder: str, meant: list[OwnBroker]
) -> None:
    """In this order: a file that is named, or found, comes first."""
    assert of_place(ALL, Path(settings) if settings else None, Path(folder)) == meant


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of this user's, and a folder that he is in."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "statusd").mkdir(0o700)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def leave(place: Path, port: int, content: bytes) -> None:
    """Leave what a broker at that port leaves."""
    (place / "statusd" / own_broker.file_name(port)).write_bytes(content)


def test_what_a_broker_tells_of_itself_comes_back(place: Path) -> None:
    """Whatever its folder is called; and what an older version tells, which has no place."""
    folder = place / "night shift\n\u6e29\udcff%"
    folder.mkdir()
    url = "redis://127.0.0.1:7/0"
    leave(place, 7, own_broker.content(url, "secret", folder / "statusd.toml", str(folder)))
    leave(place, 8, f"{os.getpid()} redis://127.0.0.1:8/0 older\n".encode())

    found = {one.port: one for one in own_broker.running()}

    assert found[7] == OwnBroker(url, "secret", str(folder / "statusd.toml"), str(folder))
    assert found[8] == OwnBroker("redis://127.0.0.1:8/0", "older")
    assert [own_broker.password(port) for port in (7, 8, 9)] == ["secret", "older", ""]


def test_nothing_is_commanded_by_accident(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The only broker is another folder's, or of an older version: one may look, and no more."""
    assert find(None, is_named=False, commands=True) == ("", "")
    url = "redis://127.0.0.1:7/0"
    for told in (own_broker.content(url, "x", None, "/a"), f"{os.getpid()} {url} x\n".encode()):
        leave(place, 7, told)

        with pytest.raises(ConfigError) as caught:
            find(None, is_named=False, commands=True)
        looked, how = find(None, is_named=False)

        assert f"no embedded broker runs for {place / 'here'}, but elsewhere:" in str(caught.value)
        assert f"choose one: --url {url}, or go to its folder" in str(caught.value)
        assert (looked, f"none is of {place / 'here'}" in how) == (url, True)
        assert f"no embedded broker runs for {place / 'here'}: this is" in capsys.readouterr().err
        assert find(None, is_named=False, is_quiet=True)[0] == url
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("of_here", [True, False])
def test_of_several_somebody_has_to_choose(place: Path, of_here: bool) -> None:
    """Whether they are of this folder or not, and whatever the verb does."""
    folder = str(place / "here") if of_here else "/elsewhere"
    for port in (7, 8):
        leave(place, port, own_broker.content(f"redis://127.0.0.1:{port}/0", "x", None, folder))
    for commands in (True, False):
        with pytest.raises(ConfigError) as caught:
            find(None, is_named=False, commands=commands)
        assert f"port 7: {folder}" in str(caught.value)
        assert f"port 8: {folder}" in str(caught.value)


def test_a_folder_that_is_gone_is_no_trouble(place: Path) -> None:
    """It has no broker."""
    (place / "here").rmdir()

    assert find(None, is_named=False, commands=True) == ("", "")
