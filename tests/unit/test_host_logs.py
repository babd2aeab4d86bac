"""Tests of `statusd.fleet.host_logs`: output over the sockets of this host."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from statusd.fleet import host_logs
from statusd.fleet.log_follower import Wanted
from tests.unit.test_log_follower import in_words, told


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


@contextmanager
def telling(name: str, *messages: str) -> Iterator[None]:
    """Be a unit that tells this to the first who asks, as long as the block lasts."""
    with listener(name) as door:
        door.settimeout(10)

        def tell() -> None:
            visitor, _ = door.accept()
            with visitor, visitor.makefile("rwb", buffering=0) as line:
                asked.append(line.readline())
                line.write("".join(f"{message}\n" for message in messages).encode())
                left.wait(10)

        asked: list[bytes] = []
        left = threading.Event()
        thread = threading.Thread(target=tell)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()
            Path(f"statusd:{name}.sock").unlink()
    assert json.loads(asked[0])["ask"] == "logs"


def test_who_begins_later_is_read_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever follows: another unit, and one that had ended, in its next life."""
    monkeypatch.setattr(host_logs, "RENEW_S", 0.02)
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    with (
        telling("ab", told("ab", "here", answer=True)),
        closing(host_logs.logs(Wanted("a*", follow=True), given=here)) as items,
    ):
        given = [in_words(next(items))]
        with telling("a", told("a", "one", answer=True, ended="it has ended")):
            given += [in_words(next(items)), in_words(next(items))]
        with telling("aa", told("aa", "new", answer=True)):
            with telling("a", told("a", "still the life that has ended", answer=True)):
                given.append(in_words(next(items)))
            with telling("a", told("a", "two", answer=True, boot=8)):
                given.append(in_words(next(items)))

    assert given == ["ab: here", "a: one", "a ended it has ended", "aa: new", "a: two"]
