"""Tests of `statusd.home`: who has a home, and who hasn't."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from statusd.core.errors import ConfigError
from statusd.home import expanded, home, xdg

SYSTEMS = Path(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.mark.fault("J12")
@pytest.mark.parametrize(
    ("named", "found"), [("/a/b", Path("/a/b")), ("", SYSTEMS), (None, SYSTEMS), ("~", None)]
)
def test_a_home_is_what_the_environment_says_or_the_system(
    named: str | None, found: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty ``HOME`` is none; one that isn't a whole path means no place at all (J12)."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("HOME", named)

    assert home() == found
    assert xdg("XDG_STATE_HOME", ".local/state") == (found and found / ".local" / "state")


def test_the_variable_of_the_xdg_needs_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where, and that is all."""
    monkeypatch.setenv("HOME", "~")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")

    assert xdg("XDG_STATE_HOME", ".local/state") == Path("/state")


@pytest.mark.fault("J12")
def test_a_path_is_expanded_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a ``~`` at the beginning means a home (J12)."""
    monkeypatch.setenv("HOME", "/a")
    whole = {"~": "/a", "~/b/c": "/a/b/c", "b/~": "b/~", "/b": "/b", "": ".", "~root/b": "/root/b"}

    assert {path: str(expanded(path)) for path in whole} == whole
    with pytest.raises(ConfigError, match=r"^~nobody-here/b: no home directory of a user"):
        expanded("~nobody-here/b")
    monkeypatch.setenv("HOME", "~")
    with pytest.raises(ConfigError, match=r"^~/b: no home directory for uid [0-9]+: write the"):
        expanded("~/b")
