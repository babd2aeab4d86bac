"""Tests of `statusd.fleet.host_logs`: output over the sockets of this host."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from statusd.fleet import host_logs
from statusd.fleet.log_follower import Wanted


def listener(name: str) -> socket.socket:
    """Return what listens in this directory, as a unit's daemon does."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(f"statusd:{name}.sock")
    made.listen()
    return made


def test_whose_socket_is_gone_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever follows, though there are others' sockets."""
    monkeypatch.setattr(host_logs, "RENEW_S", 0.02)
    monkeypatch.chdir(tmp_path)
    with listener("b"):
        with listener("a"):
            wanted = Wanted("a", follow=True, timeout_s=0.05)
            items = host_logs.logs(wanted, given=str(tmp_path))
            silent = [next(items)["silent"]]
            Path("statusd:a.sock").unlink()
        silent += [next(items)["silent"], next(items)["silent"]]

    assert silent == [
        *("it doesn't answer in 0.05 s", host_logs.GONE),
        f"{tmp_path}/statusd:a.sock: No such file or directory",
    ]
