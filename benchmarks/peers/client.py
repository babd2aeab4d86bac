"""One peer's client: for each line on its input, that many commands; their times on its output.

Run in the peer's environment as ``python -m benchmarks.peers.client PEER ADDRESS``. A time is that
from the call to the reply, in microseconds; for RQ, which gives none, that to the handler.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable

GAP_S = (0.001, 0.003)

Command = Callable[[], "float | None"]
"""Gives one command; returns when it was handled (CLOCK_MONOTONIC, s), if not just now."""


def rq(address: str) -> Command:
    """Send kill-horse to a worker that has no horse: the command that does the least."""
    from redis import Redis
    from rq.command import send_kill_horse_command

    from benchmarks.page import Page

    connection, page = Redis.from_url(address), Page.of_environment()

    def command() -> float:
        before = page.count
        send_kill_horse_command(connection, "bench")
        page.wait(before + 1)
        return page.value(before) / 1e9

    return command


def celery(_: str) -> Command:
    """Ping one worker; with ``destination`` the first reply is the last."""
    from benchmarks.peers.celery_app import app

    def command() -> None:
        if not app.control.ping(destination=["bench@host"], timeout=5):
            raise TimeoutError("no reply")

    return command


def circus(address: str) -> Command:
    """Ask for the status of the child, over ZeroMQ."""
    from circus.client import CircusClient

    client = CircusClient(endpoint=address)

    def command() -> None:
        if client.send_message("status", name="child")["status"] != "active":
            raise ChildProcessError("the child is gone")

    return command


def supervisord(address: str) -> Command:
    """Ask for the state of the daemon, by XML-RPC on its Unix socket."""
    from xmlrpc.client import ServerProxy

    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{address}")
    proxy = ServerProxy("http://127.0.0.1", transport=transport)

    def command() -> None:
        state = proxy.supervisor.getState()
        assert isinstance(state, dict)
        if state["statename"] != "RUNNING":
            raise ChildProcessError(state)

    return command


def bluesky(address: str) -> Command:
    """Ping the manager, over ZeroMQ."""
    from bluesky_queueserver import ZMQCommSendThreads

    client = ZMQCommSendThreads(zmq_server_address=address)

    def command() -> None:
        client.send_message(method="ping", raise_exceptions=True)

    return command


def fleet(address: str) -> Command:
    """Command a unit, and wait for its final verdict."""
    from statusd import Fleet

    client, words = Fleet(address), ["resume", "pause"]

    def command() -> None:
        words.reverse()
        if len(client.send(words[0], name="bench", timeout_s=5).done) != 1:
            raise TimeoutError("not done")

    return command


def main(peer: Callable[[str], Command], address: str) -> None:
    """Do as each line says."""
    command = peer(address)
    for line in sys.stdin:
        taken_us = []
        for _ in range(int(line)):
            time.sleep(random.uniform(*GAP_S))
            sent_s = time.monotonic()
            handled_s = command()
            taken_us.append(((handled_s or time.monotonic()) - sent_s) * 1e6)
        print(json.dumps(taken_us), flush=True)


PEERS = {f.__name__: f for f in (rq, celery, circus, supervisord, bluesky, fleet)}

if __name__ == "__main__":
    main(PEERS[sys.argv[1]], sys.argv[2])
