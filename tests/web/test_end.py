"""The end of a server: at once, whoever still reads, commands, dribbles or takes nothing."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.system.commands import statusd
from tests.tools import Broker, wait_until
from tests.tools.variants import some
from tests.tools.web import Ghosts, Web

AT_MOST_S, TRIES = 1.0, 3
"""Alone it takes 0.4 s (`python -m benchmarks --only web`). A machine that is busy may once take
longer; a server that waits for somebody does so each time."""


@pytest.fixture
def own(lasting_broker: Broker, tmp_path: Path) -> Iterator[Web]:
    """A server that a test may end."""
    with Web(lasting_broker.url, directory=tmp_path) as running:
        running.wait_up()
        yield running


def ask(web: Web, line: str, *more: str, body: str = "") -> socket.socket:
    """Return a connection on which that was asked."""
    connection = web.connect()
    lines = (line, "Host: localhost", f"Authorization: Bearer {web.token}", *more)
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
    return connection


def rest(connection: socket.socket) -> bytes:
    """Return what is still said on it."""
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionError:
        pass
    return said


def ends_soon(ended: Callable[[Web], float], broker: Broker, folder: Path) -> None:
    """Fail unless a server ends within a second, as ``ended`` ends it and tells."""
    took: list[float] = []
    while not took or (took[-1] >= AT_MOST_S and len(took) < TRIES):
        directory = folder / str(len(took))
        directory.mkdir()
        with Web(broker.url, directory=directory) as own:
            own.wait_up()
            took.append(ended(own))
    assert took[-1] < AT_MOST_S, took


@pytest.mark.parametrize("number", some((signal.SIGTERM, signal.SIGINT), 2))
def test_a_signal_ends_it_whatever_is_open(
    lasting_broker: Broker, tmp_path: Path, number: signal.Signals
) -> None:
    """Within a second, with exit code 0: who reads is told, who commands is told that nobody knows.

    The log is as empty as it was: nothing of it is an error.
    """
    Ghosts(lasting_broker).write("silent", "other")
    body = '{"command": "pause", "target": {"name": ["silent"]}, "timeout_s": 60}'
    length = f"Content-Length: {len(body)}"
    post = ("POST /api/commands HTTP/1.1", "Content-Type: application/json", length)

    def ended(own: Web) -> float:
        client = own.client()
        wait_until(lambda: client.get("/api/units/silent").status_code == 200, 5, "the units")
        with ExitStack() as all_of_them:
            asked = partial(_asked, all_of_them, own)
            events = [asked("GET /api/events HTTP/1.1") for _ in range(20)]
            logs = asked("GET /api/units/silent/logs?follow=1 HTTP/1.1")
            command, half = asked(*post, body=body), asked(*post, body=body[:9])
            silent = all_of_them.enter_context(own.connect())
            idle = asked("GET /api/me HTTP/1.1")
            for one in (*events, logs, command, idle):
                assert one.recv(12) == b"HTTP/1.1 200"
            wait_until(lambda: own.logged("web.command"), 5, "the command to be sent")
            before = own.log()

            began = time.monotonic()
            os.kill(own.process.pid, number)
            assert own.wait_exit() == 0
            took = time.monotonic() - began

            assert own.log() == before
            assert b'{"error":"the server ends: what becomes of the command' in rest(command)
            assert b'{"error":"the server ends"}' in rest(logs)
            for one in (*events, half, silent, idle):
                rest(one)
        return took

    ends_soon(ended, lasting_broker, tmp_path)


def _asked(until: ExitStack, web: Web, line: str, *more: str, body: str = "") -> socket.socket:
    return until.enter_context(ask(web, line, *more, body=body))


def shows(web: Web, text: str) -> bool:
    """Tell whether the last unit's text has that in it."""
    return text in web.client().get("/api/units/large-4").text


def test_who_takes_nothing_delays_nothing(lasting_broker: Broker, tmp_path: Path) -> None:
    """Nor do ten of them, with a megabyte each on its way."""
    ghosts = Ghosts(lasting_broker)
    names = [f"large-{number}" for number in range(5)]

    def ended(own: Web) -> float:
        with ExitStack() as all_of_them:
            for _ in range(10):
                _asked(all_of_them, own, "GET /api/events HTTP/1.1").recv(12)
            for text in "abc":
                ghosts.write(*names, text=text * 900_000)
                wait_until(partial(shows, own, text * 9), 5, "the documents to be told")
            began = time.monotonic()
            os.kill(own.process.pid, signal.SIGTERM)
            assert own.wait_exit() == 0
            return time.monotonic() - began

    ends_soon(ended, lasting_broker, tmp_path)
    ghosts.strike(*names)


def test_two_signals_are_one(own: Web) -> None:
    """Whoever is impatient changes nothing, from the first one to the last moment."""

    def has_gone() -> bool:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(own.process.pid, number)
        return own.process.poll() is not None

    with own.events():
        wait_until(has_gone, 5, "it to end")
    assert own.wait_exit() == 0
    assert own.log() == ""


def test_who_waits_for_the_broker_is_let_go(own: Web, lasting_broker: Broker) -> None:
    """At once, and told so, whatever he wants of it; that isn't an error of ours."""
    body = '{"command": "pause"}'
    post = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    lasting_broker.freeze()
    try:
        waiting = [
            ask(own, "GET /api/units/x/history HTTP/1.1"),
            ask(own, "GET /api/units/x/lifecycle HTTP/1.1"),
            ask(own, "POST /api/commands HTTP/1.1", *post, body=body),
        ]
        assert own.client().get("/api/me").status_code == 200
        os.kill(own.process.pid, signal.SIGTERM)
        answers = [rest(one) for one in waiting]
        assert own.wait_exit() == 0
    finally:
        lasting_broker.thaw()
    for one, answer in zip(waiting, answers, strict=True):
        assert answer.startswith(b"HTTP/1.1 503"), answer
        assert answer.endswith(b'{"error":"the server ends"}')
        one.close()
    assert own.log() == ""


def test_an_address_that_can_t_be_had_is_said(web: Web, tmp_path: Path) -> None:
    """With what to do; a mistake in what was typed is told by its option."""
    taken = statusd("web", "--listen", str(web.port), "--url", "redis://127.0.0.1:1")
    assert taken.returncode == 69
    assert f"127.0.0.1:{web.port}: Address already in use: --listen" in taken.stderr

    none = tmp_path / "none"
    for words, wanted in (
        (("--token-file", str(none)), (69, f"token file {none}: No such file")),
        (("--trusted-proxy", "proxy"), (78, "--trusted-proxy: 'proxy' is no address")),
        (("--allow-host", "http://x"), (78, "--allow-host: 'http://x' is no name of a host")),
        (("--root-path", "x y"), (78, "--root-path: 'x y' is no path")),
        (("--user-header", "Cookie"), (78, "--user-header: 'Cookie' says something else")),
        (("--listen", "x"), (78, "--listen: 'x' is no address")),
    ):
        done = statusd("web", "--listen", str(web.port), *words, "--url", "redis://127.0.0.1:1")
        assert (done.returncode, wanted[1] in done.stderr) == (wanted[0], True), done.stderr
        assert "Traceback" not in done.stderr
